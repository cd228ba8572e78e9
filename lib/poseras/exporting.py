"""A snapshot as a file for other runtimes, decoding included, compared with ourselves.

The graph takes RGB views 0..255 (batch, height, width, 3) and gives what `System.decode` gives;
what is left to the caller is to cut the view out of the picture and to bring the coordinates home.
It is rebuilt in float32, whatever the precision of the training: exported from a network in mixed
precision, some formats cannot be loaded, and nothing says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .data import pipeline
from .data.images import read_image
from .engine.runtimes import (
    ExportFormat,
    Run,
    check_format,
    check_target,
    load_runtime,
    write_exported,
)
from .files import unfinished_file, unfinished_folder
from .predictor import Predictor, load_predictor

log = logging.getLogger("poseras")

#: How far a keypoint may move: a tenth of what a drawing shows, and far above float32's roundings.
TOLERANCE_PX = 0.1


@keras.saving.register_keras_serializable(package="poseras")
class Decode(keras.layers.Layer):
    """The end of an exported graph: the network's outputs, merged with those of the mirror image.

    Input: the outputs of the views, and in a flip test also those of the mirrored views.
    Output: what `System.decode` gives.
    """

    def __init__(self, system: Any, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self._system = system

    def call(self, outputs: Any, flipped: Any = None) -> dict[str, Any]:
        """See the class."""
        if flipped is not None:
            outputs = self._system.merge_flip(outputs, flipped)
        return self._system.decode(outputs)


def export_snapshot(
    snapshot: str | Path,
    target: str | Path,
    form: ExportFormat,
    pictures: Sequence[Path],
    boxes_xywh: Sequence[np.ndarray] | None = None,
    *,
    flip_test: bool = False,
) -> float:
    """Write the network of a snapshot in another format, and see that it still says the same.

    Args:
        snapshot: of ours.
        target: a file, or a folder for `saved_model`, in the place of an earlier one; written in
            one step, after the comparison.
        form: the format.
        pictures: photographs whose people are compared.
        boxes_xywh: (people, 4) of each picture; None takes each whole picture as one box.
        flip_test: also mirror and average inside the graph, which doubles its work.

    Returns:
        The largest movement of a keypoint, in view pixels.

    Raises:
        FileNotFoundError: snapshot or picture are missing.
        ValueError: the format cannot be written here, something else stands at `target`, there is
            nobody to compare, or a keypoint moves by more than `TOLERANCE_PX`; nothing was written.
        OSError: the target cannot be written.
    """
    check_format(form, target)
    check_target(form, target)
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        predictor = load_predictor(snapshot)
        views = cut_views(predictor, pictures, boxes_xywh)
        graph = build_graph(predictor, flip_test)
        expected = {name: np.asarray(value) for name, value in graph(views).items()}
        return _write_compared(graph, Path(target), form, views, expected)
    finally:
        keras.config.set_dtype_policy(usual)


def cut_views(
    predictor: Predictor, pictures: Sequence[Path], boxes_xywh: Sequence[np.ndarray] | None
) -> np.ndarray:
    """The views of some people, (people, height, width, 3) float32 RGB 0..255.

    Raises:
        ValueError: there is nobody.
    """
    images = [read_image(path, honour_orientation=True) for path in pictures]
    if boxes_xywh is None:
        boxes_xywh = [np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32) for i in images]
    records = pipeline.records_of_boxes(images, boxes_xywh, predictor.skeleton.joint_count)
    if not len(records):
        raise ValueError("The comparison needs at least one picture with a person. Received none.")
    batches = pipeline.view_pictures(images, records, predictor.view, batch_size=len(records))
    return np.concatenate([np.asarray(b["image"]) for b in batches]).astype(np.float32)


def build_graph(predictor: Predictor, flip_test: bool) -> keras.Model:
    """Views to coordinates as one Keras model."""
    model = predictor.model
    images = keras.Input(model.input_shape[1:], dtype="float32", name="images")
    outputs = model(images, training=False)
    decode = Decode(predictor.system, name="decode")
    if not flip_test:
        return keras.Model(images, decode(outputs))
    mirrored = keras.ops.flip(images, axis=2)
    return keras.Model(images, decode(outputs, model(mirrored, training=False)))


def _write_compared(
    graph: keras.Model,
    target: Path,
    form: ExportFormat,
    views: np.ndarray,
    expected: dict[str, np.ndarray],
) -> float:
    """Write beside the target, compare, and move into place what is equal."""
    lend = unfinished_folder if form == "saved_model" else unfinished_file
    with lend(target.absolute()) as written:  # "." has no name to write beside
        write_exported(graph, form, written)
        run = load_runtime(form, written, list(expected))
        moved, changed = _compare(run, views, expected)
        if not moved <= TOLERANCE_PX:
            raise ValueError(
                f"A keypoint may move by {TOLERANCE_PX} px at most. Received {moved:.3g} px for "
                f"{form} on {len(views)} people; nothing was written."
            )
    log.info(
        "%s: on %d people keypoints move by %.2g px at most, scores by %.2g.",
        target,
        len(views),
        moved,
        changed,
    )
    return moved


def _compare(run: Run, views: np.ndarray, expected: dict[str, np.ndarray]) -> tuple[float, float]:
    """The largest movement of a keypoint, in view pixels, and the largest change of a score."""
    distances, changes = [], []
    for start in range(len(views)):  # runtimes may have a fixed batch of one
        found = run(views[start : start + 1])
        rows = {name: value[start : start + 1] for name, value in expected.items()}
        distances.append(np.linalg.norm(found["keypoints_px"] - rows["keypoints_px"], axis=-1))
        changes.append(np.abs(found["keypoint_scores"] - rows["keypoint_scores"]))
    return float(np.max(distances)), float(np.max(changes))  # NaN where a runtime gives one
