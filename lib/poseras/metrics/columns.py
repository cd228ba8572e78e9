"""Annotations and predictions as columns, which is how the evaluators read them.

The row order of the file is kept: it decides ties. Everything is checked here, once, so that the
evaluators can count on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Kind = Literal["keypoints", "boxes"]


@dataclass(frozen=True)
class GroundTruth:
    """The annotated rows of a data set, column by column, in file order.

    `areas` and `ignore` are columns rather than rules, because data sets differ in them: COCO
    takes the segment's area and ignores rows without a labelled joint, CrowdPose takes 0.53 of
    the box and looks at twelve joints only.

    Attributes:
        images: (images,) int64, ids of all pictures that count, ascending, with or without rows.
        categories: (categories,) int64, ids of the categories that count, ascending. Rows of
            other categories are left out.
        ids: (rows,) int64. Row id 0 never counts as found: pycocotools marks "found" by the id.
        image_ids: (rows,) int64.
        category_ids: (rows,) int64.
        boxes_xywh: (rows, 4) float64, left, top, width, height in pixels.
        areas: (rows,) float64, px^2: the scale of OKS, and what area ranges look at.
        crowd: (rows,) bool, True where any number of predictions may be absorbed.
        ignore: (rows,) bool, True where predictions count neither as hit nor as false alarm.
        keypoints: (rows, joints, 3) float64, x px, y px, flag (above 0: labelled); None for boxes.
    """

    images: np.ndarray
    categories: np.ndarray
    ids: np.ndarray
    image_ids: np.ndarray
    category_ids: np.ndarray
    boxes_xywh: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    ignore: np.ndarray
    keypoints: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_columns(self, len(self.ids), _GROUND_TRUTH_COLUMNS)
        for name in ("images", "categories"):
            if not (np.diff(getattr(self, name)) > 0).all():
                raise ValueError(f"{name} of the ground truth must be ids in rising order.")
        ids, counts = np.unique(self.ids, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                "Ground truth rows must have different ids. "
                f"Received id {ids[counts > 1][0]} {counts[counts > 1][0]} times."
            )
        check_image_ids(self.image_ids, self.images, "Ground truth rows")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_coco(cls, dataset: Mapping[str, Any], *, kind: Kind = "keypoints") -> GroundTruth:
        """The columns of a COCO annotation file.

        Ignored are crowd rows and, for keypoints, rows whose `num_keypoints` is 0. Where a row
        lacks them, `iscrowd` is 0 and `num_keypoints` the number of flags above 0.

        Args:
            dataset: the parsed file, with `images`, `annotations` and `categories`.
            kind: whether keypoints or boxes will be evaluated.

        Raises:
            ValueError: a key is missing, a list has the wrong length, a number is not finite, an
                id is doubled, or a row stands on a picture that the file does not list.
        """
        rows = list(_part(dataset, "annotations"))
        crowd = np.array([bool(row.get("iscrowd", 0)) for row in rows], bool)
        keypoints = _read_keypoints(rows, "annotations") if kind == "keypoints" else None
        return cls(
            images=np.unique(_read_ids(_part(dataset, "images"), "id", "images")),
            categories=np.unique(_read_ids(_part(dataset, "categories"), "id", "categories")),
            ids=_read_ids(rows, "id", "annotations"),
            image_ids=_read_ids(rows, "image_id", "annotations"),
            category_ids=_read_ids(rows, "category_id", "annotations"),
            boxes_xywh=_read_boxes(rows, "annotations"),
            areas=_read_numbers(rows, "area", "annotations"),
            crowd=crowd,
            ignore=crowd if keypoints is None else crowd | (_count_labelled(rows, keypoints) == 0),
            keypoints=keypoints,
        )

    def take(self, rows: np.ndarray) -> GroundTruth:
        """Some rows, as indices or as a bool mask; the list of pictures stays whole."""
        return replace(self, **_take_columns(self, rows, _GROUND_TRUTH_COLUMNS))

    def on_images(self, image_ids: np.ndarray) -> GroundTruth:
        """The part on some of the pictures, for example those of one level of crowding."""
        part = self.take(np.isin(self.image_ids, image_ids))
        return replace(part, images=self.images[np.isin(self.images, image_ids)])


@dataclass(frozen=True)
class Detections:
    """Predictions, column by column, in file order.

    Attributes:
        image_ids: (rows,) int64.
        category_ids: (rows,) int64.
        scores: (rows,) float64, what predictions are ranked by.
        areas: (rows,) float64, px^2: an unmatched prediction outside an area range is ignored.
        boxes_xywh: (rows, 4) float64, pixels; None if keypoints alone are evaluated.
        keypoints: (rows, joints, 2 or 3) float64, x px, y px; a third number is not used. None
            for boxes.
    """

    image_ids: np.ndarray
    category_ids: np.ndarray
    scores: np.ndarray
    areas: np.ndarray
    boxes_xywh: np.ndarray | None = None
    keypoints: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_columns(self, len(self.image_ids), _DETECTION_COLUMNS)

    def __len__(self) -> int:
        return len(self.image_ids)

    @classmethod
    def from_coco(
        cls, results: Sequence[Mapping[str, Any]], *, kind: Kind = "keypoints"
    ) -> Detections:
        """The columns of a COCO result file.

        The area of a prediction is that of its `bbox` when the FIRST row has one, and otherwise
        the extent of all its joints: the rule of the official loader.

        Raises:
            ValueError: the list is empty, a key is missing, a list has the wrong length or a
                number is not finite.
        """
        rows = list(results)
        if not rows:
            raise ValueError(
                "The list of predictions must not be empty: without one there is nothing to "
                "score. Received []."
            )
        keypoints = _read_keypoints(rows, "the predictions") if kind == "keypoints" else None
        boxes = None
        if keypoints is None or rows[0].get("bbox"):
            boxes = _read_boxes(rows, "the predictions")
        elif "segmentation" in rows[0]:
            raise ValueError(
                "The first prediction has a segmentation but no bbox, and areas of segments are "
                "not read here. Write a bbox to every prediction, or leave the segmentation out."
            )
        areas = boxes[:, 2] * boxes[:, 3] if boxes is not None else extent_areas(keypoints)
        return cls(
            image_ids=_read_ids(rows, "image_id", "the predictions"),
            category_ids=_read_ids(rows, "category_id", "the predictions"),
            scores=_read_numbers(rows, "score", "the predictions"),
            areas=areas,
            boxes_xywh=boxes,
            keypoints=keypoints,
        )

    def take(self, rows: np.ndarray) -> Detections:
        """Some rows, as indices or as a bool mask."""
        return replace(self, **_take_columns(self, rows, _DETECTION_COLUMNS))

    def on_images(self, image_ids: np.ndarray) -> Detections:
        """The predictions on some of the pictures."""
        return self.take(np.isin(self.image_ids, image_ids))


#: Column: shape behind the rows, None for any number.
_GROUND_TRUTH_COLUMNS: dict[str, tuple[int | None, ...]] = {
    "ids": (),
    "image_ids": (),
    "category_ids": (),
    "boxes_xywh": (4,),
    "areas": (),
    "crowd": (),
    "ignore": (),
    "keypoints": (None, 3),
}
_DETECTION_COLUMNS: dict[str, tuple[int | None, ...]] = {
    "image_ids": (),
    "category_ids": (),
    "scores": (),
    "areas": (),
    "boxes_xywh": (4,),
    "keypoints": (None, None),
}


def extent_areas(keypoints: np.ndarray | None) -> np.ndarray:
    """Width times height of the extent of all joints of each person, labelled or not.

    Args:
        keypoints: (people, joints, 2 or 3), x px, y px.

    Returns:
        (people,) float64, px^2.
    """
    if keypoints is None or keypoints.ndim != 3:
        shape = None if keypoints is None else keypoints.shape
        raise ValueError(f"keypoints must have shape (people, joints, 2 or 3). Received {shape}.")
    points = keypoints[:, :, :2].astype(np.float64)
    return np.prod(points.max(axis=1) - points.min(axis=1), axis=-1)


def check_image_ids(image_ids: np.ndarray, images: np.ndarray, what: str) -> None:
    """See that all rows stand on known pictures.

    Raises:
        ValueError: some do not; it names the first of them and says how many there are.
    """
    unknown = np.setdiff1d(image_ids, images)
    if len(unknown):
        raise ValueError(
            f"{what} must stand on pictures of the annotation file. Received {len(unknown)} "
            f"unknown image_id of {len(np.unique(image_ids))}, the first is {unknown[0]}; "
            "is this the file of another split?"
        )


def _check_columns(
    columns: Any, rows: int, trailing_shapes: Mapping[str, tuple[int | None, ...]]
) -> None:
    for name, trailing in trailing_shapes.items():
        values = getattr(columns, name)
        if values is None and name in ("boxes_xywh", "keypoints"):
            continue
        fits = values.ndim == 1 + len(trailing) and all(
            want is None or have == want
            for have, want in zip(values.shape, (rows, *trailing), strict=True)
        )
        if not fits:
            wanted = ", ".join(str(n or "any") for n in (rows, *trailing))
            raise ValueError(f"{name} must have shape ({wanted}). Received {values.shape}.")
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).reshape(rows, -1).all(axis=1))[0])
            raise ValueError(f"{name} must hold finite numbers. Row {row} has NaN or infinity.")


def _take_columns(
    columns: Any, rows: np.ndarray, trailing_shapes: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    every = {name: getattr(columns, name) for name in trailing_shapes}
    return {name: values[rows] for name, values in every.items() if values is not None}


def _part(dataset: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(dataset, Mapping) or not isinstance(dataset.get(key), Sequence):
        raise ValueError(
            f"A COCO annotation file must be an object with a list {key!r}. It has none."
        )
    return dataset[key]


def _read(rows: Sequence[Mapping[str, Any]], key: str, where: str) -> list[Any]:
    try:
        return [row[key] for row in rows]
    except KeyError:
        first = next(index for index, row in enumerate(rows) if key not in row)
        raise ValueError(f"Each row of {where} must have {key!r}. Row {first} has none.") from None


def _read_numbers(rows: Sequence[Mapping[str, Any]], key: str, where: str) -> np.ndarray:
    return _to_floats(_read(rows, key, where), (len(rows),), f"{key!r} of {where}")


def _to_floats(values: list[Any], shape: tuple[int, ...], what: str) -> np.ndarray:
    """Numbers of a known shape. The dtype that NumPy finds shows texts and nulls among them."""
    try:
        numbers = np.array(values)
    except ValueError as error:
        raise ValueError(f"{what} must hold numbers alone: {error}.") from None
    if numbers.dtype.kind not in "iuf" or numbers.size != np.prod(shape):
        raise ValueError(f"{what} must hold numbers alone. Received texts, nulls or other values.")
    return numbers.astype(np.float64).reshape(shape)


def _read_ids(rows: Sequence[Mapping[str, Any]], key: str, where: str) -> np.ndarray:
    values = np.array(_read(rows, key, where) or np.zeros(0, np.int64))
    if values.ndim != 1 or values.dtype.kind not in "iuf" or (values % 1 != 0).any():
        odd = next((v for v in _read(rows, key, where) if not isinstance(v, int)), values)
        raise ValueError(f"{key!r} of {where} must be a whole number. Received {odd!r}.")
    return values.astype(np.int64)


def _read_lists(
    rows: Sequence[Mapping[str, Any]], key: str, where: str, width: int | None = None
) -> np.ndarray:
    """Lists of equal length as (rows, width) float64; without `width` the first row's counts."""
    values = _read(rows, key, where)
    lengths = [len(value) if isinstance(value, Sequence | np.ndarray) else -1 for value in values]
    width = width if width is not None else (lengths or [0])[0]
    odd = next((index for index, length in enumerate(lengths) if length != width), None)
    if odd is not None:
        raise ValueError(
            f"{key!r} of {where} must be a list of {width} numbers. Row {odd} has {values[odd]!r}."
        )
    return _to_floats(values, (len(rows), width), f"{key!r} of {where}")


def _read_boxes(rows: Sequence[Mapping[str, Any]], where: str) -> np.ndarray:
    return _read_lists(rows, "bbox", where, 4)


def _read_keypoints(rows: Sequence[Mapping[str, Any]], where: str) -> np.ndarray:
    numbers = _read_lists(rows, "keypoints", where)
    if numbers.shape[1] % 3 or (len(rows) and not numbers.shape[1]):
        raise ValueError(
            f"'keypoints' of {where} must hold three numbers per joint. "
            f"Received {numbers.shape[1]} numbers."
        )
    return numbers.reshape(len(rows), numbers.shape[1] // 3, 3)


def _count_labelled(rows: Sequence[Mapping[str, Any]], keypoints: np.ndarray) -> np.ndarray:
    flags = np.count_nonzero(keypoints[..., 2] > 0, axis=1)
    return np.array([row.get("num_keypoints", n) for row, n in zip(rows, flags, strict=True)])
