"""Backbones: one file a family; the file's name is the value of `options.backbone`.

A file that serves as the backbone of a top-down network offers

* `build_backbone(images, *, ...)`, from normalised pictures (batch, height, width, 3) to features
  (batch, height / stride, width / stride, channels). Its keyword arguments are those of `form`,
  `depth`, `width`, `heads`, `output_stride`, `stride_on`, `drop_path`, `batch_norm_momentum`,
  `batch_norm_epsilon` and `synchronized` that mean something to it;
* `HEAD_SCOPE`, what stands before the names of the head's layers in the published checkpoints;
* `rename_entries(entries, input_hw)`, from every published spelling of a checkpoint's names to that
  of the layers. Where the layers have the authors' own names, `drop_scopes` is all of it;
* if its layers may learn at rates that fall towards the input, `number_layer(path, depth)`, the
  layer of a variable counted from 0 at the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

_SCOPES = re.compile(r"^(module\.)?(backbone\.|(keypoint_head|head)\.(deconv_head\.)?)?")


def drop_scopes(
    entries: Mapping[str, np.ndarray], input_hw: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The entries without what MMPose sets before the names of backbone and head.

    Args:
        entries: a state dict, name to array.
        input_hw: height and width of the network's input; nothing here depends on it.
    """
    del input_hw
    return {_SCOPES.sub("", name): array for name, array in entries.items()}
