"""Which person boxes a demonstration means: a file, a detector, a bottom-up run, whole pictures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from .data.frames import FrameSource
from .person_boxes import BottomUpBoxes, BoxSource, ListedBoxes, WholePictures
from .snapshot_choice import find_run

log = logging.getLogger("poseras")


def choose_boxes(
    source: FrameSource,
    root: Path,
    detections: str | None = None,
    detector: str | None = None,
    detector_run: str | None = None,
    *,
    min_score: float = 0.3,
    strategy: Any = None,
) -> BoxSource:
    """The source of person boxes that is named; each whole picture where none is.

    Args:
        source: of the frames.
        root: of the project, where runs are looked for.
        detections: path of boxes in COCO result format.
        detector: preset of KerasHub's D-FINE, or the folder of one.
        detector_run: run or snapshot of a bottom-up system of this project.
        min_score: boxes of `detector` whose score is not above it are left out.
        strategy: a `tf.distribute.Strategy`, the devices of a bottom-up network.

    Raises:
        FileNotFoundError: the file or run is not there.
        ValueError: it is of another kind, or the detector's packages are missing.
    """
    if detections:
        return ListedBoxes.read(detections, source)
    if detector:
        from .detection import load_detector

        return load_detector(detector, min_score)
    if detector_run:
        from .predictor import load_predictor

        found = find_run(root, detector_run)
        return BottomUpBoxes(load_predictor(found, strategy=strategy, finds_people=True))
    return WholePictures()
