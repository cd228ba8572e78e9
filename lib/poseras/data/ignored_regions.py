"""Where on a picture a bottom-up loss must not look: crowds, and people without keypoints.

A picture's regions are JSON text: a list of [kind, segmentation] in the order of the annotation
file. Kind `person` is nobody to ignore; it is there because a crowd does not count where people
listed before it stand. A segmentation is as in COCO (polygons or a run-length mask), or a box
{"box": [left, top, width, height]}.

Source: the OffsetGuided code of SimplePose V2; several crowds on one picture, at which it stops,
are joined here.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

Kind = Literal["crowd", "unlabelled", "person"]


def find_ignored_regions(
    kinds: np.ndarray, images: np.ndarray, segmentations: tuple[bytes, ...], image_count: int
) -> tuple[bytes, ...]:
    """The regions of each picture.

    Args:
        kinds: (rows,) text, a `Kind` for each annotation.
        images: (rows,) the picture of each annotation.
        segmentations: JSON text for each annotation.
        image_count: how many pictures there are.

    Returns:
        JSON text for each picture, empty where nothing is to be ignored.
    """
    texts = [b""] * image_count
    ignoring = np.unique(images[kinds != "person"])
    order = np.argsort(images, kind="stable")
    first = np.searchsorted(images[order], ignoring, side="left")
    last = np.searchsorted(images[order], ignoring, side="right")
    for image, start, end in zip(ignoring.tolist(), first, last, strict=True):
        parts = [
            b'["%s",%s]' % (str(kinds[row]).encode(), segmentations[row] or b"[]")
            for row in order[start:end]
        ]
        texts[image] = b"[" + b",".join(parts) + b"]"
    return tuple(texts)


def rasterise_regions(regions: bytes, size_hw: tuple[int, int]) -> np.ndarray:
    """Draw the regions of a picture.

    Args:
        regions: JSON text; empty for none.
        size_hw: height and width of the picture.

    Returns:
        (height, width) bool, True where the loss must not look.

    Raises:
        ValueError: a segmentation is not in COCO's form.
    """
    ignored = np.zeros(size_hw, bool)
    people = np.zeros(size_hw, bool)
    for kind, segmentation in msgspec.json.decode(regions) if regions else ():
        region = rasterise(segmentation, size_hw)
        if kind == "crowd":
            ignored |= region & ~people
            continue
        people |= region
        if kind == "unlabelled":
            ignored |= region
    return ignored


def rasterise(segmentation: Any, size_hw: tuple[int, int]) -> np.ndarray:
    """(height, width) bool of one segmentation.

    Raises:
        ValueError: it is not in COCO's form.
    """
    from pycocotools import mask as coco_mask  # not needed to list the files

    height, width = size_hw
    if isinstance(segmentation, dict) and "box" in segmentation:
        return _fill_box(segmentation["box"], size_hw)
    try:
        if isinstance(segmentation, list):
            polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
            if not polygons:
                return np.zeros(size_hw, bool)
            runs = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        elif isinstance(segmentation["counts"], list):
            runs = coco_mask.frPyObjects(segmentation, height, width)
        else:
            runs = {**segmentation, "counts": segmentation["counts"].encode()}
        drawn = coco_mask.decode(runs) > 0
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"A segmentation must be polygons or a run-length mask, as in COCO. Received "
            f"{str(segmentation)[:80]} ({error})."
        ) from None
    if drawn.shape != tuple(size_hw):
        raise ValueError(
            f"A segmentation must have the size of its picture, {tuple(size_hw)}. "
            f"Received {drawn.shape}."
        )
    return drawn


def _fill_box(box_xywh: list[float], size_hw: tuple[int, int]) -> np.ndarray:
    filled = np.zeros(size_hw, bool)
    left, top, width, height = box_xywh
    rows = slice(max(round(top), 0), max(round(top + height), 0))
    filled[rows, max(round(left), 0) : max(round(left + width), 0)] = True
    return filled
