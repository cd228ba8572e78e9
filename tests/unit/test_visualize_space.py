import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.visualize_space import draw_pose_views, write_pose_page

SKELETON = Skeleton(
    "made/up",
    ("pelvis", "head_top", "left_wrist"),
    limbs=((0, 1), (0, 2)),
    colours=((0, 0, 255), (255, 0, 0)),
)
POSE = np.array([[0.0, 0, 4000], [0, -600, 4000], [0, -300, 3400]])
GROUND = np.array([250, 250, 248])


def reds(picture):
    """Columns in which the red limb stands, in halves of the picture."""
    red = (picture[..., 0] > 180) & (picture[..., 1:] < 90).all(axis=-1)
    return np.flatnonzero(red.any(axis=0)) / picture.shape[1]


def test_a_limb_towards_the_camera_is_seen_from_the_side_alone():
    picture = draw_pose_views(POSE, SKELETON, height=200)
    assert picture.shape[0] == 200 and (picture[5, 5] == GROUND).all()
    columns = reds(picture)
    front, side = columns[columns < 0.5], columns[columns > 0.5]
    # From the front the wrist stands under the head, from the side far left of the pelvis.
    assert np.ptp(front) < 0.06 and np.ptp(side) > 0.2


def test_the_truth_is_drawn_grey_at_the_same_root():
    alone = draw_pose_views(POSE, SKELETON, height=200)
    moved = POSE + [500, 0, 1000]
    both = draw_pose_views(POSE, SKELETON, height=200, truth_mm=moved)
    # Beneath the pose itself; only smoothed edges are a little darker.
    assert (np.abs(both.astype(int) - alone) > 120).mean() < 1e-3
    other = POSE.copy()
    other[1] += [250, 0, 0]
    drawn = draw_pose_views(POSE, SKELETON, height=200, truth_mm=other)
    grey = np.abs(drawn.astype(int) - [196, 196, 190]).max(axis=-1) < 12
    assert grey.sum() > 50


def test_unknown_joints_are_left_out_and_nothing_at_all_is_an_empty_picture():
    lost = POSE.copy()
    lost[2] = np.nan
    assert not len(reds(draw_pose_views(lost, SKELETON, height=200)))
    nobody = draw_pose_views(np.full((3, 3), np.nan), SKELETON, height=100)
    assert (nobody[10, 10] == GROUND).all()


def test_another_number_of_joints_is_refused():
    with pytest.raises(ValueError, match=r"must have shape \(3, 3\). Received \(2, 3\)"):
        draw_pose_views(POSE[:2], SKELETON)


def test_the_page_holds_the_poses_and_needs_nothing_from_elsewhere():
    people = [
        {
            "image_id": 7,
            "joints_camera_mm": POSE.tolist(),
            "joints_true_mm": [None, *POSE[1:].tolist()],
        }
    ]
    page = write_pose_page(people, SKELETON, title="a <run>")
    assert page.startswith("<!doctype html>") and "a &lt;run&gt;" in page
    assert '"image_id":7' in page and "[0,-600,4000]" in page
    assert "http://" not in page and "https://" not in page and "src=" not in page


def test_the_page_names_the_colour_of_a_side_that_has_one():
    person = {"image_id": 7, "joints_camera_mm": [[0, 0, 4000]] * 4}
    names = ("left_wrist", "left_elbow", "right_wrist", "right_elbow")
    both = Skeleton(
        "made/arms", names, limbs=((0, 1), (2, 3)), colours=((64, 196, 255), (255, 145, 77))
    )
    page = write_pose_page([person], both)
    assert 'background:rgb(64,196,255)"></i>left' in page
    assert 'background:rgb(255,145,77)"></i>right' in page
    assert "</i>left" not in write_pose_page([person], SKELETON), "no limb is left at both ends"


def test_a_page_of_nobody_is_refused():
    with pytest.raises(ValueError, match="needs at least one pose. Received none"):
        write_pose_page([], SKELETON)
