"""People on pictures by a ready-made detector: D-FINE, as KerasHub has it.

KerasHub is an optional extra. Its presets are fetched when they are first used; a folder that
`save_to_preset` wrote serves as well.

Source: D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution Refinement, Peng et
al., 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .data.frames import Frame
from .data.pictures import Boxes

if TYPE_CHECKING:
    import keras

#: "person" among the 80 classes of COCO, and among those of Objects365.
_PERSON_CLASS = 0
_USUAL_SIZE_HW = (640, 640)


class DFineDetector:
    """Finds the boxes of people; a `person_boxes.BoxSource`.

    Attributes:
        description: names the preset.
        finds_people: always.
        min_score: boxes whose score is not above it are left out.
    """

    def __init__(self, detector: Any, description: str, min_score: float = 0.3):
        import keras

        self.description = description
        self.finds_people = True
        self.min_score = min_score
        self._prepare = detector.preprocessor
        self._network: keras.Model = keras.Model(detector.inputs, detector.output)
        converter = getattr(detector.preprocessor, "image_converter", None)
        self._size_hw = getattr(converter, "image_size", None) or _USUAL_SIZE_HW

    def find(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The people of each frame, the surest first; boxes are cut at the picture's border.

        Pictures are stretched to the size of the detector's input, as in its training.
        """
        height, width = self._size_hw
        views = np.stack(
            [
                cv2.resize(frame.image_rgb, (width, height), interpolation=cv2.INTER_LINEAR)
                for frame in frames
            ]
        ).astype(np.float32)
        prepared = views if self._prepare is None else self._prepare(views)
        outputs = self._network.predict_on_batch(prepared)
        logits, boxes = outputs["logits"][..., _PERSON_CLASS], outputs["pred_boxes"]
        scores = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))  # (frames, queries)
        return [
            _to_boxes(np.asarray(boxes[number], np.float64), scores[number], frame, self.min_score)
            for number, frame in enumerate(frames)
        ]


def load_detector(preset: str, min_score: float = 0.3) -> DFineDetector:
    """A detector of KerasHub.

    Args:
        preset: a name such as `dfine_nano_coco`, or the folder of one.
        min_score: boxes whose score is not above it are left out.

    Raises:
        ValueError: KerasHub is not installed, or there is no such preset of D-FINE.
        OSError: it cannot be fetched, or is no preset of a detector.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ValueError(
            f"--detector needs KerasHub, which is not installed ({error.name}): "
            'pip install -e ".[detector]"'
        ) from None
    known = sorted(keras_hub.models.DFineObjectDetector.presets)
    if preset not in known and not Path(preset).is_dir():
        raise ValueError(
            f"--detector must be a preset of D-FINE or the folder of one. Received {preset}; there "
            f"are {', '.join(known)}."
        )
    try:
        detector = keras_hub.models.DFineObjectDetector.from_preset(preset)
    except (OSError, ValueError) as error:  # KerasHub's answer to a folder that is no preset
        raise OSError(
            f"The preset {preset} could not be fetched or read ({type(error).__name__}). Name the "
            "folder of one that was fetched elsewhere, or use --detections FILE."
        ) from error
    return DFineDetector(detector, f"detector {Path(preset).name}", min_score)


def _to_boxes(boxes_cxcywh: np.ndarray, scores: np.ndarray, frame: Frame, least: float) -> Boxes:
    """Boxes in pixels of the frame, from centres and sizes as shares of its sides."""
    height, width = frame.image_rgb.shape[:2]
    size = np.array([width, height], np.float64)
    low = np.clip((boxes_cxcywh[:, :2] - boxes_cxcywh[:, 2:] / 2) * size, 0, size)
    high = np.clip((boxes_cxcywh[:, :2] + boxes_cxcywh[:, 2:] / 2) * size, 0, size)
    corners = np.concatenate([low, high - low], axis=1)
    rows = np.argsort(-scores, kind="stable")
    rows = rows[(scores[rows] > least) & (corners[rows, 2:] > 0).all(axis=1)]
    return Boxes(corners[rows].astype(np.float32), scores[rows])
