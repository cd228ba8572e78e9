"""Every way of suppressing refuses the same input in the same words, and none falls over."""

import subprocess
import sys

import numpy as np
import pytest

from poseras.ops import library

A, B = [0, 0, 9, 9], [0, 0, 9, 4]
SIGMAS = np.array([0.05, 0.1, 0.05])


def pose(x):
    return np.array([[x, 0], [x + 10, 0], [x, 10]], float)


def refusals(suppression):
    """Of arrays a ValueError; of tensors TensorFlow's own, or a ValueError when traced."""
    if suppression.way == "reference" or suppression.way.startswith("arrays"):
        return ValueError
    import tensorflow as tf

    return (ValueError, tf.errors.InvalidArgumentError)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "message"),
    [
        (A, [1], 0.5, r"boxes_xyxy must have shape \(boxes, 4\). Received \(4,\)"),
        ([[1, 2, 3]], [1], 0.5, r"\(boxes, 4\). Received \(1, 3\)"),
        ([A], [[1]], 0.5, r"scores must have shape \(1,\). Received \(1, 1\)"),
        ([A, B], [1], 0.5, r"one value per box \(2\). Received 1"),
        ([A, B], [1, np.nan], 0.5, r"scores must not be NaN. Received nan in row 1"),
        ([A, [0, 0, np.inf, 9]], [1, 2], 0.5, r"must be finite. Received \[.*inf, 9.0\] in row 1"),
        ([A, [np.nan] * 4], [1, 2], 0.5, r"boxes_xyxy must be finite"),
        ([A, [9, 0, 0, 9]], [1, 2], 0.5, r"must have x2 >= x1 and y2 >= y1 .*row 1"),
        ([A, [0, 9, 9, 0]], [1, 2], 0.5, r"must have x2 >= x1 and y2 >= y1 .*row 1"),
        ([A], [1], 1.5, r"threshold must be between 0 and 1. Received 1.5"),
        ([A], [1], -0.1, r"threshold must be between 0 and 1"),
        ([A], [1], np.nan, r"threshold must be between 0 and 1. Received nan"),
        ([["a"] * 4], [1], 0.5, r"boxes_xyxy must hold real numbers. Received dtype <U1"),
        ([[1j] * 4], [1], 0.5, r"boxes_xyxy must hold real numbers. Received dtype complex128"),
        ([None], [1], 0.5, r"boxes_xyxy must hold real numbers. Received dtype object"),
    ],
)
def test_box_nms_names_the_rule_and_what_it_received(
    boxes, scores, threshold, message, suppression
):
    if boxes == [None] and "tensors" in suppression.way:
        pytest.skip("there is no such tensor")
    if "must hold real numbers" in message and "tensors" in suppression.way:
        message = "boxes_xyxy must hold real numbers. Received dtype"
    with pytest.raises(refusals(suppression), match=message):
        suppression.nms(boxes, scores, threshold)
    with pytest.raises(refusals(suppression), match=message):
        suppression.nms_batched(boxes, scores, [0, len(scores)], threshold)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [[1, 2], [3, 4]]}, r"\(people, joints, 2 or 3\). Received \(2, 2\)"),
        ({"keypoints": np.zeros((2, 3, 4))}, r"\(people, joints, 2 or 3\). Received \(2, 3, 4\)"),
        ({"keypoints": np.full((2, 3, 2), np.inf)}, r"keypoints must be finite"),
        ({"keypoints": np.full((2, 3, 2), np.nan)}, r"keypoints must be finite"),
        ({"scores": [1, 2, 3]}, r"scores must have one value per person \(2\). Received 3"),
        ({"scores": [np.nan, 1]}, r"scores must not be NaN"),
        ({"areas": [1]}, r"areas must have one value per person \(2\). Received 1"),
        ({"areas": [1, -2]}, r"finite and not negative. Received -2.0 in row 1"),
        ({"areas": [np.inf, 2]}, r"finite and not negative. Received inf in row 0"),
        ({"sigmas": [0.1]}, r"sigmas must have one value per joint \(3\). Received 1"),
        ({"sigmas": [0.1, 0, 0.1]}, r"finite and positive. Received 0.0 in row 1"),
        ({"counted": "visible"}, r"counted must be all, .*Received 'visible'"),
        ({"counted": "both_visible"}, r"\(people, joints, 3\) to count both_visible"),
        ({"threshold": 2}, r"threshold must be between 0 and 1. Received 2"),
    ],
)
def test_oks_nms_names_the_rule_and_what_it_received(change, message, suppression):
    arguments = {
        "keypoints": [pose(0), pose(1)],
        "scores": [1, 2],
        "areas": [1, 2],
        "threshold": 0.5,
        "sigmas": SIGMAS,
        **change,
    }
    with pytest.raises(refusals(suppression), match=message):
        suppression.oks_nms(**arguments)
    with pytest.raises(refusals(suppression), match=message):
        suppression.oks_nms_batched(**arguments, row_splits=[0, 2])


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([0, 3], r"row_splits must rise from 0 to the 2 rows. Received \[0, 3\]"),
        ([1, 2], r"row_splits must rise from 0"),
        ([0, 2, 1, 2], r"row_splits must rise from 0"),
        ([], r"row_splits must have shape \(images \+ 1,\)"),
        ([[0, 2]], r"row_splits must have shape \(images \+ 1,\)"),
        ([0.0, 2.0], r"hold integers. .*dtype float64"),
    ],
)
def test_row_splits_that_do_not_add_up_are_refused(splits, message, suppression):
    with pytest.raises(refusals(suppression), match=message):
        suppression.nms_batched([A, B], [1, 2], splits, 0.5)


def test_a_negative_limit_is_refused(suppression):
    with pytest.raises(refusals(suppression), match="max_kept must not be negative. Received -1"):
        suppression.nms_batched([A, B], [1, 2], [0, 2], 0.5, max_kept=-1)


def test_the_kernel_counts_minus_one_where_a_score_is_no_number(compiled_library):
    boxes, scores = np.array([A, B, A], float), np.array([1, 2, np.nan])
    nms = compiled_library.operations.poseras_box_nms
    kept, counts = nms(boxes, scores, [0, 2, 3], 0.4, -1)
    assert counts.numpy().tolist() == [1, -1]
    assert kept.numpy().tolist() == [[1, -1], [-1, -1]]


FUZZ = """
import itertools, sys
import numpy as np
import tensorflow as tf
from poseras import ops
from poseras.ops import library
from pathlib import Path

library.LIBRARY = Path(sys.argv[1])
operations = library.load_library().operations
rng = np.random.default_rng(int(sys.argv[2]))
SHAPES = [(), (0,), (1,), (3,), (4,), (0, 4), (1, 4), (3, 4), (4, 3), (3, 5), (3, 0), (0, 0),
          (3, 4, 1), (3, 2, 2), (3, 2, 3), (3, 0, 2), (0, 5, 3), (3, 5, 4), (1, 1, 1, 2)]
SPLITS = [[0, 3], [0], [], [0, 0], [0, 1, 3], [0, 2, 1, 3], [-1, 3], [0, 2**62], [3, 0],
          [[0, 3]], 0]
TYPES = [np.float64, np.float32, np.int32, np.int64, np.bool_, np.complex64, np.str_]
SPECIAL = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0]
calls = refused = 0

def numbers(shape, kind=np.float64):
    values = np.asarray(rng.uniform(-5, 5, shape))
    if values.size and rng.random() < 0.3:
        values.flat[rng.integers(values.size)] = rng.choice(SPECIAL)
    if rng.random() < 0.5:
        values = np.sort(values, axis=-1) if values.ndim else values
    with np.errstate(invalid="ignore"):
        return values.astype(kind)

def pick(choices):
    return choices[rng.integers(len(choices))]

def attempt(function, *arguments, **options):
    global calls, refused
    calls += 1
    try:
        function(*arguments, **options)
    except (ValueError, TypeError, OverflowError, MemoryError, tf.errors.OpError):
        refused += 1

for _ in range(int(sys.argv[3])):
    likely = rng.random() < 0.5
    boxes = numbers((3, 4) if likely else pick(SHAPES), np.float64 if likely else pick(TYPES))
    scores = numbers((3,) if likely else pick(SHAPES), np.float64 if likely else pick(TYPES))
    splits, limit = pick(SPLITS), pick([-2, -1, 0, 1, 5, 2**62])
    threshold = pick([0.0, 0.5, 1.0, 2.0, -1.0, np.nan])
    attempt(operations.poseras_box_nms, boxes, scores, splits, threshold, limit)
    attempt(ops.nms, boxes, scores, threshold, plus_one=False)
    attempt(ops.nms_batched, boxes, scores, splits, threshold, inclusive=True)
    poses = numbers((3, 2, 3) if likely else pick(SHAPES), np.float64 if likely else pick(TYPES))
    areas = numbers((3,) if likely else pick(SHAPES))
    sigmas = numbers((2,) if likely else pick(SHAPES))
    counted = pick(["all", "second_visible", "both_visible", "none"])
    visible = pick([0.0, np.nan, np.inf])
    attempt(operations.poseras_oks_nms, poses, scores, areas, splits, threshold, limit, sigmas,
            visible, counted=counted)
    attempt(ops.oks_nms, poses, scores, areas, threshold, sigmas=sigmas, counted=counted)
    attempt(ops.oks_nms_batched, poses, scores, areas, splits, threshold, sigmas=sigmas)
print("calls", calls, "refused", refused)
assert 0 < refused < calls
"""


@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 100), pytest.param(2, 800, marks=pytest.mark.slow)]
)
def test_no_shape_and_no_type_ends_the_process(seed, rounds, compiled_library):
    command = [sys.executable, "-c", FUZZ, str(library.LIBRARY), str(seed), str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.startswith(f"calls {6 * rounds} refused")
