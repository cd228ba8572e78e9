"""Flip test, decoding, loss and evaluation against the code that HSRNet came with."""

import json
from pathlib import Path

import numpy as np
import pytest

from poseras import geometry, losses, ops
from poseras.codecs.heatmap import decode_heatmaps, merge_flipped
from poseras.data.dataset import load_dataset
from poseras.engine import rescoring
from poseras.metrics import coco
from poseras.metrics.heatmap_accuracy import heatmap_accuracy

FILE, CASES, MINI = (f"hsrnet/{n}" for n in ("data.npz", "data.json", "mini_person_keypoints.json"))
PIXELS_OF_SCALE = 200
STRIDE = 4  # of every network of that code


@pytest.fixture
def skeleton(project_root):
    return load_dataset(project_root, "COCO").skeleton


def box_around(centre, scale):
    """(..., 4) the enlarged box of a centre and a scale."""
    size = PIXELS_OF_SCALE * np.asarray(scale, np.float64)
    return np.concatenate([np.asarray(centre, np.float64) - size / 2, size], axis=-1)


@pytest.mark.golden(FILE, keys=r"flip_avg_(?P<tag>shift|noshift)")
def test_the_flip_test_is_exact(golden, tag, skeleton):
    assert tag, f"{FILE} holds no flip test"
    cases = golden.load(FILE)
    plain, flipped = (np.moveaxis(cases[f"flip_{name}"], 1, -1) for name in ("a", "b"))
    merged = merge_flipped(plain, flipped, skeleton.flip_permutation, shift=tag == "shift")
    np.testing.assert_array_equal(np.moveaxis(np.array(merged), -1, 1), cases[f"flip_avg_{tag}"])
    # The mean of a map with itself, mirrored back, is that map.
    back = np.moveaxis(cases["flip_back_b"], 1, -1)
    same = merge_flipped(back, flipped, skeleton.flip_permutation, shift=False)
    np.testing.assert_array_equal(np.array(same), back)


@pytest.mark.golden(FILE, keys=r"decode_(?P<tag>final\w*)")
def test_decoded_keypoints_and_maxima_are_equal(golden, tag):
    assert tag, f"{FILE} holds no decoded keypoints"
    cases = golden.load(FILE)
    maps = np.moveaxis(cases["decode_heatmap"], 1, -1)
    input_hw = (maps.shape[1] * STRIDE, maps.shape[2] * STRIDE)
    points, scores = decode_heatmaps(
        maps,
        input_hw=input_hw,
        peak=1.0,
        decoder="none" if tag.endswith("nopost") else "quarter",
        zero_nonpositive=True,
    )
    np.testing.assert_array_equal(np.array(scores), cases["decode_maxval"][..., 0])
    boxes = box_around(cases["decode_center"], cases["decode_scale"])
    home = geometry.invert_affine(geometry.view_matrix(boxes, input_hw))
    found = geometry.transform_points(np.array(points, np.float64), home)
    # The original puts three float32 point pairs through OpenCV.
    np.testing.assert_allclose(found, cases[f"decode_{tag}"], rtol=0, atol=1e-3)


@pytest.mark.golden(FILE, keys=r"decode_(?P<tag>argmax)")
def test_peaks_in_cells_are_equal(golden, tag):
    assert tag, f"{FILE} holds no peaks"
    maps = np.moveaxis(golden.load(FILE)["decode_heatmap"], 1, -1)
    cells, _ = decode_heatmaps(
        maps, input_hw=maps.shape[1:3], peak=1.0, decoder="none", zero_nonpositive=True
    )
    np.testing.assert_array_equal(np.array(cells), golden.load(FILE)["decode_argmax"])


@pytest.mark.golden(CASES, keys=r"loss_(?P<tag>weighted|unweighted)")
def test_the_loss_is_equal_with_and_without_weights(golden, tag):
    assert tag, f"{CASES} holds no loss"
    cases = golden.load(FILE)
    target, output = (np.moveaxis(cases[f"loss_{name}"], 1, -1) for name in ("target", "out"))
    weights = (cases["loss_weight"][..., 0],) if tag == "weighted" else ()
    found = float(losses.mean_squared_error_per_joint(target, output, *weights))
    # float32 sums of some thousand numbers, added up in another order.
    assert found == pytest.approx(golden.load(CASES)[f"loss_{tag}"], rel=1e-6)


@pytest.mark.golden(FILE, keys=r"(?P<tag>acc)_out")
def test_training_accuracy_is_equal(golden, tag):
    assert tag, f"{FILE} holds no accuracy"
    cases, listed = golden.load(FILE), golden.load(CASES)
    maps = [np.moveaxis(cases[f"{tag}_{n}"].astype(np.float32), 1, -1) for n in ("pred", "target")]
    peaks = [
        np.array(
            decode_heatmaps(
                m, input_hw=m.shape[1:3], peak=1.0, decoder="none", zero_nonpositive=True
            )[0]
        )
        for m in maps
    ]
    result = heatmap_accuracy(*peaks, maps[0].shape[1:3])
    # Counts divided by counts.
    values = [result.mean, *result.per_joint]
    np.testing.assert_allclose(values, cases[f"{tag}_out"], rtol=0, atol=1e-9)
    assert result.mean == pytest.approx(listed[f"{tag}_avg"], abs=1e-9)
    assert result.counted_joints == listed[f"{tag}_cnt"]


@pytest.mark.golden(FILE, keys=r"(?P<tag>oks)_iou_0_vs_rest")
def test_oks_between_people_is_equal(golden, tag, skeleton):
    assert tag, f"{FILE} holds no OKS"
    cases = golden.load(FILE)
    people, areas = cases[f"{tag}_kpts"][..., :2], cases[f"{tag}_area"]
    matrix = ops.oks_matrix(people, areas, sigmas=skeleton.oks_sigmas)
    # The same arithmetic in double precision, but for the order of a sum.
    np.testing.assert_allclose(matrix[0, 1:], cases[f"{tag}_iou_0_vs_rest"], rtol=0, atol=1e-9)


@pytest.mark.golden(CASES, keys=r"oks_nms_(?P<tag>[\d.]+)")
def test_oks_nms_keeps_the_same_people_in_the_same_order(golden, tag, skeleton):
    assert tag, f"{CASES} holds no suppression"
    cases = golden.load(FILE)
    arrays = (cases["oks_kpts"][..., :2], cases["oks_score"], cases["oks_area"])
    kept = ops.oks_nms(*arrays, float(tag), sigmas=skeleton.oks_sigmas)
    np.testing.assert_array_equal(kept, golden.load(CASES)[f"oks_nms_{tag}"])


@pytest.mark.golden(CASES, keys=r"eval_(?P<tag>oks[\d.]+)")
def test_rescoring_results_and_ap_are_equal(golden, tag, skeleton):
    assert tag, f"{CASES} holds no evaluation"
    cases, listed = golden.load(FILE), golden.load(CASES)
    predictions, boxes = cases["eval_preds"], cases["eval_boxes"]
    case = listed[f"eval_{tag}"]
    image_ids = np.array([int(Path(path).stem) for path in listed["eval_paths"]])
    scores = rescoring.rescore_coco(boxes[:, 5], predictions[..., 2], 0.2)  # IN_VIS_THRE
    rows = rescoring.keep_after_nms(
        image_ids,
        predictions[..., :2],
        scores,
        boxes[:, 4],
        sigmas=skeleton.oks_sigmas,
        threshold=float(tag.removeprefix("oks")),
    )
    results = [
        rescoring.coco_record(
            image_ids[row], predictions[row, :, :2], scores[row], predictions[row, :, 2]
        )
        for row in rows
    ]
    assert [r["image_id"] for r in results] == [r["image_id"] for r in case["results"]]
    for ours, theirs in zip(results, case["results"], strict=True):
        assert ours["category_id"] == theirs["category_id"]
        # Ours are rounded: coordinates to 3 decimals, scores to 4.
        np.testing.assert_allclose(ours["score"], theirs["score"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(ours["keypoints"][:3], theirs["kp0"], rtol=0, atol=1e-3)
    truth = json.loads(golden.path(MINI).read_text(encoding="utf-8"))
    found = coco.score(truth, results, sigmas=skeleton.oks_sigmas, evaluator="pycocotools")
    # The same tool on the same files, but for the decimals that ours are rounded to. The original
    # spells one name in its own way.
    expected = {name.replace("Ap", "AP"): value for name, value in case["metrics"].items()}
    assert found.stats == pytest.approx(expected, abs=1e-4)
