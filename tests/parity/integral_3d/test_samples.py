"""Training samples and targets of Moon's loader: patches, joints, visibility; the real frames."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from poseras.codecs import integral
from poseras.data import augment, person_samples, warp
from poseras.data.dataset import load_dataset
from poseras.data.human36m_coco import sequence_boxes
from poseras.data.human36m_sequences import SequenceName, read_sequence
from poseras.data.images import read_image
from poseras.data.order import locate_items
from poseras.skeleton import reindex_joints, take_joints
from poseras.systems.integral_3d.options import Options, default_view

PATCH, TARGETS, FRAMES = (f"integral_3d/{n}.npz" for n in ("patch", "targets", "samples_h36m"))
# The 'raw255' normalisation that the cases were made with.
RAW = Options(input_normalisation="raw255")


def make_placement(box, scale, rotation, mirrored):
    """One person's view: scale, rotation in degrees and mirror instead of draws."""
    box = np.asarray(box, np.float64)
    centre, size = box[:2] + box[2:] / 2, box[2:] * scale
    return augment.Placement(
        boxes_xywh=np.concatenate([centre - size / 2, size])[None],
        rotation_deg=np.array([rotation]),
        mirrored=np.array([bool(mirrored)]),
        scale=np.array([scale]),
    )


def make_view(size_hw):
    return replace(default_view(Options()), size_hw=tuple(int(n) for n in size_hw))


def crop(image_rgb, matrices, view):
    picture = warp.Picture("case", image_rgb.shape[:2], pixels=np.ascontiguousarray(image_rgb))
    sizes = np.array([image_rgb.shape[:2]])
    images, errors = person_samples.warp_people([picture], matrices, sizes, view)
    assert not errors
    return images[0]


def assert_equal_pixels(ours, theirs):
    # A tie of a bilinear value may fall to either side.
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() <= 1e-3


@pytest.mark.golden(PATCH, keys=r"(?P<tag>.+)_patch_rgb")
def test_a_patch_has_the_pixels_of_the_original(golden, tag):
    assert tag, "no case found"
    case = golden.load(PATCH)
    flip, scale, rotation = case[f"{tag}_flip_scale_rot"]
    view = make_view(case[f"{tag}_input_shape"])
    placement = make_placement(case[f"{tag}_bbox"], scale, rotation, flip)
    matrices = augment.placement_matrices(placement, view)
    theirs = case[f"{tag}_trans"]
    if flip:  # the original mirrors the picture first
        last = case["image_bgr"].shape[1] - 1
        theirs = theirs @ np.array([[-1, 0, last], [0, 1, 0], [0, 0, 1]])
    # Three points in float32 in the original.
    np.testing.assert_allclose(matrices[0], theirs, rtol=0, atol=1e-3)
    patch = crop(case["image_bgr"][..., ::-1], matrices, view)
    assert_equal_pixels(patch, case[f"{tag}_patch_rgb"])


def skeletons(project_root):
    return {
        k: load_dataset(project_root, n).skeleton for k, n in (("a", "Human36M"), ("b", "MPII"))
    }


def person(case, kind):
    """Box, keypoints (joints, 3), depths and whether they are known, in the set's own order."""
    joints = case[f"joint_img_{kind}"]
    visible = (
        case[f"joint_vis_{kind}"] if f"joint_vis_{kind}" in case else np.ones((len(joints), 1))
    )
    keypoints = np.concatenate([joints[:, :2], 2 * (visible > 0)], axis=1)
    return case[f"bbox_{kind}"], keypoints, joints[:, 2], kind == "a"


def make_target(case, kind, changes, options, sets):
    """Patch in RGB, cells (18, 3) and weights (18, 3) as pipeline and system make them."""
    scale, rotation, flip, *gains = changes
    box, keypoints, depths, known = person(case, kind)
    view = make_view(options.input_shape)
    placement = make_placement(box, scale, rotation, flip)
    matrices = augment.placement_matrices(placement, view)
    image = case[f"image_{kind}_bgr"][..., ::-1]
    permutation = sets[kind].flip_permutation
    shown = augment.keypoints_in_view(
        keypoints[None].astype(np.float32),
        matrices,
        placement.mirrored,
        image_widths=np.array([image.shape[1]]),
        flip_permutation=permutation,
        view=view,
    )[0]
    depths = depths[permutation] if flip else depths
    indices = reindex_joints(sets[kind].keypoints, sets["a"])
    shown = take_joints(shown, indices)
    depths = take_joints(depths[:, None], indices)[:, 0]
    cells, weights = integral.encode_coordinates(
        shown[None],
        depths[None].astype(np.float32),
        np.full((1, len(depths)), float(known), np.float32),
        np.float32([scale]),
        input_hw=options.input_shape,
        volume_dhw=options.volume_dhw,
        box_depth_mm=options.box_mm[0],
    )
    patch = np.clip(crop(image, matrices, view) * np.float32(gains), 0, 255)
    return patch, np.array(cells[0]), np.array(weights[0])


def read_patch(case, tag):
    """The stored pixels of a patch (3, ...), every n-th along both sides, and n."""
    for key, pixels in case.items():
        match = re.fullmatch(rf"{re.escape(tag)}_patch(?:_s(\d+))?", key)
        if match:
            return pixels, int(match[1] or 1)
    return pytest.fail(f"{TARGETS} has no patch of {tag}")


@pytest.mark.golden(TARGETS, keys=r"(?P<tag>.+_\w+_[ab])_joint_img")
def test_a_training_sample_is_that_of_the_original(golden, tag, project_root):
    assert tag, "no case found"
    case = golden.load(TARGETS)
    _, number, kind = tag.rsplit("_", 2)
    patches, stride = read_patch(case, tag)
    height, width = (stride * side for side in patches.shape[1:])
    # 64 px have 16 bins, 256 px have 64.
    options = Options(input_shape=(height, width), depth_bins=height // 4)
    sets = skeletons(project_root)
    patch, cells, weights = make_target(case, kind, case[f"aug_{number}"], options, sets)
    theirs, visible = case[f"{tag}_joint_img"], case[f"{tag}_joint_vis"][:, 0]
    np.testing.assert_array_equal(weights[:, 0], visible)
    known = bool(case[f"{tag}_have_depth"][0])
    np.testing.assert_array_equal(weights[:, 2], visible * known)
    # float32 cells; what no loss looks at may differ.
    counts = visible > 0
    np.testing.assert_allclose(cells[counts], theirs[counts], rtol=0, atol=1e-4)
    normalised = ((patch - RAW.pixel_mean) / RAW.pixel_std).transpose(2, 0, 1)
    difference = np.abs(normalised[:, ::stride, ::stride] - patches)
    # One grey level, brightened by at most 1.2, is 5.4; without rotation some bilinear values are
    # ties, which the mirror in the affine rounds the other way than a mirrored picture.
    assert difference.max() <= 5.4 and (difference > 1e-3).mean() <= 0.02


def test_the_published_mixture_finds_items_as_in_the_original(golden):
    case = golden.load(TARGETS)
    expected = case["index_to_db_item"]
    assert len(expected) == case["len"]
    lengths = [1 + expected[expected[:, 0] == k, 1].max() for k in np.unique(expected[:, 0])]
    sets, items = locate_items(np.arange(len(expected)), lengths)
    np.testing.assert_array_equal(np.stack([sets, items], axis=1), expected)


def read_frames(golden):
    """The sequences of the real frames, in the order of their index."""
    index = golden.sample("samples/Human36M/index.json")
    for item in json.loads(index.read_text())["items"]:
        name = SequenceName(item["subject"], item["action"], item["subaction"], item["camera"])
        yield index.parent / "data", read_sequence(index.parent / "data", name)


def test_real_frames_are_those_of_the_original(golden):
    case = golden.load(FRAMES)
    options = Options()
    view = make_view(options.input_shape)
    frames = list(read_frames(golden))
    assert 0 < len(frames) == len(case["bbox"])
    for row, (root, sequence) in enumerate(frames):
        box = sequence_boxes(sequence)[0]
        joints = sequence.joints_camera_mm[0]
        # float64 on both sides.
        np.testing.assert_allclose(box, case["bbox"][row], rtol=0, atol=1e-6)
        np.testing.assert_allclose(joints, case["joint_cam"][row], rtol=0, atol=1e-6)
        np.testing.assert_allclose(joints[0], case["center_cam"][row], rtol=0, atol=1e-6)
        points, depths = sequence.keypoints_px[0], joints[:, 2] - joints[0, 2]
        image = np.column_stack([points, depths])
        np.testing.assert_allclose(image, case["joint_img"][row], rtol=0, atol=1e-6)
        placement = make_placement(box, 1.0, 0.0, False)
        matrices = augment.placement_matrices(placement, view)
        patch = crop(read_image(root / sequence.name.frame_file(0)), matrices, view)
        normalised = (patch - np.float32(RAW.pixel_mean)) / np.float32(RAW.pixel_std)
        # JPEG decoders differ by some grey levels. The case's own mean is a float32 sum row by row,
        # which is off by 0.06.
        mean = normalised.mean(axis=(0, 1))
        np.testing.assert_allclose(mean, case["patch_mean"][row], rtol=0, atol=0.05)
        part = normalised.transpose(2, 0, 1)[:, 16::32, 16::32]
        np.testing.assert_allclose(part, case["patch_s32"][row], rtol=0, atol=30)
        keypoints = np.concatenate([points, np.full((len(points), 1), 2)], axis=1)
        shown = augment.keypoints_in_view(
            keypoints[None].astype(np.float32),
            matrices,
            placement.mirrored,
            image_widths=np.array([1000]),
            flip_permutation=np.arange(len(points)),
            view=view,
        )
        cells, weights = integral.encode_coordinates(
            shown,
            depths[None].astype(np.float32),
            np.ones((1, len(points)), np.float32),
            np.ones(1, np.float32),
            input_hw=options.input_shape,
            volume_dhw=options.volume_dhw,
            box_depth_mm=options.box_mm[0],
        )
        np.testing.assert_allclose(cells[0], case["target"][row], rtol=0, atol=1e-4)
        np.testing.assert_array_equal(weights[0, :, 0], case["target_vis"][row, :, 0])
