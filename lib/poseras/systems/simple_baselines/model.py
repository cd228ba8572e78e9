"""The network: normalisation, a backbone, a head.

Any file of `poseras/backbones/` serves as backbone that offers what that package's docstring says.
Layers are called as in the published checkpoints.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import keras

from ... import backbones
from ...layers import Normalise
from .heads import build_head
from .options import Options


def build_model(options: Options, joint_count: int) -> keras.Model:
    """The whole network, from pictures to what the codec reads.

    Args:
        options: of the system.
        joint_count: joints of the skeleton.

    Returns:
        A flat functional model from RGB pictures (batch, height, width, 3), 0..255, to a dict of
        float32 outputs, see `heads.build_head`; heatmaps are linear, in units of the target peak.
        Its first layer is `normalise`; that and the last layers compute in float32 under every
        dtype policy.

    Raises:
        ValueError: `options.backbone` is not a file of `poseras/backbones/`, cannot be built so, or
            does not have the options' stride.
    """
    images = keras.Input((*options.input_shape, 3), dtype="float32", name="images")
    network_input = Normalise(
        options.channel_order, options.pixel_mean, options.pixel_std, name="normalise"
    )(images)
    module = backbone_module(options.backbone)
    features = module.build_backbone(network_input, **_select_arguments(module, options))
    _check_stride(features, options)
    outputs = build_head(features, options, joint_count, module.HEAD_SCOPE)
    return keras.Model(images, outputs, name="simple_baselines")


def number_layers(model: keras.Model, options: Options) -> dict[str, int]:
    """Path of each variable to its layer from the input, by which learning rates may fall.

    Raises:
        ValueError: the backbone does not number its layers.
    """
    module = backbone_module(options.backbone)
    if not hasattr(module, "number_layer"):
        raise ValueError(
            "train.layer_decay is for a backbone that numbers its layers, vit; leave it at 1. "
            f"Received the backbone {options.backbone}."
        )
    return {v.path: module.number_layer(v.path, options.depth) for v in model.weights}


def backbone_module(name: str) -> Any:
    """The file of `poseras/backbones/` that carries the name.

    Raises:
        ValueError: there is none, or it serves other networks.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(backbones.__path__))
    if name not in known:
        raise ValueError(
            f"backbone must be a file of poseras/backbones: {', '.join(known)}. Received {name!r}."
        )
    module = importlib.import_module(f"{backbones.__name__}.{name}")
    if not hasattr(module, "build_backbone"):
        raise ValueError(
            "backbone must be one that serves top-down networks, such as resnet. "
            f"Received {name!r}, which has no build_backbone."
        )
    return module


def _select_arguments(module: Any, options: Options) -> dict[str, Any]:
    """Those of the options that mean something to a backbone, by the names of its arguments.

    Raises:
        ValueError: another one was changed, without an effect.
    """
    own = _backbone_arguments(options)
    asked = inspect.signature(module.build_backbone).parameters
    usual = _backbone_arguments(Options())
    network = ("depth", "width", "heads", "stride_on", "drop_path")
    for name in (*network, *options.hsr.network_arguments()):
        if name not in asked and own[name] != usual[name]:
            raise ValueError(
                f"The backbone {options.backbone} has no {name}; leave that option at "
                f"{usual[name]}. Received {own[name]}."
            )
    return {name: value for name, value in own.items() if name in asked}


def _backbone_arguments(options: Options) -> dict[str, Any]:
    return {
        "form": options.form,
        "depth": options.depth,
        "width": options.backbone_width,
        "heads": options.backbone_heads,
        "output_stride": options.backbone_stride,
        "stride_on": options.stride_on,
        "drop_path": options.drop_path,
        **options.hsr.network_arguments(),
        "batch_norm_momentum": options.batch_norm_momentum,
        "batch_norm_epsilon": options.batch_norm_epsilon,
        "synchronized": options.batch_norm_synchronized,
    }


def _check_stride(features: keras.KerasTensor, options: Options) -> None:
    stride = options.input_shape[0] // features.shape[1]
    if stride != options.backbone_stride:
        raise ValueError(
            f"backbone_stride must be the stride of the backbone, {stride} for "
            f"{options.backbone}. Received {options.backbone_stride}."
        )
