"""The settings that only an HSRNet has.

This room imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...check import check_choices


@dataclass(frozen=True)
class Hsr:
    """HSRNet and HSR-MSNet; the defaults are the published ones.

    Attributes:
        multi_scale: whether it is an HSR-MSNet, whose blocks split their channels.
        groups: of channels in such a block; they divide backbone_width.
        use_se: whether each block ends in squeeze and excitation; none follows multi_scale.
        dilation: of the 3x3 convolutions in the stages behind layer3.
        extra_stages: how many of them; 0 leaves a ResNet of stride 16.
        declare_unused: whether the layers that the original declares and never uses, over a
            quarter of an HSR-MSNet, hold weights here too. A published checkpoint is exported
            whole in either case.
        rename_extra_stages: whether layer4 and layer5 of a DetNet-59 become new_layer4 and
            new_layer5; with the original's own rule they start anew.
        split_init: how split convolutions start from ImageNet weights, which have none: `original`
            leaves them at random, `from_conv2` takes the diagonal blocks of the 3x3 kernels.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    multi_scale: bool = False
    groups: int = 4
    use_se: bool | None = None
    dilation: int = 2
    extra_stages: int = 2
    declare_unused: bool = False
    rename_extra_stages: bool = True
    split_init: Literal["original", "from_conv2"] = "original"

    def __post_init__(self) -> None:
        check_choices(self)
        if self.groups < 2 or self.dilation < 1 or self.extra_stages < 0:
            raise ValueError(
                "hsr.groups must be at least 2, hsr.dilation at least 1 and hsr.extra_stages at "
                f"least 0. Received {self.groups}, {self.dilation} and {self.extra_stages}."
            )
        if not self.multi_scale:
            self._check_plain()

    @property
    def squeezes(self) -> bool:
        """Whether each block ends in squeeze and excitation, with the default resolved."""
        return self.multi_scale if self.use_se is None else self.use_se

    @property
    def is_published(self) -> bool:
        """Whether the original code can build such a network."""
        return (self.groups, self.dilation, self.extra_stages) == (4, 2, 2) and (
            self.squeezes == self.multi_scale
        )

    def network_arguments(self) -> dict[str, Any]:
        """Those of the fields that decide about layers, as `backbones.hsrnet` names them."""
        return {
            "multi_scale": self.multi_scale,
            "groups": self.groups,
            "use_se": self.squeezes,
            "dilation": self.dilation,
            "extra_stages": self.extra_stages,
            "declare_unused": self.declare_unused,
        }

    def _check_plain(self) -> None:
        """Fields of the multi-scale blocks are refused where there are none."""
        usual = {"groups": 4, "declare_unused": False, "split_init": "original"}
        for name, value in usual.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"hsr.{name} is for hsr.multi_scale=true alone; leave it at {value}. "
                    f"Received {getattr(self, name)}."
                )
