"""Networks of one system that start from what a network of another one has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def adopt_from_simple_baselines(
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    rename: Callable[[str], str],
    stem: str,
    pixel_std: Sequence[float],
) -> Mapping[str, np.ndarray]:
    """The weights of a Simple Baselines network for one that looks at RGB pictures.

    The first convolution absorbs what the two systems do to pictures before it: the order of the
    channels and the standard deviations that divide them. (Means differ by half a grey level.)

    Args:
        arrays: variable path to array.
        metadata: of the snapshot: `system` and `options`.
        rename: from a path there to a path here.
        stem: path of the first kernel here, (height, width, 3, filters).
        pixel_std: what pictures are divided by here, on the 0..255 scale, R, G, B.

    Returns:
        Path to array, renamed; a snapshot of another system comes back as it is.
    """
    if metadata.get("system") != "simple_baselines":
        return arrays
    theirs = metadata["options"]
    renamed = {rename(path): array for path, array in arrays.items()}
    if stem in renamed:
        order = slice(None, None, -1 if theirs["channel_order"] == "bgr" else 1)
        std = np.asarray(theirs["pixel_std"], np.float64)[order]
        scale = np.asarray(pixel_std, np.float64) / std
        kernel = renamed[stem].astype(np.float32)[:, :, order] * scale[:, None]
        renamed[stem] = kernel.astype(np.float32)
    return renamed
