"""What the authors' program does otherwise: samples, labels, joint sets, MPII's measure.

Its pipeline without cameras (depth in units of the picture) is not offered; of those cases the
pictures and what lies in them are compared.
"""

from dataclasses import replace

import numpy as np
import pytest

from poseras import geometry
from poseras.codecs import integral
from poseras.data import augment, person_samples, warp
from poseras.data.dataset import load_dataset
from poseras.metrics.pckh import PUBLISHED_TENTH, evaluate_pckh
from poseras.metrics.pckh_truth import HEAD_FACTOR, PckhTruth
from poseras.skeleton import reindex_joints, take_joints
from poseras.systems.integral_3d.options import Options, default_view

SAMPLES, SETS = "integral_3d/orig_samples.npz", "integral_3d/orig_joint_sets.npz"
MPII = "integral_3d/orig_mpii_pckh.npz"
#: MPII's head boxes make PCKh; the values stand in this order.
GROUPS = ("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean")


def read_case(case, tag):
    """Options, placement, colour gains; the authors rotate and mirror as Moon does."""
    scale, rotation, mirrored, *gains = case[f"{tag}_aug"]
    width, height = (int(n) for n in case[f"{tag}_patch_wh"])
    rect_w, rect_h = (float(n) for n in case[f"{tag}_rect3d_wh"])
    # Depth counts in widths of the rectangle, and volumes have as many bins as columns.
    options = Options(
        input_shape=(height, width - width % 32 or 32),
        box_mm=(rect_w, rect_h, rect_w),
        outside_joints="keep",
    )
    centre, size = case[f"{tag}_box_cxcywh"][:2], case[f"{tag}_box_cxcywh"][2:] * scale
    placement = augment.Placement(
        boxes_xywh=np.concatenate([centre - size / 2, size])[None],
        rotation_deg=np.array([rotation]),
        mirrored=np.array([bool(mirrored)]),
        scale=np.array([scale]),
    )
    view = default_view(options)
    return options, view, placement, np.float32(gains)


def sized(view, case, tag):
    width, height = (int(n) for n in case[f"{tag}_patch_wh"])
    return replace(view, size_hw=(height, width))


@pytest.mark.golden(SAMPLES, keys=r"(?P<tag>\d+)_aug")
def test_samples_and_labels_are_the_authors(golden, tag, project_root):
    assert tag, "no case found"
    case = golden.load(SAMPLES)
    options, view, placement, gains = read_case(case, tag)
    view = sized(view, case, tag)
    width, height = (int(n) for n in case[f"{tag}_patch_wh"])
    matrices = augment.placement_matrices(placement, view)
    image = np.ascontiguousarray(case["image_bgr"][..., ::-1])
    picture = warp.Picture("case", image.shape[:2], pixels=image)
    sizes_hw = np.array([image.shape[:2]])
    patch = person_samples.warp_people([picture], matrices, sizes_hw, view)[0][0]
    patch = np.clip(patch * gains, 0, 255)
    normalised = ((patch - options.pixel_mean) / options.pixel_std).transpose(2, 0, 1)
    difference = np.abs(normalised[:, ::4, ::4] - case[f"{tag}_patch_s4"])
    # One grey level, brightened by at most 1.2, over the smallest deviation.
    step = 1.2 / min(options.pixel_std)
    assert difference.max() <= step + 1e-4 and (difference > 1e-3).mean() <= 0.02

    permutation = load_dataset(project_root, "Human36M").skeleton.flip_permutation
    visible = case["joints_vis"][:, :1]
    keypoints = np.concatenate([case["joints"][:, :2], visible], axis=1).astype(np.float32)
    shown = augment.keypoints_in_view(
        keypoints[None],
        matrices,
        placement.mirrored,
        image_widths=np.array([image.shape[1]]),
        flip_permutation=permutation,
        view=view,
    )
    depths, known = case["joints"][:, 2], case["joints_vis"][:, 2]
    if placement.mirrored[0]:
        depths, known = depths[permutation], known[permutation]
    volume_dhw = (width, height, width)
    cells, weights = integral.encode_coordinates(
        shown,
        depths[None].astype(np.float32),
        known[None].astype(np.float32),
        placement.scale.astype(np.float32),
        input_hw=(height, width),
        volume_dhw=volume_dhw,
        box_depth_mm=options.box_mm[0],
        outside_depth="keep",
    )
    labels = np.array(cells[0]) / volume_dhw[::-1] - 0.5
    theirs = case[f"{tag}_label"].reshape(-1, 3)
    counts = np.array(weights[0]) > 0
    np.testing.assert_array_equal(counts, case[f"{tag}_label_weight"].reshape(-1, 3) > 0)
    if case[f"{tag}_depth_in_image"]:
        counts[:, 2] = False
    # float32 cells.
    np.testing.assert_allclose(labels[counts], theirs[counts], rtol=0, atol=1e-4)


@pytest.mark.golden(SAMPLES, keys=r"(?P<tag>\d+)_patch_pred")
def test_predictions_go_home_as_the_authors_send_them(golden, tag):
    assert tag, "no case found"
    case = golden.load(SAMPLES)
    _, view, _, _ = read_case(case, tag)
    view = sized(view, case, tag)
    width = int(case[f"{tag}_patch_wh"][0])
    centre, size = case[f"{tag}_box_cxcywh"][:2], case[f"{tag}_box_cxcywh"][2:]
    box = np.concatenate([centre - size / 2, size])
    home = geometry.invert_affine(geometry.stretched_view_matrix(box, view.size_hw))
    patch, image = case[f"{tag}_patch_pred"], case[f"{tag}_img_pred"]
    points = geometry.transform_points(patch[:, :2], home)
    # Three points in float32 in the original.
    np.testing.assert_allclose(points, image[:, :2], rtol=0, atol=1e-2)
    depths = patch[:, 2] / width * case[f"{tag}_rect3d_wh"][0]
    np.testing.assert_allclose(depths, image[:, 2], rtol=0, atol=1e-2)


@pytest.mark.golden(SETS, keys=r"(?P<tag>mpii|coco)_to_h36m")
def test_joints_of_other_sets_are_found_by_name(golden, tag, project_root):
    assert tag, "no case found"
    case = golden.load(SETS)
    target = load_dataset(project_root, "Human36M").skeleton
    source = load_dataset(project_root, tag.upper()).skeleton
    indices = reindex_joints(source.keypoints, target)
    named = indices >= 0
    for ours, theirs in ((tag, f"{tag}_to_h36m"), (f"{tag}_vis", f"{tag}_vis_to_h36m")):
        taken = take_joints(case[ours], indices)
        np.testing.assert_allclose(taken[named], case[theirs][named], rtol=0, atol=1e-9)


def test_mpii_is_measured_as_by_the_authors(golden, project_root):
    case = golden.load(MPII)
    names = load_dataset(project_root, "MPII").skeleton.keypoints
    boxes = case["headboxes"]  # (corners, xy, people)
    diagonals = np.linalg.norm(boxes[1] - boxes[0], axis=0)
    truth = PckhTruth(
        names=names,
        keypoints_px=case["gt1"].transpose(2, 0, 1),
        labelled=case["missing"].T == 0,
        head_sizes_px=HEAD_FACTOR * diagonals,
        ids=np.arange(len(diagonals)),
        first_pixel=1.0,
    )
    result = evaluate_pckh(truth, case["pred0"])
    half, tenth = result.table(0.5), result.table(PUBLISHED_TENTH)
    values = [*(half[group] for group in GROUPS), half["Mean"], tenth["Mean"]]
    np.testing.assert_allclose(values, case["values"], rtol=0, atol=1e-6)
