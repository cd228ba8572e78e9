"""One step of training, written once for every `tf.distribute` strategy.

uint8 batch -> colour gain -> `encode` -> model -> `compute_loss` -> gradients, averaged over the
devices -> weight decay -> clipping -> optimizer -> moving average. All of it runs on the device,
in one graph that is traced once (twice with accumulation).

Batch normalisation: each device normalises its own batch unless the layers were built
`synchronized`; the moving statistics are the mean over all devices after every step, so that
every device always holds the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from .ema import WeightAverage
from .frozen import freeze
from .optimizer import (
    decayed_kernels,
    make_optimizer,
    share_rates,
    weight_decay_loss,
)
from .precision import LossScale
from .step_settings import StepSettings

Batch = Mapping[str, Any]


class TrainableSystem(Protocol):
    """What a step asks of a system."""

    def encode(self, batch: Batch) -> Any:
        """Targets from a batch, on the device."""

    def compute_loss(self, targets: Any, outputs: Any) -> Mapping[str, Any]:
        """Scalars of one device's batch, with `total`."""


def apply_channel_gain(batch: Batch) -> dict[str, Any]:
    """The batch with float32 images after colour augmentation.

    Args:
        batch: `image` (batch, height, width, 3) uint8 and, if colours change, `channel_gain`
            (batch, 3); values are multiplied and clipped to 0..255.
    """
    image = tf.cast(batch["image"], tf.float32)
    if "channel_gain" in batch:
        gain = batch["channel_gain"][:, tf.newaxis, tf.newaxis, :]  # (batch, 1, 1, 3)
        image = tf.clip_by_value(image * gain, 0.0, 255.0)
    return {**batch, "image": image}


def moving_statistics(model: keras.Model) -> list[keras.Variable]:
    """The moving means and variances of all normalisation layers that learn."""
    return [
        variable
        for layer in model.layers
        if layer.trainable
        for variable in layer.non_trainable_variables
        if variable.name.startswith("moving_")
    ]


class TrainStep:
    """A model, its optimizer and everything else that a step changes.

    Construct it after the model has its initial weights; it makes its variables under the
    strategy's scope.

    Attributes:
        model: built under the strategy's scope.
        optimizer: built, with its slots.
        average: the moving average of the weights, or None.
        loss_scale: of mixed_float16, or None.
        frozen: paths of the variables that are not trained.

    Raises:
        ValueError: as `frozen.freeze`.
    """

    def __init__(
        self,
        system: TrainableSystem,
        model: keras.Model,
        settings: StepSettings,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.system = system
        self.model = model
        self.settings = settings
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.frozen = freeze(model, settings.frozen)
        self._weights = list(model.trainable_variables)
        self._kernels = {id(kernel) for kernel in decayed_kernels(model)}
        self._shares = self._share_rates()
        self._statistics = moving_statistics(model)
        with self.strategy.scope():
            self.optimizer = make_optimizer(
                settings.optimizer, momentum=settings.momentum, nesterov=settings.nesterov
            )
            self.optimizer.build(self._weights)
            self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
            self.loss_scale = LossScale() if settings.precision == "mixed_float16" else None
            self._sums = self._make_sums() if settings.accumulate_steps > 1 else []
        self._update = tf.function(self._run_update, autograph=False)
        self._add = tf.function(self._run_add, autograph=False)

    def __call__(self, batches: Sequence[Any], learning_rate: float) -> dict[str, tf.Tensor]:
        """Make one update.

        Args:
            batches: `settings.accumulate_steps` (distributed) batches in the order of the data.
            learning_rate: of this update.

        Returns:
            The losses of the system, each () float32, mean over devices and batches, without
            the weight decay, and `gradient_norm` before clipping. They may still be computing.
        """
        rate = tf.constant(learning_rate, tf.float32)
        earlier = [self._add(batch) for batch in batches[:-1]]
        losses, norm = self._update(batches[-1], rate)
        count = len(batches)
        means = {
            name: value if count == 1 else tf.add_n([e[name] for e in earlier] + [value]) / count
            for name, value in losses.items()
        }
        return {**means, "gradient_norm": norm}

    def expect(self, spec: Any) -> None:
        """Trace once for all batches, where their pictures differ in size.

        Args:
            spec: `element_spec` of the batches; unless a side of known axes is unknown, nothing is
                done.
        """
        shapes = [leaf.shape for leaf in tf.nest.flatten(spec, expand_composites=True)]
        differ = any(not shape.is_fully_defined() for shape in shapes)
        if not differ or any(shape.rank is None for shape in shapes):
            return
        if self._sums:
            self._add.get_concrete_function(spec)
        self._update.get_concrete_function(spec, tf.TensorSpec((), tf.float32))

    @property
    def traces(self) -> int:
        """How many times a graph was made: 1, or 2 with accumulation."""
        return (
            self._update.experimental_get_tracing_count()
            + self._add.experimental_get_tracing_count()
        )

    def decay_loss(self) -> float:
        """The weight decay term of the present weights, for the log."""
        kernels = decayed_kernels(self.model)
        return float(weight_decay_loss(kernels, self.settings.weight_decay))

    def compute_gradients(self, batch: Batch) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """One device's gradients of the data loss, times the loss scale, and its losses.

        What the system also measures to be watched, `measure(targets, outputs)`, stands among
        these.

        Args:
            batch: of one device, in replica context (or without any strategy).

        Raises:
            ValueError: a weight has no influence on the loss.
        """
        batch = apply_channel_gain(batch)
        targets = self.system.encode(batch)
        with tf.GradientTape() as tape:
            outputs = self.model(batch["image"], training=True)
            losses = dict(self.system.compute_loss(targets, outputs))
            total = losses["total"]
            scaled = total * self.loss_scale.scale if self.loss_scale else total
        gradients = tape.gradient(scaled, [weight.value for weight in self._weights])
        idle = [w.path for w, g in zip(self._weights, gradients, strict=True) if g is None]
        if idle:
            raise ValueError(
                "Every trainable weight must have a share in the loss. Received a model where "
                f"{', '.join(idle[:5])} have none ({len(idle)} in all); freeze or remove them."
            )
        if hasattr(self.system, "measure"):
            losses |= self.system.measure(targets, outputs)
        return [tf.convert_to_tensor(g) for g in gradients], losses

    def _share_rates(self) -> list[float]:
        """For each weight its share of the learning rate.

        Raises:
            ValueError: they are to differ, and the system does not number its layers.
        """
        decay = self.settings.layer_decay
        if decay == 1:
            return [1.0] * len(self._weights)
        if not hasattr(self.system, "number_layers"):
            raise ValueError(
                "train.layer_decay is for a system that numbers its layers, such as "
                f"simple_baselines with the backbone vit; leave it at 1. Received {decay}."
            )
        return share_rates(self._weights, self.system.number_layers(self.model), decay)

    def _make_sums(self) -> list[tf.Variable]:
        return [
            tf.Variable(
                tf.zeros(weight.shape, tf.float32),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
                name=f"gradient_sum_{number}",
            )
            for number, weight in enumerate(self._weights)
        ]

    def _run_add(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Add the gradients of one batch to the sums that the next update takes."""

        def add(batch: Batch) -> dict[str, tf.Tensor]:
            gradients, losses = self._learn(batch)
            for total, gradient in zip(self._sums, gradients, strict=True):
                total.assign_add(gradient)
            return losses

        return self._mean_over_devices(self.strategy.run(add, args=(batch,)))

    def _run_update(self, batch: Batch, rate: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        gradients, norms, losses = self.strategy.run(self._reduced_gradients, args=(batch,))
        norm = self.strategy.experimental_local_results(norms)[0]  # equal on all devices
        if self.loss_scale is None:
            self._apply(gradients, rate)
        else:
            finite = tf.math.is_finite(norm)
            tf.cond(finite, lambda: self._apply(gradients, rate), lambda: tf.constant(False))
            self.loss_scale.update(finite)
        return self._mean_over_devices(losses), norm

    def _mean_over_devices(self, losses: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in losses.items()
        }

    def _reduced_gradients(
        self, batch: Batch
    ) -> tuple[list[tf.Tensor], tf.Tensor, dict[str, tf.Tensor]]:
        """On one device: the gradients that all devices apply, their norm, its own losses."""
        gradients, losses = self._learn(batch)
        if self._sums:
            gradients = self._take_sums(gradients)
        if self.replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        if self.loss_scale:
            gradients = [gradient / self.loss_scale.scale for gradient in gradients]
        gradients = self._add_weight_decay(gradients)
        norm = tf.linalg.global_norm(gradients)
        if self.settings.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip_norm, norm)
        return gradients, norm, losses

    def _take_sums(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """The mean with the accumulated gradients, whose sums start anew."""
        means = []
        for total, gradient in zip(self._sums, gradients, strict=True):
            means.append((total + gradient) / self.settings.accumulate_steps)
            total.assign(tf.zeros_like(gradient))
        return means

    def _learn(self, batch: Batch) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """`compute_gradients`, then every device gets the mean change of the moving statistics.

        Means of the changes, not of the values: frozen statistics stay what they are to the bit.
        """
        before = [tf.identity(variable.value) for variable in self._statistics]
        gradients, losses = self.compute_gradients(batch)
        if self.replicas > 1 and before:
            after = [tf.convert_to_tensor(variable.value) for variable in self._statistics]
            changes = [tf.reshape(new - old, [-1]) for new, old in zip(after, before, strict=True)]
            context = tf.distribute.get_replica_context()
            packed = context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.concat(changes, 0))
            parts = tf.split(packed, [value.shape.num_elements() for value in before])
            for variable, old, part in zip(self._statistics, before, parts, strict=True):
                variable.assign(old + tf.reshape(part, old.shape))
        return gradients, losses

    def _add_weight_decay(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        strength = self.settings.weight_decay
        if not strength or self.settings.optimizer == "adamw":
            return gradients
        return [
            gradient + strength * weight.value if id(weight) in self._kernels else gradient
            for weight, gradient in zip(self._weights, gradients, strict=True)
        ]

    def _apply(self, gradients: Sequence[Any], rate: tf.Tensor) -> tf.Tensor:
        """Move the weights, from the cross-replica context."""
        updates = tf.cast(self.optimizer.iterations.value, tf.float32)
        extended = self.strategy.extended
        decay = self.settings.weight_decay if self.settings.optimizer == "adamw" else 0.0
        for weight, gradient, share in zip(self._weights, gradients, self._shares, strict=True):
            decoupled = decay if id(weight) in self._kernels else 0.0
            own_rate = rate if share == 1 else share * rate
            moves = (gradient, own_rate, decoupled)
            extended.update(weight.value, self._move, args=moves, group=False)
        self.optimizer.iterations.assign_add(1)
        if self.average:
            self.average.update(updates)
        return tf.constant(True)

    def _move(
        self, weight: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor, decay: float
    ) -> None:
        if decay:
            weight.assign(weight * (1.0 - rate * decay))
        self.optimizer.update_step(gradient, weight, rate)
