"""The lists of limbs and their mirror images."""

import pytest

from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.limbs import (
    COCO_JOINTS,
    COCO_LIMBS,
    CROWDPOSE_JOINTS,
    CROWDPOSE_LIMBS,
    check_joined,
    choose_limbs,
    mirror_limbs,
)


def make_skeleton(names, limbs=()):
    pairs = tuple(
        (names.index(n), names.index(n.replace("left_", "right_")))
        for n in names
        if n.startswith("left_")
    )
    return Skeleton("made/up", tuple(names), pairs, limbs)


# Mirror tables of the authors' code.
MIRRORS = {
    "published_19": (
        [1, 0, 2, 4, 3, 5, 7, 6, 10, 11, 8, 9, 13, 12, 14, 17, 18, 15, 16],
        (2, 5, 14),
    ),
    "tree_16": ([2, 3, 0, 1, 7, 8, 9, 4, 5, 6, 13, 14, 15, 10, 11, 12], ()),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_limbs_of_coco_have_the_published_mirror_images(name):
    skeleton = make_skeleton(COCO_JOINTS)
    permutation, kept = mirror_limbs(COCO_LIMBS[name], skeleton.flip_permutation)
    assert (permutation.tolist(), kept) == MIRRORS[name]


def test_limbs_of_crowdpose_have_the_published_mirror_images():
    skeleton = make_skeleton(CROWDPOSE_JOINTS)
    permutation, kept = mirror_limbs(CROWDPOSE_LIMBS, skeleton.flip_permutation)
    assert permutation.tolist() == [0, 2, 1, 3, 4, 7, 8, 5, 6, 10, 9, 13, 14, 11, 12]
    assert kept == (3, 4)


def test_the_lists_have_the_published_lengths():
    assert {name: len(limbs) for name, limbs in COCO_LIMBS.items()} == {
        "published_19": 19,
        "tree_16": 16,
        "redundant_31": 31,
        "dense_44": 44,
    }


def test_limbs_follow_the_names_whatever_the_order_of_the_joints():
    reversed_joints = make_skeleton(COCO_JOINTS[::-1])
    limbs = choose_limbs(reversed_joints, "published")
    assert limbs[0] == (16, 15)  # nose to left eye


def test_other_skeletons_have_their_own_limbs():
    skeleton = make_skeleton(["nose", "left_wrist", "right_wrist"], ((0, 1), (0, 2)))
    assert choose_limbs(skeleton, "published") == ((0, 1), (0, 2))


@pytest.mark.parametrize("published", [COCO_JOINTS, CROWDPOSE_JOINTS], ids=["COCO", "CrowdPose"])
def test_a_skeleton_with_more_joints_has_its_own_limbs_and_loses_none(published):
    names = [*published, "pelvis"]
    own = tuple((len(published), joint) for joint in range(len(published)))
    assert choose_limbs(make_skeleton(names, own), "published") == own


@pytest.mark.parametrize("name", COCO_LIMBS)
def test_the_lists_for_coco_join_all_joints(name):
    check_joined(make_skeleton(COCO_JOINTS), name)
    check_joined(make_skeleton(CROWDPOSE_JOINTS), "published")


def test_limbs_that_leave_a_person_in_parts_are_refused_with_the_parts_and_a_way_out():
    drawn = make_skeleton(COCO_JOINTS, ((0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7)))
    with pytest.raises(ValueError, match=r"nose, left_eye, .*; left_shoulder, .*; left_wrist"):
        check_joined(drawn, "skeleton")
    with pytest.raises(ValueError, match="To go on, set options.limbs=published"):
        check_joined(drawn, "skeleton")
    other = make_skeleton(["nose", "left_wrist", "right_wrist", "pelvis"], ((0, 1), (0, 2)))
    with pytest.raises(ValueError, match=r"right_wrist; pelvis\. To go on, add limbs between them"):
        check_joined(other, "published")


def test_a_skeleton_without_limbs_is_refused():
    with pytest.raises(ValueError, match="needs limbs. Received the skeleton made/up without"):
        choose_limbs(make_skeleton(["nose"]), "published")


def test_a_list_for_coco_needs_the_joints_of_coco():
    with pytest.raises(ValueError, match="lacks nose, left_eye"):
        choose_limbs(make_skeleton(CROWDPOSE_JOINTS), "dense_44")


def test_a_limb_without_a_mirror_image_is_refused():
    skeleton = make_skeleton(["nose", "left_wrist", "right_wrist"])
    with pytest.raises(ValueError, match=r"Received \(0, 1\), mirrored \(0, 2\)"):
        mirror_limbs(((0, 1),), skeleton.flip_permutation)
