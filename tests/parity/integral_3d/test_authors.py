"""What the authors' program does otherwise: samples, labels, joint sets, MPII's measure."""

from dataclasses import replace

import numpy as np
import pytest

from poseras import geometry
from poseras.codecs import integral
from poseras.data import augment, person_samples, warp
from poseras.data.dataset import load_dataset
from poseras.metrics.pckh import PUBLISHED_TENTH, evaluate_pckh
from poseras.metrics.pckh_truth import HEAD_FACTOR, PckhTruth
from poseras.skeleton import Skeleton, derive_keypoints, reindex_joints, take_joints
from poseras.systems.integral_3d import view_depth
from poseras.systems.integral_3d.options import Options, default_view
from poseras.systems.integral_3d.system import System

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
        # A network's sides; the cases have others.
        input_shape=(height - height % 32 or 32, width - width % 32 or 32),
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


@pytest.mark.golden(SAMPLES, keys=r"(?P<tag>.+)_aug")
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
        labels[:, 2] = labels_in_view(placement.boxes_xywh[0], depths, view)
    # float32 cells.
    np.testing.assert_allclose(labels[counts], theirs[counts], rtol=0, atol=1e-4)


def labels_in_view(box, depths_px, view):
    """Depth labels by depth_unit=view of joints whose depths are in pixels of the picture."""
    options = Options(input_shape=(64, 64), depth_unit="view", outside_joints="keep")
    skeleton = Skeleton("case", tuple({name: 0 for bone in view_depth.BONES for name in bone}))
    # By a camera that shows a millimetre at the root as a pixel.
    root, joints = np.float32([0, 0, 1000]), np.zeros((1, 1, len(depths_px), 3), np.float32)
    joints[0, 0, :, 2] = depths_px + 1000
    zoom = options.input_shape[1] / box[2]
    batch = {
        "keypoints": np.ones((1, 1, len(depths_px), 3), np.float32),
        "view_scale": np.float32([3]),  # of no influence: the matrix says how large things are
        "joints_camera_mm": joints,
        "joints_valid": np.ones((1, 1, len(depths_px)), np.float32),
        "root_camera_mm": root[None, None],
        "camera": np.float32([[1000, 1000, 0, 0, 0, 0, 0, 0, 0]]),
        "image_to_network": np.float32([[[0, zoom, 0], [zoom, 0, 0]]]),
    }
    cells = System(options, skeleton).encode(batch)["coordinates"]
    return np.array(cells)[0, :, 2] / options.depth_bins - 0.5


@pytest.mark.golden(SAMPLES, keys=r"(?P<tag>.+)_patch_pred")
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


@pytest.mark.golden(SAMPLES, keys=r"(?P<tag>.+)_cam_pred")
def test_poses_in_view_pixels_are_sized_by_their_bones_as_by_the_authors(golden, tag, project_root):
    assert tag, "no case found"
    case = golden.load(SAMPLES)
    skeleton = load_dataset(project_root, "Human36M").skeleton
    patch = case[f"{tag}_patch_pred"][:, :3]
    rooted = patch - patch[skeleton.index_of("pelvis")]
    bones, length = view_depth.find_bones(skeleton), Options().bone_length_mm
    ours = view_depth.scale_to_bones(rooted.astype(np.float32), bones, length)
    # float32 millimetres up to some thousand.
    np.testing.assert_allclose(ours, case[f"{tag}_cam_pred"][:, :3], rtol=0, atol=1e-2)


@pytest.mark.golden(SETS, keys=r"(?P<tag>mpii|coco)_to_h36m")
def test_joints_of_other_sets_are_found_by_name(golden, tag, project_root):
    assert tag, "no case found"
    case = golden.load(SETS)
    target = load_dataset(project_root, "Human36M").skeleton
    source = load_dataset(project_root, tag.upper()).skeleton
    indices = reindex_joints(source.keypoints, target)
    for ours, theirs in ((tag, f"{tag}_to_h36m"), (f"{tag}_vis", f"{tag}_vis_to_h36m")):
        # Copies, and zeros for joints without a source.
        np.testing.assert_array_equal(take_joints(case[ours], indices), case[theirs])


#: The authors' order of PoseTrack's joints, in canonical names.
POSETRACK = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("head_bottom", "nose", "head_top"),
)


def test_posetracks_people_get_the_joints_that_follow_from_others(golden, project_root):
    case = golden.load(SETS)
    target = load_dataset(project_root, "Human36M").skeleton
    derived = load_dataset(project_root, "PoseTrack").derived
    # PoseTrack's joints are the first rows of MPII's arrays; each axis has its own visibility.
    points, visible = (case[key][: len(POSETRACK)] for key in ("mpii", "mpii_vis"))
    for axes in ([0, 1, 0], [0, 1, 1], [2, 1, 2]):
        last = visible[:, axes[2], None]
        joints, names = derive_keypoints(np.hstack([points[:, axes[:2]], last]), POSETRACK, derived)
        taken = take_joints(joints, reindex_joints(names, target))
        places = case["posetrack_to_h36m"][:, axes[:2]]
        # float64 means of two numbers.
        np.testing.assert_allclose(taken[:, :2], places, rtol=0, atol=1e-9)
        labelled = case["posetrack_vis_to_h36m"][:, axes[2]]
        np.testing.assert_allclose(taken[:, 2], labelled, rtol=0, atol=1e-9)


def test_boxes_are_put_around_joints_as_by_the_authors(golden):
    case = golden.load(SETS)
    known = case["kpts_vis"][:, 0] > 0
    box = geometry.enclose_points(case["kpts"][:, :2], known)
    up, down, left, right = case["bound_u_d_l_r"]
    expected = [left, up, right - left, down - up]
    np.testing.assert_allclose(box, expected, rtol=0, atol=1e-9)
    # The configuration of the case: width / height 0.75, grown by the usual quarter.
    grown = geometry.expand_box(box, 0.75)
    centre_and_size = np.concatenate([grown[:2] + grown[2:] / 2, grown[2:]])
    # Boxes to look at are float32: 1e-4 px at some thousand.
    np.testing.assert_allclose(centre_and_size, case["bound_pad_cx_cy_w_h"], rtol=1e-6, atol=1e-3)


def test_bones_are_as_long_as_the_authors_measure_them(golden, project_root):
    case = golden.load(SETS)
    skeleton = load_dataset(project_root, "Human36M").skeleton
    bones = {
        "skel_len_parent": view_depth.find_bones(skeleton),
        "skel_len_bone": skeleton.limbs,
    }
    for key, pairs in bones.items():
        # A float64 sum of some ten roots; Keras may compute in float32.
        np.testing.assert_allclose(
            view_depth.bone_length(case["kpts"], pairs), case[key], rtol=1e-6
        )


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
    values = np.array([*(half[group] for group in GROUPS), half["Mean"], tenth["Mean"]])
    # Where nobody has a joint the original has no number; ours is the mean of the others.
    known = ~np.isnan(case["values"])
    assert known.any()
    np.testing.assert_allclose(values[known], case["values"][known], rtol=0, atol=1e-6)
