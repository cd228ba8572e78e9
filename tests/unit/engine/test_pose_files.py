import json

import pytest

from poseras.engine.pose_files import open_pose_file, open_table
from poseras.skeleton import Skeleton

SKELETON = Skeleton("Mine/two", ("nose", "tail"), limbs=((0, 1),))


def person(image_id, track):
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": [1.0, 2.0, 0.5, 3.0, 4.0, 0.25],
        "num_keypoints": 2,
        "bbox": [1.0, 2.0, 2.0, 2.0],
        "area": 4.0,
        "track_id": track,
    }


def test_the_file_is_one_that_coco_loads(tmp_path):
    from pycocotools.coco import COCO

    path = tmp_path / "poses.json"
    with open_pose_file(path, SKELETON, {"source": "clip"}) as poses:
        poses.add({"id": 0, "file_name": "a"}, [person(0, 1), person(0, 2)])
        poses.add({"id": 1, "file_name": "a"}, [])
        poses.add({"id": 2, "file_name": "a"}, [person(2, 1)])
        poses.info["stopped"] = True
    content = json.loads(path.read_text())
    assert content["info"] == {"source": "clip", "stopped": True}
    assert content["categories"][0]["skeleton"] == [[1, 2]]
    coco = COCO(path)
    assert coco.getImgIds() == [0, 1, 2]
    assert [coco.anns[i]["track_id"] for i in coco.getAnnIds(imgIds=[0])] == [1, 2]
    assert sorted(coco.anns) == [1, 2, 3]


def test_a_file_of_nothing_is_still_json(tmp_path):
    with open_pose_file(tmp_path / "poses.json", SKELETON, {}):
        pass
    content = json.loads((tmp_path / "poses.json").read_text())
    assert content["images"] == content["annotations"] == []


def test_an_error_leaves_neither_file_nor_parts(tmp_path):
    with pytest.raises(RuntimeError), open_pose_file(tmp_path / "p.json", SKELETON, {}) as poses:
        poses.add({"id": 0}, [person(0, 1)])
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_table_is_only_written_where_a_path_is_given(tmp_path):
    with open_table(None) as table:
        assert table is None
    with open_table(tmp_path / "a.csv") as table:
        table.write("x\n")
    assert (tmp_path / "a.csv").read_text() == "x\n"
