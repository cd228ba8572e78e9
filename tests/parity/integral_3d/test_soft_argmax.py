"""Soft-argmax, its loss and the flip test, against both originals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs import integral
from poseras.data.dataset import load_dataset
from poseras.systems.integral_3d import losses

SOFT_ARGMAX = "integral_3d/soft_argmax.npz"
LOSS = "integral_3d/loss.npz"
FLIP = "integral_3d/flip_test.npz"
AUTHORS = "integral_3d/orig_losses.npz"

# float32 expectations over up to 64 bins; 4e-6 was seen.
CELLS = 1e-4


def channels_last(volumes):
    return volumes.astype(np.float32).transpose(0, 2, 3, 1)


def read_out(volumes, dims):
    return keras.ops.convert_to_numpy(integral.soft_argmax_3d(channels_last(volumes), int(dims[1])))


@pytest.mark.golden(SOFT_ARGMAX, keys=r"(?P<tag>.+)_heatmap")
def test_soft_argmax_gives_the_cells_of_the_original(golden, tag):
    assert tag, "no case found"
    cases = golden.load(SOFT_ARGMAX)
    dims = cases[f"{tag}_dims"]
    cells = read_out(cases[f"{tag}_heatmap"], dims)
    np.testing.assert_allclose(cells, cases[f"{tag}_coord"], rtol=0, atol=CELLS)
    shares = (cells / dims[:0:-1] - 0.5).reshape(len(cells), -1)
    np.testing.assert_allclose(shares, cases[f"{tag}_coord_norm"], rtol=0, atol=CELLS)


def masked_loss(case, visible, have_depth, volumes):
    weights = np.repeat(visible, 3, axis=2).astype(np.float32)  # (batch, joints, 3)
    weights[..., 2] *= have_depth
    cells = integral.soft_argmax_3d(volumes, int(case["dims"][1]))
    return losses.masked_l1(case["gt_coord"], cells, weights), cells


def test_the_masked_loss_and_its_gradient_are_the_original_ones(golden):
    case = golden.load(LOSS)
    volumes = tf.Variable(channels_last(case["heatmap"]))
    visible, have_depth = case["gt_vis"], case["have_depth"]
    with tf.GradientTape() as tape:
        loss, cells = masked_loss(case, visible, have_depth, volumes)
    np.testing.assert_allclose(cells, case["coord"], rtol=0, atol=CELLS)
    # float32 means of some ten numbers.
    assert abs(float(loss) - case["loss"]) <= 1e-5
    gradient = tape.gradient(loss, volumes).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(gradient, case["grad_heatmap"], rtol=0, atol=1e-6)
    ones, nothing = np.ones_like(visible), np.zeros_like(have_depth)
    everything = masked_loss(case, ones, np.ones_like(have_depth), volumes)[0]
    assert abs(float(everything) - case["loss_all_valid"]) <= 1e-5
    assert (
        abs(float(masked_loss(case, visible, nothing, volumes)[0]) - case["loss_no_depth"]) <= 1e-5
    )


def test_the_flip_test_averages_as_the_original_does(golden, project_root):
    case = golden.load(FLIP)
    # The case holds no pairs; without its thorax, which is the last, the skeleton has 17 joints.
    skeleton = load_dataset(project_root, "Human36M").skeleton
    permutation = skeleton.flip_permutation[: case["dims"][0]]
    cells = read_out(case["heatmap"], case["dims"])
    np.testing.assert_allclose(cells, case["coord"], rtol=0, atol=CELLS)
    width = int(case["dims"][3])
    merged = integral.merge_flipped_coordinates(
        cells,
        read_out(case["heatmap_flipped"], case["dims"]),
        permutation,
        map_width=width,
        input_width=4 * width,
        alignment="published",
    )
    np.testing.assert_allclose(merged, case["coord_flip_averaged"], rtol=0, atol=CELLS)


@pytest.mark.golden(AUTHORS, keys=r"(?P<tag>l[12])_avg")
def test_the_authors_losses_on_coordinates_are_met(golden, tag):
    assert tag, "no case found"
    case = golden.load(AUTHORS)
    triples = {key: case[key].reshape(len(case[key]), -1, 3) for key in ("pred", "gt", "weight")}
    loss = losses.summed_error(
        triples["gt"], triples["pred"], triples["weight"], squared=tag == "l2"
    )
    # float32 sums of 54 numbers.
    np.testing.assert_allclose(loss, case[f"{tag}_avg"], rtol=1e-4)
    np.testing.assert_allclose(float(loss) * len(case["pred"]), case[f"{tag}_sum"], rtol=1e-4)


@pytest.mark.golden(AUTHORS, keys=r"int_(?P<tag>L[12])")
def test_the_authors_integral_losses_and_their_gradients_are_met(golden, tag):
    assert tag, "no case found"
    case = golden.load(AUTHORS)
    dims = case["int_dims"]
    size = dims[:0:-1].astype(np.float32)
    volumes = tf.Variable(channels_last(case["int_heatmap"]))
    truth, weights = (case[key].reshape(len(case[key]), -1, 3) for key in ("int_gt", "int_weight"))
    with tf.GradientTape() as tape:
        shares = integral.soft_argmax_3d(volumes, int(dims[1])) / size - 0.5
        loss = losses.summed_error(truth, shares, weights, squared=tag == "L2")
    np.testing.assert_allclose(loss, case[f"int_{tag}"], rtol=1e-4)
    gradient = tape.gradient(loss, volumes).numpy().transpose(0, 3, 1, 2)
    theirs = case[f"int_{tag}_grad"]
    np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.golden(AUTHORS, keys=r"int_result_(?P<tag>\d+x\d+)")
def test_the_authors_patch_coordinates_follow_from_cells(golden, tag):
    assert tag, "no case found"
    case = golden.load(AUTHORS)
    dims, (width, height) = case["int_dims"], map(int, tag.split("x"))
    cells = read_out(case["int_heatmap"], dims)
    # Depth is in pixels of the view, as many for the box as the view is wide.
    points, depths = integral.decode_coordinates(
        cells,
        input_hw=(height, width),
        volume_dhw=tuple(int(n) for n in dims[1:]),
        box_depth_mm=width,
    )
    theirs = case[f"int_result_{tag}"]
    # float32 shares of the view.
    tolerance = 1e-5 * max(height, width)
    np.testing.assert_allclose(points, theirs[..., :2], rtol=0, atol=tolerance)
    np.testing.assert_allclose(depths, theirs[..., 2], rtol=0, atol=tolerance)
