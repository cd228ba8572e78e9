"""Grouping against tables of limbs that went through the original."""

import json

import numpy as np

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


def check_people(case, tag):
    """One table of a file, whose tables share a skeleton or have one each."""
    params = json.loads(str(case["params_json"]))[int(tag)]
    skeleton = case.get(f"skeleton_{tag}", case.get("skeleton"))
    expected = case[f"poses_{tag}"]
    poses = group_limbs(
        read_rows(case[f"limbs_{tag}"]),
        [tuple(pair) for pair in skeleton.tolist()],
        params.get("n_keypoints", expected.shape[1]),
        max_distance_px=params["dist_max"],
        use_scale=params["use_scale"],
    )
    poses = select_poses(poses, params["person_thre"], params["sort_dim"])
    assert poses.values.shape[:2] == expected.shape[:2]
    np.testing.assert_array_equal(poses.values[..., :2], expected[..., :2])
    np.testing.assert_array_equal(poses.ids, expected[..., 5])
    np.testing.assert_allclose(
        poses.values[..., 2:], expected[..., 2:5], rtol=0, atol=SCORE_TOLERANCE
    )


def test_people_from_random_limbs_with_many_conflicts_are_the_originals(golden, case_file, tag):
    check_people(golden.load(f"simplepose_v2/{case_file}"), tag)


test_people_from_random_limbs_with_many_conflicts_are_the_originals.case_files = "group_stress*.npz"
test_people_from_random_limbs_with_many_conflicts_are_the_originals.case_keys = (
    r"limbs_(?P<tag>\d+)"
)


def test_people_follow_the_originals_odd_rules(golden, case_file, tag):
    check_people(golden.load(f"simplepose_v2/{case_file}"), tag)


test_people_follow_the_originals_odd_rules.case_files = "group_quirks*.npz"
test_people_follow_the_originals_odd_rules.case_keys = r"limbs_(?P<tag>\d+)"
