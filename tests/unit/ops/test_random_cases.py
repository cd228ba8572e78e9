"""The compiled library equals the reference on whatever comes, exactly, several images a call."""

import numpy as np
import pytest

from poseras import ops
from poseras.ops import reference
from poseras.ops.compiled import BoxRule, PoseRule, suppress_arrays, suppress_one_image

QUICK, ALL = 60, 1_000
LARGEST = 2_000


def make_splits(rng, most):
    """Row splits of one to five images, some of them empty, of `most` rows at most."""
    rows = int(most * rng.random() ** 3)
    cuts = np.sort(rng.integers(0, rows + 1, rng.integers(0, 5)))
    return np.concatenate([[0], cuts, [rows]])


def make_scores(rng, rows):
    """Distinct, or with many ties, or all equal."""
    return [rng.random(rows), rng.integers(0, 8, rows) / 8, np.ones(rows)][rng.integers(3)]


def make_boxes(rng, rows):
    """Boxes from all overlapping to hardly any, of one size or of many, whole px or not."""
    side = rng.choice([0, 30, 300, 3_000, 30_000])
    sizes = rng.choice([0, 10, 40]) + np.exp(rng.uniform(0, rng.choice([1, 4, 8]), (rows, 2)))
    corners = rng.uniform(-side, side, (rows, 2))
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    return boxes.round() if rng.random() < 0.5 else boxes


def make_poses(rng, rows):
    """Keypoints in clusters, so that every OKS from 0 to 1 occurs."""
    joints = int(rng.integers(1, 25))
    centres = rng.uniform(0, rng.choice([10, 200, 2_000]), (rows, 1, 2))
    points = centres + rng.uniform(0, 60, (1, joints, 2)) + rng.normal(0, 5, (rows, joints, 2))
    visible = rng.random((rows, joints, 1))
    sigmas = rng.uniform(0.02, 0.2, joints)
    return np.concatenate([points, visible], axis=2), rng.uniform(0, 6_000, rows), sigmas


def choose_threshold(rng, overlaps):
    """A usual threshold, an end of the range, or exactly the overlap of one of the pairs."""
    met = rng.choice(overlaps.ravel()) if overlaps.size else 0.5
    return float(rng.choice([0.0, 0.3, 0.5, 0.9, 1.0, min(met, 1.0), min(met, 1.0)]))


def compare(rule, arrays, splits, threshold, max_kept):
    expected, expected_counts = rule.refer(*arrays, splits, threshold, max_kept=max_kept)
    kept, counts = suppress_arrays(rule, arrays, splits, threshold, max_kept)
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(counts, expected_counts)
    alone = suppress_one_image(rule, arrays, threshold)
    expected, counts = rule.refer(*arrays, None, threshold, max_kept=None)
    np.testing.assert_array_equal(alone, expected[0, : counts[0]])


def compare_boxes(seed):
    rng = np.random.default_rng([1, seed])
    splits = make_splits(rng, LARGEST)
    boxes, scores = make_boxes(rng, splits[-1]), make_scores(rng, splits[-1])
    rule = BoxRule(bool(rng.integers(2)), bool(rng.integers(2)))
    overlaps = ops.box_iou(boxes[:50], boxes[:50], plus_one=rule.plus_one)
    max_kept = [None, None, int(rng.integers(0, 50))][rng.integers(3)]
    compare(rule, (boxes, scores), splits, choose_threshold(rng, overlaps), max_kept)


def compare_poses(seed):
    rng = np.random.default_rng([2, seed])
    splits = make_splits(rng, LARGEST // 2)
    keypoints, areas, sigmas = make_poses(rng, splits[-1])
    scores = make_scores(rng, splits[-1])
    counted = ["all", "second_visible", "both_visible"][rng.integers(3)]
    rule = PoseRule(sigmas, counted, float(rng.choice([0.0, 0.4])))
    overlaps = ops.oks_matrix(
        keypoints[:50],
        areas[:50],
        sigmas=sigmas,
        counted=counted,
        visibility_threshold=rule.visibility_threshold,
    )
    max_kept = [None, None, int(rng.integers(0, 50))][rng.integers(3)]
    compare(rule, (keypoints, scores, areas), splits, choose_threshold(rng, overlaps), max_kept)


@pytest.mark.parametrize("compare_kind", [compare_boxes, compare_poses])
def test_the_library_equals_the_reference_on_random_cases(compare_kind, compiled_library):
    for seed in range(QUICK):
        compare_kind(seed)


@pytest.mark.slow
@pytest.mark.parametrize("compare_kind", [compare_boxes, compare_poses])
def test_the_library_equals_the_reference_on_many_random_cases(compare_kind, compiled_library):
    for seed in range(QUICK, QUICK + ALL):
        compare_kind(seed)


def test_threads_of_a_batch_do_not_meet(compiled_library):
    rng = np.random.default_rng(8)
    splits = np.arange(0, 30_001, 30)
    boxes, scores = make_boxes(rng, 30_000), rng.random(30_000)
    expected, counts = reference.nms_batched(boxes, scores, splits, 0.5)
    for _ in range(5):
        kept, found = ops.nms_batched(boxes, scores, splits, 0.5)
        np.testing.assert_array_equal(kept, expected)
        np.testing.assert_array_equal(found, counts)
