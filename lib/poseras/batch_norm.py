"""BatchNorm by TensorFlow's fused kernel, under other backends by Keras' own operations.

Keras 3 writes BatchNorm as a dozen elementwise operations, in float32 under every policy. The
fused kernel (oneDNN on CPUs, cuDNN on GPUs) reads the features once, keeps them in bfloat16 and
still sums in float32. A training step of a half-width ResNet-18 in bfloat16 takes 0.7 of the time
with it; `bench/train_step.py` prints the table.
"""

from __future__ import annotations

from typing import Any

import keras

#: What the fused kernel computes in.
_FUSED_TYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="poseras")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, faster in training; arguments and variables are the same.

    Synchronised over several devices it takes Keras' way, on one device the kernel.
    The moving variance takes the batch's variance over n values as Keras does, not over n - 1.

    Input: (batch, height, width, channels); anything else goes Keras' way.
    Output: the same shape.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """See the class."""
        if not (training and self.trainable and mask is None and self._has_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = _normalise(
            keras.ops.cast(inputs, self.compute_dtype),
            scale=keras.ops.convert_to_tensor(self.gamma, dtype="float32"),
            offset=keras.ops.convert_to_tensor(self.beta, dtype="float32"),
            epsilon=self.epsilon,
        )
        old = self.momentum
        self.moving_mean.assign(self.moving_mean * old + mean * (1 - old))
        self.moving_variance.assign(self.moving_variance * old + variance * (1 - old))
        return outputs

    def _has_kernel(self, inputs: Any) -> bool:
        renorm = getattr(self, "renorm", False)  # Keras 3.8 does not know it
        return (
            keras.backend.backend() == "tensorflow"
            and self.scale
            and self.center
            and not renorm
            and not (self.synchronized and _has_other_devices())
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.compute_dtype in _FUSED_TYPES
            and self.variable_dtype == "float32"
        )


def _has_other_devices() -> bool:
    """Whether the batch is spread over several devices, whose statistics may have to be joined."""
    import tensorflow as tf  # as in `_normalise`

    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def _normalise(x: Any, *, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Normalise by the batch's own statistics.

    Args:
        x: (batch, height, width, channels), a tensor of TensorFlow.
        scale: (channels,) float32.
        offset: (channels,) float32.
        epsilon: added to the variance.

    Returns:
        x normalised, in its own type; mean and variance over n values, (channels,) float32.
    """
    import tensorflow as tf  # the kernel is TensorFlow's, and callers asked for the backend

    outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
        is_training=True,
    )
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
    return outputs, mean, unbiased * (tf.maximum(count - 1, 1) / count)
