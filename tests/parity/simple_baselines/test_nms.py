"""Overlaps and suppression against the published NumPy, Cython and HRNet versions."""

import re

import numpy as np
import pytest
import tensorflow as tf

from poseras import ops
from poseras.data.dataset import load_dataset
from poseras.ops import reference

FILE = "simple_baselines/nms.npz"
# The original's arithmetic in its own double precision, but for the order of a sum.
MATRIX_ATOL = 1e-9


def by_reference(single):
    """The NumPy reference, called like ops.nms or ops.oks_nms."""
    batched = {ops.nms: reference.nms_batched, ops.oks_nms: reference.oks_nms_batched}[single]

    def suppress(*arrays_and_threshold, **options):
        *arrays, threshold = arrays_and_threshold
        kept, counts = batched(*arrays, None, threshold, **options)
        return kept[0, : counts[0]]

    return suppress


def called(single):
    """As it is."""
    return single


def traced(single):
    """The same inside tf.function, from tensors."""

    def suppress(*arrays_and_threshold, **options):
        *arrays, threshold = arrays_and_threshold
        function = tf.function(lambda *tensors: single(*tensors, threshold, **options))
        return function(*(tf.constant(array) for array in arrays)).numpy()

    return suppress


# Where the op is not built, the last two are the reference again.
every_way = pytest.mark.parametrize("way", [by_reference, called, traced])


def matches(cases, tag, pattern):
    """The cases of a tag whose key goes on as the pattern says: (groups, array)."""
    found = [(re.fullmatch(re.escape(tag) + pattern, key), key) for key in cases]
    return [(match, cases[key]) for match, key in found if match]


@every_way
@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_dets")
def test_box_nms_keeps_the_same_boxes_in_the_same_order(golden, tag, way):
    assert tag, f"{FILE} holds no boxes"
    cases = golden.load(FILE)
    boxes, scores = cases[f"{tag}_dets"][:, :4], cases[f"{tag}_dets"][:, 4]
    kept = matches(cases, tag, r"_thr(?P<threshold>[\d.]+)_keep(?P<cython>_cpu_nms)?")
    assert kept, f"{FILE} holds nothing kept of {tag}"
    for match, expected in kept:
        # The Cython version removes at IoU == threshold too.
        inclusive = match["cython"] is not None
        found = way(ops.nms)(boxes, scores, float(match["threshold"]), inclusive=inclusive)
        np.testing.assert_array_equal(found, expected, err_msg=match.string)


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_(?:iou_plus1|iou_float|overlap_self)")
def test_box_overlaps_are_equal_in_each_convention(golden, tag):
    assert tag, f"{FILE} holds no overlaps"
    cases = golden.load(FILE)
    boxes = cases[f"{tag}_dets"][:, :4]
    overlaps = {
        "iou_plus1": lambda queries: ops.box_iou(boxes, queries),
        "iou_float": lambda queries: ops.box_iou(boxes, queries, plus_one=False),
        "overlap_self": lambda queries: ops.box_overlap_over_query(boxes, queries),
    }
    for match, expected in matches(cases, tag, f"_(?P<name>{'|'.join(overlaps)})"):
        found = overlaps[match["name"]](boxes[: expected.shape[1]])
        np.testing.assert_allclose(found, expected, rtol=0, atol=MATRIX_ATOL, err_msg=match.string)


def poses_of(golden, tag, project_root):
    """Keypoints (people, joints, 3), scores, areas and COCO's sigmas."""
    cases = golden.load(FILE)
    areas = cases[f"{tag}_areas"]
    flat = cases[f"{tag}_kpts"]  # (people, 3 joints); there may be no people
    keypoints = flat.reshape(len(areas), flat.shape[1] // 3, 3)
    sigmas = load_dataset(project_root, "COCO").skeleton.oks_sigmas
    return keypoints, cases[f"{tag}_scores"], areas, sigmas


@every_way
@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_kpts")
def test_oks_nms_keeps_the_same_poses_in_the_same_order(golden, tag, project_root, way):
    assert tag, f"{FILE} holds no poses"
    cases = golden.load(FILE)
    *arrays, sigmas = poses_of(golden, tag, project_root)
    plain = matches(cases, tag, r"_thr(?P<threshold>[\d.]+)_keep")
    by_visibility = matches(cases, tag, r"_keep_thr(?P<threshold>[\d.]+)_vis(?P<visible>[\d.]+)")
    assert plain or by_visibility, f"{FILE} holds nothing kept of {tag}"
    for match, expected in plain:
        found = way(ops.oks_nms)(*arrays, float(match["threshold"]), sigmas=sigmas)
        np.testing.assert_array_equal(found, expected, err_msg=match.string)
    for match, expected in by_visibility:
        found = way(ops.oks_nms)(
            *arrays,
            float(match["threshold"]),
            sigmas=sigmas,
            counted="second_visible",
            visibility_threshold=float(match["visible"]),
        )
        np.testing.assert_array_equal(found, expected, err_msg=match.string)


@pytest.mark.golden(FILE, keys=r"soft_(?P<tag>.+)_thr[\d.]+_keep")
def test_soft_oks_nms_keeps_the_same_poses_in_the_same_order(golden, tag, project_root):
    assert tag, f"{FILE} holds no soft suppression"
    *arrays, sigmas = poses_of(golden, tag, project_root)
    for match, expected in matches(
        golden.load(FILE), f"soft_{tag}", r"_thr(?P<threshold>[\d.]+)_keep"
    ):
        found, _ = ops.soft_oks_nms(*arrays, float(match["threshold"]), sigmas=sigmas)
        np.testing.assert_array_equal(found, expected, err_msg=match.string)


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+?)_matrix(?:_.+)?")
def test_oks_matrices_are_equal(golden, tag, project_root):
    assert tag, f"{FILE} holds no OKS matrix"
    cases = golden.load(FILE)
    keypoints, _, areas, sigmas = poses_of(golden, tag, project_root)
    for match, expected in matches(
        cases, tag, r"_matrix(?:_thr(?P<visible>[\d.]+)|_(?P<own>sigmas))?"
    ):
        options = {"sigmas": cases[f"{tag}_sigmas"] if match["own"] else sigmas}
        if match["visible"]:
            options["counted"] = "second_visible"
            options["visibility_threshold"] = float(match["visible"])
        found = ops.oks_matrix(keypoints, areas, **options)
        np.testing.assert_allclose(found, expected, rtol=0, atol=MATRIX_ATOL, err_msg=match.string)
