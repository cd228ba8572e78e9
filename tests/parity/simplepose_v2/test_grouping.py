"""Grouping against tables of limbs that went through the original."""

import json

import numpy as np
import pytest

from poseras.systems.simplepose_v2.grouping import LimbRows, group_limbs, select_poses

# Scores are sums of a few float32 in another order; coordinates and ids are copied.
SCORE_TOLERANCE = 1e-4


def read_rows(table):
    """The original's (limbs, rows, 13) as `LimbRows`."""
    kinds, columns = np.repeat(np.arange(len(table)), table.shape[1]), table.reshape(-1, 13)
    return LimbRows(
        kinds=kinds,
        points_px=np.stack([columns[:, 0:2], columns[:, 3:5]], axis=1),
        peak_scores=columns[:, [2, 5]],
        scales_px=columns[:, 11:13],
        ids=columns[:, 6:8].astype(np.int64),
        distances_px=columns[:, 8],
        scores=columns[:, 10],
    )


def group(table, skeleton, joint_count, params):
    poses = group_limbs(
        read_rows(table),
        [tuple(pair) for pair in skeleton.tolist()],
        joint_count,
        max_distance_px=params["dist_max"],
        use_scale=params["use_scale"],
    )
    return select_poses(poses, params["person_thre"], params["sort_dim"])


def assert_same_people(poses, expected):
    assert poses.values.shape[:2] == expected.shape[:2]
    np.testing.assert_array_equal(poses.values[..., :2], expected[..., :2])
    np.testing.assert_array_equal(poses.ids, expected[..., 5])
    np.testing.assert_allclose(
        poses.values[..., 2:], expected[..., 2:5], rtol=0, atol=SCORE_TOLERANCE
    )


@pytest.mark.golden("simplepose_v2/group_stress_coco.npz", keys=r"limbs_(?P<tag>\d+)")
def test_people_from_random_limbs_with_many_conflicts_are_the_originals(golden, tag):
    case = golden.load("simplepose_v2/group_stress_coco.npz")
    params = json.loads(str(case["params_json"]))[int(tag)]
    expected = case[f"poses_{tag}"]
    poses = group(case[f"limbs_{tag}"], case["skeleton"], expected.shape[1], params)
    assert_same_people(poses, expected)


@pytest.mark.golden("simplepose_v2/group_quirks.npz", keys=r"limbs_(?P<tag>\d+)")
def test_people_follow_the_originals_odd_rules(golden, tag):
    case = golden.load("simplepose_v2/group_quirks.npz")
    params = json.loads(str(case["params_json"]))[int(tag)]
    joints = params["n_keypoints"]
    poses = group(case[f"limbs_{tag}"], case[f"skeleton_{tag}"], joints, params)
    assert_same_people(poses, case[f"poses_{tag}"])
