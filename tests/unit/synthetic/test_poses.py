from dataclasses import astuple

import numpy as np
import pytest

from poseras.synthetic.activities import stride
from poseras.synthetic.anatomy import Arm, Leg, Pose, apply_pose, interpolate_poses
from poseras.synthetic.body import Phenotype, blend_shape, bone_indices
from poseras.synthetic.poses import EASY, EVERYDAY, sample_pose
from poseras.synthetic.rotations import angle_between
from poseras.synthetic.sinking import sinking_depth


@pytest.fixture(scope="module")
def shape(assets):
    return blend_shape(assets, Phenotype())


def joints_of(assets, shape, pose):
    posture, bones = apply_pose(assets, shape, pose), bone_indices(assets.bones)
    return lambda name: posture.joints[0, bones[name]]


def both(limb):
    return (limb, limb)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("elbow", [5, 60, 130])
def test_the_elbow_is_bent_as_far_as_the_pose_says(assets, shape, side, elbow):
    at = joints_of(assets, shape, Pose(arms=both(Arm(elbow=elbow))))
    shoulder, joint, wrist = (at(f"{n}.{side}") for n in ("upperarm01", "lowerarm01", "wrist"))
    assert angle_between(joint - shoulder, wrist - joint) == pytest.approx(elbow, abs=1e-3)


@pytest.mark.parametrize(
    ("arm", "direction"),
    [
        (Arm(elevation=-90), [0, 0, -1]),
        (Arm(azimuth=0, elevation=0), [1, 0, 0]),
        (Arm(azimuth=90, elevation=0), [0, -1, 0]),
        (Arm(azimuth=0, elevation=90), [0, 0, 1]),
    ],
)
def test_the_upper_arm_points_where_the_pose_says(assets, shape, arm, direction):
    at = joints_of(assets, shape, Pose(arms=both(arm)))
    upper = at("lowerarm01.L") - at("upperarm01.L")
    assert angle_between(upper, np.array(direction, float)) < 1e-3
    mirrored = at("lowerarm01.R") - at("upperarm01.R")
    np.testing.assert_allclose(mirrored, upper * [-1, 1, 1], atol=1e-4)


@pytest.mark.parametrize("knee", [2, 90, 140])
def test_the_knee_is_bent_as_far_as_the_pose_says_and_backwards(assets, shape, knee):
    at = joints_of(assets, shape, Pose(legs=both(Leg(knee=knee)), flat_feet=False))
    hip, joint, ankle = at("upperleg01.L"), at("lowerleg01.L"), at("foot.L")
    # the rest shin leaves the plane of the bend by a few degrees
    assert angle_between(joint - hip, ankle - joint) == pytest.approx(knee, abs=9)
    assert ankle[1] > joint[1] or knee < 10


def test_flat_feet_are_level_on_a_bent_leg(assets, shape):
    pose = Pose(legs=both(Leg(flex=30, knee=45)))
    bones = bone_indices(assets.bones)
    posture = apply_pose(assets, shape, pose)
    np.testing.assert_allclose(posture.rotations[bones["foot.L"]][2], [0, 0, 1], atol=1e-9)


def test_interpolated_poses_begin_and_end_as_given():
    first, second = Pose(), Pose(lean=40, arms=both(Arm(elbow=90)), legs=both(Leg(knee=70)))
    assert interpolate_poses(first, second, 0) == first
    assert astuple(interpolate_poses(first, second, 1)) == astuple(second)
    assert interpolate_poses(first, second, 0.5).arms[0].elbow == (15 + 90) / 2


def test_a_gait_returns_after_one_cycle_and_swaps_sides_after_half():
    start, half, whole = (stride(phase, 0.5, np.random.default_rng(1)) for phase in (0.2, 0.7, 1.2))
    np.testing.assert_allclose(astuple(start.legs[0]), astuple(whole.legs[0]), atol=1e-9)
    np.testing.assert_allclose(astuple(start.legs[0]), astuple(half.legs[1]), atol=1e-9)
    np.testing.assert_allclose(astuple(start.arms[0]), astuple(half.arms[1]), atol=1e-9)


def test_a_hand_in_the_belly_sinks_and_a_stretched_arm_does_not(assets, shape):
    free = apply_pose(assets, shape, Pose(arms=both(Arm(azimuth=0, elevation=0, elbow=5))))
    assert sinking_depth(assets, free) < 0
    folded = Arm(azimuth=80, elevation=-85, twist=65, elbow=125)
    assert sinking_depth(assets, apply_pose(assets, shape, Pose(arms=both(folded)))) > 0.02


@pytest.mark.parametrize("shares", [EASY, EVERYDAY], ids=["easy", "everyday"])
def test_sampled_poses_hardly_sink_into_themselves(assets, shape, shares):
    rng = np.random.default_rng(5)
    depths = [sinking_depth(assets, sample_pose(rng, assets, shape, shares)[1]) for _ in range(60)]
    assert np.mean(np.array(depths) > 0.03) < 0.05


@pytest.mark.parametrize("maker", EVERYDAY, ids=lambda maker: maker.__name__)
def test_every_activity_stays_within_the_limits_of_joints(maker):
    rng = np.random.default_rng(3)
    for _ in range(40):
        pose = maker(rng).pose
        for leg in pose.legs:
            assert -30 <= leg.flex <= 125 and 0 <= leg.knee <= 150 and -10 <= leg.abduct <= 60
        for arm in pose.arms:
            assert 0 <= arm.elbow <= 150 and -90 <= arm.elevation <= 90 and abs(arm.twist) <= 90
        assert np.abs(pose.head).max() <= 70 and np.abs(pose.spine).max() <= 75
