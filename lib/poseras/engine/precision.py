"""Numeric precision of training: Keras' dtype policy, and the loss scale that float16 needs.

float16 loses gradients below 6e-8. The loss is therefore multiplied by a scale and the gradients
are divided by it; where that overflows, the update is skipped and the scale halved.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from .step_settings import Precision


def set_precision(precision: Precision) -> None:
    """Set the policy of all layers built from now on; weights are float32 under each of them."""
    keras.config.set_dtype_policy(precision)


class LossScale:
    """The factor on the loss, and the law by which it changes; part of the training state.

    Made under the strategy's scope. The values are powers of two, so that scaling and unscaling
    are exact.

    Attributes:
        scale: () float32 variable.
        good_steps: () int64 variable, updates since the scale last changed.

    Source: Mixed Precision Training, Micikevicius et al., ICLR 2018; the initial scale and the
    growth interval are those of Keras' LossScaleOptimizer.
    """

    INITIAL = 2.0**15
    GROWTH_INTERVAL = 2000

    def __init__(self) -> None:
        self.scale = tf.Variable(self.INITIAL, trainable=False, name="loss_scale")
        self.good_steps = tf.Variable(0, trainable=False, dtype=tf.int64, name="good_steps")

    def update(self, finite: tf.Tensor) -> None:
        """Take note of one update, from the cross-replica context.

        Args:
            finite: () bool, whether every gradient was a finite number.
        """
        good = tf.where(finite, self.good_steps + 1, tf.zeros((), tf.int64))
        grow = good >= self.GROWTH_INTERVAL
        grown = tf.where(grow, self.scale * 2.0, tf.identity(self.scale))
        self.scale.assign(tf.where(finite, grown, tf.maximum(self.scale * 0.5, 1.0)))
        self.good_steps.assign(tf.where(grow, tf.zeros((), tf.int64), good))
