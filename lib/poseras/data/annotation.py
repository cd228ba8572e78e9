"""Annotations in COCO format as columns: one array per field, one row per annotation.

Every row is checked on the way: what stands in a table is finite, of the right size and on a known
picture. Keypoints are re-indexed by name to the skeleton asked for. TensorFlow is not needed.

Source: Microsoft COCO: Common Objects in Context, Lin et al., ECCV 2014.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..skeleton import Skeleton, derive_keypoints, reindex_joints, take_joints
from ..structures import ImageTable
from .coco_format import (
    BadSamples,
    CocoFile,
    OnBadSample,
    Person,
    PersonEntry,
    canonical_names,
    decode_annotations,
    gather,
    gather_lists,
    pause_collector,
)
from .dataset import MAT_SUFFIX, Dataset
from .image_table import find_images, mark_doubled, tabulate_images
from .joined_annotations import join_tables

logger = logging.getLogger("poseras")


@dataclass(frozen=True)
class AnnotationTable:
    """The annotations of one file or several, column by column, in the order of the files.

    Attributes:
        source: the file, of several the first one.
        skeleton: the order of the joints here, which may differ from that of the file.
        images: its pictures.
        annotation_ids: (rows,) int64.
        image_index: (rows,) int32, row in `images`.
        boxes_xywh: (rows, 4) float64, left, top, width, height in pixels, as annotated.
        areas: (rows,) float64, segment area in px^2; that of the box where the file has none.
        area_given: (rows,) bool, whether the file has the area.
        keypoints: (rows, joints, 3) float32, x px, y px, visibility 0, 1, 2.
        num_keypoints: (rows,) int32, as the file says, else its keypoints with a visibility.
        iscrowd: (rows,) bool, one region with many people.
        skipped: one line for each bad entry that was left out.
        segmentations: JSON text per row, None unless asked for; see `segmentation`.
        more_sources: the files after the first one.
        first_images: where the pictures of each file begin in `images`.
    """

    source: Path
    skeleton: Skeleton
    images: ImageTable
    annotation_ids: np.ndarray
    image_index: np.ndarray
    boxes_xywh: np.ndarray
    areas: np.ndarray
    area_given: np.ndarray
    keypoints: np.ndarray
    num_keypoints: np.ndarray
    iscrowd: np.ndarray
    skipped: tuple[str, ...] = ()
    segmentations: tuple[bytes, ...] | None = None
    more_sources: tuple[Path, ...] = ()
    first_images: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.annotation_ids)

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files."""
        return (self.source, *self.more_sources)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The arrays with one value per row, by name."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if isinstance(value, np.ndarray)}

    def take(self, rows: np.ndarray) -> AnnotationTable:
        """Some rows, in that order; the table of images stays whole."""
        segmentations = self.segmentations
        kept = segmentations and tuple(segmentations[row] for row in rows)
        columns: dict[str, Any] = {name: column[rows] for name, column in self.columns.items()}
        return replace(self, **columns, segmentations=kept)

    def segmentation(self, row: int) -> Any:
        """Polygons (a list of lists x, y, x, y, ...) or a run-length mask (a dict) of one row.

        Raises:
            ValueError: the file was read without segmentations.
        """
        if self.segmentations is None:
            raise ValueError(f"{self.source} was read without segmentations; ask for them.")
        return msgspec.json.decode(self.segmentations[row])


def read_split(
    dataset: Dataset,
    split: str,
    *,
    skeleton: Skeleton | None = None,
    annotations: str | Path | Sequence[Path] = "",
    on_bad_sample: OnBadSample = "stop",
    segmentations: bool = False,
) -> AnnotationTable:
    """The annotations of one split of a dataset: those of all its files, as `join_tables` says.

    Args:
        dataset: as `load_dataset` gives it.
        split: its name.
        skeleton: of the network; the dataset's first keypoint set by default.
        annotations: a file, or files, instead of the split's own.
        on_bad_sample: `stop` at a bad entry, or `skip` it, count it and list it.
        segmentations: keep them, too.

    Raises:
        FileNotFoundError, ValueError: as `read_coco` and `join_tables`; no such split.
    """
    files = dataset.split(split)
    paths = annotations or (files.annotations, *files.more_annotations)
    paths = [Path(paths)] if isinstance(paths, str | Path) else paths
    how: dict[str, Any] = {"on_bad_sample": on_bad_sample, "segmentations": segmentations}
    tables = []
    for path in paths:
        table = _read_file(dataset, path, files.images, skeleton, **how)
        if not len(table) and len(paths) > 1:
            logger.info("%s holds nobody.", path)
        tables.append(table)
    return join_tables(tables)


def _read_file(
    dataset: Dataset,
    path: Path,
    images: Path,
    skeleton: Skeleton | None,
    *,
    on_bad_sample: OnBadSample,
    segmentations: bool,
) -> AnnotationTable:
    own, network = tuple(dataset.skeletons.values()), skeleton or dataset.skeleton
    if path.suffix == MAT_SUFFIX:
        from .mat_annotations import read_mat_people

        told = skeleton is not None
        return read_mat_people(path, images, network, own, dataset.derived, told=told)
    return read_coco(
        path,
        images,
        network,
        keypoint_sets=own,
        aliases=dataset.aliases,
        derived=dataset.derived,
        on_bad_sample=on_bad_sample,
        segmentations=segmentations,
    )


def read_coco(
    path: str | Path,
    images: str | Path,
    skeleton: Skeleton,
    *,
    keypoint_sets: Sequence[Skeleton] = (),
    aliases: Mapping[str, str] | None = None,
    derived: Mapping[str, Sequence[str]] | None = None,
    on_bad_sample: OnBadSample = "stop",
    segmentations: bool = False,
) -> AnnotationTable:
    """Read annotations or image info in COCO format.

    Rows of categories without keypoints (beside others with them) are left out.

    Args:
        path: the file. An image-info file has no annotations: the table has no rows.
        images: folder to which its `file_name`s are relative.
        skeleton: the joints to return, in this order; a joint that the file lacks is (0, 0, 0).
        keypoint_sets: of the file's dataset, whose names its categories may use and of which
            one orders the keypoints of a file that names none; the skeleton by default.
        aliases: spelling of the file -> canonical keypoint name.
        derived: joints of the skeleton that the file lacks -> those whose middle they are.
        on_bad_sample: `stop` at a bad entry, or `skip` it, count it and list it.
        segmentations: keep them, too.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, not COCO format, of another skeleton; under `stop` also
            at the first picture or annotation that breaks a rule, which is named.
    """
    path = Path(path)
    bad = BadSamples(path, on_bad_sample)
    with pause_collector():  # until the entries are gone, because it would visit each of them
        table, names = _read_table(
            bad,
            Path(images),
            skeleton,
            keypoint_sets=keypoint_sets or (skeleton,),
            aliases=aliases or {},
            segmentations=segmentations,
        )
    bad.log()
    keypoints, names = derive_keypoints(table.keypoints, names, derived or {})
    return reindex_table(replace(table, keypoints=keypoints, skipped=tuple(bad.lines)), names)


def _read_table(
    bad: BadSamples,
    folder: Path,
    skeleton: Skeleton,
    *,
    keypoint_sets: Sequence[Skeleton],
    aliases: Mapping[str, str],
    segmentations: bool,
) -> tuple[AnnotationTable, tuple[str, ...]]:
    """Checked columns, and the names of the joints in the order of the file, in which they are."""
    file = decode_annotations(_read_bytes(bad.source), bad, segmentations=segmentations)
    images = tabulate_images(file.images, folder, bad)
    names, categories = _name_keypoints(file, keypoint_sets, aliases, bad.source)
    rows = _select_rows(file.annotations, categories, 3 * len(names), bad)
    table = _tabulate(rows, images, names, skeleton, bad)
    if segmentations:
        # Copies, because a msgspec.Raw holds the bytes of the whole file.
        table = replace(table, segmentations=tuple([bytes(r.segmentation) for r in rows]))
    good = _check_rows(table, rows, bad)
    return (table if good.all() else table.take(np.flatnonzero(good))), names


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(
            f"No annotations at {path}. data/README.md shows where they come from and how to link "
            "them."
        )
    return path.read_bytes()


def _name_keypoints(
    file: CocoFile, keypoint_sets: Sequence[Skeleton], aliases: Mapping[str, str], path: Path
) -> tuple[tuple[str, ...], set[int] | None]:
    """Canonical keypoint names in the file's order, and the categories that have keypoints."""
    described = [category for category in file.categories if category.keypoints]
    if not described:
        return _guess_keypoints(file.annotations, keypoint_sets), None
    names = canonical_names(described[0], aliases)
    for category in described[1:]:
        if canonical_names(category, aliases) != names:
            raise ValueError(
                f"{path} must have one list of keypoints. Received different ones for the "
                f"categories {described[0].name!r} and {category.name!r}."
            )
    known = {name for keypoint_set in keypoint_sets for name in keypoint_set.keypoints}
    strange = [name for name in names if name not in known]
    if strange or len(set(names)) != len(names):
        raise ValueError(
            f"{path} must name keypoints of {' or '.join(s.name for s in keypoint_sets)}, each "
            f"once. Received {', '.join(strange or names)}; list other spellings under aliases "
            "in dataset.yaml."
        )
    return names, {category.id for category in described}


def _guess_keypoints(
    rows: Sequence[PersonEntry], keypoint_sets: Sequence[Skeleton]
) -> tuple[str, ...]:
    """The names of the first keypoint set that has as many keypoints as the first row."""
    values = len(rows[0].keypoints) if rows else 0
    fitting = [s for s in keypoint_sets if 3 * s.joint_count == values]
    return (fitting or list(keypoint_sets))[0].keypoints


def _select_rows(
    rows: Sequence[Person], categories: set[int] | None, values: int, bad: BadSamples
) -> Sequence[Person]:
    """The rows with the right number of keypoint values, of categories that have keypoints."""
    if categories is not None:
        others = sum(
            row.category_id is not None and row.category_id not in categories for row in rows
        )
        if others:
            logger.info("%s: left out %d rows without keypoints.", bad.source, others)
            rows = [row for row in rows if row.category_id is None or row.category_id in categories]
    lengths = np.fromiter([len(row.keypoints) for row in rows], np.int64, len(rows))
    wrong = lengths != values
    bad.add_where(
        wrong,
        lambda row: (
            f"annotation {rows[row].id} must have {values} keypoint values, x, y, v for each of "
            f"{values // 3} joints. Received {lengths[row]}."
        ),
    )
    return [row for row, w in zip(rows, wrong, strict=True) if not w] if wrong.any() else rows


def _tabulate(
    rows: Sequence[PersonEntry],
    images: ImageTable,
    names: Sequence[str],
    skeleton: Skeleton,
    bad: BadSamples,
) -> AnnotationTable:
    """Unchecked columns, the joints in the order of the file."""
    boxes = gather_lists(rows, "bbox", 4, np.float64)
    areas, area_given = _collect_areas(rows, boxes)
    with np.errstate(over="ignore"):  # a coordinate beyond float32 turns infinite: found later
        keypoints = gather_lists(rows, "keypoints", 3 * len(names), np.float32)
    keypoints = keypoints.reshape(len(rows), len(names), 3)
    return AnnotationTable(
        source=bad.source,
        skeleton=skeleton,
        images=images,
        annotation_ids=gather(rows, "id", np.int64),
        image_index=find_images(images, gather(rows, "image_id", np.int64)),
        boxes_xywh=boxes,
        areas=areas,
        area_given=area_given,
        keypoints=keypoints,
        num_keypoints=_count_keypoints(rows, keypoints),
        iscrowd=gather(rows, "iscrowd", np.int64) > 0,
    )


def _collect_areas(rows: Sequence[PersonEntry], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    given = np.fromiter((row.area is not None for row in rows), bool, len(rows))
    areas = np.fromiter((row.area or 0.0 for row in rows), np.float64, len(rows))
    return np.where(given, areas, boxes[:, 2] * boxes[:, 3]), given


def _count_keypoints(rows: Sequence[PersonEntry], keypoints: np.ndarray) -> np.ndarray:
    unknown = np.fromiter((row.num_keypoints is None for row in rows), bool, len(rows))
    counts = np.fromiter((row.num_keypoints or 0 for row in rows), np.int32, len(rows))
    counts[unknown] = (keypoints[unknown, :, 2] > 0).sum(axis=1)
    return counts


def _check_rows(table: AnnotationTable, rows: Sequence[PersonEntry], bad: BadSamples) -> np.ndarray:
    """(rows,) bool: True for rows that break no rule; the others are reported."""
    ids, visibility = table.annotation_ids, table.keypoints[..., 2]
    lost = table.image_index < 0
    bad.add_where(
        lost,
        lambda row: (
            f"annotation {ids[row]} must stand on one of the {len(table.images)} listed images. "
            f"Received image_id {rows[row].image_id}."
        ),
    )
    doubled = mark_doubled(ids)
    bad.add_where(doubled, lambda row: f"annotation id {ids[row]} stands twice.")
    infinite = np.zeros(len(table), bool)
    for word, values in (
        ("bbox", table.boxes_xywh),
        ("area", table.areas[:, None]),
        ("keypoints", table.keypoints.reshape(len(table), visibility.shape[1] * 3)),
    ):
        wrong = ~np.isfinite(values).all(axis=1) & ~infinite
        _report_infinite(wrong, ids, word, bad)
        infinite |= wrong
    unclear = ~((visibility == 0) | (visibility == 1) | (visibility == 2)).all(axis=1) & ~infinite
    bad.add_where(
        unclear,
        lambda row: (
            f"annotation {ids[row]} must have visibilities 0 (unlabelled), 1 (hidden), 2 (seen). "
            f"Received {sorted(set(visibility[row].tolist()))}."
        ),
    )
    return ~(lost | doubled | infinite | unclear)


def _report_infinite(wrong: np.ndarray, ids: np.ndarray, word: str, bad: BadSamples) -> None:
    bad.add_where(wrong, lambda row: f"annotation {ids[row]} has NaN or infinity in its {word}.")


def reindex_table(table: AnnotationTable, names: Sequence[str]) -> AnnotationTable:
    """A table whose keypoints are still the named ones of the file, with those of its skeleton."""
    skeleton = table.skeleton
    if tuple(names) == skeleton.keypoints:
        return table
    indices = reindex_joints(names, skeleton)
    missing = [name for name, i in zip(skeleton.keypoints, indices, strict=True) if i < 0]
    if missing:
        logger.info("%s has no %s of %s.", table.source, ", ".join(missing), skeleton.name)
    return replace(table, keypoints=take_joints(table.keypoints, indices))
