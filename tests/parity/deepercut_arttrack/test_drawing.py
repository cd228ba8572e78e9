"""People keep their colours over frames as in the original drawing."""

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.structures import People
from poseras.visualize_parts import ColourKeeper, list_limbs

CASE = "deepercut_arttrack/draw_tracking.json"
#: The limbs that the original draws for COCO's joints; a joint further than these has none.
LIMBS = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (11, 13), (12, 14), (13, 15), (14, 16)),
)


def read_people(arrays):
    """A joint at (0, 0) was not found."""
    points = np.array(arrays, float)
    return People(points, points.any(axis=-1).astype(float), np.ones(len(points)))


def draw(frames, case):
    """The colours and the lines of each frame."""
    keeper = ColourKeeper(farthest_px=case["min_match_dist"], reference="last_joint")
    for frame in frames:
        people = read_people(frame)
        joints = people.keypoints_px.shape[1]
        skeleton = Skeleton(
            "original",
            tuple(f"joint_{j}" for j in range(joints)),
            limbs=tuple(limb for limb in LIMBS if max(limb) < joints),
        )
        numbers = keeper.assign(people)
        yield numbers, list_limbs(people, skeleton, numbers, tuple(case["image_size"]))


@pytest.mark.golden(CASE, keys="(?P<tag>frames)")
def test_people_keep_the_colours_of_the_original_over_frames(golden, tag):
    assert tag, f"no case in {CASE}"
    case = golden.load(CASE)
    found = draw([frame["person_conf"] for frame in case["frames"]], case)
    for (numbers, lines), frame in zip(found, case["frames"], strict=True):
        expected = {int(person): colour for person, colour in frame["color_assignment"].items()}
        assert dict(enumerate(numbers.tolist())) == expected
        # The original writes the reference point into the last joint where that was not found, and
        # draws a limb to it; that limb alone is missing here.
        before, after = np.array(frame["person_conf"]), np.array(frame["person_conf_after"])
        written = {tuple(point) for point in np.floor(after[(before != after).any(axis=-1)])}
        expected_lines = [
            s for s in frame["segments"] if not {(s[0], s[1]), (s[2], s[3])} & written
        ]
        assert lines.tolist() == expected_lines


@pytest.mark.golden(CASE, keys="(?P<tag>frames)")
def test_what_the_original_wrote_into_people_is_drawn_to_the_last_line(golden, tag):
    assert tag, f"no case in {CASE}"
    case = golden.load(CASE)
    found = draw([frame["person_conf_after"] for frame in case["frames"]], case)
    for (_, lines), frame in zip(found, case["frames"], strict=True):
        assert lines.tolist() == frame["segments"]
