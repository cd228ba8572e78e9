"""How a training step turns gradients into an update; settings alone, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..check import check_at_least

OptimizerName = Literal["adam", "adamw", "sgd", "momentum"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class StepSettings:
    """How a step turns gradients into an update.

    Attributes:
        optimizer: see `optimizer.make_optimizer`.
        momentum: of the optimizer `momentum`.
        nesterov: of the optimizer `momentum`.
        layer_decay: share of the learning rate that is left one layer nearer to the input, for
            systems whose `number_layers(model)` gives the layer of each path; 1 is off.
        weight_decay: strength on kernels, 0 is off; see `optimizer` for its two forms.
        clip_norm: the largest allowed norm of the whole gradient, 0 is off.
        accumulate_steps: batches per device whose mean gradient makes one update.
        ema_decay: of the moving average of the weights, 0 is off.
        frozen: regular expressions; variables whose path one matches are not trained.
        precision: the dtype policy that the model was built under.

    Raises:
        ValueError: a value breaks a rule; the message names the setting, `train.momentum`.
    """

    optimizer: OptimizerName = "adam"
    momentum: float = 0.9
    nesterov: bool = False
    layer_decay: float = 1.0
    weight_decay: float = 1e-5
    clip_norm: float = 0.0
    accumulate_steps: int = 1
    ema_decay: float = 0.0
    frozen: tuple[str, ...] = ()
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_at_least("train", self, 1, "accumulate_steps")
        check_at_least("train", self, 0, "momentum weight_decay clip_norm ema_decay")
        for name in ("momentum", "ema_decay"):
            if getattr(self, name) >= 1:
                raise ValueError(f"train.{name} must be below 1. Received {getattr(self, name)}.")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(
                "train.layer_decay must be above 0 and at most 1, which is off. "
                f"Received {self.layer_decay}."
            )
