"""The original's data sets: a COCO root, MPII's crops; and its learning rates."""

import json

import numpy as np
import pytest

from poseras.data.annotation import read_coco
from poseras.data.dataset import load_dataset
from poseras.data.ignored_regions import rasterise_regions
from poseras.data.image_records import training_pictures
from poseras.data.mpii_crops import JOINT_ORDER, list_crops
from poseras.data.mpii_release import Release
from poseras.engine.schedule import Schedule
from poseras.systems.deepercut_arttrack.published_config import translate

FOLDER = "deepercut_arttrack/"


@pytest.mark.golden(FOLDER + "losses.json", keys="(?P<tag>learning_rate)")
def test_learning_rates_of_all_iterations_equal_the_original(golden, tag):
    assert tag, "no case in losses.json"
    case = golden.load(FOLDER + "losses.json")[tag]
    raw = {"net_type": "resnet_101", "dataset": "", "multi_step": case["multi_step"]}
    told = translate(raw).differences
    schedule = Schedule(
        steps_per_epoch=7,
        learning_rate=told["train.learning_rate"],
        decay_steps=tuple(told["train.decay_steps"]),
        decay_factors=tuple(told["train.decay_factors"]),
        total_steps=told["train.total_steps"],
    )
    assert schedule.end_step == case["multi_step"][-1][1] + 1
    ours = [schedule.rate_at(step) for step in range(len(case["lr"]))]
    # A rate is the first one times a share: one rounding of float64.
    np.testing.assert_allclose(ours, case["lr"], rtol=1e-15, atol=0)


@pytest.fixture
def coco_root(golden, tmp_path, project_root):
    """The records of the case's file as the training reads them, and the case."""
    case = golden.load(FOLDER + "coco_dataset.json")
    path = tmp_path / "annotations" / "person_keypoints_train2014.json"
    path.parent.mkdir()
    path.write_text(json.dumps(case["annotation_file"]))
    dataset = load_dataset(project_root, "COCO")
    images = tmp_path / "images" / "train2014"
    table = read_coco(path, images, dataset.skeleton, segmentations=True)
    return training_pictures(table, small_area=0.0), case


def test_the_people_of_a_root_are_those_of_the_original(coco_root):
    records, case = coco_root
    rows = {int(image_id): row for row, image_id in enumerate(records.image_ids)}
    shown = [item for item in case["items"] if item["persons"]]
    assert shown and sorted(rows) == sorted(item["coco_id"] for item in shown)
    for item in shown:
        row = rows[item["coco_id"]]
        path = records.images.paths[records.image_index[row]]
        assert path.endswith(item["im_path_suffix"])
        height, width = records.images.sizes_hw[records.image_index[row]].tolist()
        assert [3, height, width] == item["im_size"]
        first, last = records.first_person[row : row + 2]
        people = records.people.keypoints[first:last]
        ours = [
            [[joint, *person[joint, :2].tolist()] for joint in np.flatnonzero(person[:, 2])]
            for person in people
        ]
        assert ours == item["persons"]


def test_regions_without_keypoints_are_those_of_the_original(coco_root, golden):
    records, case = coco_root
    masks = golden.load(FOLDER + "coco_dataset_weights.npz")
    rows = {int(image_id): row for row, image_id in enumerate(records.image_ids)}
    compared = 0
    for item in case["items"]:
        wanted = masks.get(f"negmask_{item['coco_id']}")
        if wanted is None or item["coco_id"] not in rows:
            continue
        row = rows[item["coco_id"]]
        size = tuple(records.images.sizes_hw[records.image_index[row]].tolist())
        regions = records.ignored_regions[row]
        np.testing.assert_array_equal(rasterise_regions(regions, size), wanted > 0)
        compared += 1
    assert compared


def make_release(images):
    """A release of pictures as the case describes them, all of the training split."""
    pictures, owners, points, details, person = [], [], [], [], 0
    for row, image in enumerate(images):
        for someone in image["people"]:
            pictures.append(row)
            details.append([*someone["head"], 1.0, 0.0, 0.0])
            owners += [person] * len(someone["points"])
            points += [[*point, 1.0] for point in someone["points"]]
            person += 1
    return Release(
        names=tuple(image["name"] for image in images),
        is_train=np.ones(len(images), bool),
        picture_of_person=np.array(pictures),
        person_of_point=np.array(owners),
        points=np.array(points, np.float64),
        details=np.array(details, np.float64),
        single_person=tuple(tuple(image["single_person"]) for image in images),
    )


@pytest.mark.golden(FOLDER + "mpii_preprocess.json", keys="(?P<tag>dataset)")
def test_crops_of_mpii_equal_the_matlab_preparation(golden, tag):
    assert tag, "no case in mpii_preprocess.json"
    case = golden.load(FOLDER + "mpii_preprocess.json")
    sizes = {row: tuple(image["size_hw"]) for row, image in enumerate(case["images"])}
    crops = list(list_crops(make_release(case["images"]), sizes))
    assert [crop.name for crop in crops] == [entry["image"] for entry in case[tag]]
    for crop, entry in zip(crops, case[tag], strict=True):
        assert [3, *crop.size_hw] == entry["size"], crop.name
        assert crop.joints.tolist() == entry["joints"], crop.name
        # Float64 of the same formula.
        np.testing.assert_allclose(crop.crop_to_image, entry["T"], rtol=0, atol=1e-9)
    assert len(JOINT_ORDER) == 14
