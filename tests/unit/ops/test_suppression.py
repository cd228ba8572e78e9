"""One table of cases, and the definition, on every way of suppressing."""

import numpy as np
import pytest

from poseras import ops

A, B, FAR = [0, 0, 9, 9], [0, 0, 9, 4], [50, 50, 59, 59]  # plus one: IoU(A, B) is exactly 0.5
CHAIN = [[0, 0, 9, 9], [0, 4, 9, 13], [0, 8, 9, 17]]  # neighbours 3/7, ends 1/9 (plus one)
LARGE = [0, 0, 99, 99]
TILES = [[10 * (i % 10), i // 10 * 10, 10 * (i % 10) + 9, i // 10 * 10 + 9] for i in range(100)]

# boxes, scores, threshold, options, kept
BOX_CASES = {
    "empty": ([], [], 0.5, {}, []),
    "one": ([A], [0.3], 0.5, {}, [0]),
    "two identical": ([A, A], [0.3, 0.4], 0.5, {}, [1]),
    "two identical, one score": ([A, A], [0.3, 0.3], 0.5, {}, [1]),
    "three apart, one score": ([A, FAR, [99, 0, 109, 9]], [1, 1, 1], 0.5, {}, [2, 1, 0]),
    "exactly at the threshold": ([A, B], [0.9, 0.8], 0.5, {}, [0, 1]),
    "exactly at the threshold, inclusive": ([A, B], [0.9, 0.8], 0.5, {"inclusive": True}, [0]),
    "just above the threshold": ([A, B], [0.9, 0.8], 0.499, {}, [0]),
    # the middle one falls to the first, so the last, which only overlaps the middle, stays
    "chain": (CHAIN, [0.9, 0.8, 0.7], 0.4, {}, [0, 2]),
    "chain from the middle": (CHAIN, [0.8, 0.9, 0.7], 0.4, {}, [1]),
    "threshold 0": ([A, B, FAR], [0.9, 0.8, 0.7], 0, {}, [0, 2]),
    "threshold 0, inclusive": ([A, B, FAR], [0.9, 0.8, 0.7], 0, {"inclusive": True}, [0]),
    "threshold 1": ([A, A, FAR], [0.9, 0.8, 0.7], 1, {}, [0, 1, 2]),
    "threshold 1, inclusive": ([A, A, FAR], [0.9, 0.8, 0.7], 1, {"inclusive": True}, [0, 2]),
    "touching edges, plus one": ([[0, 0, 9, 9], [9, 0, 18, 9]], [2, 1], 0, {}, [0]),
    "touching edges, plain": (
        [[0, 0, 9, 9], [9, 0, 18, 9]],
        [2, 1],
        0,
        {"plus_one": False},
        [0, 1],
    ),
    "points, plus one": ([[3, 3, 3, 3], [3, 3, 3, 3]], [1, 2], 0.5, {}, [1]),
    "points, plain": ([[3, 3, 3, 3], [3, 3, 3, 3]], [1, 2], 0.5, {"plus_one": False}, [1, 0]),
    "infinite scores": ([A, FAR, FAR], [-np.inf, 1, np.inf], 0.5, {}, [2, 0]),
    "two zeros are one score": ([A, FAR], [0.0, -0.0], 0.5, {}, [1, 0]),
    # 1e308 overflows: such a box overlaps nothing
    "enormous boxes": ([[0, 0, 1e308, 1e308]] * 2, [2, 1], 0.5, {}, [0, 1]),
    "edges beyond whole numbers": ([[2.0**53] * 4] * 2, [2, 1], 0.5, {}, [0]),
    "boxes smaller than the smallest normal number": (
        [[0, 0, 1e-160, 1e-160], [0, 0, 1e-160, 2e-161]],
        [2, 1],
        0.1,
        {"plus_one": False},
        [0],
    ),
    "one large box before small ones": ([LARGE, *TILES], [100, *range(100)], 0.005, {}, [0]),
    "small ones before a large box": (
        [LARGE, *TILES],
        [-1, *range(100)],
        0.005,
        {},
        list(range(100, 0, -1)),
    ),
    "negative scores": ([A, FAR], [-2, -1], 0.5, {}, [1, 0]),
}


def boxes_array(boxes):
    return np.array(boxes, np.float64).reshape(-1, 4)


def random_boxes(rng, count, side):
    corner = rng.uniform(0, side, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], axis=1)


def slow_nms(similarity, scores, threshold, inclusive=False):
    """One row at a time, by the definition."""
    order = sorted(range(len(scores)), key=lambda row: (scores[row], row), reverse=True)
    kept = []
    for row in order:
        worst = max((similarity[better, row] for better in kept), default=-1)
        if not (worst >= threshold if inclusive else worst > threshold):
            kept.append(row)
    return kept


# --- boxes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", BOX_CASES, ids=str)
def test_box_nms_keeps_what_a_person_would(case, suppression):
    if "smallest" in case and suppression.way == "traced tensors without the op":
        pytest.skip("TensorFlow's threads, in which NumPy runs then, flush such numbers to zero")
    boxes, scores, threshold, options, kept = BOX_CASES[case]
    found = suppression.nms(boxes_array(boxes), np.array(scores, float), threshold, **options)
    assert found == kept


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("plus_one", [False, True])
@pytest.mark.parametrize(("count", "side"), [(5, 60), (63, 100), (64, 300), (65, 30), (400, 200)])
def test_box_nms_equals_its_definition_at_every_size(count, side, plus_one, inclusive, suppression):
    rng = np.random.default_rng(count)
    for threshold in (0.0, 0.3, 1.0):
        boxes = np.round(random_boxes(rng, count, side))
        scores = rng.integers(0, 10, count) / 10  # many ties
        iou = ops.box_iou(boxes, boxes, plus_one=plus_one)
        options = {"plus_one": plus_one, "inclusive": inclusive}
        kept = suppression.nms(boxes, scores, threshold, **options)
        assert kept == slow_nms(iou, scores, threshold, inclusive)


def test_single_precision_and_whole_numbers_are_taken(suppression):
    for kind in (np.float32, np.float16, np.int32, np.uint8):
        boxes, scores = np.array([A, B, FAR], kind), np.array([1, 2, 3], kind)
        assert suppression.nms(boxes, scores, 0.4) == [2, 1]


# --- poses ----------------------------------------------------------------------------------------

SIGMAS = np.array([0.05, 0.1, 0.05])


def pose(x, y=0.0, third=None):
    points = np.array([[x, y], [x + 10, y], [x, y + 10]], float)
    return points if third is None else np.concatenate([points, np.array(third)[:, None]], 1)


POSE_CASES = {
    "empty": (np.zeros((0, 3, 2)), [], [], 0.5, []),
    "one": ([pose(0)], [0.1], [100], 0.5, [0]),
    "two identical": ([pose(0), pose(0)], [0.1, 0.2], [100, 100], 0.9, [1]),
    "two identical, one score": ([pose(0), pose(0)], [0.1, 0.1], [100, 100], 0.9, [1]),
    "three apart, one score": (
        [pose(0), pose(90), pose(180)],
        [1, 1, 1],
        [100] * 3,
        0.5,
        [2, 1, 0],
    ),
    "chain": ([pose(0), pose(2), pose(4)], [0.9, 0.8, 0.7], [100] * 3, 0.2, [0, 2]),
    "threshold 0": ([pose(0), pose(4), pose(9999)], [3, 2, 1], [100] * 3, 0, [0, 2]),
    "threshold 1": ([pose(0), pose(0)], [3, 2], [100] * 2, 1, [0, 1]),
}


@pytest.mark.parametrize("case", POSE_CASES, ids=str)
def test_oks_nms_keeps_what_a_person_would(case, suppression):
    poses, scores, areas, threshold, kept = POSE_CASES[case]
    arrays = np.array(scores, float), np.array(areas, float)
    assert suppression.oks_nms(np.array(poses), *arrays, threshold, sigmas=SIGMAS) == kept


@pytest.mark.parametrize(
    ("counted", "kept"), [("all", [0]), ("second_visible", [0, 1]), ("both_visible", [0, 1, 2])]
)
def test_oks_nms_counts_the_joints_that_it_is_told_to(counted, kept, suppression):
    # the second lies on the first but shows nothing, the third on the second's hidden joints
    poses = [pose(0, third=[0, 0, 1]), pose(0, third=[0, 0, 0]), pose(0, third=[1, 0, 0])]
    arrays = np.array(poses), [3.0, 2.0, 1.0], [100.0] * 3
    options = {"sigmas": SIGMAS, "counted": counted, "visibility_threshold": 0.5}
    assert suppression.oks_nms(*arrays, 0.5, **options) == kept


@pytest.mark.parametrize("counted", ["all", "second_visible", "both_visible"])
@pytest.mark.parametrize("count", [7, 64, 65, 150])
def test_oks_nms_equals_its_definition_at_every_size(count, counted, suppression):
    rng = np.random.default_rng(count)
    poses = rng.uniform(0, 30, (count, 5, 3)) / [1, 1, 30]
    scores, areas = rng.integers(0, 9, count) / 9, rng.uniform(500, 4000, count)
    options = {"sigmas": np.full(5, 0.1), "counted": counted, "visibility_threshold": 0.4}
    similarity = ops.oks_matrix(poses, areas, **options)
    for threshold in (0.0, 0.3, 0.6):
        kept = suppression.oks_nms(poses, scores, areas, threshold, **options)
        assert kept == slow_nms(similarity, scores, threshold)
    assert 1 < len(kept) < count


# --- several images -------------------------------------------------------------------------------


def test_batched_nms_treats_each_image_alone_and_pads_with_minus_one(suppression):
    arrays = boxes_array([A, A, FAR, A, B]), [1.0, 2.0, 3.0, 4.0, 5.0], [0, 3, 3, 5]
    kept, counts = suppression.nms_batched(*arrays, 0.5)
    assert kept.tolist() == [[2, 1, -1], [-1, -1, -1], [4, 3, -1]]
    assert counts.tolist() == [2, 0, 2]
    assert kept.dtype == counts.dtype == np.int64
    kept, counts = suppression.nms_batched(*arrays, 0.5, max_kept=1)
    assert kept.tolist() == [[2], [-1], [4]]
    assert counts.tolist() == [1, 0, 1]
    kept, counts = suppression.nms_batched(*arrays, 0.5, max_kept=0)
    assert kept.shape == (3, 0) and counts.tolist() == [0, 0, 0]
    kept, counts = suppression.nms_batched(*arrays, 0.5, max_kept=4)
    assert kept.tolist() == [[2, 1, -1, -1], [-1] * 4, [4, 3, -1, -1]]


def test_batched_nms_takes_no_images_and_images_without_boxes(suppression):
    nothing = np.zeros((0, 4))
    kept, counts = suppression.nms_batched(nothing, [], [0], 0.5)
    assert kept.shape == (0, 0) and counts.shape == (0,)
    kept, counts = suppression.nms_batched(nothing, [], [0, 0, 0], 0.5, max_kept=2)
    assert kept.tolist() == [[-1, -1]] * 2 and counts.tolist() == [0, 0]


def test_batched_forms_equal_one_call_per_image(suppression):
    rng = np.random.default_rng(11)
    splits = np.array([0, 70, 70, 71, 200])
    boxes, scores = random_boxes(rng, 200, 80), rng.integers(0, 20, 200) / 20
    poses, areas = rng.uniform(0, 30, (200, 3, 2)), rng.uniform(500, 4000, 200)
    for batched, single, arrays, options in (
        (suppression.nms_batched, suppression.nms, (boxes, scores), {}),
        (
            suppression.oks_nms_batched,
            suppression.oks_nms,
            (poses, scores, areas),
            {"sigmas": SIGMAS * 2},
        ),
    ):
        kept, counts = batched(*arrays, splits, 0.5, **options)
        for image, (start, end) in enumerate(zip(splits[:-1], splits[1:], strict=True)):
            alone = single(*(a[start:end] for a in arrays), 0.5, **options)
            assert kept[image, : counts[image]].tolist() == [row + start for row in alone]
            assert (kept[image, counts[image] :] == -1).all()


def test_arrays_are_suppressed_at_once_while_a_function_is_traced(compiled_library):
    import tensorflow as tf

    def kept() -> tf.Tensor:
        one, _ = ops.nms_batched([A, A, FAR], [1, 2, 3], [0, 3], 0.5)
        assert isinstance(one, np.ndarray)
        return tf.constant(one)

    assert tf.function(kept)().numpy().tolist() == [[2, 1, -1]]


@pytest.mark.parametrize(
    "suppression", ["traced tensors", "traced tensors without the op"], indirect=True
)
def test_a_traced_function_knows_the_shape_of_its_result(suppression):
    import tensorflow as tf

    @tf.function
    def suppress(boxes, scores, splits):
        kept, counts = ops.nms_batched(boxes, scores, splits, 0.5, max_kept=7)
        assert kept.shape == (2, 7) and counts.shape == (2,)
        return kept

    kept = suppress(tf.constant([A], tf.float32), tf.constant([1]), tf.constant([0, 0, 1]))
    assert kept.numpy().tolist() == [[-1] * 7, [0, *[-1] * 6]]


def test_inputs_are_left_as_they_were(suppression):
    boxes, scores = boxes_array([A, B, FAR]), np.array([0.9, 0.8, 0.7])
    before = boxes.copy(), scores.copy()
    suppression.nms(boxes, scores, 0.5)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(scores, before[1])


def test_arrays_that_are_not_contiguous_are_read_right(suppression):
    boxes, scores = boxes_array([A, B, FAR, FAR]), np.array([0.9, 0.8, 0.7, 0.6])
    turned = np.asfortranarray(boxes)[::-1]
    assert suppression.nms(turned, scores[::-1], 0.4) == [3, 1]
