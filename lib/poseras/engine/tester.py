"""From batches of views to people in image pixels: the device part of testing.

Batches arrive from a pipeline that decodes pictures beside the device. The flip test and the
decoding run in the graph, so that coordinates, not maps, leave the device. The same step serves one
device and several: each takes its own batch, and a round that is one batch short is filled up with
a copy whose results are dropped.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import geometry
from ..structures import People, PersonRecords, SpaceColumns
from . import rescoring
from .progress import progress_bar

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger("poseras")

Batch = dict[str, Any]
#: A batch of uint8 views (batch, height, width, 3) for each device to what `System.decode` gives.
PredictStep = Callable[[list[Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Predictions:
    """What a network says of each row of some `PersonRecords`.

    Attributes:
        keypoints_px: (people, joints, 2) float64, x before y, in pixels of the original image.
        keypoint_scores: (people, joints) float64.
        found: (people,) bool, False for rows whose picture was skipped as unreadable.
        joints_camera_mm: (people, joints, 3) float64, of systems that give depths; NaN for people
            whose camera or root depth is unknown. None of other systems.
    """

    keypoints_px: np.ndarray
    keypoint_scores: np.ndarray
    found: np.ndarray
    joints_camera_mm: np.ndarray | None = None


def make_predict_step(
    system: Any, model: keras.Model, strategy: tf.distribute.Strategy, flip_test: bool
) -> PredictStep:
    """One traced function from a list of batches of views, one per device, to coordinates.

    Args:
        system: gives `merge_flip` and `decode`.
        model: made under the scope of `strategy`.
        strategy: the devices.
        flip_test: also run the mirrored views and merge.

    Returns:
        A function of a list of uint8 arrays (batch, height, width, 3), as long as there are
        devices, to a list of decoded dicts of tensors in the same order.
    """
    import tensorflow as tf

    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(images, training=False)
        if flip_test:
            outputs = system.merge_flip(outputs, model(images[:, :, ::-1], training=False))
        return system.decode(outputs)

    @tf.function(reduce_retracing=True)
    def predict_everywhere(images: Any) -> Any:
        return strategy.run(predict, args=(images,))

    def step(images: list[Any]) -> list[dict[str, tf.Tensor]]:
        shared = strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(images[context.replica_id_in_sync_group])
        )
        decoded = predict_everywhere(shared)
        per_device = {
            name: strategy.experimental_local_results(value) for name, value in decoded.items()
        }
        return [
            {name: values[device] for name, values in per_device.items()}
            for device in range(len(images))
        ]

    return step


def rounds(batches: Iterable[Batch], devices: int) -> Iterator[list[Batch]]:
    """Batches in groups of one per device; the last group is filled with emptied copies."""
    waiting: list[Batch] = []
    for batch in batches:
        waiting.append(batch)
        if len(waiting) == devices:
            yield waiting
            waiting = []
    if waiting:
        blank = {**waiting[0], "index": np.full_like(np.asarray(waiting[0]["index"]), -1)}
        yield waiting + [blank] * (devices - len(waiting))


def predict_people(
    step: PredictStep,
    batches: Iterable[Batch],
    records: PersonRecords,
    *,
    joint_count: int,
    devices: int = 1,
    progress: bool = True,
) -> Predictions:
    """Run the network over all views and bring the coordinates home.

    Args:
        step: as `make_predict_step` gives it.
        batches: batches of samples; `index` is the row of `records`, -1 for padding.
        records: the people that the batches were made from.
        joint_count: joints of the network's skeleton.
        devices: how many batches go through `step` at a time.
        progress: show a bar with rate and time left.

    Raises:
        ValueError: the network gave NaN; the message names the sample.
    """
    keypoints = np.zeros((len(records), joint_count, 2))
    scores = np.zeros((len(records), joint_count))
    found = np.zeros(len(records), bool)
    depths = np.full((len(records), joint_count), np.nan)
    with progress_bar(total=len(records), unit="person", disable=not progress, desc="test") as bar:

        def collect(group: list[Batch], decoded: list[dict[str, Any]]) -> None:
            for batch, values in zip(group, decoded, strict=True):
                rows = np.asarray(batch["index"])
                real = rows >= 0
                rows = rows[real]
                home = _home(
                    np.asarray(values["keypoints_px"])[real, 0],
                    np.asarray(batch["image_to_network"])[real],
                )
                keypoints[rows] = home
                scores[rows] = np.asarray(values["keypoint_scores"])[real, 0]
                found[rows] = True
                if "joints_depth_mm" in values:
                    depths[rows] = np.asarray(values["joints_depth_mm"])[real, 0]
                _refuse_nan(keypoints, scores, rows, records)
                bar.update(len(rows))

        pending: tuple[list[Batch], list[dict[str, Any]]] | None = None
        for group in rounds(batches, devices):
            decoded = step([batch["image"] for batch in group])
            # The device computes this round while the CPU collects the one before.
            if pending is not None:
                collect(*pending)
            pending = (group, decoded)
        if pending is not None:
            collect(*pending)
    if np.isnan(depths[found]).all() or records.space is None:
        return Predictions(keypoints, scores, found)
    return Predictions(keypoints, scores, found, _to_space(keypoints, depths, records.space))


def _to_space(keypoints_px: np.ndarray, depths_mm: np.ndarray, space: SpaceColumns) -> np.ndarray:
    """(people, joints, 3) in camera space; NaN where camera or root depth is unknown."""
    joints = np.full((*depths_mm.shape, 3), np.nan)
    rows = np.flatnonzero(space.located)
    z = depths_mm[rows] + space.root_camera_mm[rows, 2:].astype(np.float64)
    joints[rows] = geometry.back_project_points(keypoints_px[rows], z, space.cameras[rows])
    return joints


def _home(keypoints_px: np.ndarray, image_to_network: np.ndarray) -> np.ndarray:
    """View pixels to original pixels: (batch, joints, 2) through the inverse affines."""
    network_to_image = geometry.invert_affine(image_to_network)
    return geometry.transform_points(keypoints_px.astype(np.float64), network_to_image)


def _refuse_nan(
    keypoints: np.ndarray, scores: np.ndarray, rows: np.ndarray, records: PersonRecords
) -> None:
    healthy = np.isfinite(scores[rows]).all(axis=-1) & np.isfinite(keypoints[rows]).all(axis=(1, 2))
    if healthy.all():
        return
    row = int(rows[np.argmin(healthy)])
    path = records.images.paths[records.image_index[row]]
    raise ValueError(
        f"Network outputs must be finite. Received NaN or infinity for box "
        f"{records.boxes_xywh[row].tolist()} of {path}; the weights are damaged or diverged, "
        f"test an earlier snapshot."
    )


#: After whose published code people are rescored and suppressed.
Rule = Literal["coco", "posetrack", "mpii", "human36m"]

#: What a person's score is under each rule, for protocols.
RESCORING: dict[Rule, str] = {
    "coco": "box score x mean of the keypoint scores above keypoint_threshold",
    "posetrack": "mean of all keypoint scores",
    "mpii": "box score x mean of the keypoint scores above keypoint_threshold; no OKS NMS",
    "human36m": "box score x mean of the keypoint scores above keypoint_threshold; no OKS NMS",
}


#: Rules by which everybody stays: one person per annotated box.
_UNSUPPRESSED: tuple[Rule, ...] = ("mpii", "human36m")

#: What protocols call the rescoring where everybody stays, whatever OKS NMS was asked for.
UNSUPPRESSED_RESCORING = tuple(RESCORING[rule] for rule in _UNSUPPRESSED)


@dataclass(frozen=True)
class Selection:
    """How raw predictions become the people of an image.

    Attributes:
        aspect_ratio: width / height of the network input.
        margin: of the view. The area of the box, grown by both, scales OKS.
        keypoint_threshold: keypoint scores above it make the person's score.
        box_nms_threshold: IoU above which the lower box is dropped; 0 is off.
        oks_nms_threshold: OKS above which the lower person is dropped; 0 is off. It is 0 whatever
            was asked for without `oks_sigmas`, and where everybody stays.
        oks_sigmas: one per joint; empty where poses cannot be compared by OKS.
        rule: `coco` scores a person by box and keypoints, `posetrack` by keypoints alone; `mpii`
            and `human36m` score as COCO does, but everybody stays, in the order of the records.
        lacks_sigmas: OKS NMS was asked for without `oks_sigmas`. It is set here, by nobody else,
            and outlives another rule.
    """

    aspect_ratio: float
    margin: float
    keypoint_threshold: float = 0.2
    box_nms_threshold: float = 0.0
    oks_nms_threshold: float = 0.9
    oks_sigmas: tuple[float, ...] = ()
    rule: Rule = "coco"
    lacks_sigmas: bool = False

    def __post_init__(self) -> None:
        # Decided here, so that it holds before the first picture and stands in the protocol.
        lacking = not self.oks_sigmas and (self.lacks_sigmas or self.oks_nms_threshold > 0)
        object.__setattr__(self, "lacks_sigmas", lacking)
        if self.rule in _UNSUPPRESSED or not self.oks_sigmas:
            object.__setattr__(self, "oks_nms_threshold", 0.0)


def tell_lacking_sigmas(records: PersonRecords, selection: Selection, advice: str = "") -> None:
    """Warn, once in a program, where doubles stay although OKS NMS was asked for.

    That is so where the rule would drop them, the keypoint set has no sigmas, box NMS is off too,
    and a picture has several boxes to look into.

    Args:
        records: of the people to look for.
        selection: that will be made among them.
        advice: what the user can do, a sentence.
    """
    stays = selection.rule in _UNSUPPRESSED or not selection.lacks_sigmas
    several = len(np.unique(records.image_index)) < len(records)
    if several and not stays and not selection.box_nms_threshold:
        _warn_of_doubles(advice)


@functools.cache  # the demo selects anew for every few frames, a training for every validation
def _warn_of_doubles(advice: str) -> None:
    log.warning(
        "The network's keypoint set has no oks_sigmas, by which poses are compared: OKS NMS is "
        "off, and somebody in two boxes counts twice.%s",
        f" {advice}" if advice else "",
    )


def select_people(
    records: PersonRecords, predictions: Predictions, selection: Selection
) -> dict[int, People]:
    """Rescore the people of each image, remove duplicates, and order them by score.

    `selection.rule` says how: see there.

    Returns:
        image id -> people, in the order in which the images appear in `records`.

    Source: Simple Baselines; both authors' codes rescore and suppress in this way.
    """
    scores = _rescore(records, predictions, selection)
    image_ids = records.image_ids
    rows = np.flatnonzero(predictions.found)
    if selection.box_nms_threshold:
        boxes, threshold = records.boxes_xywh[rows], selection.box_nms_threshold
        rows = rows[rescoring.keep_boxes_after_nms(image_ids[rows], boxes, scores[rows], threshold)]
    if selection.rule not in _UNSUPPRESSED:
        keypoints, boxes = predictions.keypoints_px[rows], records.boxes_xywh[rows]
        kept = _suppress_poses(image_ids[rows], boxes, keypoints, scores[rows], selection)
        rows = rows[kept]
    return {
        int(image_ids[members[0]]): People(
            keypoints_px=predictions.keypoints_px[members],
            keypoint_scores=predictions.keypoint_scores[members],
            person_scores=scores[members],
            boxes_xywh=records.boxes_xywh[members],
            annotation_ids=records.annotation_ids[members],
        )
        for members in _split_by_image(rows, image_ids)
    }


def _rescore(records: PersonRecords, predictions: Predictions, selection: Selection) -> np.ndarray:
    """(people,) float64 scores of the people."""
    if selection.rule == "posetrack":
        return rescoring.rescore_posetrack(predictions.keypoint_scores)
    return rescoring.rescore_coco(
        records.scores, predictions.keypoint_scores, selection.keypoint_threshold
    )


def _suppress_poses(
    image_ids: np.ndarray,
    boxes_xywh: np.ndarray,
    keypoints_px: np.ndarray,
    scores: np.ndarray,
    selection: Selection,
) -> np.ndarray:
    """Rows that survive OKS NMS, image by image, best first; all of them where it is off."""
    grown = geometry.expand_box(boxes_xywh, selection.aspect_ratio, selection.margin)
    return rescoring.keep_after_nms(
        image_ids,
        keypoints_px,
        scores,
        grown[:, 2].astype(np.float64) * grown[:, 3],
        sigmas=np.asarray(selection.oks_sigmas or np.ones(keypoints_px.shape[1])),
        threshold=selection.oks_nms_threshold or 1.0,  # no OKS is larger than 1
    )


def _split_by_image(rows: np.ndarray, image_ids: np.ndarray) -> list[np.ndarray]:
    """Rows that stand image by image, as one array per image."""
    if not len(rows):
        return []
    return np.split(rows, np.flatnonzero(np.diff(image_ids[rows])) + 1)
