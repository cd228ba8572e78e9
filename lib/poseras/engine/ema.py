"""An exponential moving average of the weights: what is validated and tested, never trained.

It starts as a copy of the weights and follows them with
average = decay * average + (1 - decay) * weight after each update.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf


def settle_decay(decay: float, updates: tf.Tensor) -> tf.Tensor:
    """min(decay, (1 + updates) / (10 + updates)), () float32.

    So the average is not held back by the random start.

    Args:
        decay: of the settled average, below 1.
        updates: () float, number of updates before this one.

    Source: the law of TensorFlow 1's ExponentialMovingAverage with `num_updates`.
    """
    return tf.minimum(decay, (1.0 + updates) / (10.0 + updates))


class WeightAverage:
    """The moving average of every float weight of a model, moving statistics included.

    Made under the strategy's scope, after the initial weights are in place.

    Attributes:
        weights: the averaged variables of the model.
        averages: one variable for each of them, in the same order.
    """

    def __init__(self, model: keras.Model, decay: float):
        if not 0 < decay < 1:
            raise ValueError(
                f"The decay of the weight average must lie between 0 and 1. Received {decay}; "
                "0 in the settings turns the average off."
            )
        self.decay = decay
        self._strategy = tf.distribute.get_strategy()
        self.weights = [v for v in model.weights if tf.as_dtype(v.dtype).is_floating]
        self.averages = [
            tf.Variable(weight.numpy(), trainable=False, name=f"average_{number}")
            for number, weight in enumerate(self.weights)
        ]

    def restart(self) -> None:
        """Make every average equal to its weight."""
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign(weight.numpy())

    def update(self, updates: tf.Tensor) -> None:
        """Follow the weights, from the cross-replica context, after an update.

        Args:
            updates: () float32, number of updates before the one just made.
        """
        rate = 1.0 - settle_decay(self.decay, updates)

        def follow(average: tf.Variable, weight: tf.Variable, rate: tf.Tensor) -> None:
            here = tf.convert_to_tensor(weight)  # the copy of the device that is updated
            average.assign_add((here - average) * rate)

        extended = self._strategy.extended
        for average, weight in zip(self.averages, self.weights, strict=True):
            extended.update(average, follow, args=(weight.value, rate), group=False)

    @contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Put the averages into the model, and the trained weights back at the end."""
        trained = [weight.numpy() for weight in self.weights]
        for weight, average in zip(self.weights, self.averages, strict=True):
            weight.assign(average.numpy())
        try:
            yield
        finally:
            for weight, value in zip(self.weights, trained, strict=True):
                weight.assign(value)
