import keras
import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.systems import simple_baselines
from poseras.systems.simple_baselines import Options

SKELETON = Skeleton(
    name="Test/three", keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),)
)
#: One person per view: a visible joint, a hidden one, an unlabelled one. Cells are 4 px.
KEYPOINTS = np.array(
    [[[[40, 80, 2], [100, 120, 1], [0, 0, 0]]], [[[60, 40, 2], [96, 200, 2], [20, 20, 1]]]],
    np.float32,
)
BATCH = {"keypoints": KEYPOINTS}


def make_system(**differences):
    return simple_baselines.System(Options(**differences), SKELETON)


def numbers(values):
    return {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}


def test_the_model_has_a_heatmap_per_joint():
    model = make_system(
        input_shape=(64, 32), form="pytorch", depth=18, backbone_width=2
    ).build_model()
    assert model.output["heatmaps"].shape == (None, 16, 8, 3)


def test_targets_peak_at_the_joints_and_unlabelled_ones_have_no_weight():
    targets = numbers(make_system().encode(BATCH))
    assert targets["heatmaps"].shape == (2, 64, 48, 3)
    assert targets["heatmaps"][0, 20, 10, 0] == 255
    np.testing.assert_array_equal(targets["weights"], [[1, 1, 0], [1, 1, 1]])


def test_sigma_follows_the_height_of_the_heatmaps():
    targets = numbers(make_system(input_shape=(384, 288)).encode(BATCH))
    # Three cells beside the peak is one sigma at 96 rows.
    assert targets["heatmaps"][0, 20, 13, 0] == pytest.approx(255 * np.exp(-0.5), rel=1e-5)


@pytest.mark.parametrize("peak", [255.0, 1.0])
@pytest.mark.parametrize("decoder", ["quarter", "dark", "none"])
def test_decoding_the_targets_gives_the_keypoints_back(peak, decoder):
    system = make_system(target_peak=peak, decoder=decoder)
    decoded = numbers(system.decode(system.encode(BATCH)))
    assert decoded["keypoints_px"].shape == (2, 1, 3, 2)
    assert decoded["keypoint_scores"].shape == (2, 1, 3)
    labelled = KEYPOINTS[..., 2] > 0
    # The joints stand on cell centres, where no decoder moves them: a thousandth of a cell.
    np.testing.assert_allclose(
        decoded["keypoints_px"][labelled], KEYPOINTS[labelled][:, :2], atol=4e-3
    )
    np.testing.assert_allclose(decoded["keypoint_scores"], 1, rtol=1e-6)


def test_the_loss_is_the_mean_over_all_cells_with_unlabelled_joints_as_zero():
    targets = make_system().encode(BATCH)
    outputs = {"heatmaps": targets["heatmaps"] + 2}
    # 5 of 6 joints count, each cell of them is off by 2.
    assert float(make_system().compute_loss(targets, outputs)["total"]) == pytest.approx(4 * 5 / 6)
    without = make_system(use_target_weight=False)
    assert float(without.compute_loss(targets, outputs)["total"]) == pytest.approx(4)


def test_the_loss_per_joint_is_half_of_that():
    system = make_system(loss="per_joint")
    targets = system.encode(BATCH)
    outputs = {"heatmaps": targets["heatmaps"] + 2}
    assert float(system.compute_loss(targets, outputs)["total"]) == pytest.approx(0.5 * 4 * 5 / 6)


def test_a_window_of_three_sigma_draws_no_unlabelled_joint():
    targets = numbers(make_system(target_window="three_sigma", target_peak=1.0).encode(BATCH))
    assert targets["heatmaps"][0, ..., 2].max() == 0
    assert targets["heatmaps"][0, 20, 10 + 6, 0] > 0
    assert targets["heatmaps"][0, 20, 10 + 7, 0] == 0


def test_the_flip_test_mirrors_back_swaps_the_pair_and_shifts():
    maps = np.random.default_rng(0).normal(size=(1, 64, 48, 3)).astype(np.float32)
    mirrored = maps[:, :, ::-1][..., [0, 2, 1]]
    outputs, flipped = {"heatmaps": maps}, {"heatmaps": mirrored}
    aligned = make_system(shift_flipped=False).merge_flip(outputs, flipped)
    np.testing.assert_allclose(aligned["heatmaps"], maps, rtol=1e-6)
    shifted = numbers(make_system().merge_flip(outputs, flipped))["heatmaps"]
    np.testing.assert_allclose(
        shifted[:, :, 1:], (maps[:, :, 1:] + maps[:, :, :-1]) / 2, rtol=1e-5, atol=1e-6
    )


def test_a_map_without_a_positive_cell_can_be_put_at_the_origin():
    maps = np.full((1, 64, 48, 3), -1, np.float32)
    maps[0, 30, 20] = -0.5
    published = numbers(make_system(decoder="none").decode({"heatmaps": maps}))
    np.testing.assert_array_equal(published["keypoints_px"][0, 0, 0], [80, 120])
    microsoft = make_system(decoder="none", zero_nonpositive=True)
    zeroed = numbers(microsoft.decode({"heatmaps": maps}))
    np.testing.assert_array_equal(zeroed["keypoints_px"][0, 0, 0], [0, 0])


@pytest.mark.parametrize("options", [{}, {"codec": "udp", "decoder": "none"}])
def test_accuracy_is_the_share_of_learned_joints_that_peak_near_their_place(options):
    system = make_system(**options)
    keypoints = KEYPOINTS.copy()
    keypoints[0, 0, 2] = 100, 100, 0  # drawn, but not learned
    targets = numbers(system.encode({"keypoints": keypoints}))
    assert numbers(system.measure(targets, targets)) == {"accuracy": 1}
    maps = targets["heatmaps"].copy()
    maps[..., 0] = np.roll(maps[..., 0], 4, axis=2)  # 3.2 cells of 64 x 48 are near
    maps[..., 1] = np.roll(maps[..., 1], 3, axis=2)
    maps[0, ..., 2] = np.roll(maps[0, ..., 2], 20, axis=1)
    accuracy = numbers(system.measure(targets, {"heatmaps": maps}))["accuracy"]
    assert accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "options",
    [
        {"codec": "udp_discs", "loss": "disc_and_offset"},
        {"codec": "simcc", "loss": "divergence", "head": "simcc"},
    ],
)
def test_targets_without_one_peak_a_joint_have_no_accuracy(options):
    system = make_system(**options, decoder="none")
    targets = system.encode(BATCH)
    assert system.measure(targets, targets) == {}
