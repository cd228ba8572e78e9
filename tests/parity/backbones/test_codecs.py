"""Heatmap, UDP and SimCC coding against MMPose's codecs and loss."""

import numpy as np
import pytest

from poseras.codecs.cells import default_kernel, smooth_maps
from poseras.codecs.heatmap import decode_heatmaps, encode_heatmaps
from poseras.codecs.simcc import decode_simcc, encode_simcc
from poseras.codecs.udp import (
    decode_discs,
    decode_udp,
    encode_discs,
    encode_udp,
)
from poseras.geometry import expand_box, view_matrix
from poseras.losses import discrete_divergence

FILE = "backbones/codecs.npz"
NUMBERS = "backbones/codecs.json"

#: Crops are four times their maps; sigma is 2 cells for 64 rows, 3 for 96.
CROP_PER_MAP = 4


def read_case(cases, tag):
    """Keypoints with visibility, sizes and sigma of one of the heatmap cases."""
    points = np.concatenate([cases[f"{tag}_kpts"], cases[f"{tag}_vis"][..., None]], axis=-1)
    height, width = cases[f"{tag}_dec_in"].shape[1:]
    sizes = {
        "input_hw": (CROP_PER_MAP * height, CROP_PER_MAP * width),
        "heatmap_hw": (height, width),
    }
    return points, sizes, height / 32


def find_case(cases, map_hw):
    """The case with keypoints whose maps have this size."""
    for key in cases:
        tag = key.removesuffix("_kpts")
        if tag != key and cases[f"{tag}_dec_in"].shape[1:] == tuple(map_hw):
            return tag
    return pytest.fail(f"no keypoints for maps of {map_hw}")


def maps_to_decode(cases, key):
    return np.moveaxis(cases[key], 0, -1)[None]  # (1, height, width, maps)


@pytest.mark.parametrize("kind", ["msra", "dark", "udp"])
@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_kpts")
def test_targets_and_weights_are_equal(golden, tag, kind):
    assert tag, f"{FILE} holds no heatmap case"
    cases = golden.load(FILE)
    points, sizes, sigma = read_case(cases, tag)
    if kind == "udp":
        maps, weights = encode_udp(points, **sizes, sigma=sigma, peak=1.0)
    else:
        window = {"msra": "three_sigma", "dark": "exact"}[kind]
        maps, weights = encode_heatmaps(points, **sizes, sigma=sigma, peak=1.0, window=window)
    expected = cases[f"{tag}_{kind}_enc"]
    found = np.moveaxis(np.array(maps)[0], -1, 0)[: len(expected)]
    # Two float32 exponentials multiplied instead of one, of positions rounded to float32.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.array(weights), cases[f"{tag}_{kind}_encw"])


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_blur")
def test_the_smoothing_is_equal(golden, tag):
    assert tag, f"{FILE} holds no smoothed map"
    cases = golden.load(FILE)
    maps = maps_to_decode(cases, f"{tag}_dec_in")[..., : len(cases[f"{tag}_blur"])]
    smooth = np.array(smooth_maps(maps, default_kernel(maps.shape[1] / 32)))
    # float32 sums of at most 17 x 17 products in another order.
    np.testing.assert_allclose(
        np.moveaxis(smooth[0], -1, 0), cases[f"{tag}_blur"], rtol=0, atol=1e-5
    )


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_msra_dec")
def test_quarter_offsets_are_equal_inside_the_border(golden, tag):
    assert tag, f"{FILE} holds no decoding with quarter offsets"
    cases = golden.load(FILE)
    maps = maps_to_decode(cases, f"{tag}_dec_in")
    height, width = maps.shape[1:3]
    points, scores = decode_heatmaps(
        maps, input_hw=(CROP_PER_MAP * height, CROP_PER_MAP * width), peak=1.0
    )
    expected = cases[f"{tag}_msra_dec"]
    cells = np.round(expected / CROP_PER_MAP)
    # Near the border MMPose asks each axis by itself, Simple Baselines both at once.
    inside = ((cells > 1) & (cells < np.array([width - 2, height - 2]))).all(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(np.array(points)[inside], expected[inside], rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.array(scores), cases[f"{tag}_msra_decs"], rtol=0, atol=1e-6)


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_udp_dec")
def test_udp_decoding_is_equal(golden, tag):
    assert tag, f"{FILE} holds no UDP decoding"
    cases = golden.load(FILE)
    maps = maps_to_decode(cases, f"{tag}_dec_in")
    height, width = maps.shape[1:3]
    crop_hw = (CROP_PER_MAP * height, CROP_PER_MAP * width)
    points, scores = decode_udp(maps, input_hw=crop_hw, peak=1.0, sigma=height / 32)
    # MMPose's codec stretches maps of intervals to the whole crop, ours to the crop's intervals.
    crop_wh = np.array(crop_hw[::-1])
    points = np.array(points) * crop_wh / (crop_wh - 1)
    found = cases[f"{tag}_udp_decs"] > 0  # a joint that was not found has no place
    # float32 logarithms of a smoothed map, in crop pixels.
    np.testing.assert_allclose(points[found], cases[f"{tag}_udp_dec"][found], rtol=0, atol=1e-3)
    np.testing.assert_allclose(np.array(scores), cases[f"{tag}_udp_decs"], rtol=0, atol=1e-6)


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_udplegacy_dec")
def test_udp_decoding_as_in_vitpose_is_equal(golden, tag):
    assert tag, f"{FILE} holds no UDP decoding of MMPose 0.x"
    cases = golden.load(FILE)
    maps = maps_to_decode(cases, f"{tag}_dec_in")
    # A view of one pixel a cell: the results are in heatmap pixels.
    cells, scores = decode_udp(
        maps, input_hw=maps.shape[1:3], peak=1.0, sigma=maps.shape[1] / 32, border="reflect"
    )
    found = np.array(scores) > 0  # a joint that was not found has no place
    assert found.any()
    expected = cases[f"{tag}_udplegacy_dec"][found]
    np.testing.assert_allclose(np.array(cells)[found], expected, rtol=0, atol=1e-3)


@pytest.mark.golden(FILE, keys=r"(?P<tag>udpc.*)_enc")
def test_discs_and_offsets_are_equal(golden, tag):
    assert tag, f"{FILE} holds no combined UDP targets"
    cases = golden.load(FILE)
    # It has no keypoints of its own.
    points, sizes, _ = read_case(cases, find_case(cases, cases[f"{tag}_enc"].shape[1:]))
    discs, offsets, weights = encode_discs(points, **sizes)
    expected = cases[f"{tag}_enc"].reshape(-1, 3, *sizes["heatmap_hw"])  # (joints, 3, ...)
    joints = len(expected)
    np.testing.assert_array_equal(np.moveaxis(np.array(discs)[0], -1, 0)[:joints], expected[:, 0])
    # float32 positions of tens of cells, divided by a radius of some.
    found = np.moveaxis(np.array(offsets)[0], (2, 3), (0, 1))[:joints]
    drawn = np.array(weights)[0, :joints] > 0
    np.testing.assert_allclose(found[drawn], expected[drawn, 1:], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.array(weights), cases[f"{tag}_encw"])


@pytest.mark.golden(FILE, keys=r"(?P<tag>udpc.*)_dec_in")
def test_discs_and_offsets_decode_equally(golden, tag):
    assert tag, f"{FILE} holds no combined UDP maps to decode"
    cases = golden.load(FILE)
    maps = cases[f"{tag}_dec_in"]
    height, width = maps.shape[1:]
    triples = np.moveaxis(maps.reshape(-1, 3, height, width), (0, 1), (2, 3))[None]
    crop_hw = (CROP_PER_MAP * height, CROP_PER_MAP * width)
    points, scores = decode_discs(triples[..., 0], triples[..., 1:], input_hw=crop_hw)
    crop_wh = np.array(crop_hw[::-1])
    points = np.array(points) * crop_wh / (crop_wh - 1)
    # float32 offsets times a radius of 3.5 cells, in crop pixels.
    np.testing.assert_allclose(points, cases[f"{tag}_dec"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(np.array(scores), cases[f"{tag}_decs"], rtol=0, atol=1e-5)


#: What the labels of each case are made with; every one has two bins a pixel.
LABELS = {
    "rtm": {"label": "gaussian", "sigma": (4.9, 5.66)},
    "simcc": {"label": "density", "sigma": (6.0, 6.0)},
    "std": {"label": "one_bin", "smoothing": 0.1},
}


@pytest.mark.golden(FILE, keys=r"simcc_(?P<tag>rtm|simcc|std)_x")
def test_simcc_labels_and_weights_are_equal(golden, tag):
    assert tag, f"{FILE} holds no SimCC labels"
    cases = golden.load(FILE)
    x, y = (cases[f"simcc_{tag}_{axis}"] for axis in "xy")
    view_hw = (y.shape[-1] // 2, x.shape[-1] // 2)
    points, _, _ = read_case(cases, find_case(cases, [n // CROP_PER_MAP for n in view_hw]))
    found = encode_simcc(points, input_hw=view_hw, **LABELS[tag])
    for array, expected in zip(found, (x, y, cases[f"simcc_{tag}_w"]), strict=True):
        # One float32 exponential.
        np.testing.assert_allclose(np.array(array), expected, rtol=0, atol=1e-6)


@pytest.mark.golden(FILE, keys=r"simcc_(?P<tag>rtm|dark)_dec")
def test_simcc_decoding_is_equal(golden, tag):
    assert tag, f"{FILE} holds no SimCC decoding"
    cases = golden.load(FILE)
    points, scores = decode_simcc(
        cases["simcc_dec_x"],
        cases["simcc_dec_y"],
        decoder="dark" if tag == "dark" else "none",
        sigma=LABELS["rtm"]["sigma"],
    )
    np.testing.assert_allclose(np.array(scores), cases[f"simcc_{tag}_decs"], rtol=0, atol=1e-6)
    # A joint that was not found has no place; what the Newton step adds to it is of no use.
    found = np.array(scores) > 0
    assert found.sum() > 1
    np.testing.assert_allclose(
        np.array(points)[found], cases[f"simcc_{tag}_dec"][found], rtol=0, atol=1e-3
    )
    if tag == "rtm":
        np.testing.assert_array_equal(np.array(points)[~found], cases["simcc_rtm_dec"][~found])


@pytest.mark.golden(NUMBERS, keys=r"kl_(?P<tag>.+)")
def test_the_divergence_is_equal(golden, tag):
    assert tag, f"{NUMBERS} holds no divergence"
    cases, expected = golden.load(FILE), golden.load(NUMBERS)[f"kl_{tag}"]
    joints = cases["kl_px"].shape[1]
    loss = sum(
        float(
            discrete_divergence(
                np.repeat(cases[f"simcc_rtm_{axis}"][:, :joints], len(outputs), axis=0),
                outputs,
                cases["kl_w"],
                beta=10.0 if tag == "rtm" else 1.0,
                soft_targets=tag == "rtm",
            )
        )
        for axis, outputs in (("x", cases["kl_px"]), ("y", cases["kl_py"]))
    )
    # float32 sums of some thousand terms.
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_box_xywh")
def test_crop_matrices_are_equal(golden, tag):
    assert tag, f"{FILE} holds no crop"
    cases = golden.load(FILE)
    size_hw = (256, 192)
    boxes = expand_box(cases[f"{tag}_box_xywh"], size_hw[1] / size_hw[0])
    rotation = cases[f"{tag}_rot"]
    np.testing.assert_allclose(boxes[:, 2:], cases[f"{tag}_scale"], rtol=1e-6)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    np.testing.assert_allclose(centres, cases[f"{tag}_center"], rtol=0, atol=1e-4)
    # float32 boxes of some hundred pixels; MMPose turns UDP crops the other way round.
    found = view_matrix(boxes, size_hw, -rotation, "udp")
    np.testing.assert_allclose(found, cases[f"{tag}_udp"], rtol=0, atol=1e-4)
    found = view_matrix(boxes, size_hw, rotation)
    np.testing.assert_allclose(found, cases[f"{tag}_std"], rtol=0, atol=1e-4)
