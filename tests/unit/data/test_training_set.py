import json

import pytest

from poseras.data.dataset import load_dataset
from poseras.data.training_set import load_training_parts

#: Joints in sight of each person; the others are labelled as hidden.
SEEN = (17, 6, 5, 0)


@pytest.fixture
def files(tmp_path):
    people = [
        {
            "id": number + 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": 100.0,
            "bbox": [1, 1, 9, 9],
            "num_keypoints": 17,
            "keypoints": [v for j in range(17) for v in (5, 5, 2 if j < seen else 1)],
        }
        for number, seen in enumerate(SEEN)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 30}]
    (tmp_path / "people.json").write_text(json.dumps({"images": images, "annotations": people}))
    return {"annotations": str(tmp_path / "people.json"), "images": str(tmp_path)}


@pytest.mark.parametrize(("least", "learned"), [(0, [1, 2, 3, 4]), (6, [1, 2]), (17, [1])])
def test_people_with_too_few_joints_in_sight_are_not_learned(project_root, files, least, learned):
    skeleton = load_dataset(project_root, "COCO").skeleton
    (people,) = load_training_parts(
        project_root, ["COCO"], skeleton, min_seen_joints=least, **files
    )
    assert people.annotation_ids.tolist() == learned


def test_nobody_left_is_an_error(project_root, files):
    skeleton = load_dataset(project_root, "COCO").skeleton
    with pytest.raises(ValueError, match="at least one person with keypoints. Received none"):
        load_training_parts(project_root, ["COCO"], skeleton, min_seen_joints=18, **files)
