"""Weight files of `keras.applications` (`..._notop.h5`), read into plain dicts of arrays.

These are HDF5 files in Keras' old layout: one group a layer, named after it, with one dataset a
variable, `conv1_conv/conv1_conv/kernel:0`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_keras_weights(path: str | Path) -> dict[str, np.ndarray]:
    """All variables of a weight file, `layer/leaf` to array, in Keras' axis order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its layers have no names (`.weights.h5` of Keras 3
            numbers them by class).
    """
    import h5py  # type: ignore[import-untyped]

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no Keras weight file {path}.")
    entries: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, _, leaf = name.rpartition("/")
            entries[f"{layer.rpartition('/')[2]}/{leaf.removesuffix(':0')}"] = np.array(item)

    try:
        with h5py.File(path) as file:
            file.get("model_weights", file).visititems(visit)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"{path} must be an HDF5 file. Received one that is damaged, cut off or of another "
            f"kind ({str(error).splitlines()[0]}); download it again."
        ) from error
    if any(name.startswith("vars/") for name in entries):
        raise ValueError(
            f"{path} is a Keras 3 file, which does not name its layers. Take the published "
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5."
        )
    return entries
