"""Training samples of Microsoft's code under its scripted random numbers.

It speaks of centre and scale where ours speak of boxes: a box of 200 * scale around the centre.
"""

from dataclasses import replace

import numpy as np
import pytest

from poseras.codecs.heatmap import encode_heatmaps
from poseras.data import augment, person_samples, warp
from poseras.structures import Augmentation, View

FILE = "simple_baselines/ms_pipeline.npz"
PIXELS_OF_SCALE = 200


def make_samples(cases, tag, flip_permutation_of):
    """Placements and samples of a training case, with the joints outside left labelled."""
    view = View(
        "person_box",
        size_hw=cases[f"{tag}_crop"].shape[1:3],
        outside_joints="keep",
        augmentation=Augmentation(scale_std=0.3, rotation_std_deg=40, flip_probability=0.5),
    )
    keypoints = cases[f"{tag}_joints"].copy()
    keypoints[:, :, 2] = cases[f"{tag}_vis"][:, :, 0]
    script, image = cases[f"{tag}_draws"], cases[f"{tag}_image_bgr"]
    draws = replace(
        augment.draw(0, np.zeros(len(script), int), np.arange(len(script))),
        n_scale=script[:, 0],
        u_rotation=script[:, 1],
        n_rotation=script[:, 2],
        u_flip=script[:, 3],
    )
    still = augment.place_people(cases[f"{tag}_box"], view)
    moved = augment.disturb(still, keypoints, draws, view.augmentation)
    matrices = augment.placement_matrices(moved, view)
    picture = warp.Picture("case", image.shape[:2], pixels=image)
    sizes = np.tile(image.shape[:2], (len(script), 1))
    crops, errors = person_samples.warp_people([picture] * len(script), matrices, sizes, view)
    assert not errors
    shown = augment.keypoints_in_view(
        keypoints,
        matrices,
        moved.mirrored,
        image_widths=sizes[:, 1],
        flip_permutation=flip_permutation_of(tag, keypoints.shape[1]),
        view=view,
    )
    return still, moved, crops, shown


def centre_of(boxes):
    return boxes[:, :2] + boxes[:, 2:] / 2


@pytest.mark.golden(FILE, keys=r"(?P<tag>train\w*?)_draws")
def test_centre_scale_and_rotation_are_those_of_the_original(golden, tag, flip_permutation_of):
    assert tag, "no case found"
    cases = golden.load(FILE)
    still, moved, _, _ = make_samples(cases, tag, flip_permutation_of)
    # float32 in the original: pixels of a hundred, scales of one.
    np.testing.assert_allclose(centre_of(still.boxes_xywh), cases[f"{tag}_center"], atol=1e-4)
    scale = still.boxes_xywh[:, 2:] / PIXELS_OF_SCALE
    np.testing.assert_allclose(scale, cases[f"{tag}_scale"], atol=1e-6)
    centre = centre_of(moved.boxes_xywh)
    width = cases[f"{tag}_image_bgr"].shape[1]
    centre[:, 0] = np.where(moved.mirrored, width - 1 - centre[:, 0], centre[:, 0])
    np.testing.assert_allclose(centre, cases[f"{tag}_center_out"], atol=1e-4)
    scale = moved.boxes_xywh[:, 2:] / PIXELS_OF_SCALE
    np.testing.assert_allclose(scale, cases[f"{tag}_scale_out"], atol=1e-6)
    np.testing.assert_allclose(moved.rotation_deg, cases[f"{tag}_rot_out"], atol=1e-9)


@pytest.mark.golden(FILE, keys=r"(?P<tag>train\w*?)_draws")
def test_training_samples_under_scripted_draws_are_those_of_the_original(
    golden, tag, flip_permutation_of
):
    assert tag, "no case found"
    cases = golden.load(FILE)
    _, moved, crops, shown = make_samples(cases, tag, flip_permutation_of)
    # Exactly rounded bilinear values on both sides; a tie may fall to either.
    assert np.abs(crops.astype(int) - cases[f"{tag}_crop"]).max() <= 1
    flags = cases[f"{tag}_vis_out"][:, :, 0]
    np.testing.assert_array_equal(shown[:, :, 2], flags)
    joints = shown[:, :, :2].copy()
    # Its mirror multiplies the joints by their flags, so that unlabelled ones land at (0, 0).
    joints[moved.mirrored] *= flags[moved.mirrored][:, :, None]
    np.testing.assert_allclose(joints, cases[f"{tag}_joints_out"][:, :, :2], atol=1e-3)


@pytest.mark.golden(FILE, keys=r"(?P<tag>train\w*?)_draws")
def test_targets_of_training_samples_are_those_of_the_original(
    golden, tag, flip_permutation_of, sigma_of
):
    assert tag, "no case found"
    cases = golden.load(FILE)
    _, _, crops, shown = make_samples(cases, tag, flip_permutation_of)
    theirs = np.moveaxis(cases[f"{tag}_target"], 1, -1)  # (samples, height, width, joints)
    heatmaps, weights = encode_heatmaps(
        shown,
        input_hw=crops.shape[1:3],
        heatmap_hw=theirs.shape[1:3],
        sigma=sigma_of(theirs),
        peak=1.0,
        window="three_sigma",
    )
    np.testing.assert_array_equal(np.array(weights), cases[f"{tag}_weight"][:, :, 0])
    drawn = np.array(heatmaps) * np.array(weights)[:, None, None, :]
    # float32 exponentials of two libraries.
    np.testing.assert_allclose(drawn, theirs, atol=1e-6)
