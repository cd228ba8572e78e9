"""A training sample of pose-tensorflow: resized as Pillow does, mirrored, with its targets."""

import re

import numpy as np
import pytest

from poseras.data.pillow_resize import resize_like_pillow
from poseras.data.resized_samples import resize_and_mirror, resize_matrix
from poseras.picture_augmentation import PictureAugmentation
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.targets import encode

FILE = "deepercut_arttrack/make_batch.npz"
#: Class of data sets -> x of a mirrored joint is width + this - x.
OFFSETS = {"mpii": 0.0, "default": -1.0, "coco": -1.0, "penn_action": 1.0}


def read_case(tag):
    """Class, scale and mirrored of a case's name."""
    match = re.fullmatch(r"(.+)_s([\d.]+)_m([01])", tag)
    return match[1], float(match[2]), match[3] == "1"


def find_mirrored_joints(golden, kind, joints):
    """(joints,) the mirror image of each, by the table of the class, else by its length."""
    tables = golden.manifest("deepercut_arttrack/tables.json")
    listed = [name for name in tables if name.startswith("mirror_map_")]
    listed.sort(key=lambda name: name != f"mirror_map_{kind}")
    fitting = [tables[name] for name in listed if len(tables[name]) == joints]
    if not fitting:
        pytest.skip(f"tables.json has no mirror_map of {joints} joints")
    return np.array(fitting[0])


@pytest.mark.golden(FILE, keys="out_(?P<tag>.+)_inputs")
def test_pictures_are_resized_and_mirrored_bit_for_bit(golden, tag):
    assert tag, f"no case in {FILE}"
    case = golden.load(FILE)
    _, scale, mirrored = read_case(tag)
    ours = resize_and_mirror(case["image"], scale, mirrored)
    np.testing.assert_array_equal(ours[None], case[f"out_{tag}_inputs"])


@pytest.mark.golden(FILE, keys="out_(?P<tag>.+)_score")
def test_targets_of_a_scaled_and_mirrored_sample_equal_the_original(golden, tag):
    assert tag, f"no case in {FILE}"
    case = golden.load(FILE)
    kind, scale, mirrored = read_case(tag)
    wanted = case[f"out_{tag}_score"]
    joints = wanted.shape[-1]
    laws = PictureAugmentation(form="resize", mirror_offset_px=OFFSETS[kind])
    height, width = case["image"].shape[:2]
    matrix = resize_matrix(scale, mirrored, width, laws)
    keypoints = np.zeros((1, 1, joints, 3), np.float32)
    ids, places = case["joints"][:, 0], case["joints"][:, 1:].astype(np.float64)
    if mirrored:
        ids = find_mirrored_joints(golden, kind, joints)[ids]
    keypoints[0, 0, ids, :2] = places @ matrix[:, :2].T + matrix[:, 2]
    keypoints[0, 0, ids, 2] = 2
    size = resize_and_mirror(case["image"], scale, mirrored).shape[:2]
    batch = {
        "keypoints": keypoints,
        "image_to_network": matrix[None].astype(np.float32),
        "ignore_mask": np.zeros((1, *size), bool),
    }
    targets = encode(batch, {}, Options())
    np.testing.assert_array_equal(targets["parts"], wanted)
    refinement = np.reshape(targets["refinement"], case[f"out_{tag}_locref"].shape)
    # Ours is float32 throughout, the original's float64 until it is stored.
    np.testing.assert_allclose(refinement, case[f"out_{tag}_locref"], atol=1e-5)


@pytest.mark.golden("deepercut_arttrack/tables.json", keys="(?P<tag>mirror_map_.+)")
def test_mirrored_joints_are_those_of_our_skeletons(golden, tag, project_root):
    from poseras.data.dataset import choose_skeleton

    assert tag, "no case in tables.json"
    names = {"mpii": "MPII/mpii_14", "coco": "COCO", "penn_action": "PennAction"}
    skeleton = choose_skeleton(project_root, ["COCO"], names[tag.removeprefix("mirror_map_")])
    wanted = golden.load("deepercut_arttrack/tables.json")[tag]
    assert skeleton.flip_permutation.tolist() == wanted


@pytest.mark.golden("deepercut_arttrack/tables.json", keys=r"nms_grid_radius(?P<tag>\d+)")
def test_a_candidate_suppresses_the_disc_of_the_original(golden, tag):
    from poseras.codecs.location_refinement import find_disc_peaks

    assert tag, "no case in tables.json"
    radius = int(tag)
    wanted = np.array(golden.load("deepercut_arttrack/tables.json")[f"nms_grid_radius{tag}"])
    side = 2 * radius + 1
    suppressed = np.zeros((side, side), int)
    for place in np.ndindex(side, side):
        scores = np.zeros((1, side, side, 1), np.float32)
        scores[0, radius, radius] = 0.9
        scores[(0, *place)] = max(scores[(0, *place, 0)], 0.8)
        peaks = find_disc_peaks(scores, radius_cells=radius - 0.6, threshold=0.5, candidates=3)
        suppressed[place] = int(peaks.counts[0, 0]) == 1
    np.testing.assert_array_equal(suppressed, wanted)


def test_weights_of_the_original_are_the_masks_resized(golden):
    weights = golden.load("deepercut_arttrack/coco_dataset_weights.npz")
    tags = [name.removeprefix("weights_") for name in weights if name.startswith("weights_")]
    assert tags
    for tag in tags:
        wanted = weights[f"weights_{tag}"]
        mask = weights.get(f"negmask_{tag}")
        ours = np.ones(wanted.shape)
        if mask is not None:
            ours = 1.0 - resize_like_pillow(mask, wanted.shape)
        np.testing.assert_array_equal(ours, wanted, err_msg=tag)
