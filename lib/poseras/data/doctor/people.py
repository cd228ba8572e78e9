"""Checks of single annotations: numbers, boxes, areas, keypoints."""

from __future__ import annotations

import numpy as np

from ..image_table import mark_doubled
from .columns import SplitColumns
from .findings import Findings

#: CrowdPose counts twelve joints in num_keypoints, without these.
_UNCOUNTED = {"crowdpose": ("head_top", "upper_neck")}
#: Pixels by which a keypoint may lie outside: MPII counts from 1, others from 0 or in halves.
_SLACK_PX = 2.0
#: Part of a box's sides by which a keypoint may lie outside of it: boxes are drawn by other hands.
_BOX_SLACK = 0.15
#: More than half of the keypoints, and so many, must lie outside of a box.
_MISSED_COUNT = 3
#: A keypoint outside the picture is far outside beyond this part of the person's longer side.
_FAR = 0.25
#: A box that reaches further out of the picture than this part of its side is worth a note.
_LEAVES = 0.02
#: An outline may be so much larger than its box, whose numbers are rounded.
_AREA_SLACK = 1.02
#: Keypoints in one point are at most so far apart, on a person of at least that size.
_POINT_PX, _PERSON_PX = 1.0, 16.0
#: Boxes are in another format when at least this share of those that tell, and this many, say so.
_FORMAT_SHARE, _FORMAT_COUNT = 0.5, 4


def check_numbers(columns: SplitColumns, findings: Findings) -> None:
    """NaN and infinity, visibilities, counts."""
    bad_box = ~np.isfinite(columns.boxes_xywh).all(axis=1)
    bad_area = columns.has_area & ~np.isfinite(columns.areas)
    bad_keypoint = ~np.isfinite(columns.keypoints).all(axis=(1, 2))
    words = ((bad_box, "bbox"), (bad_area, "area"), (bad_keypoint, "keypoints"))
    findings.add_people(
        "number-not-finite",
        bad_box | bad_area | bad_keypoint,
        columns,
        lambda row: f"has it in {' and '.join(word for bad, word in words if bad[row])}",
    )
    visibility = columns.keypoints[..., 2]
    unclear = ~np.isin(visibility, (0, 1, 2)) & np.isfinite(visibility)
    findings.add_people(
        "visibility",
        unclear.any(axis=1),
        columns,
        lambda row: f"has {_list_numbers(visibility[row][unclear[row]])}",
    )


def _list_numbers(values: np.ndarray, most: int = 4) -> str:
    different = np.unique(values).tolist()
    more = ", ..." if len(different) > most else ""
    return ", ".join(f"{value:g}" for value in different[:most]) + more


def check_counts(columns: SplitColumns, findings: Findings, evaluation: str) -> None:
    """Whether num_keypoints is the number of keypoints with a visibility."""
    given, right = columns.num_keypoints, expected_counts(columns, evaluation)
    wrong = (given >= 0) & columns.complete & ~(right == given[:, None]).any(axis=1)
    findings.add_people(
        "num-keypoints",
        wrong,
        columns,
        lambda row: f"says {given[row]}, has {right[row, 1]}",
    )


def expected_counts(columns: SplitColumns, evaluation: str) -> np.ndarray:
    """(people, 2) the counts that are right: of all joints, and of those that the set counts."""
    marked = columns.keypoints[..., 2] > 0
    counted = [name not in uncounted_joints(evaluation) for name in columns.names]
    return np.stack([marked.sum(axis=1), marked[:, counted].sum(axis=1)], axis=1)


def uncounted_joints(evaluation: str) -> tuple[str, ...]:
    """The joints that num_keypoints does not count, by the protocol of the data set."""
    return _UNCOUNTED.get(evaluation, ())


def check_boxes(columns: SplitColumns, findings: Findings) -> None:
    """Size, place and format of the boxes, and the areas that belong to them."""
    boxes, sizes_wh = columns.boxes_xywh, columns.row_sizes_wh
    finite = np.isfinite(boxes).all(axis=1)
    empty = finite & (boxes[:, 2:] <= 0).any(axis=1)
    format_line = describe_other_format(boxes, sizes_wh, columns.keypoints, columns.boxed)
    if format_line:
        findings.add("box-format", format_line)
        return  # nothing else can be said of such boxes
    findings.add_people(
        "box-empty",
        np.asarray(empty & columns.labelled.any(axis=1)),
        columns,
        lambda row: f"has the box {_describe_box(boxes[row])}",
    )
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    outside = ((high <= 0) | (low >= sizes_wh)).any(axis=1) & finite & ~empty
    beyond = np.maximum(-low, high - sizes_wh)
    allowed = np.maximum(_SLACK_PX, _LEAVES * boxes[:, 2:])
    leaves = (beyond > allowed).any(axis=1) & finite & ~empty & ~outside
    for code, wrong in (("box-outside", outside), ("box-leaves-picture", leaves)):
        findings.add_people(
            code,
            wrong,
            columns,
            lambda row: (
                f"has the box {_describe_box(boxes[row])} in a picture of "
                f"{sizes_wh[row, 0]:.0f} x {sizes_wh[row, 1]:.0f}"
            ),
        )
    _check_areas(columns, findings, finite & ~empty)


def _describe_box(box: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in box) + "]"


def _check_areas(columns: SplitColumns, findings: Findings, sized: np.ndarray) -> None:
    largest = columns.boxes_xywh[:, 2:].prod(axis=1) * _AREA_SLACK + 1
    known = columns.has_area & np.isfinite(columns.areas) & sized
    low = known & (columns.areas <= 0) & columns.labelled.any(axis=1)
    high = known & (columns.areas > largest)
    findings.add_people(
        "area-wrong",
        low | high,
        columns,
        lambda row: (
            f"has the area {columns.areas[row]:g}, its box {columns.boxes_xywh[row, 2:].prod():g}"
        ),
    )


def describe_other_format(
    boxes: np.ndarray,
    sizes_wh: np.ndarray,
    keypoints: np.ndarray | None = None,
    held: np.ndarray | None = None,
) -> str:
    """Whether boxes look like left, top, right, bottom.

    Read as left, top, width, height, such boxes begin where they should and are too large: those of
    people in the right or lower part of a picture leave it. A box tells when it lies inside its
    picture in one of the two readings alone; as corners it must hold its keypoints, too.

    Args:
        boxes: (rows, 4) pixels.
        sizes_wh: (rows, 2) of each row's picture, NaN where unknown.
        keypoints: (rows, joints, 3), or None.
        held: (rows, joints) bool, the keypoints that a box must hold, or None.

    Returns:
        One sentence, or "".
    """
    low, second = boxes[:, :2], boxes[:, 2:]
    fits = (low >= -_SLACK_PX).all(axis=1) & (low + second <= sizes_wh + _SLACK_PX).all(axis=1)
    corners = (second > low).all(axis=1) & (low >= -_SLACK_PX).all(axis=1)
    corners &= (second <= sizes_wh + _SLACK_PX).all(axis=1)
    if keypoints is not None and held is not None:
        slack = _BOX_SLACK * np.maximum(second - low, 0) + _SLACK_PX
        corners &= _hold(low - slack, second + slack, keypoints, held)
    told = int((fits ^ corners).sum())
    other = int((corners & ~fits).sum())
    if other < _FORMAT_COUNT or other <= _FORMAT_SHARE * told:
        return ""
    return f"{other} of the {told} boxes that tell fit their pictures and people as corners alone."


def _hold(low: np.ndarray, high: np.ndarray, keypoints: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(rows,) bool: True where all of some keypoints lie between two corners."""
    return np.logical_not((mark_outside(low, high, keypoints) & held).any(axis=1))


def mark_outside(low: np.ndarray, high: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """(rows, joints) bool: True where a keypoint does not lie between two corners (rows, 2)."""
    points = keypoints[..., :2]
    inside = (points >= low[:, None]) & (points <= high[:, None])
    return np.logical_not(inside.all(axis=-1))


def check_keypoints(columns: SplitColumns, findings: Findings, *, boxes_are_right: bool) -> None:
    """Where the labelled keypoints lie: in the picture, in the box, apart from each other.

    Args:
        columns: of the split.
        findings: receives what is wrong.
        boxes_are_right: False where their format is another one, which says nothing of keypoints.
    """
    labelled, counts = columns.labelled, columns.labelled.sum(axis=1)
    _check_borders(columns, findings)
    one_point = _mark_one_point(columns, labelled, counts)
    findings.add_people(
        "keypoints-in-one-point",
        one_point,
        columns,
        lambda row: f"has all its {counts[row]} keypoints there",
    )
    if boxes_are_right:
        boxes = columns.boxes_xywh
        slack = _BOX_SLACK * np.maximum(boxes[:, 2:], 0) + _SLACK_PX
        low, high = boxes[:, :2] - slack, boxes[:, :2] + boxes[:, 2:] + slack
        held = columns.boxed
        missed = (mark_outside(low, high, columns.keypoints) & held).sum(axis=1)
        usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        findings.add_people(
            "keypoints-outside-box",
            usable & (missed >= _MISSED_COUNT) & (2 * missed > held.sum(axis=1)),
            columns,
            lambda row: f"has {missed[row]} of {held[row].sum()} keypoints outside",
        )
    findings.add_people(
        "crowd-labelled",
        columns.iscrowd & (counts > 0),
        columns,
        lambda row: f"has {counts[row]}",
    )
    _check_doubled_people(columns, findings)


def _check_borders(columns: SplitColumns, findings: Findings) -> None:
    """Labelled keypoints outside the picture: a little, or by a good part of the person."""
    sizes_wh = columns.row_sizes_wh
    known = np.isfinite(sizes_wh).all(axis=1)[:, None] & columns.labelled
    person = np.nan_to_num(columns.boxes_xywh[:, 2:].max(axis=1, keepdims=True))

    def mark(slack_px: np.ndarray | float) -> np.ndarray:
        low = np.zeros((len(columns), 2)) - slack_px
        return mark_outside(low, sizes_wh + slack_px, columns.keypoints) & known

    far, beyond = mark(np.maximum(_FAR * person, _SLACK_PX)), mark(_SLACK_PX)
    little = np.asarray(beyond.any(axis=1) & ~far.any(axis=1))
    for code, wrong, joints in (
        ("keypoints-outside-picture", np.asarray(far.any(axis=1)), far),
        ("keypoints-beyond-border", little, beyond),
    ):
        findings.add_people(
            code,
            wrong,
            columns,
            lambda row, joints=joints: (  # type: ignore[misc]
                f"has {', '.join(_names(columns, joints[row]))} there"
            ),
        )


def _names(columns: SplitColumns, chosen: np.ndarray) -> list[str]:
    return [name for name, is_chosen in zip(columns.names, chosen, strict=True) if is_chosen]


def _mark_one_point(columns: SplitColumns, labelled: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(people,) bool: True where three labelled keypoints or more lie in one point."""
    points = columns.keypoints[..., :2]
    low = np.where(labelled[..., None], points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(labelled[..., None], points, -np.inf).max(axis=1, initial=-np.inf)
    large = columns.boxes_xywh[:, 2:].max(axis=1) >= _PERSON_PX
    return (counts >= 3) & ((high - low) <= _POINT_PX).all(axis=1) & large


def _check_doubled_people(columns: SplitColumns, findings: Findings) -> None:
    """People with the same labelled keypoints on the same picture, under two ids."""
    rows = np.flatnonzero(columns.labelled.any(axis=1) & columns.complete)
    if len(rows) < 2:
        return
    image_ids = columns.row_image_ids[rows, None].astype(np.float64)
    values = columns.keypoints[rows].reshape(len(rows), -1)
    key = np.nan_to_num(np.concatenate([image_ids, values], axis=1)) + 0.0  # no -0.0
    # Equal rows have equal sums of their bits, whatever the order: few remain to be compared.
    weights = np.random.default_rng(0).integers(1, 2**63, key.shape[1], np.uint64)
    _, place, count = np.unique(
        (key.view(np.uint64) * weights).sum(axis=1), return_inverse=True, return_counts=True
    )
    near = np.flatnonzero(count[place] > 1)
    again = np.zeros(len(columns), bool)
    if len(near):
        _, same = np.unique(key[near], axis=0, return_inverse=True)
        again[rows[near]] = mark_doubled(same.reshape(-1))
    again &= ~mark_doubled(columns.ids)
    findings.add_people(
        "person-doubled", again, columns, lambda row: "repeats the keypoints of another one"
    )
