"""Alignment, errors and result files, against both originals."""

import re
from pathlib import PurePosixPath

import numpy as np
import pytest

from poseras import geometry
from poseras.codecs.integral import decode_coordinates
from poseras.data.human36m_sequences import ACTIONS, JOINTS_18
from poseras.engine.space_results import pose_lines
from poseras.metrics import mpjpe

ALIGN, AUTHORS = "integral_3d/align.npz", "integral_3d/orig_evaluate.npz"
ARRAYS, TEXTS = "integral_3d/evaluate.npz", "integral_3d/evaluate.json"
AUTHORS_VALUES = "integral_3d/orig_evaluate.json"
# float64 on both sides.
EXACT = 1e-6
# The configuration of the cases.
SHAPES = {"input_hw": (256, 256), "volume_dhw": (64, 64, 64), "box_depth_mm": 2000.0}


def test_poses_are_aligned_as_by_the_originals(golden):
    case = golden.load(ALIGN)
    rigid = mpjpe.fit_similarity(case["pred"], case["gt"])
    np.testing.assert_allclose(rigid.rotation, case["R"], rtol=0, atol=EXACT)
    np.testing.assert_allclose(rigid.translation, case["t"], rtol=0, atol=EXACT)
    aligned = rigid.apply(case["pred"])
    np.testing.assert_allclose(aligned, case["aligned"], rtol=0, atol=EXACT)
    np.testing.assert_allclose(aligned, case["noscale_aligned"], rtol=0, atol=EXACT)
    similar = mpjpe.fit_similarity(case["pred"], case["gt"], with_scale=True)
    np.testing.assert_allclose(similar.scale, case["sim_scale"], rtol=0, atol=EXACT)
    np.testing.assert_allclose(similar.apply(case["pred"]), case["sim_aligned"], rtol=0, atol=EXACT)
    gt, rest = case["gt"], case["gt"] - similar.apply(case["pred"])
    spread = gt - gt.mean(axis=1, keepdims=True)
    shares = (rest**2).sum(axis=(1, 2)) / (spread**2).sum(axis=(1, 2))
    np.testing.assert_allclose(shares, case["sim_d"], rtol=0, atol=EXACT)
    # The authors' helper multiplies rows from the left.
    rows = np.swapaxes(similar.rotation, -1, -2)
    np.testing.assert_allclose(rows, case["sim_R"], rtol=0, atol=EXACT)
    np.testing.assert_allclose(similar.translation, case["sim_t"], rtol=0, atol=EXACT)


def camera_poses(case):
    """Predictions in cells to camera millimetres, as the tester brings them home."""
    points, depths = decode_coordinates(case["preds"], **SHAPES)
    home = geometry.invert_affine(geometry.stretched_view_matrix(case["bbox"], SHAPES["input_hw"]))
    image = geometry.transform_points(np.asarray(points, np.float64), home)
    cameras = np.concatenate([case["f"], case["c"], np.zeros((len(image), 5))], axis=1)
    z = np.asarray(depths, np.float64) + case["center_cam"][:, None, 2]
    return geometry.back_project_points(image, z, cameras)


def action_of(path):
    return int(re.search(r"act_(\d+)", PurePosixPath(path).name)[1])


def test_errors_and_result_files_are_those_of_the_original(golden):
    case, texts = golden.load(ARRAYS), golden.load(TEXTS)
    poses = camera_poses(case)
    actions = np.array([action_of(path) for path in texts["img_path"]])
    np.testing.assert_array_equal(actions, case["action"])
    rooted = poses - poses[:, :1]
    # The original stores predictions in float32; 3e-4 mm was seen.
    np.testing.assert_allclose(rooted, case["pred_3d"], rtol=0, atol=2e-3)
    truth = case["joint_cam"] - case["joint_cam"][:, :1]
    np.testing.assert_allclose(truth, case["gt_3d"], rtol=0, atol=EXACT)
    aligned = mpjpe.align_poses(rooted, truth, np.ones(truth.shape[:2], bool))
    np.testing.assert_allclose(aligned, case["pred_3d_align"], rtol=0, atol=2e-3)
    evaluation = mpjpe.evaluate_poses(
        poses, case["joint_cam"], JOINTS_18, actions=actions, action_names=ACTIONS
    )
    assert mpjpe.format_original(evaluation) == texts["eval_result_txt"]
    first = texts["pred_3d_kpt_first_line"]
    ours = np.array(pose_lines(rooted)[0].split(), float)
    np.testing.assert_allclose(ours, np.array(first.split(), float), rtol=0, atol=2e-3)
    assert len(pose_lines(rooted)[0].split(" ")) == len(first.split(" "))


GROUPS = {"root": "pelvis", "Neck": "upper_neck", "Head": "head_top"}


def test_the_authors_errors_are_met(golden):
    case = golden.load(AUTHORS)
    expected = dict(map(tuple, golden.load(AUTHORS_VALUES)))
    camera = np.array([*case["f"], *case["c"], 0, 0, 0, 0, 0])

    def to_camera(image):
        depths = image[..., 2] + case["pelvis"][:, None, 2]
        return geometry.back_project_points(image[..., :2], depths, camera)

    poses, truth = to_camera(case["pred_img"]), to_camera(case["gt_img"])
    evaluation = mpjpe.evaluate_poses(poses, truth, JOINTS_18, root_again=True)
    together = {"hm36_17j", "hm36_17j_align", *(f"hm36_17j_{axis}" for axis in "xyz")}
    assert together == {name for name in expected if "17j" in name}
    # Sums of some hundred float64 numbers; the cases are rounded to no digit we could see.
    assert evaluation.stats["MPJPE"] == pytest.approx(expected["hm36_17j"], abs=1e-3)
    assert evaluation.stats["PA-MPJPE"] == pytest.approx(expected["hm36_17j_align"], abs=1e-3)
    for axis, error in evaluation.per_axis().items():
        assert error == pytest.approx(expected[f"hm36_17j_{axis}"], abs=1e-3), axis
    per_joint = evaluation.per_joint()
    for key, value in expected.items():
        group = key.removeprefix("hm36_")
        if key in together:
            continue
        name = GROUPS.get(group, group.lower())
        members = [error for joint, error in per_joint.items() if joint.endswith(name)]
        assert members and np.mean(members) == pytest.approx(value, abs=1e-3), key
