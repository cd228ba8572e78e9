"""Exported networks in the runtimes that they were exported for.

Every runner takes uint8 or float32 RGB views (batch, height, width, 3), 0..255, and gives the
arrays of the exported graph by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

ExportFormat = Literal["saved_model", "onnx", "litert"]
#: Views to named arrays.
Run = Callable[[np.ndarray], dict[str, np.ndarray]]

#: Packages beyond the required ones that writing and running a format takes.
_PACKAGES: dict[str, tuple[str, ...]] = {
    "saved_model": (),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": (),
}
_KERAS_NAMES = {"saved_model": "tf_saved_model", "onnx": "onnx", "litert": "litert"}
ENDINGS = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}
_SAVED_MODEL = "saved_model.pb"
#: What the folder of a SavedModel holds.
_SAVED_MODEL_ENTRIES = {_SAVED_MODEL, "variables", "assets", "assets.extra", "fingerprint.pb"}


def check_format(name: str, path: str | Path) -> None:
    """Find out before the work whether a format can be written and run here.

    Raises:
        ValueError: an unknown format, a name with another ending, or a package is missing.
    """
    if name not in get_args(ExportFormat):
        raise ValueError(
            f"The format must be one of {', '.join(get_args(ExportFormat))}. Received {name!r}."
        )
    if not str(path).endswith(ENDINGS[name]):
        raise ValueError(f"A {name} file must end in {ENDINGS[name]}. Received {path}.")
    missing = [p for p in _PACKAGES[name] if importlib.util.find_spec(p) is None]
    if missing:
        raise ValueError(
            f"The format {name} needs {', '.join(_PACKAGES[name])}. {', '.join(missing)} cannot be "
            f'found; pip install -e ".[{name}]" brings all of them.'
        )


def check_target(name: ExportFormat, path: str | Path) -> None:
    """Find out before the work whether an export may take the place of what stands at a path.

    Raises:
        ValueError: there is a folder that is not an exported SavedModel, or a file where a folder
            is to be.
    """
    path = Path(path)
    if name != "saved_model":
        if path.is_dir():
            raise ValueError(f"A {name} export is a file. Received the folder {path}.")
        return
    if path.is_file():
        raise ValueError(f"A saved_model export is a folder. Received the file {path}.")
    found = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    others = sorted(found - _SAVED_MODEL_ENTRIES)
    if others or (found and _SAVED_MODEL not in found):
        raise ValueError(
            f"A saved_model export takes the place of an earlier one alone. Received {path}, a "
            f"folder with {(others or sorted(found))[0]}; name a folder that does not exist yet."
        )


def write_exported(model: Any, name: ExportFormat, path: Path) -> None:
    """Write a Keras model of one input and a dict of outputs in an exported format."""
    model.export(str(path), format=_KERAS_NAMES[name], verbose=False)


def load_runtime(name: ExportFormat, path: str | Path, output_names: list[str]) -> Run:
    """An exported network in its own runtime.

    Args:
        name: the format.
        path: the file, or the folder of a SavedModel.
        output_names: of the graph; runtimes that number the outputs sort them by name, as Keras
            does.
    """
    loaders = {"saved_model": _saved_model, "onnx": _onnx, "litert": _litert}
    return loaders[name](str(path), sorted(output_names))


def _saved_model(path: str, output_names: list[str]) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def run(views: np.ndarray) -> dict[str, np.ndarray]:
        outputs = loaded.serve(tf.constant(views, tf.float32))
        return {key: outputs[key].numpy() for key in output_names}

    return run


def _onnx(path: str, output_names: list[str]) -> Run:
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()[0].name

    def run(views: np.ndarray) -> dict[str, np.ndarray]:
        values = session.run(None, {inputs: views.astype(np.float32)})
        return dict(zip(output_names, values, strict=True))

    return run


def _litert(path: str, output_names: list[str]) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's copy of LiteRT says that it will move out
        signature = _litert_interpreter()(model_path=path).get_signature_runner()
    (input_name,) = signature.get_input_details()

    def run(views: np.ndarray) -> dict[str, np.ndarray]:
        outputs = signature(**{input_name: views.astype(np.float32)})
        return {key: outputs[key] for key in output_names}

    return run


def _litert_interpreter() -> Any:
    """LiteRT's own package where it is installed, else the copy inside TensorFlow."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    import tensorflow as tf

    return tf.lite.Interpreter
