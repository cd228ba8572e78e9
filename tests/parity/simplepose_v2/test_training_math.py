"""Targets, masks and losses against the original."""

import json
import re
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.centred_heatmap import encode_centred_heatmaps
from poseras.codecs.guiding_offset import encode_guiding_offsets, encode_jitter
from poseras.systems.simplepose_v2.losses import (
    SCALE_MARGIN,
    compute_loss,
    focal_terms,
    squared_terms,
    vector_terms,
)
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.targets import learned_cells

PARAMETERS = ("size", "stride", "sigma", "clip", "jitter_window", "offset_window", "min_scale")


def test_targets_are_the_originals(golden, original, case_file):
    case = golden.load(f"simplepose_v2/{case_file}")
    given = dict(zip(PARAMETERS, case["params"].tolist(), strict=True))
    skeleton = original.make_skeleton(case["anns"].shape[1], case["skeleton"])
    sigmas = np.float32(skeleton.oks_sigmas)
    keypoints = case["anns"][None, ..., :3]
    size, stride = int(given["size"]), int(given["stride"])
    common = {"input_hw": (size, size), "stride": stride}
    heatmaps = encode_centred_heatmaps(
        keypoints, **common, sigma_px=given["sigma"], clip=given["clip"]
    )
    expected = np.moveaxis(case["heatmaps"], 0, -1)
    # A product of two float32 exponentials; a value at the threshold may fall to either side.
    np.testing.assert_allclose(heatmaps[0], expected, rtol=0, atol=1e-5)
    found = encode_guiding_offsets(
        keypoints,
        (case["anns"][..., 3] / sigmas)[:, :1].T,
        **common,
        limbs=skeleton.limbs,
        sigmas=skeleton.oks_sigmas,
        window_cells=int(given["offset_window"]),
        min_scale=given["min_scale"],
    )
    offsets = original.to_pairs(case["offsets"][None])
    check_known(found.offsets, np.asarray(found.known)[..., None], offsets)
    check_known(found.scales, found.scales_known, original.to_last(case["scales"][None]))
    instance = original.to_pairs(case["instance_scale"][None])[..., 0]
    np.testing.assert_allclose(found.instance_scales, instance, rtol=0, atol=1e-3)
    vectors, known = encode_jitter(keypoints, **common, window_cells=int(given["jitter_window"]))
    check_known(vectors, np.asarray(known)[..., None], original.to_last(case["jitter"][None]))
    mask = learned_cells(case["mask_in"][None] < 128, 0.7)
    # The original rounds the resized mask to 8 bit.
    assert np.mean(np.asarray(mask) != case["mask_out"]) <= 0.01


test_targets_are_the_originals.case_files = "encoder_*.npz"


def check_known(values, known, expected):
    known = np.broadcast_to(np.asarray(known), expected.shape)
    np.testing.assert_array_equal(known, np.isfinite(expected))
    # Differences of float32 positions in pixels.
    np.testing.assert_allclose(np.asarray(values)[known], expected[known], rtol=0, atol=1e-3)


def read_targets(case, original):
    offsets = original.to_pairs(case["gt_offset"])
    jitter, scales = original.to_last(case["gt_jitter"]), original.to_last(case["gt_scale"])
    return {
        "heatmaps": original.to_last(case["gt_hmp"]),
        "background": original.to_last(case["gt_bg"]),
        "offsets": np.nan_to_num(offsets, posinf=0),
        "offsets_known": np.isfinite(offsets[..., 0]),
        "instance_scales": original.to_pairs(case["gt_instance"])[..., 0],
        "jitter": np.nan_to_num(jitter, posinf=0),
        "jitter_known": np.isfinite(jitter[..., 0]),
        "scales": np.nan_to_num(scales),
        "scales_known": np.isfinite(scales),
        "mask": original.to_last(case["mask"])[..., 0],
    }


#: Part of the network's outputs -> its name in a case.
OUTPUT_KEYS = {
    "heatmaps": "hmp",
    "background": "bg",
    "jitter": "jit",
    "offsets": "off",
    "scales": "sc",
    "spread": "sp",
}


def read_outputs(case, original):
    outputs = {}
    for part, key in OUTPUT_KEYS.items():
        order = original.to_pairs if part == "offsets" else original.to_last
        for stack in range(count_stacks(case)):
            outputs[f"{part}.{stack}"] = order(case[f"pred{stack + 1}_{key}"])
    return outputs


def count_stacks(case):
    """Stacks of the network of a case, counted from 1 in its keys."""
    stacks = {int(m[1]) for m in (re.fullmatch(r"pred(\d+)_hmp", key) for key in case) if m}
    assert stacks and stacks == set(range(1, len(stacks) + 1))
    return len(stacks)


LOSS_NAMES = {
    "l2_loss": "l2",
    "focal_l2_loss": "focal_l2",
    "offset_l1_loss": "l1",
    "offset_instance_l1_loss": "instance_l1",
    "vector_l1_loss": "vector_l1",
    "offset_laplace_loss": "laplace",
}


def options_of(configuration, stacks):
    offset_loss = LOSS_NAMES[configuration["ol"]]
    return Options(
        stacks=stacks,
        heatmap_loss=LOSS_NAMES[configuration["hl"]],
        offset_loss=offset_loss,
        sqrt_regression=bool(configuration["sqrt"]),
        background=configuration["lam"][1] > 0,
        jitter=configuration["lam"][2] > 0,
        scales=configuration["lam"][4] > 0,
        spread=offset_loss == "laplace",
        loss_weights=tuple(configuration["lam"]),
        stack_weights=tuple(configuration["sw"]),
    )


@pytest.mark.golden("simplepose_v2/losses.npz", keys=r"results_(?P<tag>json)")
def test_the_parts_of_the_loss_and_its_total_are_the_originals(golden, original, tag):
    case = golden.load("simplepose_v2/losses.npz")
    targets, outputs = read_targets(case, original), read_outputs(case, original)
    configurations = json.loads(str(case[f"results_{tag}"]))["full"]
    for name, configuration in list_configurations(configurations):
        options = options_of(configuration, count_stacks(case))
        losses = compute_loss(targets, outputs, options)
        parts = dict(zip(options.weight_of, configuration["parts"], strict=True))
        for part, weight in options.weight_of.items():
            if part in losses and weight:
                # Sums of thousands of float32 in another order.
                np.testing.assert_allclose(losses[part], parts[part], rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(losses["total"], configuration["total"], rtol=1e-4)


def list_configurations(configurations):
    assert configurations
    return [(configuration["name"], configuration) for configuration in configurations]


@pytest.mark.golden("simplepose_v2/losses.npz", keys=r"grad_(?P<tag>.+_stack\d+)_hmp")
def test_gradients_are_the_originals(golden, original, tag):
    case = golden.load("simplepose_v2/losses.npz")
    configurations = dict(list_configurations(json.loads(str(case["results_json"]))["full"]))
    name, _, number = tag.rpartition("_stack")
    options = options_of(configurations[name], count_stacks(case))
    targets = read_targets(case, original)
    outputs = {k: tf.Variable(v) for k, v in read_outputs(case, original).items()}
    if not options.scales:
        outputs = {k: v for k, v in outputs.items() if not k.startswith("scales")}
    with tf.GradientTape() as tape:
        total = compute_loss(targets, outputs, options)["total"]
    gradients = tape.gradient(total, outputs)
    for part, key in OUTPUT_KEYS.items():
        expected = case.get(f"grad_{tag}_{key}")
        if expected is None:
            continue
        gradient = gradients.get(f"{part}.{int(number) - 1}")
        if gradient is None:
            assert not expected.any()
            continue
        gradient = np.asarray(gradient)
        gradient = np.moveaxis(gradient.reshape(*gradient.shape[:3], -1), -1, 1)
        gradient = original.thin_like(gradient, expected, usual={1: 3})
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
        )


@pytest.mark.golden("simplepose_v2/losses.npz", keys=r"results_(?P<tag>json)")
def test_single_terms_are_the_originals(golden, original, tag):
    case = golden.load("simplepose_v2/losses.npz")
    targets, outputs = read_targets(case, original), read_outputs(case, original)
    results = json.loads(str(case[f"results_{tag}"]))
    tables = [re.fullmatch(r"elementwise_stack(\d+)", name) for name in results]
    tables = [table for table in tables if table]
    assert tables
    for table in tables:
        stack = int(table[1]) - 1
        of_stack = {part: outputs[f"{part}.{stack}"] for part in OUTPUT_KEYS}
        check_terms(targets, of_stack, results[table[0]])


def check_terms(targets, outputs, expected):
    target, found = targets["heatmaps"], outputs["heatmaps"]
    vectors = partial(
        vector_terms,
        targets["offsets"],
        outputs["offsets"],
        instance_scales=targets["instance_scales"],
        spread=outputs["spread"],
    )
    terms = {
        "l2_loss": squared_terms(target, found),
        "focal_l2_loss": focal_terms(target, found, 0.01, 1.0),
        "scale_l1_loss": np.abs(outputs["scales"] - targets["scales"]),
        **{
            name: vectors(kind)
            for name, kind in LOSS_NAMES.items()
            if kind not in ("l2", "focal_l2")
        },
    }
    known = {
        "l2_loss": targets["mask"][..., None],
        "focal_l2_loss": targets["mask"][..., None],
        "scale_l1_loss": targets["scales_known"] & targets["mask"][..., None],
    }
    for name, numbers in expected.items():
        if name.startswith("focal_l2_tau"):
            tau, gamma = map(float, re.findall(r"[\d.]+", name.removeprefix("focal_l2_")))
            values, where = focal_terms(target, found, tau, gamma), targets["mask"][..., None]
        else:
            values = terms[name]
            where = known.get(name, targets["offsets_known"] & targets["mask"][..., None])
        values = keras.ops.convert_to_numpy(values)
        if values.ndim > where.ndim:
            where = where[..., None]
        values = values[np.broadcast_to(where, values.shape)]
        assert len(values) == numbers["count"], name
        for statistic in set(numbers) - {"count"}:
            ours = getattr(values.astype(np.float64), statistic)()
            np.testing.assert_allclose(ours, numbers[statistic], rtol=1e-4, err_msg=name)
    assert SCALE_MARGIN == 0.1
