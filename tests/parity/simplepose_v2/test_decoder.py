"""Resizing, peaks, the flip test, and maps to people, against the original."""

import json
import re

import numpy as np
import pytest

from poseras.codecs.centred_heatmap import find_centred_peaks, keep_peaks
from poseras.codecs.resampling import upsample
from poseras.systems.simplepose_v2.grouping import collect_limbs, group_limbs, select_poses
from poseras.systems.simplepose_v2.limbs import mirror_limbs
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System


@pytest.mark.golden("simplepose_v2/resize4.npz", keys=r"(?P<tag>bicubic|bilinear)4")
def test_maps_are_resized_as_by_pytorch(golden, original, tag):
    case = golden.load("simplepose_v2/resize4.npz")
    resized = upsample(original.to_last(case["x"]), 4, tag)
    # The golden's weights are rounded once more than ours.
    np.testing.assert_allclose(resized, original.to_last(case[f"{tag}4"]), rtol=0, atol=1e-5)


@pytest.mark.golden("simplepose_v2/nms_topk.npz", keys=r"heat(?P<tag>.*)")
def test_peaks_are_those_of_the_original(golden, original, tag):
    data = golden.load("simplepose_v2/nms_topk.npz")
    case = {key: data[key + tag] for key in ("heat", "nms", "scores", "rows", "cols")}
    maps = original.to_last(case["heat"][None])
    np.testing.assert_array_equal(keep_peaks(maps)[0], np.moveaxis(case["nms"], 0, -1))
    count = case["scores"].shape[-1]
    for search in ("dense", "sparse"):
        peaks = find_centred_peaks(
            maps, stride=1, mode="bilinear", threshold=1e-9, candidates=count, search=search
        )
        real = case["scores"] > 0  # zero fillers stand in no order
        np.testing.assert_array_equal(np.asarray(peaks.scores)[0][real], case["scores"][real])
        places = zip(np.asarray(peaks.y)[0], np.asarray(peaks.x)[0], strict=True)
        for (y, x), rows, cols, scores in zip(
            places, case["rows"], case["cols"], case["scores"], strict=True
        ):
            # The two pixels of a plateau are tied, in any order.
            ours = sorted(zip(-scores[scores > 0], y[scores > 0], x[scores > 0], strict=True))
            theirs = sorted(
                zip(-scores[scores > 0], rows[scores > 0], cols[scores > 0], strict=True)
            )
            assert ours == theirs


def test_the_flip_test_is_the_originals(golden, original, case_file):
    case = golden.load(f"simplepose_v2/{case_file}")
    half = len(case["hmp"]) // 2
    outputs = {
        "heatmaps.0": original.to_last(case["hmp"]),
        "jitter.0": original.to_last(case["jitter"]),
        "offsets.0": original.to_pairs(case["offset"]),
        "scales.0": original.to_last(case["scale"]),
    }
    direct = {name: maps[:half] for name, maps in outputs.items()}
    mirrored = {name: maps[half:] for name, maps in outputs.items()}
    permutation = case["keypoint_perm"]
    skeleton = original.make_skeleton(case["hmp"].shape[1], case["skeleton"], permutation)
    np.testing.assert_array_equal(skeleton.flip_permutation, permutation)
    limbs, kept = mirror_limbs(skeleton.limbs, skeleton.flip_permutation)
    np.testing.assert_array_equal(limbs, case["limb_perm"])
    assert list(kept) == case["limb_keep"].tolist()
    for law in ("average", "concatenate"):
        system = System(Options(stacks=1, limbs="skeleton", flip_offsets=law), skeleton)
        merged = system.merge_flip(direct, mirrored)
        offsets = case["offset_out" if law == "average" else "offset_cat4_out"]
        values = 2 if law == "average" else 4
        expected = original.to_last(offsets)
        expected = expected.reshape(*expected.shape[:3], -1, values)
        # One addition and one halving in float32.
        np.testing.assert_allclose(merged["offsets.0"], expected, rtol=0, atol=1e-6)
        for name, key in (("heatmaps", "hmp"), ("jitter", "jitter"), ("scales", "scale")):
            expected = original.to_last(case[f"{key}_out"])
            np.testing.assert_allclose(merged[f"{name}.0"], expected, rtol=0, atol=1e-6)


test_the_flip_test_is_the_originals.case_files = "flip_*.npz"


def options_of(params, **others):
    scales = params["include_scale"]
    return Options(
        stacks=1,
        limbs="skeleton",
        scales=scales,
        loss_weights=(1, 0, 0, 1, float(scales)),
        resize_mode=params["mode"],
        candidates=params["topk"],
        heatmap_threshold=params["thre"],
        min_limb=params["min_len"],
        max_distance=params["dist_max"],
        use_scale=params["use_scale"],
        person_threshold=params["person_thre"],
        sort_by={2: "keypoints", 4: "limbs"}[params["sort_dim"]],
        **others,
    )


def outputs_of(case, params, original):
    outputs = {
        "heatmaps.0": original.to_last(case["heatmap_q1024"][None].astype(np.float32) / 1024),
        "offsets.0": original.to_pairs(case["offset_q4"][None].astype(np.float32) / 4),
    }
    if params["include_scale"]:
        outputs["scales.0"] = original.to_last(case["scale_q16"][None].astype(np.float32) / 16)
    return outputs


def check_decoding(case, tag, original):
    params = json.loads(str(case[f"{tag}_params"]))
    expected = case[f"{tag}_poses"]
    skeleton = original.make_skeleton(expected.shape[1], case["skeleton"])
    for search in ("dense", "sparse"):
        system = System(options_of(params, peak_search=search), skeleton)
        decoded = system.decode(outputs_of(case, params, original))
        candidates = {key: np.asarray(value)[0] for key, value in decoded.items()}
        rows = collect_limbs(candidates, system.limbs)
        check_limbs(rows, params, case[f"{tag}_limbs"])
        poses = group_limbs(
            rows,
            system.limbs,
            skeleton.joint_count,
            max_distance_px=params["dist_max"],
            use_scale=params["use_scale"],
        )
        poses = select_poses(poses, params["person_thre"], params["sort_dim"])
        np.testing.assert_array_equal(poses.values[..., :2], expected[..., :2])
        np.testing.assert_array_equal(poses.ids, expected[..., 5])
        # Scores are products and exponentials of float32 that were resized in another order.
        np.testing.assert_allclose(poses.values[..., 2:], expected[..., 2:5], rtol=0, atol=1e-4)
        people = system.group(candidates)
        np.testing.assert_array_equal(people.keypoints_px, expected[..., :2])
        np.testing.assert_allclose(people.person_scores, expected[..., 2].mean(axis=1), atol=1e-4)


def check_limbs(rows, params, expected):
    good = (rows.points_px > 0).all(axis=(1, 2))
    if not params["include_scale"]:
        good &= rows.distances_px < params["dist_max"]
    rows = rows.take(np.flatnonzero(good))
    # Equal peaks stand in no order: both sides by start.
    rows = rows.take(np.lexsort((rows.ids[:, 0], rows.kinds)))
    expected = expected[np.lexsort((expected[:, 7], expected[:, 0]))]
    np.testing.assert_array_equal(rows.kinds, expected[:, 0])
    ours = np.concatenate(
        [
            rows.points_px[:, 0],
            rows.peak_scores[:, :1],
            rows.points_px[:, 1],
            rows.peak_scores[:, 1:],
            rows.ids,
            rows.distances_px[:, None],
        ],
        axis=1,
    )
    np.testing.assert_allclose(ours, expected[:, 1:10], rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(rows.scores, expected[:, 11], rtol=0, atol=1e-4)
    np.testing.assert_allclose(rows.scales_px, expected[:, 12:], rtol=0, atol=1e-4)


def test_maps_become_the_originals_people(golden, original, case_file):
    case = golden.load(f"simplepose_v2/{case_file}")
    tags = [m[1] for m in map(re.compile(r"(.+)_poses").fullmatch, case) if m]
    assert tags
    for tag in tags:
        check_decoding(case, tag, original)


test_maps_become_the_originals_people.case_files = "decode_*.npz"
