"""Pictures in sizes of their own: what Pillow makes of small ones, mirrors, buckets and orders."""

import numpy as np
import pytest

from poseras.data.order import Order
from poseras.data.pillow_resize import resize_like_pillow
from poseras.data.resized_samples import (
    BucketOrder,
    bucket_size,
    limit_scale,
    resize_and_mirror,
    resize_matrix,
    resized_size,
    stack_resized,
)
from poseras.picture_augmentation import PictureAugmentation
from poseras.structures import View

LAWS = PictureAugmentation(form="resize")


def test_a_row_is_averaged_over_a_triangle_where_it_shrinks():
    row = np.array([[0, 100, 200, 40]], np.uint8)
    # New centre 1 of the old row: weights 3, 3, 1 of 7 on its first three pixels, and back.
    assert resize_like_pillow(row, (1, 2)).tolist() == [[71, 117]]
    assert resize_like_pillow(row, (1, 4)) is row
    assert resize_like_pillow(row, (1, 8)).tolist() == [[0, 25, 75, 125, 175, 160, 80, 40]]


def test_a_bright_pixel_and_its_keypoint_move_together_when_mirrored():
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[2, 3] = 255
    image = resize_and_mirror(pixels, 1.0, True)
    x, y = resize_matrix(1.0, True, 12, LAWS) @ (3, 2, 1)
    assert image[int(y), int(x)].tolist() == [255] * 3
    kept = PictureAugmentation(form="resize", mirror_offset_px=0)  # MPII counts from 1
    assert (resize_matrix(1.0, True, 12, kept) @ (3, 2, 1))[0] == x + 1


def test_sizes_are_rounded_down_and_large_pictures_shrunk():
    assert resized_size((101, 7), 0.5) == (50, 3)
    assert resized_size((1, 1), 0.1) == (1, 1)
    laws = PictureAugmentation(form="resize", max_area_px=10_000)
    assert limit_scale(1.0, (200, 200), laws) == 0.5
    assert limit_scale(0.4, (200, 200), laws) == 0.4
    assert limit_scale(3.0, (200, 200), LAWS) == 3.0


def test_one_picture_is_not_padded_and_several_fill_a_bucket():
    assert bucket_size(np.array([[65, 30]])) == (65, 30)
    assert bucket_size(np.array([[65, 30], [10, 128]])) == (128, 128)
    view = View(rule="scale", border_rgb=(1, 2, 3), picture_augmentation=LAWS)
    samples = [
        {
            "image": np.zeros((*size, 3), np.uint8),
            "ignore_mask": np.zeros(size, bool),
            "keypoints": np.zeros((2, 3, 3), np.float32),
        }
        for size in ((65, 30), (10, 70))
    ]
    batch = stack_resized(samples, view)
    assert batch["image"].shape == (2, 128, 128, 3) and batch["shown_hw"].tolist() == [
        [65, 30],
        [10, 70],
    ]
    assert batch["image"][1, 9, 70].tolist() == [1, 2, 3] and not batch["image"][1, 9, 69].any()
    assert batch["ignore_mask"][0, :65, :30].sum() == 0 and batch["ignore_mask"][0, 65:].all()
    assert stack_resized(samples[:1], view)["image"].shape == (1, 65, 30, 3)


def test_batches_hold_pictures_of_one_bucket_and_every_picture_once_a_pass():
    random = np.random.default_rng(0)
    sizes = np.where(random.random((200, 1)) < 0.5, [480, 640], [640, 480])
    order = BucketOrder(200, 7, sizes, 4)
    passes, rows = order.rows(np.arange(400))
    assert passes.tolist() == [0] * 200 + [1] * 200
    assert sorted(rows[:200]) == sorted(rows[200:]) == list(range(200))
    assert rows[:200].tolist() != rows[200:].tolist()
    mixed = [len(np.unique(sizes[batch, 0])) > 1 for batch in rows[:200].reshape(-1, 4)]
    plain = Order(200, 7).rows(np.arange(200))[1]
    unsorted = [len(np.unique(sizes[batch, 0])) > 1 for batch in plain.reshape(-1, 4)]
    assert sum(mixed) <= 2 < sum(unsorted)
    np.testing.assert_array_equal(order.rows(np.array([399, 3]))[1], rows[[399, 3]])


def test_batches_of_a_later_pass_hold_one_bucket_where_passes_end_within_a_batch():
    random = np.random.default_rng(0)
    sizes = np.where(random.random((202, 1)) < 0.5, [480, 640], [640, 480])
    rows = BucketOrder(202, 7, sizes, 4).rows(np.arange(404))[1]
    assert sorted(rows[202:]) == list(range(202))
    mixed = [len(np.unique(sizes[batch, 0])) > 1 for batch in rows[204:].reshape(-1, 4)]
    assert sum(mixed) <= 2


def test_laws_that_a_resized_picture_cannot_have_are_refused():
    with pytest.raises(ValueError, match="scaled and mirrored alone"):
        PictureAugmentation(form="resize", max_rotation_deg=10)
    with pytest.raises(ValueError, match="must not be negative"):
        PictureAugmentation(max_area_px=-1)
