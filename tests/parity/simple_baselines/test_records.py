"""Which people the published loaders train and test on, and what their dataset classes say."""

import json

import numpy as np
import pytest

from poseras.data.annotation import AnnotationTable, read_coco
from poseras.data.dataset import Dataset, list_datasets, load_dataset
from poseras.data.persons import annotated_persons, clip_boxes, training_persons
from poseras.skeleton import Skeleton
from poseras.structures import PersonRecords

FILE = "simple_baselines/datasets_and_schedule.json"
# Of the keys these hold schedules and job ranges, all others data sets.
KEYS = r"(?!get_lr|gpu_argument|job_ranges)(?P<tag>.+)"


def load_ours(root, tag: str) -> Dataset:
    """The dataset that a tag such as COCO, COCO_b or coco2 names or begins with."""
    names = [name for name in list_datasets(root) if tag.lower().startswith(name.lower())]
    assert names, f"{tag} names none of the data sets {', '.join(list_datasets(root))}"
    return load_dataset(root, max(names, key=len))


def published_persons(table: AnnotationTable, dataset: Dataset) -> PersonRecords:
    """COCO's loader alone looks at the flags of the joints too."""
    return training_persons(table, skip_unlabelled=dataset.name == "COCO")


def read_case(case: dict, folder) -> AnnotationTable:
    """The case's annotations, with a skeleton of its own: its category names joints k0, k1, ..."""
    path = folder / "annotations.json"
    path.write_text(json.dumps(case["annotation_json"]))
    names = case["annotation_json"]["categories"][0]["keypoints"]
    # The originals pass over annotations of unknown images without a word.
    return read_coco(path, folder, Skeleton("case/set", tuple(names)), on_bad_sample="skip")


def assert_same(records, expected: list[dict], folder) -> None:
    assert records.image_ids.tolist() == [record["image_id"] for record in expected]
    # The folder of the split is part of the original's imgpath, of ours it is the dataset.yaml's.
    for index, record in zip(records.image_index, expected, strict=True):
        ours = records.images.paths[index].removeprefix(f"{folder}/")
        assert record["imgpath"] in (ours, f"train2017/{ours}", f"val2017/{ours}")
    # Exact: both sides are the same arithmetic in double precision, rounded once.
    boxes = np.array([record["bbox"] for record in expected]).reshape(-1, 4)
    np.testing.assert_array_equal(records.boxes_xywh, boxes.astype(np.float32))
    joints = np.array([record["joints"] for record in expected], np.float32)
    np.testing.assert_array_equal(records.keypoints, joints.reshape(records.keypoints.shape))
    assert records.scores.tolist() == [record.get("score", 1) for record in expected]


@pytest.mark.golden(FILE, keys=KEYS)
def test_training_people_are_those_of_the_published_loader(golden, tag, project_root, tmp_path):
    case = golden.load(FILE)[tag]
    records = published_persons(read_case(case, tmp_path), load_ours(project_root, tag))
    assert_same(records, case["train_records"], tmp_path)
    first = case["train_records_with_score_first"]
    assert_same(records.take(np.arange(len(first))), first, tmp_path)


@pytest.mark.golden(FILE, keys=KEYS)
def test_training_boxes_agree_in_double_precision(golden, tag, project_root, tmp_path):
    case = golden.load(FILE)[tag]
    table = read_case(case, tmp_path)
    records = published_persons(table, load_ours(project_root, tag))
    kept = np.isin(table.annotation_ids, records.annotation_ids)
    boxes, _ = clip_boxes(table.boxes_xywh, table.images.sizes_hw[table.image_index])
    expected = np.array([record["bbox"] for record in case["train_records"]]).reshape(-1, 4)
    # 1e-9: the golden README's tolerance for floats; both are double precision.
    np.testing.assert_allclose(boxes[kept], expected, rtol=0, atol=1e-9)


@pytest.mark.golden(FILE, keys=KEYS)
def test_annotated_people_are_those_of_the_published_loader(golden, tag, tmp_path):
    case = golden.load(FILE)[tag]
    if case.get("val_records_with_annot") is None:
        pytest.skip(f"the original has no loader of annotated people for {tag}")
    # Ours also sorts by image id, as the original's test does behind the loader, and leaves out
    # boxes without any area.
    expected = sorted(case["val_records_with_annot"], key=lambda record: record["image_id"])
    expected = [record for record in expected if min(record["bbox"][2:]) > 0]
    assert_same(annotated_persons(read_case(case, tmp_path)), expected, tmp_path)


@pytest.mark.golden(FILE, keys=KEYS)
def test_our_dataset_file_says_what_the_original_class_says(golden, tag, project_root):
    case = golden.load(FILE)[tag]
    dataset = load_ours(project_root, tag)
    skeleton = dataset.skeleton
    names = [dataset.aliases.get(name, name) for name in case["kps_names"]]
    assert skeleton.joint_count == case["num_kps"]
    assert list(skeleton.keypoints) == names
    assert {frozenset(pair) for pair in skeleton.flip_pairs} == {
        frozenset(pair) for pair in case["kps_symmetry"]
    }
    assert [list(limb) for limb in skeleton.limbs] == case["kps_lines"]
    for split in dataset.splits.values():
        detections = split.detections.relative_to(project_root)
        assert f"../{detections.as_posix()}" == case["human_det_path"]


@pytest.mark.golden(FILE, keys=KEYS)
def test_image_paths_follow_the_rule_of_the_original_class(golden, tag, project_root, tmp_path):
    case = golden.load(FILE)[tag]
    dataset = load_ours(project_root, tag)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": case["annotation_json"]["images"]}))
    calls = {key: value for key, value in case.items() if key.startswith("imgid_to_imgname(")}
    assert calls
    for call, names in calls.items():
        # The key is the call itself: imgid_to_imgname([3,1,1],test)
        ids, _, split = call.removeprefix("imgid_to_imgname(").removesuffix(")").rpartition(",")
        images = read_coco(path, dataset.split(split).images, dataset.skeleton).images
        paths = dict(zip(images.ids.tolist(), images.paths, strict=True))
        root = project_root / case["img_path"].removeprefix("../")
        assert [paths[i] for i in json.loads(ids)] == [f"{root}/{name}" for name in names]
