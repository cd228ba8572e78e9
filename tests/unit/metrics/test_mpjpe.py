import numpy as np
import pytest

from poseras.metrics import mpjpe

NAMES = ("pelvis", "left_hip", "right_hip", "head_top", "left_wrist", "thorax")
POSE = np.array(
    [[0, 0, 0], [100, 0, 0], [-100, 0, 0], [0, -700, 50], [300, -300, -100], [0, -500, 0]], float
)


def turned(pose, scale=1.0):
    """A quarter turn about z, and somewhere else."""
    return scale * pose @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]) + [10, 20, 3000]


def evaluate(predictions, truth=POSE[None], **choices):
    return mpjpe.evaluate_poses(predictions, truth, NAMES, **choices)


def test_the_place_of_a_pose_does_not_count_and_a_moved_joint_counts_by_its_share():
    moved = POSE + [1000, 2000, 3000]
    assert evaluate(moved[None]).stats["MPJPE"] == pytest.approx(0)
    moved[3] += [30, 40, 0]
    # 50 mm at one of five joints: the thorax is not among the 17.
    assert evaluate(moved[None]).stats["MPJPE"] == pytest.approx(10)
    # Four of them are among the 14, without pelvis.
    assert evaluate(moved[None], variant=14).stats["MPJPE"] == pytest.approx(50 / 4)
    assert evaluate(moved[None]).per_joint()["head_top"] == pytest.approx(50)


def test_errors_along_each_axis_are_means_of_absolute_differences():
    moved = POSE + [1000, 2000, 3000]
    moved[3] += [-30, 40, 10]
    assert evaluate(moved[None]).per_axis() == pytest.approx({"x": 6, "y": 8, "z": 2})
    known = np.ones((1, 6), bool)
    known[0, 3] = False
    unseen = evaluate(moved[None], valid=known).per_axis()
    assert unseen == pytest.approx({"x": 0, "y": 0, "z": 0})


def test_a_wrong_root_moves_everything_but_itself():
    moved = POSE.copy()
    moved[0] += [0, 0, 60]
    assert evaluate(moved[None]).stats["MPJPE"] == pytest.approx(60 * 4 / 5)


def test_alignment_undoes_turns_and_on_request_sizes():
    assert evaluate(turned(POSE)[None]).stats["MPJPE"] > 100
    assert evaluate(turned(POSE)[None]).stats["PA-MPJPE"] == pytest.approx(0, abs=1e-9)
    larger = turned(POSE, 1.5)[None]
    assert evaluate(larger).stats["PA-MPJPE"] > 50
    assert evaluate(larger, with_scale=True).stats["PA-MPJPE"] == pytest.approx(0, abs=1e-9)


def test_a_mirrored_pose_is_not_reflected_back():
    motion = mpjpe.fit_similarity(POSE * [-1, 1, 1], POSE)
    assert np.linalg.det(motion.rotation) == pytest.approx(1)
    assert evaluate((POSE * [-1, 1, 1])[None]).stats["PA-MPJPE"] > 10


def test_a_motion_is_a_rotation_a_factor_and_a_shift():
    motion = mpjpe.fit_similarity(POSE, turned(POSE, 2.0), with_scale=True)
    assert motion.scale == pytest.approx(2)
    np.testing.assert_allclose(motion.translation, [10, 20, 3000], atol=1e-9)
    np.testing.assert_allclose(motion.apply(POSE), turned(POSE, 2.0), atol=1e-9)


def test_pck_and_auc_by_hand():
    errors = np.array([[0.0, 150, 151, np.nan]])
    assert mpjpe.measure_pck(errors) == pytest.approx(100 * 2 / 3)
    # 31 thresholds: the error of 0 is within all, that of 150 within the last one.
    assert mpjpe.measure_auc(errors) == pytest.approx(100 * (31 + 1) / (3 * 31))
    assert len(mpjpe.AUC_THRESHOLDS_MM) == 31 and mpjpe.AUC_THRESHOLDS_MM[-1] == 150
    assert np.isnan(mpjpe.measure_pck(np.full((1, 2), np.nan)))


def test_unknown_joints_count_nowhere():
    truth, valid = POSE[None].copy(), np.ones((1, 6), bool)
    truth[0, 4], valid[0, 4] = 1e6, False
    assert evaluate(POSE[None], truth, valid=valid).stats == pytest.approx(
        {"MPJPE": 0, "PA-MPJPE": 0, "3DPCK": 100, "AUC": 100}, abs=1e-9
    )


def test_each_pose_is_aligned_by_its_own_known_joints_all_at_once(monkeypatch):
    decompose, calls = np.linalg.svd, []
    monkeypatch.setattr(np.linalg, "svd", lambda matrices: calls.append(1) or decompose(matrices))
    truth = np.stack([POSE, POSE * [1, 2, 1], POSE])
    poses = np.stack([turned(pose, 1.5) for pose in truth])
    valid = np.ones(poses.shape[:2], bool)
    valid[0, 4] = valid[1, 1] = False
    valid[2] = False
    truth[~valid] = np.nan
    aligned = mpjpe.align_poses(poses, truth, valid, with_scale=True)
    np.testing.assert_allclose(aligned[valid], truth[valid], atol=1e-9)
    # A joint whose truth is unknown goes where the motion of the others takes it.
    np.testing.assert_allclose(aligned[0, 4], POSE[4], atol=1e-9)
    np.testing.assert_array_equal(aligned[2], poses[2])
    assert calls == [1]


def two_actions():
    far = POSE.copy()
    far[3] += [0, 0, 100]
    return evaluate(
        np.stack([POSE, far]),
        np.stack([POSE, POSE]),
        actions=np.array([2, 4]),
        action_names={2: "Directions", 3: "Discussion", 4: "Eating"},
    )


def test_each_action_has_its_own_mean_and_an_empty_one_none():
    errors = two_actions().per_action()
    assert errors["Directions"] == 0 and errors["Eating"] == pytest.approx(20)
    assert np.isnan(errors["Discussion"])


def test_tables_say_na_for_an_empty_action():
    text = mpjpe.format_original(two_actions())
    assert "Discussion: n/a" in text and "Protocol #2 error (MPJPE) >> 10.00" in text
    table = mpjpe.format_table(two_actions()).splitlines()
    assert table[0].split() == ["Dir", "Dis", "Eat", "Avg"]
    assert table[2].split() == ["MPJPE", "0.0", "n/a", "20.0", "10.0"]
    assert table[3] == "mm, 5 joints; 3DPCK@150mm 100.0 %, AUC 93.5 %"


def test_the_mean_pose_is_a_predictor_to_beat():
    reference = np.stack([POSE + 5, POSE + 7])
    assert mpjpe.measure_mean_pose(POSE[None], reference, 0) == pytest.approx(0)
    reference[0, 3] += [0, 0, 24]
    assert mpjpe.measure_mean_pose(POSE[None], reference, 0) == pytest.approx(12 / 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictions_mm": POSE}, r"must have shape \(poses, 6, 3\)"),
        ({"names": ("a", *NAMES[1:])}, "compared at their root pelvis. Received the joints a, "),
        ({"variant": 16}, r"variant must be one of \(17, 14\). Received 16"),
    ],
)
def test_what_cannot_be_compared_is_named(arguments, message):
    usual = {"predictions_mm": POSE[None], "truth_mm": POSE[None], "names": NAMES}
    with pytest.raises(ValueError, match=message):
        mpjpe.evaluate_poses(**(usual | arguments))
