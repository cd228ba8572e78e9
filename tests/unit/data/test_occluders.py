from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseras.data import augment, person_samples, pipeline
from poseras.data.occluders import (
    choose_occluders,
    draw_shapes,
    load_occluders,
    paste_occluders,
)
from poseras.structures import Augmentation, ImageTable, PersonRecords, View

RED = np.zeros((40, 30, 4), np.uint8)
RED[..., 0] = RED[..., 3] = 255


def grey(size=128):
    return np.full((size, size, 3), 90, np.uint8)


def test_shapes_are_the_same_ones_each_time_and_partly_transparent():
    shapes = draw_shapes()
    assert len(shapes) == 64
    for one, two in zip(shapes, draw_shapes(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.shape == (128, 128, 4) and one[0, 0, 3] == 0 and one[..., 3].max() == 255


def test_what_is_pasted_is_a_function_of_the_key():
    first, again, other = grey(), grey(), grey()
    paste_occluders(first, [RED], np.uint64(5))
    paste_occluders(again, [RED], np.uint64(5))
    paste_occluders(other, [RED], np.uint64(6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_an_object_replaces_what_is_under_it_by_its_alpha():
    image, glass = grey(), RED.copy()
    glass[..., 3] = 51  # a fifth
    paste_occluders(image, [RED], np.uint64(1))
    assert {tuple(c) for c in image.reshape(-1, 3)} == {(90, 90, 90), (255, 0, 0)}
    image = grey()
    paste_occluders(image, [glass], np.uint64(1))
    assert (123, 72, 72) in {tuple(c) for c in image.reshape(-1, 3)}


def test_the_largest_object_keeps_its_size_in_a_view_of_256_pixels():
    widths = []
    for key in range(200):
        image = np.zeros((256, 256, 3), np.uint8)
        paste_occluders(image, [RED], np.uint64(key))
        columns = np.flatnonzero(image[..., 0].any(axis=0))
        if len(columns) and (np.diff(columns) == 1).all():
            widths.append(len(columns))
    assert min(widths) >= 0.2 * 30 - 1 and max(widths) <= 7 * 30


def test_pictures_of_a_folder_are_read_with_their_alpha(tmp_path):
    cv2.imwrite(str(tmp_path / "b.png"), cv2.cvtColor(RED, cv2.COLOR_RGBA2BGRA))
    cv2.imwrite(str(tmp_path / "a.png"), RED[..., :3])
    (picture,) = load_occluders(str(tmp_path))
    np.testing.assert_array_equal(picture, RED)
    assert len(load_occluders("")) == 64


def test_a_folder_without_objects_is_named(tmp_path):
    with pytest.raises(ValueError, match="Received 0 pictures, none of them with an alpha"):
        load_occluders(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="occluder_folder names a folder"):
        load_occluders(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "laws",
    [{"occlusion_probability": 0.5}, {"occlusion_kind": "objects"}, {}],
)
def test_a_folder_of_objects_that_are_never_pasted_is_refused(laws):
    with pytest.raises(ValueError, match="occlusion_kind=objects view.augmentation.occlusion_prob"):
        choose_occluders(Augmentation(occluder_folder="here", **laws))


def test_a_training_asks_for_its_occluders(tmp_path):
    people = PersonRecords(
        images=ImageTable(np.arange(1), (str(tmp_path / "1.jpg"),), np.full((1, 2), 9, np.int32)),
        image_index=np.zeros(1, np.int32),
        boxes_xywh=np.float32([[0, 0, 9, 9]]),
        keypoints=np.ones((1, 1, 3), np.float32),
        scores=np.ones(1),
        areas=np.ones(1),
        annotation_ids=np.zeros(1, np.int64),
    )
    laws = Augmentation(occlusion_probability=0.5, occluder_folder=str(tmp_path / "nowhere"))
    for kind, error in (("rectangle", ValueError), ("objects", FileNotFoundError)):
        view = View("person_box", (64, 48), augmentation=replace(laws, occlusion_kind=kind))
        with pytest.raises(error, match="occluder_folder"):
            pipeline.build_training_batches(people, np.arange(1), view, batch_size=1)


def test_objects_are_chosen_where_they_are_pasted_and_rectangles_are_not_objects():
    pasted = Augmentation(occlusion_probability=0.5, occlusion_kind="objects")
    assert len(choose_occluders(pasted)) == 64
    assert choose_occluders(Augmentation(occlusion_probability=0.5)) == ()


def test_as_many_views_are_covered_as_the_law_says():
    rows = np.arange(400)
    draws = augment.draw(3, np.zeros(400, int), rows)
    images = np.repeat(grey(32)[None], 400, axis=0)
    person_samples.occlude_images(images, draws, 0.25, [RED])
    covered = (images != 90).any(axis=(1, 2, 3))
    assert 0.15 < covered.mean() < 0.35
    person_samples.occlude_images(images[~covered], draws, 0.0, [RED])
