"""People read inside their annotated masks: pose-tensorflow's evaluation on COCO, an oracle.

It measures part scores and refinement without the grouping. Nobody had to be found, so its numbers
do not compare with those of other tests.

Source: `eval_mscoco.py` of pose-tensorflow.
"""

from __future__ import annotations

import logging

import cv2
import numpy as np

from .data.annotation import AnnotationTable
from .data.coco_format import OnBadSample
from .data.ignored_regions import rasterise
from .data.images import read_image
from .engine.image_tester import bring_home
from .engine.progress import progress_bar
from .part_pictures import look_at, part_scores
from .predictor import Predictor
from .structures import ImageRecords, People
from .systems.deepercut_arttrack.options import STRIDE
from .systems.deepercut_arttrack.oracle import read_poses_in_masks

log = logging.getLogger("poseras")

#: What a protocol says of such a test.
PROTOCOL = {
    "people": "read inside their annotated masks; nobody had to be found",
    "person_score": "1",
}


def read_people(
    predictor: Predictor,
    table: AnnotationTable,
    records: ImageRecords,
    on_bad_sample: OnBadSample = "stop",
) -> dict[int, People]:
    """Everybody with keypoints and a mask, where the network says that their joints are.

    Args:
        predictor: of a network of parts.
        table: with segmentations.
        records: the pictures.
        on_bad_sample: `stop` at an unreadable picture or a bad segmentation, or `skip` the picture
            and say so in the log.

    Returns:
        Row of the records -> people in pixels of the picture, all with the score 1; none for a
        picture that was skipped.

    Raises:
        FileNotFoundError: a picture is not there.
        ValueError: nobody has both, a picture cannot be read, or a segmentation is not in COCO's
            form.
    """
    people_of_picture = people_by_picture(table, records.image_index)
    found = {}
    for row in progress_bar(range(len(records)), unit="picture", desc="test"):
        image, people = records.image_index[row], people_of_picture[row].tolist()
        try:
            pixels = read_image(table.images.paths[image])
            masks = [_draw_mask(table, person, pixels.shape[:2]) for person in people]
        except (OSError, ValueError) as error:
            if on_bad_sample == "stop":
                raise
            log.warning("Skipped: %s", error)
            continue
        found[row] = _read_picture(predictor, pixels, [mask for mask in masks if mask.any()])
    if not any(map(len, found.values())):
        raise ValueError(
            "test.true_masks needs people with keypoints and a segmentation. Received none in "
            f"{table.source}."
        )
    return found


def people_by_picture(table: AnnotationTable, images: np.ndarray) -> list[np.ndarray]:
    """Rows of the table with a person who has keypoints, for each of some pictures."""
    rows = np.flatnonzero(~table.iscrowd & (table.num_keypoints > 0))
    rows = rows[np.argsort(table.image_index[rows], kind="stable")]
    begins = np.searchsorted(table.image_index[rows], images, side="left")
    ends = np.searchsorted(table.image_index[rows], images, side="right")
    return [rows[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _draw_mask(table: AnnotationTable, person: int, size_hw: tuple[int, int]) -> np.ndarray:
    """(height, width) bool of a row of the table."""
    try:
        return rasterise(table.segmentation(person), size_hw)
    except ValueError as error:
        number = table.annotation_ids[person]
        raise ValueError(f"{table.source}: annotation {number}: {error}") from None


def _read_picture(predictor: Predictor, pixels: np.ndarray, masks: list[np.ndarray]) -> People:
    """The people of one picture by their masks, (height, width) bool in its pixels."""
    joints = predictor.skeleton.joint_count
    if not masks:
        return People(np.zeros((0, joints, 2)), np.zeros((0, joints)), np.zeros(0))
    look = look_at(predictor, pixels)
    size = look.resized_hw[::-1]
    shown = [cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for m in masks]
    scores = part_scores(look)
    refinement = np.zeros((*scores.shape, 2))
    if "refinement" in look.outputs:
        deviation = predictor.system.options.refinement_deviation
        refinement = np.asarray(look.outputs["refinement"], np.float64) * deviation
    poses = read_poses_in_masks(scores, refinement, np.stack(shown, axis=-1), STRIDE)
    people = People(poses[..., :2], poses[..., 2], np.ones(len(poses)))
    return bring_home(people, look.image_to_view)
