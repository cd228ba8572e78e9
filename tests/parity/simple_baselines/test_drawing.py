"""The original style of drawing, against pictures that TF-SimpleHumanPose drew."""

import re

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.visualize import draw_original

FILE = "simple_baselines/vis.npz"
DRAWN = r"_drawn(?:_thr(?P<threshold>[\d.]+))?(?:_alpha(?P<alpha>[\d.]+))?"


def skeleton_of(tag: str, classes: dict) -> Skeleton:
    """The keypoints and limbs of the data set that a tag names or begins with."""
    names = [name for name, values in classes.items() if "kps_lines" in values]
    name = max((name for name in names if tag.lower().startswith(name.lower())), key=len)
    values = classes[name]
    keypoints = [re.sub("^r_", "right_", re.sub("^l_", "left_", k)) for k in values["kps_names"]]
    return Skeleton(
        name=name,
        keypoints=tuple(keypoints),
        limbs=tuple((a, b) for a, b in values["kps_lines"]),
    )


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_kps")
def test_the_original_style_is_drawn_pixel_for_pixel(golden, tag: str, name_lists):
    assert tag, f"{FILE} holds no case"
    cases = golden.load(FILE)
    skeleton = skeleton_of(tag, name_lists("simple_baselines/datasets_and_schedule.json"))
    x, y, scores = cases[f"{tag}_kps"]  # (3, joints)
    image_rgb = cases[f"{tag}_image"][..., ::-1]
    drawings = [(re.fullmatch(re.escape(tag) + DRAWN, key), key) for key in cases]
    drawings = [(match, key) for match, key in drawings if match]
    assert drawings, f"{FILE} holds no drawing of {tag}"
    for match, key in drawings:
        settings = {name: float(value) for name, value in match.groupdict().items() if value}
        drawn = draw_original(image_rgb, np.stack([x, y], -1), scores, skeleton, **settings)
        # The same OpenCV calls with the same numbers: no tolerance.
        np.testing.assert_array_equal(drawn[..., ::-1], cases[key], err_msg=key)
