"""Joints in space and cameras from annotations in COCO format, as columns beside the people's own.

Beside COCO's fields a file may hold `joints_camera_mm` (joints of [x, y, z], in the order of its
keypoints) for a person and `camera` {f, c, ...} for an image. A file whose data set has several
keypoint sets holds `keypoints_<set>` and `joints_camera_mm_<set>` for those after the first. Where
no camera is known, `joints_root_mm` counts from the root, and `far_cameras` finds a camera. The
lens of a camera is left out, as in the published programs: 2D targets are the pinhole projection of
the joints, at most some pixels beside the picture, and the way home is its inverse.

Numbers stay text until whole columns of them are parsed at once: a list of Python numbers for each
person would take ten times the memory.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..geometry import project_points, root_boxes
from ..skeleton import Skeleton, derive_joints, derive_keypoints, reindex_joints, take_joints
from ..structures import PersonRecords, SpaceColumns
from .coco_format import BadSamples, CategoryEntry, OnBadSample, pause_collector
from .dataset import Dataset
from .far_cameras import place_far_away

logger = logging.getLogger("poseras")

_BRACKETS = bytes.maketrans(b"[],", b"   ")
_ABSENT = b""


class CameraEntry(msgspec.Struct, gc=False):
    """Focal lengths and principal point in pixels."""

    f: tuple[float, float]
    c: tuple[float, float]


class _ImageEntry(msgspec.Struct, gc=False):
    id: int
    camera: CameraEntry | None = None


@dataclass(frozen=True)
class _Fields:
    """Where a file keeps the joints of a keypoint set, and their names in its order.

    Attributes:
        joints: in the space of the camera.
        rooted: relative to the root.
        labels: in the picture.
        names: of the joints.
    """

    joints: str
    rooted: str
    labels: str
    names: tuple[str, ...]


def attach_space(
    records: PersonRecords,
    source: Path,
    dataset: Dataset,
    skeleton: Skeleton,
    *,
    box_mm: tuple[float, float],
    on_bad_sample: OnBadSample = "stop",
) -> PersonRecords:
    """Add to people what their file knows of them in space.

    Of a person with joints in space, x and y become their projection; visibility stays. People of a
    file without such joints stay as they are, with unknown columns.

    Args:
        records: people of that file, known by their annotation ids; joints in the order of the
            skeleton.
        source: the file in COCO format.
        dataset: to which it belongs.
        skeleton: of the network.
        box_mm: height and width of the box around the root that views show.
        on_bad_sample: `stop` at a bad person, or `skip` them and list them.

    Raises:
        ValueError: the file is not COCO format, or a person with joints in space has no camera and
            none can be found, a joint that is not before the camera, or a box beside the picture.
    """
    with pause_collector():
        content, fields = _decode(source, dataset, skeleton)
        columns, labels, rooted = _tabulate(content, fields, records.annotation_ids, source)
    if columns is None:
        unknown = SpaceColumns.unknown(len(records), skeleton.joint_count)
        return replace(records, space=unknown)
    root = _find_root(fields.names, columns.joints_camera_mm, source)
    derived, valid = dataset.derived, columns.joints_valid[..., None]
    joints, names = derive_joints(columns.joints_camera_mm, fields.names, derived)
    valid, _ = derive_joints(valid, fields.names, derived, np.min)
    indices = reindex_joints(names, skeleton)
    space = replace(
        columns,
        joints_camera_mm=take_joints(joints, indices),
        joints_valid=take_joints(valid, indices)[..., 0],
        root_camera_mm=np.where(
            np.any(columns.joints_valid, axis=1, keepdims=True), root, np.float32(0)
        ),
    )
    keypoints = records.keypoints
    if labels is not None:
        keypoints = take_joints(derive_keypoints(labels, fields.names, derived)[0], indices)
    if rooted.any():
        space = place_far_away(space, keypoints, rooted)
    records = replace(records, space=space, keypoints=_project(keypoints, space))
    good = _check_people(records, box_mm, BadSamples(source, on_bad_sample))
    return records if good.all() else records.take(np.flatnonzero(good))


def _decode(source: Path, dataset: Dataset, skeleton: Skeleton) -> tuple[Any, _Fields]:
    text = source.read_bytes()
    fields = _choose_fields(dataset, skeleton)
    person = msgspec.defstruct(
        "Person",
        [
            ("id", int),
            ("image_id", int),
            (
                "joints",
                msgspec.Raw,
                msgspec.field(default=msgspec.Raw(_ABSENT), name=fields.joints),
            ),
            (
                "rooted",
                msgspec.Raw,
                msgspec.field(default=msgspec.Raw(_ABSENT), name=fields.rooted),
            ),
            (
                "labels",
                msgspec.Raw,
                msgspec.field(default=msgspec.Raw(_ABSENT), name=fields.labels),
            ),
            ("action", int, -1),
        ],
        gc=False,
    )
    kind = msgspec.defstruct(
        "File",
        [
            ("images", list[_ImageEntry]),
            ("annotations", list[person], msgspec.field(default_factory=list)),  # type: ignore[valid-type]
            ("categories", list[CategoryEntry], msgspec.field(default_factory=list)),
        ],
    )
    try:
        content: Any = msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{source} does not hold people in space as data/README.md describes them: {error}."
        ) from None
    named = [c.keypoints for c in content.categories if c.keypoints]
    if fields.joints == "joints_camera_mm" and named:
        names = tuple(dataset.aliases.get(name, name) for name in named[0])
        fields = replace(fields, names=names)
    return content, fields


def _choose_fields(dataset: Dataset, skeleton: Skeleton) -> _Fields:
    """Those of the keypoint set that has most joints of the network, the first of several."""
    wanted = set(skeleton.keypoints)
    sets = list(dataset.skeletons.items())
    key, chosen = max(sets, key=lambda item: len(wanted & set(item[1].keypoints)))
    if key == sets[0][0]:
        return _Fields("joints_camera_mm", "joints_root_mm", "keypoints", chosen.keypoints)
    return _Fields(
        joints=f"joints_camera_mm_{key}",
        rooted=f"joints_root_mm_{key}",
        labels=f"keypoints_{key}",
        names=chosen.keypoints,
    )


def _tabulate(
    content: Any, fields: _Fields, annotation_ids: np.ndarray, source: Path
) -> tuple[SpaceColumns | None, np.ndarray | None, np.ndarray]:
    """Columns of the people asked for, in the order of the file's joints; labels where own ones.

    The last, (people,) bool, is True where joints count from the root.
    """
    place = {entry.id: row for row, entry in enumerate(content.annotations)}
    entries = [content.annotations[place[number]] for number in annotation_ids.tolist()]
    in_camera, rooted = (
        np.fromiter((len(getattr(entry, kind)) > 4 for entry in entries), bool, len(entries))
        for kind in ("joints", "rooted")
    )
    rooted, given = rooted & ~in_camera, in_camera | rooted
    if not given.any():
        return None, None, rooted
    joint_count = len(fields.names)
    how: dict[str, Any] = {"length": 3 * joint_count, "source": source, "fields": fields}
    joints = np.zeros((len(entries), 3 * joint_count), np.float32)
    for field, people in (("joints", in_camera), ("rooted", rooted)):
        if people.any():
            joints[people] = _parse(entries, np.flatnonzero(people), field, **how)
    labels = None
    if fields.labels != "keypoints":
        everyone = np.arange(len(entries))
        labels = _parse(entries, everyone, "labels", **how)
        labels = labels.reshape(-1, joint_count, 3)
    cameras = _gather_cameras(content.images, entries)
    columns = SpaceColumns(
        joints_camera_mm=joints.reshape(-1, joint_count, 3),
        joints_valid=np.repeat(given[:, None], joint_count, axis=1),
        root_camera_mm=np.zeros((len(entries), 3), np.float32),
        cameras=cameras,
        actions=np.fromiter((entry.action for entry in entries), np.int32, len(entries)),
    )
    return columns, labels, rooted


def _parse(
    entries: Sequence[Any],
    rows: np.ndarray,
    field: str,
    *,
    length: int,
    source: Path,
    fields: _Fields,
) -> np.ndarray:
    """(rows, length) float32: the numbers of one field, all parsed at once."""
    texts = [bytes(getattr(entries[row], field)) for row in rows]
    counts = np.fromiter((text.count(b",") + 1 for text in texts), np.int64, len(texts))
    wrong = counts != length
    if not wrong.any():
        together = b" ".join(texts).translate(_BRACKETS)
        values = _read_numbers(together)
        if len(values) == len(rows) * length:
            return values.reshape(len(rows), length)
        wrong = np.array([not _holds_numbers(text) for text in texts])
    row = int(rows[np.argmax(wrong)])
    name = getattr(fields, field)
    raise ValueError(
        f"{source}: {name} of annotation {entries[row].id} must be {length // 3} triples of "
        f"numbers, one for each of {', '.join(fields.names)}. "
        f"Received {bytes(getattr(entries[row], field))[:60].decode(errors='replace')}..."
    )


def _read_numbers(text: bytes) -> np.ndarray:
    """The finite numbers between blanks; none where something else stands among them."""
    try:
        with warnings.catch_warnings():
            # What NumPy raises for other text was a warning before.
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(text, np.float32, sep=" ")
    except (ValueError, DeprecationWarning):
        return np.zeros(0, np.float32)
    return values if np.isfinite(values).all() else values[:0]


def _holds_numbers(text: bytes) -> bool:
    """Whether JSON text is nested lists of finite numbers."""
    try:
        return bool(np.isfinite(np.array(msgspec.json.decode(text), np.float64)).all())
    except (msgspec.DecodeError, ValueError, TypeError):
        return False


def _gather_cameras(images: Sequence[_ImageEntry], entries: Sequence[Any]) -> np.ndarray:
    """(people, 9) float64; 0 where the image of a person has no camera. Lenses are left out."""
    known: Mapping[int, CameraEntry | None] = {image.id: image.camera for image in images}
    cameras = np.zeros((len(entries), 9))
    for row, entry in enumerate(entries):
        camera = known.get(entry.image_id)
        if camera is not None:
            cameras[row, :4] = (*camera.f, *camera.c)
    return cameras


def _find_root(names: Sequence[str], joints: np.ndarray, source: Path) -> np.ndarray:
    """(people, 3): the pelvis, or the middle of the hips where the file has none."""
    for group in (("pelvis",), ("left_hip", "right_hip")):
        if all(name in names for name in group):
            return joints[:, [names.index(name) for name in group]].mean(axis=1)
    raise ValueError(
        f"People in space need a root: a pelvis, or both hips. {source} has {', '.join(names)}."
    )


def _project(keypoints: np.ndarray, space: SpaceColumns) -> np.ndarray:
    """Keypoints at the projection of their joints, where those are known and before the camera."""
    can = space.joints_valid & (space.joints_camera_mm[..., 2] > 0) & space.located[:, None]
    ahead = np.where(can[..., None], space.joints_camera_mm, np.array([0, 0, 1], np.float32))
    points = project_points(ahead.astype(np.float64), space.cameras)
    projected = np.where(can[..., None], points, keypoints[..., :2])
    return np.concatenate([projected, keypoints[..., 2:]], axis=-1).astype(np.float32)


def _check_people(
    records: PersonRecords, box_mm: tuple[float, float], bad: BadSamples
) -> np.ndarray:
    """(people,) bool: False for people who break a rule; they are reported."""
    space, ids = records.space, records.annotation_ids
    if space is None:
        return np.ones(len(records), bool)
    in_space = space.joints_valid.any(axis=1)
    blind = in_space & (space.cameras[:, 0] <= 0)
    bad.add_where(
        blind,
        lambda row: (
            f"annotation {ids[row]} has joints in space, so its image must have a camera "
            "{f, c}, or it joints_root_mm and at least two labelled keypoints apart. Received none."
        ),
    )
    depths = np.where(space.joints_valid, space.joints_camera_mm[..., 2], 1.0)
    behind = np.logical_and(in_space, (~(depths > 0)).any(axis=1))
    bad.add_where(
        behind,
        lambda row: (
            f"annotation {ids[row]} must have all joints before the camera. Received "
            f"{int((~(depths[row] > 0)).sum())} with a z of 0 or less."
        ),
    )
    beside = in_space & ~blind & ~behind & _lie_beside(records, box_mm)
    bad.add_where(
        beside,
        lambda row: (
            f"annotation {ids[row]} must have its root near the picture. Received one whose box of "
            f"{box_mm[1]:g} x {box_mm[0]:g} mm lies beside it; camera and picture do not belong "
            "together."
        ),
    )
    bad.log()
    return ~(blind | behind | beside)


def _lie_beside(records: PersonRecords, box_mm: tuple[float, float]) -> np.ndarray:
    """(people,) bool: True where the box around the root shows nothing of a picture."""
    space = records.space
    if space is None:
        return np.zeros(len(records), bool)
    sizes_wh = records.images.sizes_hw[records.image_index][:, ::-1]
    safe = np.where(space.located[:, None], space.root_camera_mm, np.array([0, 0, 1], np.float32))
    boxes = root_boxes(safe, np.where(space.cameras > 0, space.cameras, 1.0), box_mm)
    outside = (boxes[:, :2] >= sizes_wh) | (boxes[:, :2] + boxes[:, 2:] <= 0)
    return space.located & (sizes_wh > 0).all(axis=1) & outside.any(axis=1)
