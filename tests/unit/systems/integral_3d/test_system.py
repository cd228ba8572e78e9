import keras
import numpy as np
import pytest

from poseras.codecs import integral
from poseras.data.dataset import load_dataset
from poseras.settings import apply_differences
from poseras.skeleton import Skeleton
from poseras.systems.integral_3d.options import Options
from poseras.systems.integral_3d.system import System
from poseras.systems.integral_3d.view_depth import BONES, bone_length, find_bones
from poseras.systems.integral_3d.weights import convert_checkpoint

SMALL = Options(
    input_shape=(64, 32),
    depth=18,
    backbone_width=8,
    head_filters=(8, 8, 8),
    depth_bins=8,
)
SKELETON = Skeleton("made/up", ("left", "right", "middle"), flip_pairs=((0, 1),))


def make(**changes):
    return System(apply_differences(SMALL, changes), SKELETON)


def pictures():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3)).astype(np.float32)


def batch(**changes):
    keypoints = np.float32([[[[8, 8, 2], [20, 40, 2], [16, 16, 1]]]] * 2)
    joints = np.float32([[[[0, 0, 4000], [0, 0, 4500], [0, 0, 3500]]]] * 2)
    made = {
        "keypoints": keypoints,
        "view_scale": np.ones(2, np.float32),
        "joints_camera_mm": joints,
        "joints_valid": np.ones((2, 1, 3), np.float32),
        "root_camera_mm": np.float32([[[0, 0, 4000]]] * 2),
    }
    return made | changes


def test_depth_is_measured_from_the_root_and_comes_back():
    system = make()
    targets = system.encode(batch())
    np.testing.assert_allclose(targets["coordinates"][0, :, 2], [4, 6, 2], atol=1e-5)
    decoded = system.decode(targets)
    np.testing.assert_allclose(decoded["joints_depth_mm"][0, 0], [0, 500, -500], atol=1e-2)
    np.testing.assert_allclose(decoded["keypoints_px"], batch()["keypoints"][..., :2], atol=1e-4)
    np.testing.assert_array_equal(decoded["keypoint_scores"], np.ones((2, 1, 3)))


def test_a_sample_without_a_known_depth_teaches_x_and_y_alone():
    valid = np.ones((2, 1, 3), np.float32)
    valid[1] = 0
    weights = np.array(make().encode(batch(joints_valid=valid))["weights"])
    assert weights[0].all() and weights[1, :, :2].all() and not weights[1, :, 2].any()


@pytest.mark.parametrize("volume_loss", ["gaussian", "cross_entropy", "binary"])
def test_with_a_loss_of_volumes_they_are_an_output_and_both_parts_make_the_total(volume_loss):
    system = make(volume_loss=volume_loss, volume_weight=0.5)
    outputs = system.build_model()(pictures(), training=True)
    assert outputs["volumes"].shape == (2, 16, 8, 3 * 8)
    parts = system.compute_loss(system.encode(batch()), outputs)
    assert set(parts) == {"total", "coordinates", "volumes"} and float(parts["volumes"]) > 0
    total = float(parts["coordinates"]) + float(parts["volumes"])
    assert float(parts["total"]) == pytest.approx(total, rel=1e-6)
    twice = make(volume_loss=volume_loss, volume_weight=1.0)
    doubled = twice.compute_loss(twice.encode(batch()), outputs)
    assert float(doubled["volumes"]) == pytest.approx(2 * float(parts["volumes"]), rel=1e-6)


def test_volumes_alone_are_learned_and_read_by_their_peak():
    system = make(volume_loss="cross_entropy", coordinate_weight=0, read_out="peak")
    outputs = system.build_model()(pictures())
    assert set(system.compute_loss(system.encode(batch()), outputs)) == {"total"}
    cells = np.array(outputs["coordinates"])
    np.testing.assert_array_equal(cells, cells.round())


def test_a_direct_regression_starts_in_the_middle_of_its_box():
    keras.utils.set_random_seed(0)
    outputs = make(head="direct").build_model()(np.zeros((1, 64, 32, 3), np.float32))
    assert set(outputs) == {"coordinates"}
    np.testing.assert_allclose(outputs["coordinates"][0], [[4, 8, 4]] * 3, atol=1)


def test_a_temperature_sharpens_the_mean():
    usual, sharp = make(), make(temperature=1000.0)
    keras.utils.set_random_seed(3)
    first = usual.build_model()
    second = sharp.build_model()
    second.set_weights(first.get_weights())
    spread = [
        np.abs(np.array(m(pictures())["coordinates"]) - [3.5, 7.5, 3.5]) for m in (first, second)
    ]
    assert spread[1].mean() > 5 * spread[0].mean()


def test_the_losses_of_the_authors_divide_by_the_size_of_the_volume():
    system, authors = make(), make(coordinate_loss="sum_l1")
    targets = system.encode(batch())
    outputs = {"coordinates": targets["coordinates"] + 1}
    assert float(system.compute_loss(targets, outputs)["total"]) == pytest.approx(1)
    # 3 joints, one cell each way of 8, 16 and 8.
    expected = 3 * (1 / 8 + 1 / 16 + 1 / 8)
    assert float(authors.compute_loss(targets, outputs)["total"]) == pytest.approx(expected)
    squared = make(coordinate_loss="sum_l2").compute_loss(targets, outputs)["total"]
    assert float(squared) == pytest.approx(3 * (1 / 64 + 1 / 256 + 1 / 64))


@pytest.mark.parametrize("loss", ["masked_l1", "sum_l1", "sum_l2"])
def test_the_loss_of_a_batch_is_the_mean_of_those_of_its_halves(loss):
    system, valid = make(coordinate_loss=loss), np.ones((2, 1, 3), np.float32)
    valid[0, 0, 1] = 0
    targets = {k: np.array(v) for k, v in system.encode(batch(joints_valid=valid)).items()}
    outputs = {"coordinates": targets["coordinates"] + np.float32([[[1, 2, 3]], [[4, 0, 5]]])}
    halves = [
        system.compute_loss(
            *({k: v[row : row + 1] for k, v in d.items()} for d in (targets, outputs))
        )
        for row in (0, 1)
    ]
    whole = float(system.compute_loss(targets, outputs)["total"])
    assert whole == pytest.approx(np.mean([float(half["total"]) for half in halves]), rel=1e-6)


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_every_kernel_of_the_head_gives_the_same_volumes(kernel):
    model = make(head_kernels=[kernel] * 3, final_kernel=3).build_model()
    assert model.get_layer("head.final_layer").output.shape == (None, 16, 8, 24)


def test_weights_of_torchvision_fit_the_backbone():
    model = make().build_model()
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    entries = {
        "conv1.weight": np.zeros((8, 3, 7, 7)),
        "layer1.0.bn1.running_var": np.ones(8),
        "fc.weight": np.zeros((1000, 64)),
    }
    report = convert_checkpoint(shapes, entries, "pytorch")
    assert set(report.arrays) == {
        "backbone.conv1/kernel",
        "backbone.layer1.0.bn1/moving_variance",
    }
    assert report.unused == ("fc.weight",)
    with pytest.raises(ValueError, match="PyTorch's. Received form 'tensorflow'"):
        convert_checkpoint(shapes, entries, "tensorflow")


def test_a_saved_model_is_read_again(tmp_path):
    model = make().build_model()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again(pictures())["coordinates"], model(pictures())["coordinates"], atol=1e-5
    )


def make_by_view(project_root, **changes):
    skeleton = load_dataset(project_root, "Human36M").skeleton
    options = apply_differences(SMALL, {"depth_unit": "view", "input_shape": (64, 64), **changes})
    return System(options, skeleton)


def people_far_away(joints):
    """Two people 8 m ahead, a metre to a quarter of a pixel, seen in views that double pixels."""
    camera = np.float32([2000, 1, 0, 0, 0, 0, 0, 0, 0])
    return {
        "keypoints": np.full((2, 1, joints.shape[-2], 3), 2, np.float32),
        "view_scale": np.float32([1, 7]),
        "joints_camera_mm": joints[:, None].astype(np.float32) + np.float32([0, 0, 8000]),
        "joints_valid": np.ones((2, 1, joints.shape[-2]), np.float32),
        "root_camera_mm": np.float32([[[0, 0, 8000]]] * 2),
        "camera": np.stack([camera, camera * np.float32([0] + [1] * 8)]),
        "image_to_network": np.float32([[[0, -0.08, 3], [0.08, 0, 5]]] * 2),
    }


def test_depth_in_the_view_is_the_pictures_times_the_zoom(project_root):
    system = make_by_view(project_root, depth_bins=64)
    joints = np.zeros((2, 18, 3))
    joints[:, 5, 2] = 400  # 100 px in the picture, 8 in the view
    batch = people_far_away(joints)
    cells = np.array(system.encode(batch)["coordinates"])
    assert cells[0, 5, 2] == pytest.approx(32 + 8, abs=1e-4)
    assert cells[0, 0, 2] == pytest.approx(32)
    # Without a camera all depths are those of the root, and finite.
    np.testing.assert_allclose(cells[1, :, 2], 32)


def test_a_pose_in_view_pixels_comes_back_with_the_usual_size(project_root):
    system = make_by_view(project_root, bone_length_mm=5000.0)
    cells = np.random.default_rng(1).uniform(0, 8, (3, 18, 3)).astype(np.float32)
    decoded = system.decode({"coordinates": cells})
    pixels, depths = integral.decode_coordinates(
        cells, input_hw=(64, 64), volume_dhw=(8, 16, 16), box_depth_mm=64.0
    )
    pose = np.concatenate([pixels, np.array(depths)[..., None]], axis=-1)
    scale = np.array(decoded["joints_depth_mm"])[:, 0] / np.array(depths)
    length = np.array(bone_length(pose, find_bones(system.skeleton)))
    np.testing.assert_allclose(scale, np.repeat(5000 / length[:, None], 18, axis=1), rtol=1e-4)
    np.testing.assert_allclose(decoded["keypoints_px"][:, 0], pixels, rtol=1e-6)


def test_every_joint_but_the_pelvis_hangs_on_one_bone(project_root):
    names = load_dataset(project_root, "Human36M").skeleton.keypoints
    children = [child for child, _ in BONES]
    assert sorted([*children, "pelvis"]) == sorted(names)


def test_a_skeleton_without_the_bones_cannot_be_sized_by_them():
    with pytest.raises(ValueError, match="Human3.6M's joints. Received .* made/up without"):
        make(depth_unit="view")


def test_a_training_needs_the_joint_that_poses_are_compared_at(project_root):
    human = load_dataset(project_root, "Human36M").skeleton
    System(Options(), human).check_start(pretrained=False)
    flat = load_dataset(project_root, "COCO").skeleton
    with pytest.raises(
        ValueError, match=r"compared at their pelvis\. Received COCO.*data.skeleton"
    ):
        System(Options(), flat).check_start(pretrained=True)
