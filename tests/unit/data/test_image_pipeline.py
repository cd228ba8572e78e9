"""Batches of whole pictures: order, padding, bad samples, and what the loss ignores."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseras.data.annotation import read_coco
from poseras.data.ignored_regions import rasterise, rasterise_regions
from poseras.data.image_pipeline import build_image_batches, build_image_training_batches
from poseras.data.image_records import (
    all_pictures,
    image_records_of,
    join_image_records,
    training_pictures,
)
from poseras.data.persons import join_records
from poseras.data.pipeline import records_of_boxes
from poseras.data.sample_log import SampleLog
from poseras.picture_augmentation import PictureAugmentation
from poseras.skeleton import Skeleton
from poseras.structures import SAMPLE_KEYS, View

SKELETON = Skeleton("made/up", ("nose", "left_wrist", "right_wrist"), ((1, 2),), ((0, 1), (0, 2)))
VIEW = View(
    "long_edge",
    size_hw=(64, 96),
    length=96,
    stride=32,
    interpolation="cubic",
    border_rgb=(9, 8, 7),
    picture_augmentation=PictureAugmentation(
        scale=(0.8, 1.2), max_rotation_deg=20, flip_probability=0.5, tint_probability=0.5
    ),
)


def make_row(
    number, image, *, keypoints=(20, 20, 2) * 3, area=4000.0, crowd=0, box=(10, 10, 40, 50)
):
    left, top, width, height = box
    right, bottom = left + width, top + height
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": list(box),
        "area": area,
        "iscrowd": crowd,
        "num_keypoints": sum(flag > 0 for flag in keypoints[2::3]),
        "keypoints": list(keypoints),
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    }


@pytest.fixture
def table(tmp_path):
    """Four pictures: two people; a crowd, a small person and one without keypoints; nobody; one."""
    random = np.random.default_rng(0)
    images = []
    for number in range(1, 5):
        size = (60 + number, 80 + 2 * number)
        cv2.imwrite(str(tmp_path / f"{number}.png"), random.integers(0, 256, (*size, 3), np.uint8))
        name = {"id": number, "file_name": f"{number}.png", "height": size[0], "width": size[1]}
        images.append(name)
    nothing = (0,) * 9
    rows = [
        make_row(1, 1),
        make_row(2, 1, box=(30, 5, 20, 30)),
        make_row(3, 2, box=(0, 0, 10, 10), area=100.0),
        make_row(4, 2, keypoints=nothing, box=(20, 20, 10, 10)),
        make_row(5, 2, crowd=1, box=(0, 0, 40, 40)),
        make_row(6, 4),
    ]
    path = tmp_path / "x.json"
    content = {"images": images, "annotations": rows}
    content["categories"] = [{"id": 1, "name": "person", "keypoints": list(SKELETON.keypoints)}]
    path.write_text(json.dumps(content))
    return read_coco(path, tmp_path, SKELETON, segmentations=True)


def test_pictures_with_a_labelled_person_are_learned_from(table):
    records = training_pictures(table)
    assert records.image_ids.tolist() == [1, 2, 4]
    assert np.diff(records.first_person).tolist() == [2, 1, 1] and records.most_people == 2
    assert (records.people.keypoints[2, :, 2] == 0).all(), "small people keep no label"
    assert (training_pictures(table, small_area=0).people.keypoints[2, :, 2] == 2).all()
    assert (table.keypoints[2, :, 2] == 2).all(), "the table was changed"


def test_where_nobody_is_small_people_whose_area_is_0_keep_their_labels(table):
    no_area = replace(table, areas=np.zeros(len(table)))
    kept = training_pictures(no_area, small_area=0)
    assert (kept.people.keypoints[..., 2] == 2).all() and not any(kept.ignored_regions[::2])
    hidden = training_pictures(no_area, small_area=1)
    assert not hidden.people.keypoints[..., 2].any()


def test_nobody_is_small_for_whom_the_file_gives_no_area_however_small_the_box(tmp_path):
    box = (0, 0, 10, 10)
    rows = [make_row(1, 1, box=box, area=100.0), make_row(2, 1, box=box, area=None)]
    rows.append({k: v for k, v in make_row(3, 1, box=box).items() if k != "area"})
    image = {"id": 1, "file_name": "1.png", "height": 60, "width": 80}
    (tmp_path / "x.json").write_text(json.dumps({"images": [image], "annotations": rows}))
    table = read_coco(tmp_path / "x.json", tmp_path, SKELETON)
    assert table.area_given.tolist() == [True, False, False] and (table.areas == 100).all()
    people = training_pictures(table).people
    assert people.keypoints[..., 2].any(axis=1).tolist() == [False, True, True]


def test_crowds_are_ignored_where_nobody_stood_before(table):
    records = training_pictures(table)
    assert records.ignored_regions[0] == b"" and records.ignored_regions[2] == b""
    ignored = rasterise_regions(records.ignored_regions[1], (62, 84))
    assert ignored[5, 5] and ignored[25, 25] and ignored[35, 5] and not ignored[50, 50]
    boxes = training_pictures(table, ignore_boxes=True)
    assert rasterise_regions(boxes.ignored_regions[1], (62, 84))[:40, :40].all()


def test_a_damaged_segmentation_is_refused():
    with pytest.raises(ValueError, match="polygons or a run-length mask"):
        rasterise({"size": [4, 4]}, (4, 4))
    runs = {"size": [4, 4], "counts": [16]}
    assert rasterise(runs, (4, 4)).sum() == 0
    with pytest.raises(ValueError, match="size of its picture"):
        rasterise(runs, (5, 4))


def test_a_file_without_labels_cannot_be_learned_from(table):
    bare = table.take(np.array([3]))
    with pytest.raises(ValueError, match="needs pictures with labelled keypoints"):
        training_pictures(bare)


def test_several_data_sets_are_joined_picture_by_picture(table):
    part = training_pictures(table)
    joined = join_image_records([part, part], join_records([part.people, part.people]))
    assert len(joined) == 6 and joined.image_ids.tolist() == [1, 2, 4, 1, 2, 4]
    assert np.diff(joined.first_person).tolist() == [2, 1, 1, 2, 1, 1]
    assert joined.ignored_regions[4] == part.ignored_regions[1]


def take(batches, count):
    return [
        {k: np.asarray(v) for k, v in batch.items()}
        for _, batch in zip(range(count), batches, strict=False)
    ]


def test_tested_pictures_come_once_in_order_and_the_last_batch_is_filled(table):
    batches = take(build_image_batches(all_pictures(table), VIEW, batch_size=3), 9)
    assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, -1, -1]]
    assert batches[0]["image"].shape == (3, 96, 96, 3)
    assert set(batches[0]) <= set(SAMPLE_KEYS)


def test_views_of_different_sizes_come_one_by_one(table):
    view = replace(VIEW, rule="fixed_height", length=64)
    batches = take(build_image_batches(all_pictures(table), view, batch_size=3), 9)
    assert len(batches) == 4 and all(len(batch["index"]) == 1 for batch in batches)


def test_an_unreadable_picture_is_skipped_and_listed(table):
    records = all_pictures(table)
    (table.source.parent / "2.png").unlink()
    log = SampleLog()
    batches = take(
        build_image_batches(records, VIEW, batch_size=2, on_bad_sample="skip", log=log), 9
    )
    assert [batch["index"].tolist() for batch in batches] == [[0, -1], [2, 3]]
    assert "No picture at" in log.skipped[1]
    stopped = SampleLog()
    with pytest.raises(FileNotFoundError, match="No picture at"), stopped.original_errors():
        take(build_image_batches(records, VIEW, batch_size=2, log=stopped), 9)


def train(records, view=VIEW, **options):
    settings = {"batch_size": 1, "seed": 3, **options}
    return build_image_training_batches(records, SKELETON.flip_permutation, view, **settings)


def test_a_training_sample_depends_on_seed_pass_and_row_alone(table):
    records = training_pictures(table)
    alone = take(train(records), 6)
    together = take(train(records, batch_size=3, workers=1), 2)
    later = take(train(records, first_step=2, workers=2), 4)
    for number, sample in enumerate(alone):
        batch, slot = together[number // 3], number % 3
        for key, values in sample.items():
            np.testing.assert_array_equal(values[0], batch[key][slot], err_msg=key)
    for sample, again in zip(alone[2:], later, strict=True):
        np.testing.assert_array_equal(sample["image"], again["image"])
    assert sorted(int(s["index"][0]) for s in alone[:3]) == [0, 1, 2]


def test_two_devices_share_the_batches_of_one(table):
    records = training_pictures(table)
    both = take(train(records, devices=2), 4)
    second = take(train(records, devices=2, first_device=1, local_devices=1), 2)
    np.testing.assert_array_equal(both[1]["image"], second[0]["image"])
    np.testing.assert_array_equal(both[3]["image"], second[1]["image"])


def test_people_are_padded_and_what_is_ignored_moves_with_the_picture(table):
    plain = replace(VIEW, picture_augmentation=PictureAugmentation(centre_on_people=False))
    batch = take(train(training_pictures(table), plain, batch_size=3), 1)[0]
    assert batch["keypoints"].shape == (3, 2, 3, 3) and batch["boxes_xywh"].shape == (3, 2, 4)
    slot = batch["index"].tolist().index(1)
    assert (batch["keypoints"][slot, 1] == 0).all() and (batch["boxes_xywh"][slot, 1] == 0).all()
    ignored = batch["ignore_mask"][slot]
    matrix = batch["image_to_network"][slot]
    x, y = matrix @ (25, 25, 1)
    assert ignored[int(y), int(x)]
    x, y = matrix @ (50, 50, 1)
    assert not ignored[int(y), int(x)]
    assert not np.delete(batch["ignore_mask"], slot, axis=0).any()


def test_without_any_change_pictures_are_learned_in_the_views_that_are_tested(table):
    plain = replace(VIEW, size_hw=(96, 96), picture_augmentation=PictureAugmentation())
    records = training_pictures(table)
    learned = take(train(records, plain, batch_size=3), 1)[0]
    tested = take(build_image_batches(records, plain, batch_size=3), 1)[0]
    for slot, row in enumerate(learned["index"]):
        np.testing.assert_array_equal(learned["image"][slot], tested["image"][row])
        np.testing.assert_array_equal(
            learned["image_to_network"][slot], tested["image_to_network"][row]
        )
    with pytest.raises(ValueError, match=r"as large as view.size_hw. Received \(64, 96\)"):
        train(records, replace(plain, size_hw=(64, 96)))


def test_pictures_in_memory_are_records_of_nobody():
    pictures = [np.zeros((30, 40, 3), np.uint8), np.zeros((20, 90, 3), np.uint8)]
    records = image_records_of(records_of_boxes(pictures, [np.zeros((0, 4))] * 2, 3))
    batch = take(build_image_batches(records, VIEW, batch_size=2, pictures=pictures), 1)[0]
    assert batch["index"].tolist() == [0, 1] and batch["image"][0, 48, 48].tolist() == [0, 0, 0]
    assert batch["image"][1, 0, 0].tolist() == [9, 8, 7]


def test_a_batch_larger_than_the_set_is_refused(table):
    with pytest.raises(ValueError, match="batch"):
        train(training_pictures(table), batch_size=4)
