"""Targets, loss, decoding, training accuracy and rescoring against Microsoft's code."""

import re

import numpy as np
import pytest

from poseras import geometry, losses
from poseras.codecs.heatmap import decode_heatmaps, encode_heatmaps, merge_flipped
from poseras.data.dataset import load_dataset
from poseras.engine import rescoring
from poseras.metrics.heatmap_accuracy import heatmap_accuracy
from poseras.skeleton import Skeleton

FILE, CASES = "simple_baselines/ms_pipeline.npz", "simple_baselines/ms_pipeline.json"
MAPS, MAP_CASES = "simple_baselines/decode.npz", "simple_baselines/decode.json"
STRIDE = 4  # of every network of that code


def encode(keypoints, maps, sigma):
    """Targets (batch, joints, height, width) and weights for maps of the same shape."""
    height, width = maps.shape[-2:]
    encoded, weights = encode_heatmaps(
        keypoints.astype(np.float32),
        input_hw=(height * STRIDE, width * STRIDE),
        heatmap_hw=(height, width),
        sigma=sigma,
        peak=1.0,
        window="three_sigma",
    )
    return np.moveaxis(np.array(encoded), -1, 1), np.array(weights)


@pytest.mark.golden(FILE, keys=r"target_(?P<tag>s[\d.]+.*)_joints")
def test_targets_with_a_window_are_equal_at_every_edge(golden, tag):
    assert tag, f"{FILE} holds no targets"
    cases = golden.load(FILE)
    sigma = float(re.match(r"s([\d.]+)", tag)[1])
    maps = cases[f"target_{tag}"][None]
    encoded, weights = encode(cases[f"target_{tag}_joints"][None, :, :2], maps, sigma)
    # Two float32 exponentials multiplied instead of one.
    np.testing.assert_allclose(encoded, maps, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weights[0], cases[f"target_{tag}_weight"][:, 0])


@pytest.mark.golden(FILE, keys=r"(?P<tag>train\w*)_target")
def test_targets_of_training_samples_are_equal(golden, tag, sigma_of):
    assert tag, f"{FILE} holds no training samples"
    cases = golden.load(FILE)
    maps = cases[f"{tag}_target"]
    keypoints = np.concatenate(
        [cases[f"{tag}_joints_out"][..., :2], cases[f"{tag}_vis_out"][..., :1]], axis=-1
    )
    encoded, weights = encode(keypoints, maps, sigma_of(maps))
    np.testing.assert_allclose(encoded, maps, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weights, cases[f"{tag}_weight"][..., 0])


@pytest.mark.golden(FILE, keys=r"(?P<tag>.*loss)_output")
def test_the_loss_per_joint_is_equal_with_and_without_weights(golden, tag):
    assert tag, f"{FILE} holds no loss"
    cases = golden.load(FILE)
    targets, outputs = (np.moveaxis(cases[f"{tag}_{name}"], 1, -1) for name in ("target", "output"))
    weighted = losses.mean_squared_error_per_joint(targets, outputs, cases[f"{tag}_weight"][..., 0])
    plain = losses.mean_squared_error_per_joint(targets, outputs)
    # float32 sums of some thousand numbers, added up in another order.
    np.testing.assert_allclose(float(weighted), cases[f"{tag}_value_weighted"], rtol=1e-5)
    np.testing.assert_allclose(float(plain), cases[f"{tag}_value_plain"], rtol=1e-5)


def network_outputs(golden):
    """The case whose maps these results were decoded from, its maps and the mirrored ones.

    Maps are (batch, height, width, joints) with peak 1. The source tag is not in the file: its
    maxima are.
    """
    found = golden.load(FILE)
    maxima = next(v for k, v in found.items() if re.fullmatch(r"decode_noflip\w*_maxvals", k))
    maxima, cases = maxima[..., 0], golden.load(MAPS)
    for tag, case in golden.load(MAP_CASES).items():
        maps = cases[f"{tag}_heatmap_x64"].astype(np.float32) / 64 / 255
        peaks = maps.max(axis=(1, 2))
        if peaks.shape == maxima.shape and np.allclose(peaks, maxima, rtol=0, atol=1e-6):
            flipped = cases[f"{tag}_flipped_heatmap_x64"].astype(np.float32) / 64 / 255
            return case, maps, flipped
    pytest.fail(f"{MAPS} does not hold the maps that {FILE} was decoded from")


def permutation_of(case):
    names = tuple(str(joint) for joint in range(case["num_kps"]))
    pairs = tuple((a, b) for a, b in case["kps_symmetry"])
    return Skeleton("case", names, flip_pairs=pairs).flip_permutation


@pytest.mark.golden(FILE, keys=r"decode_(?P<tag>.+)_preds")
def test_decoded_keypoints_and_maxima_are_equal(golden, tag):
    assert tag, f"{FILE} holds no decoded keypoints"
    cases = golden.load(FILE)
    case, maps, flipped = network_outputs(golden)
    variant = tag.split("_")
    if "noflip" not in variant:
        shift = "noshift" not in variant
        maps = merge_flipped(maps, flipped, permutation_of(case), shift=shift)
    input_hw = tuple(case["input_shape"])
    points, scores = decode_heatmaps(
        maps,
        input_hw=input_hw,
        peak=1.0,
        decoder="none" if "nopost" in variant else "quarter",
        zero_nonpositive=True,
    )
    size = 200 * cases["decode_scale"]
    boxes = np.concatenate([cases["decode_center"] - size / 2, size], axis=-1)
    network_to_image = geometry.invert_affine(geometry.view_matrix(boxes, input_hw))
    home = geometry.transform_points(np.array(points, np.float64), network_to_image)
    # The original puts three float32 point pairs through OpenCV.
    np.testing.assert_allclose(home, cases[f"decode_{tag}_preds"], rtol=0, atol=1e-3)
    if f"decode_{tag}_maxvals" in cases:
        # Exact 64ths, divided by 255.
        np.testing.assert_allclose(scores, cases[f"decode_{tag}_maxvals"][..., 0], atol=1e-6)


@pytest.mark.golden(FILE, keys=r"(?P<tag>decode)_maxpreds")
def test_peaks_in_cells_are_equal(golden, tag):
    assert tag, f"{FILE} holds no peaks"
    _, maps, _ = network_outputs(golden)
    cells, _ = decode_heatmaps(
        maps, input_hw=maps.shape[1:3], decoder="none", zero_nonpositive=True
    )
    np.testing.assert_array_equal(np.array(cells), golden.load(FILE)["decode_maxpreds"])


@pytest.mark.golden(FILE, keys=r"(?P<tag>accuracy)_hm_vs_flipback")
def test_training_accuracy_is_equal(golden, tag):
    assert tag, f"{FILE} holds no accuracy"
    expected = golden.load(FILE)
    case, maps, flipped = network_outputs(golden)
    mirrored_back = flipped[:, :, ::-1][..., permutation_of(case)]
    peaks = [
        np.array(
            decode_heatmaps(m, input_hw=m.shape[1:3], decoder="none", zero_nonpositive=True)[0]
        )
        for m in (maps, mirrored_back)
    ]
    result = heatmap_accuracy(*peaks, maps.shape[1:3])
    # Counts divided by counts.
    values = [result.mean, *result.per_joint]
    np.testing.assert_allclose(values, expected[f"{tag}_hm_vs_flipback"], rtol=0, atol=1e-9)
    mean_and_count = [result.mean, result.counted_joints]
    np.testing.assert_allclose(mean_and_count, expected[f"{tag}_avg_cnt"], rtol=0, atol=1e-9)


@pytest.mark.golden(CASES, keys=r"(?P<tag>.*coco_eval)")
def test_rescoring_and_result_records_are_equal(golden, tag, project_root):
    assert tag, f"{CASES} holds no rescoring"
    case, predictions = golden.load(CASES)[tag], golden.load(FILE)[f"{tag}_preds"]
    boxes = np.array(case["all_boxes"])  # centre x, y, scale x, y, area, score
    scores = rescoring.rescore_coco(boxes[:, 5], predictions[..., 2], case["in_vis_thre"])
    rows = rescoring.keep_after_nms(
        np.array(case["image_ids"]),
        predictions[..., :2],
        scores,
        boxes[:, 4],
        sigmas=load_dataset(project_root, "COCO").skeleton.oks_sigmas,
        threshold=case["oks_thre"],
    )
    assert len(rows) == len(case["results"])
    for row, theirs in zip(rows, case["results"], strict=True):
        # Their mean is a float32 sum of keypoint scores.
        np.testing.assert_allclose(scores[row], theirs["score"], rtol=1e-6)
        np.testing.assert_allclose(boxes[row, :2], theirs["center"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(boxes[row, 2:4], theirs["scale"], rtol=0, atol=1e-9)
        ours = rescoring.coco_record(
            case["image_ids"][row], predictions[row, :, :2], scores[row], predictions[row, :, 2]
        )
        assert (ours["image_id"], ours["category_id"]) == (theirs["image_id"], 1)
        # Ours are rounded: coordinates to 3 decimals, scores to 4.
        np.testing.assert_allclose(ours["keypoints"], theirs["keypoints"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(ours["score"], theirs["score"], rtol=0, atol=1e-4)
