"""Crops of TF-SimpleHumanPose: test crops, and training crops under its scripted random numbers.

Pictures of the cases are in OpenCV's channel order, which geometry does not notice.
"""

from dataclasses import replace

import numpy as np
import pytest

from poseras.data import augment, person_samples, warp
from poseras.geometry import compose_affine, mirror_matrix
from poseras.structures import Augmentation
from poseras.systems.simple_baselines.options import Options, default_view

FILE = "simple_baselines/crop.npz"
# The published constants of the network side and the augmentation of the cases.
LAWS = Augmentation(scale_std=0.3, rotation_std_deg=40, flip_probability=0.5)


def view_of(size_hw):
    options = Options(input_shape=(256, 192))
    return replace(default_view(options), size_hw=tuple(size_hw), augmentation=LAWS)


def crops_of(cases, tag):
    """Recorded crops with the stride in which their pixels were kept, and the size of the view."""
    (key,) = (key for key in cases if key.startswith(f"test_{tag}_crop_u8"))
    stride = int(key.partition("stride")[2] or 1)
    height, width = cases[key].shape[-3:-1]
    return cases[key].reshape(-1, height, width, 3), stride, (height * stride, width * stride)


def crop(image, matrices, view):
    """Crops as the pipeline makes them, through the smallest window."""
    picture = warp.Picture("case", image.shape[:2], pixels=image)
    sizes = np.tile(image.shape[:2], (len(matrices), 1))
    images, errors = person_samples.warp_people([picture] * len(matrices), matrices, sizes, view)
    assert not errors
    return images


def assert_crops(ours, theirs):
    # Exactly rounded bilinear values on both sides; a tie may fall to either.
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def boxes_of(cases, corners):
    """The boxes of a case: all of them, or where it has fewer crops those around their centres."""
    boxes = cases["boxes_xywh"]
    if len(corners) == len(boxes):
        return boxes
    centres, wanted = boxes[:, :2] + boxes[:, 2:] / 2, (corners[:, :2] + corners[:, 2:]) / 2
    return boxes[np.linalg.norm(centres - wanted[:, None], axis=-1).argmin(axis=1)]


@pytest.mark.golden(FILE, keys=r"test_(?P<tag>\w+)_crop_info")
def test_a_test_crop_is_that_of_the_original(golden, tag):
    assert tag, "no case found"
    cases = golden.load(FILE)
    theirs, stride, size_hw = crops_of(cases, tag)
    view = view_of(size_hw)
    matrix = cases[f"test_{tag}_matrix"]
    corners = cases[f"test_{tag}_crop_info"].reshape(-1, 4)
    placement = augment.place_people(boxes_of(cases, corners), view)
    matrices = augment.placement_matrices(placement, view)
    # float32 points in the original.
    np.testing.assert_allclose(matrices, matrix.reshape(-1, 2, 3), atol=1e-4)
    low, size = np.split(placement.boxes_xywh, 2, axis=1)
    # float32 pixels of a few hundred on both sides.
    np.testing.assert_allclose(np.concatenate([low, low + size], 1), corners, atol=1e-3)
    crops = crop(cases["image_bgr"], matrices, view)
    assert_crops(crops[:, ::stride, ::stride], theirs)


@pytest.mark.golden(FILE, keys=r"test_(?P<tag>\w+)_first_normalized")
def test_a_normalised_crop_is_that_of_the_original(golden, tag):
    assert tag, "no case found"
    cases = golden.load(FILE)
    view = view_of(cases[f"test_{tag}_first_normalized"].shape[:2])
    placement = augment.place_people(cases["boxes_xywh"][:1], view)
    image = crop(cases["image_bgr"], augment.placement_matrices(placement, view), view)[0]
    # Blue gets the mean of red: the published default.
    assert Options().channel_order == "bgr"
    normalised = image - np.array(Options().pixel_mean)
    # One grey level of the crop.
    assert np.abs(normalised - cases[f"test_{tag}_first_normalized"]).max() <= 1 + 1e-4


def scripted_draws(script):
    """Draws with the four numbers of the originals in their place: scale, u, angle, u."""
    draws = augment.draw(0, np.zeros(len(script), int), np.arange(len(script)))
    return replace(
        draws,
        n_scale=script[:, 0],
        u_rotation=script[:, 1],
        n_rotation=script[:, 2],
        u_flip=script[:, 3],
    )


@pytest.mark.golden(FILE, keys=r"(?P<tag>train\w*?)_draws")
def test_a_training_crop_under_scripted_draws_is_that_of_the_original(
    golden, tag, flip_permutation_of
):
    assert tag, "no case found"
    cases = golden.load(FILE)
    theirs = cases[f"{tag}_crop_u8"]
    view, image = view_of(theirs.shape[1:3]), cases["image_bgr"]
    keypoints = cases[f"{tag}_joints_xyv"]
    placement = augment.disturb(
        augment.place_people(cases[f"{tag}_boxes_xywh"], view),
        keypoints,
        scripted_draws(cases[f"{tag}_draws"]),
        view.augmentation,
    )
    matrices = augment.placement_matrices(placement, view)
    # The original mirrors the picture first, ours has the mirror in the affine.
    mirror = mirror_matrix(image.shape[1])
    expected = np.stack(
        [
            compose_affine(matrix, mirror) if mirrored else matrix
            for matrix, mirrored in zip(cases[f"{tag}_matrix"], placement.mirrored, strict=True)
        ]
    )
    # float32 points in the original; a mirror moves the error of a slope by the picture's width.
    slack = 1e-4 + np.abs(expected[:, :, :2] - matrices[:, :, :2]).max() * image.shape[1]
    np.testing.assert_allclose(matrices[:, :, :2], expected[:, :, :2], atol=1e-4)
    np.testing.assert_allclose(matrices[:, :, 2], expected[:, :, 2], atol=slack)
    assert_crops(crop(image, matrices, view), theirs)
    shown = augment.keypoints_in_view(
        keypoints,
        matrices,
        placement.mirrored,
        image_widths=np.full(len(keypoints), image.shape[1]),
        flip_permutation=flip_permutation_of(tag, keypoints.shape[1]),
        view=view,
    )
    np.testing.assert_array_equal(shown[:, :, 2] > 0, cases[f"{tag}_target_valid"])
    # float32 pixels, and the matrix above.
    np.testing.assert_allclose(shown[:, :, :2], cases[f"{tag}_target_coord"], atol=1e-3)
