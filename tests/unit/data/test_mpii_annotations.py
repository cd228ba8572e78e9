import json

import numpy as np
import pytest

from poseras.data.mpii_annotations import read_first_pixel, read_head_sizes

NAMES = ["neck", "head_top", "wrist"]


def write(path, rows, **others):
    categories = [{"id": 1, "keypoints": NAMES}]
    path.write_text(json.dumps({"annotations": rows, "categories": categories, **others}))
    return path


def test_the_head_box_tells_and_the_joints_where_there_is_none(tmp_path):
    joints = [3, 4, 1, 0, 0, 1, 9, 9, 1]  # neck and head top are 5 px apart
    rows = [
        {"id": 7, "keypoints": joints, "bbox_head": [100, 100, 30, 40]},
        {"id": 5, "keypoints": joints},
        {"id": 6, "keypoints": [3, 4, 0, 0, 0, 1, 9, 9, 1]},
        {"id": 8, "keypoints": [1, 1, 1, 1, 1, 1, 1, 1, 1], "bbox_head": [1, 1, 0, 0]},
    ]
    heads = read_head_sizes(write(tmp_path / "a.json", rows), {"neck": "upper_neck"})
    assert heads.ids.tolist() == [7, 5, 6, 8]
    np.testing.assert_allclose(heads.sizes_px, [0.6 * 50, 0.75 * 5, np.nan, np.nan])
    assert list(heads.origin.values()) == [1, 1, 2]


def test_both_rules_agree_on_the_real_release(samples):
    """The released head joints lie 0.4 diagonals of the head box from its centre."""
    from poseras.data.mpii_conversion import Settings, convert_release
    from poseras.data.mpii_release import read_release

    folder = samples / "MPII" / "original_annotations"
    release = read_release(folder / "mpii_human_pose_v1_u12_1.mat", details=True)
    sizes = dict.fromkeys(release.names, (1, 1))
    rows = convert_release(release, sizes, "train", Settings(details=True)).content["annotations"]
    names = {"upper_neck": 8, "head_top": 9}
    for row in rows:
        points = np.reshape(row["keypoints"], (-1, 3))[:, :2]
        apart = np.linalg.norm(points[names["head_top"]] - points[names["upper_neck"]])
        diagonal = np.hypot(*row["bbox_head"][2:])
        # Head boxes are rounded to whole pixels, up to half a pixel on each of four sides.
        assert 0.75 * apart == pytest.approx(0.6 * diagonal, abs=0.6)


@pytest.mark.parametrize(
    ("others", "first"), [({}, 1), ({"info": {"first_pixel": 0}}, 0), ({"info": {"year": 1}}, 1)]
)
def test_pixels_count_from_1_unless_the_file_says_0(tmp_path, others, first):
    assert read_first_pixel(write(tmp_path / "a.json", [], **others)) == first
