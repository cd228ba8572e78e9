"""The settings of networks that answer with vectors instead of maps: SimCC and RTMPose.

This room imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...check import check_choices


@dataclass(frozen=True)
class Simcc:
    """Coordinate classification: labels and loss; the defaults are RTMPose's at 256x192.

    Attributes:
        bins_per_pixel: bins of both axes in a pixel of the view.
        label: `gaussian` with the value 1 at the joint (RTMPose), `density` with the sum 1 (SimCC),
            `one_bin` with `smoothing` spread over the others.
        sigma: of the Gaussians along x and y, in bins. RTMPose has 6, 6.93 at 384x288, SimCC 6, 6.
        smoothing: what `one_bin` gives to all other bins together.
        beta: multiplies the logits in the loss; SimCC's is 1.
        soft_targets: whether the loss takes a softmax over ten times the labels; SimCC does not.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    bins_per_pixel: float = 2.0
    label: Literal["gaussian", "density", "one_bin"] = "gaussian"
    sigma: tuple[float, float] = (4.9, 5.66)
    smoothing: float = 0.1
    beta: float = 10.0
    soft_targets: bool = True

    def __post_init__(self) -> None:
        check_choices(self)
        if self.bins_per_pixel <= 0 or self.beta <= 0:
            raise ValueError(
                "simcc.bins_per_pixel and simcc.beta must be positive. "
                f"Received {self.bins_per_pixel} and {self.beta}."
            )
        if len(self.sigma) != 2 or any(value <= 0 for value in self.sigma):
            raise ValueError(
                f"simcc.sigma must be positive along x and y, in bins. Received {self.sigma}."
            )
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"simcc.smoothing must be in [0, 1). Received {self.smoothing}.")


@dataclass(frozen=True)
class Gau:
    """The gated attention unit of RTMPose's head, in which joints look at each other.

    Attributes:
        final_kernel: side of the convolution from features to joints, an odd number of cells.
        width: numbers that stand for a joint.
        key_width: numbers by which joints find each other, even.
        activation: of the gate and the values.
        relative_bias: whether a learned number for each distance in the list of joints is added to
            how two of them meet; off in RTMPose.
        rotary: whether queries and keys are turned by their place in that list; off in RTMPose.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    final_kernel: int = 7
    width: int = 256
    key_width: int = 128
    activation: Literal["silu", "relu"] = "silu"
    relative_bias: bool = False
    rotary: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        if self.final_kernel < 1 or self.final_kernel % 2 == 0:
            raise ValueError(
                f"gau.final_kernel must be an odd number of cells. Received {self.final_kernel}."
            )
        if self.width < 1 or self.key_width < 2 or self.key_width % 2:
            raise ValueError(
                "gau.width must be positive and gau.key_width positive and even. "
                f"Received {self.width} and {self.key_width}."
            )
