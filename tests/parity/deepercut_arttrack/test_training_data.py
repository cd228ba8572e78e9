"""The original's data sets: a COCO root, MPII's crops; and its learning rates."""

import dataclasses
import json

import numpy as np
import pytest

from poseras.data.annotation import AnnotationTable, read_coco
from poseras.data.dataset import load_dataset
from poseras.data.ignored_regions import rasterise, rasterise_regions
from poseras.data.image_records import training_pictures
from poseras.data.mpii_crops import JOINT_ORDER, list_crops
from poseras.data.mpii_release import Release
from poseras.engine.schedule import Schedule
from poseras.structures import ImageRecords
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


@dataclasses.dataclass
class Root:
    """A COCO root as the training reads it, and what the original read of it."""

    table: AnnotationTable
    records: ImageRecords
    items: list

    def people_of(self, row):
        """Those of a picture who count, as rows of the records."""
        return slice(*self.records.first_person[row : row + 2])


@pytest.fixture
def coco_root(golden, tmp_path, project_root):
    case = golden.load(FOLDER + "coco_dataset.json")
    path = tmp_path / "annotations" / "person_keypoints_train2014.json"
    path.parent.mkdir()
    path.write_text(json.dumps(case["annotation_file"]))
    dataset = load_dataset(project_root, "COCO")
    images = tmp_path / "images" / "train2014"
    table = read_coco(path, images, dataset.skeleton, segmentations=True)
    records = training_pictures(table, small_area=0.0)
    rows = {int(image_id): row for row, image_id in enumerate(records.image_ids)}
    # The original keeps pictures of which nothing is learned: ours are those with people.
    items = [item for item in case["items"] if item["persons"]]
    assert items and sorted(rows) == sorted(item["coco_id"] for item in items)
    return Root(table, records, [(rows[item["coco_id"]], item) for item in items])


def test_the_people_of_a_root_are_those_of_the_original(coco_root):
    records = coco_root.records
    for row, item in coco_root.items:
        path = records.images.paths[records.image_index[row]]
        assert path.endswith(item["im_path_suffix"])
        height, width = records.images.sizes_hw[records.image_index[row]].tolist()
        assert [3, height, width] == item["im_size"]
        people = records.people.keypoints[coco_root.people_of(row)]
        ours = [
            [[joint, *person[joint, :2].tolist()] for joint in np.flatnonzero(person[:, 2])]
            for person in people
        ]
        assert ours == item["persons"]
        if "visibilities" in item:
            assert people[..., 2].tolist() == item["visibilities"]


def test_the_masks_of_people_are_those_of_the_original(coco_root):
    table, numbers = coco_root.table, coco_root.records.people.annotation_ids
    for row, item in coco_root.items:
        size = tuple(item["im_size"][1:])
        people = np.flatnonzero(np.isin(table.annotation_ids, numbers[coco_root.people_of(row)]))
        masks = [rasterise(table.segmentation(person), size) for person in people]
        assert [*size, len(masks)] == item["gt_segm_shape"]
        assert sum(int(mask.sum()) for mask in masks) == item["gt_segm_sum"]


def test_regions_without_keypoints_are_those_of_the_original(coco_root, golden):
    masks = golden.load(FOLDER + "coco_dataset_weights.npz")
    for row, item in coco_root.items:
        size = tuple(item["im_size"][1:])
        listed = json.loads(coco_root.records.ignored_regions[row] or "[]")
        # Ours has crowds, too, which the original learns as background.
        regions = json.dumps([region for region in listed if region[0] != "crowd"]).encode()
        ours = rasterise_regions(regions, size)
        assert int(ours.sum()) == item["neg_mask_sum"]
        if item["neg_mask_sum"]:
            assert list(size) == item["neg_mask_shape"]
            np.testing.assert_array_equal(ours, masks[f"negmask_{item['coco_id']}"] > 0)


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
