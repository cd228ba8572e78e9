import numpy as np
import pytest

from poseras.synthetic.body import (
    COCO_17,
    H36M_18,
    Phenotype,
    blend_shape,
    bone_indices,
    coco_keypoints,
    h36m_keypoints,
    move_points,
    pose_joints,
    skin_matrices,
    target_weights,
)
from poseras.synthetic.rotations import turn


def rest_rotations(assets):
    return np.broadcast_to(np.eye(3), (len(assets.bones), 3, 3)).copy()


def stature(assets, shape):
    skin = np.unique(assets.triangles[assets.group_triangles("body")])
    return float(np.ptp(shape.vertices[skin, 2]))


def test_the_weight_of_a_target_is_the_product_of_its_parts():
    names = (
        "african-female-young",
        "universal-male-old-maxmuscle-averageweight",
        "female-young-averagemuscle-averageweight-maxheight",
    )
    phenotype = Phenotype(
        gender=0.25, age=0.75, muscle=0.8, weight=0.5, height=0.75, proportions=0.9
    )
    # by hand: races 1/3, female 0.75, young 0.5, old 0.5, maxmuscle 0.6, averagemuscle 0.4
    expected = [1 / 3 * 0.75 * 0.5, 0.25 * 0.5 * 0.6, 0.75 * 0.5 * 0.4 * 0.5]
    np.testing.assert_allclose(target_weights(names, phenotype), expected)


def test_the_neutral_height_has_no_target():
    names = ("female-young-averagemuscle-averageweight-maxheight",)
    assert target_weights(names, Phenotype(gender=0.0, height=0.5)) == 0


@pytest.mark.parametrize(("gender", "height"), [(0.0, 1.59), (1.0, 1.73)])
def test_young_people_are_as_tall_as_the_model_makes_them(assets, gender, height):
    assert stature(assets, blend_shape(assets, Phenotype(gender=gender))) == pytest.approx(
        height, abs=0.01
    )


def test_height_and_age_change_the_stature(assets):
    short, tall = (stature(assets, blend_shape(assets, Phenotype(height=h))) for h in (0.3, 0.7))
    child = stature(assets, blend_shape(assets, Phenotype(age=0.1875)))
    assert child < short < tall


def test_a_pose_without_rotation_is_the_rest_pose(assets):
    shape = blend_shape(assets, Phenotype())
    posture = pose_joints(assets, shape, rest_rotations(assets))
    vertices = move_points(skin_matrices(assets, posture), shape.vertices)
    np.testing.assert_allclose(vertices, shape.vertices, atol=1e-6)
    np.testing.assert_allclose(posture.joints, shape.joints, atol=1e-6)


def test_a_bent_knee_turns_the_shin_and_leaves_the_thigh(assets):
    shape = blend_shape(assets, Phenotype())
    rotations, bones = rest_rotations(assets), bone_indices(assets.bones)
    rotations[bones["lowerleg01.L"]] = turn([1, 0, 0], 90)
    posture = pose_joints(assets, shape, rotations)
    knee, ankle = posture.joints[0, bones["lowerleg01.L"]], posture.joints[0, bones["foot.L"]]
    np.testing.assert_allclose(knee, shape.joints[0, bones["lowerleg01.L"]], atol=1e-6)
    assert ankle[1] - knee[1] > 0.3, "positive swings the shin back"
    length = np.linalg.norm(shape.joints[0, bones["foot.L"]] - knee)
    assert np.linalg.norm(ankle - knee) == pytest.approx(length, abs=1e-6)


def test_left_keypoints_lie_on_the_left_and_mirror_the_right(assets):
    shape = blend_shape(assets, Phenotype())
    coco = coco_keypoints(assets, shape.vertices)
    for name in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        left, right = (coco[COCO_17.index(f"{side}_{name}")] for side in ("left", "right"))
        assert left[0] > 0 > right[0]
        # the published regressors are not exactly symmetric
        np.testing.assert_allclose(left, right * [-1, 1, 1], atol=0.012)
    assert abs(coco[0, 0]) < 0.005 and coco[0, 1] == coco[:5, 1].min(), "the nose is foremost"


def test_human36m_joints_stand_in_the_order_of_a_body(assets):
    shape = blend_shape(assets, Phenotype())
    posture = pose_joints(assets, shape, rest_rotations(assets))
    joints = h36m_keypoints(assets, posture, coco_keypoints(assets, shape.vertices))
    place = dict(zip(H36M_18, joints, strict=True))
    chain = ["left_ankle", "left_knee", "left_hip", "torso", "thorax", "upper_neck", "head_top"]
    heights = [place[name][2] for name in chain]
    assert heights == sorted(heights)
    middle = (place["left_hip"] + place["right_hip"]) / 2
    np.testing.assert_allclose(place["pelvis"], middle)
    middle = (place["left_shoulder"] + place["right_shoulder"]) / 2
    np.testing.assert_allclose(place["thorax"], middle)
    assert place["head_top"][2] > place["nose"][2]
