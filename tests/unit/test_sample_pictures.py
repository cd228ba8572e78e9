"""The maps among the targets of a sample, whatever a system calls them."""

import numpy as np
import pytest

from poseras.data.dataset import choose_skeleton
from poseras.sample_pictures import find_maps


@pytest.fixture
def skeleton(project_root):
    return choose_skeleton(project_root, ["COCO"])


@pytest.mark.parametrize(("name", "peak"), [("heatmaps", 255.0), ("parts", 1.0)])
def test_maps_of_joints_reach_1_at_their_highest_peak(skeleton, name, peak):
    maps = np.zeros((4, 3, skeleton.joint_count), np.float32)
    maps[1, 2, 5], maps[0, 0, 6] = peak, peak / 2
    found = find_maps({name: maps, "weights": np.ones(17)}, skeleton)
    assert found[1, 2, 5] == 1 and found[0, 0, 6] == 0.5 and found.sum() == 1.5


def test_empty_maps_stay_empty(skeleton):
    maps = np.zeros((4, 3, skeleton.joint_count), np.float32)
    assert not find_maps({"parts": maps}, skeleton).any()


def test_vectors_and_coordinates_are_no_maps(skeleton):
    targets = {"coordinates": np.zeros((17, 3)), "parts": np.zeros((17, 40))}
    assert find_maps(targets, skeleton) is None
