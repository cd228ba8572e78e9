"""Suppression by the compiled operation: arrays in and out, or tensors in and out.

Whatever the operation refuses is given to the reference, which says why in the one set of words
that there is. The values of tensors are never looked at here, so that a function can be traced.
"""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import reference
from .arguments import check_sigmas
from .library import Library, load_library
from .overlap import CountedJoints

Kept = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BoxRule:
    """When one box removes another, but for the threshold: the options of `suppression.nms`."""

    plus_one: bool
    inclusive: bool

    names = ("boxes_xyxy", "scores")

    def accepts_options(self) -> bool:
        """Whether the operation can be asked."""
        return True

    def call(self, library: Library, *inputs: Any) -> tuple[Any, Any]:
        """The operation: arrays, row splits, threshold, limit -> kept, counts, all tensors."""
        options = {"plus_one": bool(self.plus_one), "inclusive": bool(self.inclusive)}
        return library.operations.poseras_box_nms(*inputs, **options)

    def call_for_one_image(
        self, library: Library, arrays: list[np.ndarray], threshold: float, kept: np.ndarray
    ) -> int:
        """Fill kept (boxes,); how many, or -1 where the input is refused."""
        boxes, scores = arrays
        if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != kept.shape:
            return -1
        return library.functions.poseras_nms(
            boxes.ctypes.data,
            scores.ctypes.data,
            len(boxes),
            threshold,
            bool(self.plus_one),
            bool(self.inclusive),
            kept.ctypes.data,
        )

    def refer(self, *inputs: Any, max_kept: int | None) -> Kept:
        """The reference; inputs are the arrays, row splits and the threshold."""
        options = {"plus_one": self.plus_one, "inclusive": self.inclusive}
        return reference.nms_batched(*inputs, **options, max_kept=max_kept)


@dataclass(frozen=True)
class PoseRule:
    """When one pose removes another, but for the threshold: the options of `oks_nms`."""

    sigmas: ArrayLike
    counted: CountedJoints
    visibility_threshold: float

    names = ("keypoints", "scores", "areas")

    def accepts_options(self) -> bool:
        """Whether the operation can be asked: it checks the options less than the reference."""
        sigmas = np.asarray(self.sigmas)
        return (
            sigmas.dtype.kind in "iuf"
            and bool(np.isfinite(sigmas).all() and (sigmas > 0).all())
            and self.counted in ("all", "second_visible", "both_visible")
        )

    def call(self, library: Library, *inputs: Any) -> tuple[Any, Any]:
        """The operation: arrays, row splits, threshold, limit -> kept, counts, all tensors."""
        sigmas, visible = np.asarray(self.sigmas, np.float64), float(self.visibility_threshold)
        return library.operations.poseras_oks_nms(*inputs, sigmas, visible, counted=self.counted)

    def call_for_one_image(
        self, library: Library, arrays: list[np.ndarray], threshold: float, kept: np.ndarray
    ) -> int:
        """Fill kept (people,); how many, or -1 where the input is refused."""
        keypoints, scores, areas = arrays
        sigmas = np.ascontiguousarray(self.sigmas, np.float64)
        if keypoints.ndim != 3 or keypoints.shape[1] == 0 or keypoints.shape[2] not in (2, 3):
            return -1
        if self.counted != "all" and keypoints.shape[2] != 3:
            return -1
        if not scores.shape == areas.shape == kept.shape or sigmas.shape != keypoints.shape[1:2]:
            return -1
        return library.functions.poseras_oks_nms(
            *(array.ctypes.data for array in (*arrays, sigmas)),
            *keypoints.shape,
            threshold,
            float(self.visibility_threshold),
            self.counted == "both_visible",
            self.counted != "all",
            kept.ctypes.data,
        )

    def refer(self, *inputs: Any, max_kept: int | None) -> Kept:
        """The reference; inputs are the arrays, row splits and the threshold."""
        return reference.oks_nms_batched(
            *inputs,
            sigmas=self.sigmas,
            counted=self.counted,
            visibility_threshold=self.visibility_threshold,
            max_kept=max_kept,
        )


def any_tensor(*values: Any) -> bool:
    """Whether one of the values is a TensorFlow tensor or variable, eager or symbolic."""
    others = [value for value in values if not isinstance(value, np.ndarray | list | None)]
    tensorflow = sys.modules.get("tensorflow")  # without it nobody has made a tensor
    return tensorflow is not None and any(tensorflow.is_tensor(value) for value in others)


def suppress_one_image(
    rule: BoxRule | PoseRule, arrays: tuple[ArrayLike, ...], threshold: float
) -> np.ndarray | None:
    """What `suppression.nms` returns; None without the library, or where it refuses.

    Args:
        rule: boxes or poses, with their options.
        arrays: those that `rule.names` lists.
        threshold: 0..1.
    """
    library = load_library()
    numbers = _all_numbers(arrays)
    bound = float(threshold)
    if library is None or numbers is None or not rule.accepts_options() or not 0 <= bound <= 1:
        return None
    kept = np.empty(numbers[0].shape[:1], np.int64)
    count = rule.call_for_one_image(library, numbers, bound, kept)
    return None if count < 0 else kept[:count]


def suppress_arrays(
    rule: BoxRule | PoseRule,
    arrays: tuple[ArrayLike, ...],
    row_splits: ArrayLike,
    threshold: float,
    max_kept: int | None,
) -> Kept | None:
    """What `suppression.nms_batched` returns; None without the library, or where it refuses.

    Args:
        rule: boxes or poses, with their options.
        arrays: those that `rule.names` lists.
        row_splits: (images + 1,).
        threshold: 0..1.
        max_kept: None keeps as many as the fullest image holds.
    """
    library = load_library()
    numbers, splits, limit = _all_numbers(arrays), np.asarray(row_splits), _limit(max_kept)
    if library is None or numbers is None or limit is None or splits.dtype.kind not in "iu":
        return None
    if not rule.accepts_options():
        return None
    import tensorflow as tf

    # Arrays lie in host memory, so the operation runs there, and at once, even where a function is
    # being traced.
    with tf.init_scope(), tf.device("CPU:0"):
        inputs = (*numbers, splits.astype(np.int64, copy=False), float(threshold), limit)
        try:
            kept, counts = rule.call(library, *inputs)
        except tf.errors.InvalidArgumentError:
            return None
        counted = counts.numpy()
        return None if (counted < 0).any() else (kept.numpy(), counted)


def suppress_tensors(
    rule: BoxRule | PoseRule,
    arrays: tuple[Any, ...],
    row_splits: Any | None,
    threshold: Any,
    max_kept: int | None,
) -> tuple[Any, Any]:
    """`suppress_arrays` of tensors, with the reference for what the operation does not answer."""
    import tensorflow as tf

    tensors = [_tensor(name, values) for name, values in zip(rule.names, arrays, strict=True)]
    if isinstance(rule, PoseRule):
        check_sigmas(rule.sigmas, np.size(rule.sigmas))
    splits, bound = _split_tensor(row_splits, tensors[0]), _bound(threshold)
    inputs = [*tensors, splits, bound]
    library, limit = load_library(), _limit(max_kept)
    refer = partial(_refer, rule, inputs, max_kept)
    if library is None or limit is None or not rule.accepts_options():
        return refer()
    kept, counts = rule.call(library, *inputs, limit)
    return tf.cond(tf.reduce_any(counts < 0), refer, lambda: (kept, counts))


def _all_numbers(arrays: tuple[ArrayLike, ...]) -> list[np.ndarray] | None:
    """Contiguous float64 arrays, or None if one holds no real numbers."""
    found = [np.asarray(values) for values in arrays]
    if any(array.dtype.kind not in "biuf" for array in found):
        return None
    return [np.asarray(array, np.float64, order="C") for array in found]


def _limit(max_kept: int | None) -> int | None:
    """As the operation wants it, -1 for no limit; None if it is negative."""
    if max_kept is None:
        return -1
    limit = operator.index(max_kept)
    return limit if limit >= 0 else None


def _tensor(name: str, values: Any) -> Any:
    """A float64 tensor.

    Raises:
        ValueError: it holds no real numbers.
    """
    import tensorflow as tf

    tensor = tf.convert_to_tensor(values)
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise ValueError(f"{name} must hold real numbers. Received dtype {tensor.dtype.name}.")
    return tf.cast(tensor, tf.float64)


def _bound(threshold: Any) -> Any:
    """The threshold as a float64 tensor; a Python number is never rounded to single precision."""
    import tensorflow as tf

    if tf.is_tensor(threshold):
        return tf.cast(threshold, tf.float64)
    return tf.constant(float(threshold), tf.float64)


def _split_tensor(row_splits: Any | None, rows: Any) -> Any:
    """Row splits as an int64 tensor; all rows belong to one image if there are none.

    Raises:
        ValueError: they hold no integers.
    """
    import tensorflow as tf

    if row_splits is None:
        return tf.concat([[0], tf.shape(rows, tf.int64)[:1]], axis=0)
    splits = tf.convert_to_tensor(row_splits)
    if not splits.dtype.is_integer:
        raise ValueError(
            "row_splits must have shape (images + 1,) and hold integers. "
            f"Received shape {splits.shape}, dtype {splits.dtype.name}."
        )
    return tf.cast(splits, tf.int64)


def _refer(rule: BoxRule | PoseRule, inputs: list[Any], max_kept: int | None) -> tuple[Any, Any]:
    """The reference, called when the values of the tensors are there."""
    import tensorflow as tf

    function = partial(rule.refer, max_kept=max_kept)
    kept, counts = tf.numpy_function(function, inputs, [tf.int64, tf.int64])
    splits = inputs[-2].shape
    images = splits[0] - 1 if splits.rank == 1 and splits[0] else None
    kept.set_shape((images, None if max_kept is None else max(max_kept, 0)))
    counts.set_shape((images,))
    return kept, counts
