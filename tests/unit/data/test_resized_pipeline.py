"""Batches of pictures in sizes of their own: bright pixels, regions, padding and bad files."""

import json

import cv2
import numpy as np
import pytest

from poseras.data.image_pipeline import build_image_training_batches
from poseras.data.image_records import image_records_of
from poseras.data.sample_log import SampleLog
from poseras.picture_augmentation import PictureAugmentation
from poseras.structures import ImageRecords, ImageTable, PersonRecords, View

SIZES = [(40, 60), (50, 30), (70, 64), (33, 100)]
FLIP = np.array([1, 0])


@pytest.fixture
def records(tmp_path):
    """Black pictures with a red left and a green right joint, the first with an ignored corner."""
    keypoints = np.zeros((len(SIZES), 2, 3), np.float32)
    paths = []
    for number, (height, width) in enumerate(SIZES):
        pixels = np.zeros((height, width, 3), np.uint8)
        for joint, (x, y) in enumerate(((5 + number, 7), (width - 6, height - 9))):
            pixels[y, x, joint] = 255
            keypoints[number, joint] = x, y, 2
        paths.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(paths[-1], pixels[..., ::-1])
    count = len(SIZES)
    people = PersonRecords(
        images=ImageTable(np.arange(count), tuple(paths), np.array(SIZES, np.int32)),
        image_index=np.arange(count, dtype=np.int32),
        boxes_xywh=np.tile(np.float32([0, 0, 9, 9]), (count, 1)),
        keypoints=keypoints,
        scores=np.ones(count),
        areas=np.full(count, 81.0),
        annotation_ids=np.arange(count),
    )
    made = image_records_of(people)
    corner = json.dumps([["unlabelled", {"box": [0, 0, 10, 4]}]]).encode()
    regions = (corner, *[b""] * (count - 1))
    return ImageRecords(made.people, made.image_index, made.first_person, regions)


def view(**laws):
    return View(
        rule="scale",
        interpolation="pillow_linear",
        border_rgb=(9, 8, 7),
        outside_joints="keep",
        picture_augmentation=PictureAugmentation(form="resize", **laws),
    )


def take(dataset, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in dataset.take(count)]


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_bright_pixels_stay_under_their_joints(records, mirrored):
    dataset = build_image_training_batches(
        records, FLIP, view(flip_probability=mirrored), batch_size=1, seed=1
    )
    seen = []
    for batch in take(dataset, 4):
        image, row = batch["image"][0], int(batch["index"][0])
        seen.append(row)
        assert image.shape[:2] == SIZES[row] == tuple(batch["shown_hw"][0])
        for joint, (x, y, flag) in enumerate(batch["keypoints"][0, 0]):
            colour = [0, 0, 0]
            colour[joint if not mirrored else FLIP[joint]] = 255
            assert flag == 2 and image[int(y), int(x)].tolist() == colour
    assert sorted(seen) == [0, 1, 2, 3]


def test_several_pictures_are_filled_up_to_a_bucket(records):
    dataset = build_image_training_batches(
        records, FLIP, view(scale=(2.0, 2.0)), batch_size=2, seed=1
    )
    for batch in take(dataset, 2):
        _, height, width, _ = batch["image"].shape
        assert height % 64 == width % 64 == 0
        for slot, row in enumerate(batch["index"].tolist()):
            size = tuple(2 * side for side in SIZES[row])
            assert tuple(batch["shown_hw"][slot]) == size
            outside = np.ones((height, width), bool)
            outside[: size[0], : size[1]] = False
            assert (batch["image"][slot][outside] == (9, 8, 7)).all()
            assert batch["ignore_mask"][slot][outside].all()
            inside = batch["ignore_mask"][slot][~outside].sum()
            assert (inside > 0) == (row == 0)
            np.testing.assert_allclose(batch["image_to_network"][slot], [[2, 0, 0], [0, 2, 0]])


def test_a_bad_picture_is_replaced_by_one_of_another_size(records):
    path = records.images.paths[2]
    with open(path, "wb") as file:
        file.write(b"no picture")
    log = SampleLog()
    dataset = build_image_training_batches(
        records, FLIP, view(), batch_size=2, seed=1, on_bad_sample="skip", log=log
    )
    rows = [row for batch in take(dataset, 2) for row in batch["index"].tolist()]
    assert 2 not in rows and len(rows) == 4 and log.skipped
