"""Optimizers by name, which weights decay, and which learn more slowly.

Weight decay here is L2 regularisation: strength * sum(w^2) / 2 belongs to the loss, hence
strength * w to the gradient, on the kernels of convolutions and dense layers alone. With `adamw`
it is decoupled from the gradient instead: a step first multiplies these kernels by
1 - rate * strength.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from .step_settings import OptimizerName

DECAYING_LAYERS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)


class Momentum(keras.optimizers.Optimizer):
    """Gradient descent with momentum, the velocity in units of the gradient.

    velocity = momentum * velocity + gradient, w -= rate * velocity; with `nesterov`,
    w -= rate * (momentum * velocity + gradient), the velocity being the new one. Keras' own SGD
    keeps the rate inside the velocity, so that a decayed learning rate takes effect some ten
    steps late; TensorFlow 1 and PyTorch have the form of this class.
    """

    def __init__(self, momentum: float = 0.9, nesterov: bool = False, **kwargs: Any):
        super().__init__(learning_rate=0.0, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make one velocity for each weight."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one weight."""
        velocity = self.velocities[self._get_variable_index(variable)]
        moved = self.momentum * velocity + gradient
        self.assign(velocity, moved)
        step = self.momentum * moved + gradient if self.nesterov else moved
        self.assign_sub(variable, learning_rate * step)


def make_optimizer(
    name: OptimizerName, *, momentum: float = 0.9, nesterov: bool = False
) -> keras.optimizers.Optimizer:
    """A Keras optimizer, not yet built; its learning rate is given at every update.

    Args:
        name: `adam` (beta 0.9 and 0.999), `adamw`, which is the same but for its weight decay,
            `momentum`, or plain `sgd`.
        momentum: of `momentum`.
        nesterov: of `momentum`.

    Raises:
        ValueError: an unknown name.

    Source: Adam, Kingma and Ba, ICLR 2015; AdamW, Loshchilov and Hutter, ICLR 2019. Epsilon 1e-8
    is TensorFlow 1's and PyTorch's (Keras: 1e-7), added to sqrt(v) before the bias correction is
    taken out, as TensorFlow 1 does.
    """
    if name in ("adam", "adamw"):
        return keras.optimizers.Adam(epsilon=1e-8, name="adam")
    if name == "momentum":
        return Momentum(momentum, nesterov, name="momentum")
    if name == "sgd":
        return keras.optimizers.SGD(name="sgd")
    raise ValueError(f"optimizer must be adam, adamw, momentum or sgd. Received {name!r}.")


def decayed_kernels(model: keras.Model) -> list[keras.Variable]:
    """The trainable kernels of all convolutions, transposed convolutions and dense layers.

    Biases and the scales and shifts of normalisation do not decay.
    """
    return [
        variable
        for layer in model.layers
        if isinstance(layer, DECAYING_LAYERS)
        for variable in layer.trainable_variables
        if variable.name.endswith("kernel")
    ]


def share_rates(
    weights: Sequence[keras.Variable], depths: Mapping[str, int], layer_decay: float
) -> list[float]:
    """The share of the learning rate that each weight gets: layer_decay ** (layers behind it).

    Args:
        weights: of the model.
        depths: path of each of them -> its layer, counted from the input; those of the highest
            number learn at the full rate.
        layer_decay: above 0, at most 1.

    Source: layer-wise learning rate decay as in BEiT (Bao et al., ICLR 2022) and ViTPose.
    """
    last = max(depths.values())
    return [layer_decay ** (last - depths[weight.path]) for weight in weights]


def weight_decay_loss(kernels: Sequence[keras.Variable], strength: float) -> tf.Tensor:
    """Strength * sum(w^2) / 2 over the kernels, () float32: logged, its gradient is strength * w.

    In the TensorFlow original the term stood in the loss of one GPU only, so that its strength
    fell with their number; here the strength does not depend on the number of devices.
    """
    squares = [tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels]
    return strength * tf.add_n(squares) if squares else tf.zeros(())
