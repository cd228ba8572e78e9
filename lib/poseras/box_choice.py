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
    min_score: float | None = None,
    strategy: Any = None,
) -> BoxSource:
    """The source of person boxes that is named; each whole picture where none is.

    Args:
        source: of the frames.
        root: of the project, where runs are looked for.
        detections: path of boxes in COCO result format.
        detector: preset of KerasHub's D-FINE, or the folder of one.
        detector_run: run or snapshot of a bottom-up system of this project.
        min_score: boxes of `detector` whose score is not above it are left out; 0.3 by default.
        strategy: a `tf.distribute.Strategy`, the devices of a bottom-up network.

    Raises:
        FileNotFoundError: the file or run is not there.
        ValueError: it is of another kind, the detector's packages are missing, or there is a least
            score and no detector.
    """
    if min_score is not None and not (detector and 0 <= min_score < 1):
        with_it = f"with --detector {detector}" if detector else "without --detector"
        raise ValueError(
            "--min-score goes with --detector and is at least 0 and below 1. Received "
            f"{min_score} {with_it}; leave it out for 0.3."
        )
    if detections:
        return ListedBoxes.read(detections, source)
    if detector:
        from .detection import load_detector

        return load_detector(detector, 0.3 if min_score is None else min_score)
    if detector_run:
        from .predictor import load_predictor

        found = find_run(root, detector_run)
        return BottomUpBoxes(load_predictor(found, strategy=strategy, finds_people=True))
    return WholePictures()
