"""Cameras, boxes, crops and Human3.6M's enumeration, against Moon's code."""

import hashlib
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from poseras import geometry
from poseras.codecs.integral import decode_coordinates
from poseras.data.dataset import load_dataset
from poseras.data.human36m_coco import sequence_boxes
from poseras.data.human36m_release import decode_camera
from poseras.data.human36m_sequences import (
    ACTIONS,
    BROKEN,
    CAMERA_IDS,
    PROTOCOLS,
    SUBJECTS,
    list_sequences,
    read_sequence,
)
from poseras.metrics import mpjpe
from poseras.skeleton import reindex_joints, take_joints

GEOMETRY, AFFINE = "integral_3d/geometry.npz", "integral_3d/affine.npz"
CAMERAS, INDEX = "integral_3d/camera_decode.json", "integral_3d/h36m_index.json"
SETS, SET_VALUES = "integral_3d/joint_sets.json", "integral_3d/joint_sets.npz"
# The configuration that the cases of GEOMETRY were made with.
VIEW_HW, VOLUME_DHW, BOX_MM = (256, 256), (64, 64, 64), 2000.0
# float64 on both sides.
EXACT = 1e-6


def cameras_of(case):
    return np.concatenate([case["f"], case["c"], np.zeros((len(case["f"]), 5))], axis=1)


def test_joints_go_to_the_camera_and_the_picture_and_back(golden):
    case, cameras = golden.load(GEOMETRY), cameras_of(golden.load(GEOMETRY))
    joints = geometry.world_to_camera(case["joint_world"], case["R"], case["T"])
    np.testing.assert_allclose(joints, case["joint_cam"], rtol=0, atol=EXACT)
    world = geometry.camera_to_world(joints, case["R"], case["T"])
    np.testing.assert_allclose(world, case["joint_world"], rtol=0, atol=EXACT)
    points = geometry.project_points(joints, cameras)
    np.testing.assert_allclose(points, case["joint_img"][..., :2], rtol=0, atol=EXACT)
    np.testing.assert_allclose(joints[:, 0], case["center_cam"], rtol=0, atol=EXACT)
    depths = joints[..., 2] - joints[:, :1, 2]
    np.testing.assert_allclose(depths, case["joint_img"][..., 2], rtol=0, atol=EXACT)
    boxes = geometry.root_boxes(case["center_cam"], cameras, (BOX_MM, BOX_MM))
    np.testing.assert_allclose(boxes, case["bbox"], rtol=0, atol=EXACT)


def test_cells_go_home_to_the_camera(golden):
    case = golden.load(GEOMETRY)
    cells = case["net_out"]
    # The decoder's own factors, applied in float64.
    points, depths = decode_coordinates(
        cells.astype(np.float32), input_hw=VIEW_HW, volume_dhw=VOLUME_DHW, box_depth_mm=BOX_MM
    )
    exact_points = cells[..., :2] * (VIEW_HW[1] / VOLUME_DHW[2])
    exact_depths = (2 * cells[..., 2] / VOLUME_DHW[0] - 1) * BOX_MM / 2
    # float32 numbers up to some hundred pixels and two thousand millimetres.
    np.testing.assert_allclose(points, exact_points, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(depths, exact_depths, rtol=1e-6, atol=1e-3)
    home = geometry.invert_affine(geometry.stretched_view_matrix(case["bbox"], VIEW_HW))
    image = geometry.transform_points(exact_points, home)
    np.testing.assert_allclose(image, case["net_out_image"][..., :2], rtol=0, atol=EXACT)
    z = exact_depths + case["center_cam"][:, None, 2]
    np.testing.assert_allclose(z, case["net_out_image"][..., 2], rtol=0, atol=EXACT)
    camera = geometry.back_project_points(image, z, cameras_of(case))
    np.testing.assert_allclose(camera, case["net_out_cam"], rtol=0, atol=EXACT)


def test_the_affine_is_that_of_three_points(golden):
    case = golden.load(AFFINE)
    x, y, width, height, out_w, out_h, scale, rotation = case["params"].T
    sizes = np.stack([width * scale, height * scale], axis=1)
    boxes = np.concatenate([np.stack([x, y], axis=1) - sizes / 2, sizes], axis=1)
    assert len(boxes)
    for row, box in enumerate(boxes):
        size_hw = (int(out_h[row]), int(out_w[row]))
        matrix = geometry.stretched_view_matrix(box, size_hw, rotation[row])
        # The original's three points are float32: up to 1e-3 px.
        np.testing.assert_allclose(matrix, case["trans"][row], rtol=0, atol=2e-3)
        inverse = geometry.invert_affine(matrix)
        np.testing.assert_allclose(inverse, case["trans_inv"][row], rtol=0, atol=2e-3)
        moved = geometry.transform_points(case["points"][row], matrix)
        np.testing.assert_allclose(moved, case["points_out"][row], rtol=0, atol=2e-3)


def test_cameras_follow_from_the_numbers_of_the_release(golden):
    cameras = golden.load(CAMERAS)
    assert cameras
    for case in cameras:
        camera = decode_camera(np.array(case["extrinsics6"]), np.array(case["intrinsics9"]))
        np.testing.assert_allclose(camera.rotation, case["R_world_to_cam"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(camera.position_mm, case["T_mm"], rtol=0, atol=1e-9)
        numbers = [*case["f"], *case["c"], *case["k"], *case["p"]]
        np.testing.assert_allclose(camera.camera, numbers, rtol=0, atol=1e-9)


def write_tree(root, salt):
    """The made-up sequences of the cases: poses, cameras, no pictures."""
    for name in list_sequences(sorted({s for p in PROTOCOLS.values() for s in p.strides()})):
        seed = zlib.crc32((name.folder + salt).encode())
        rng = np.random.RandomState(seed)
        frames = 1 + seed % (11 if name.subject < 9 else 130)
        pose = rng.standard_normal((frames, 17, 3)) * 250 + [0, 0, 900]
        a = rng.uniform(-0.3, 0.3)
        rotation = [[np.cos(a), np.sin(a), 0], [0, 0, -1], [-np.sin(a), np.cos(a), 0]]
        (root / name.folder).mkdir()
        savemat(
            root / name.folder / "h36m_meta.mat",
            {
                "pose3d_world": pose,
                "R": np.array(rotation),
                "T": np.array([[200.0, -5200, 1300]]),
                "f": np.array([[1145.0, 1143]]),
                "c": np.array([[512.0, 515]]),
            },
        )


def read_split(root, split):
    """Paths, sequences and rows of all frames of one side of protocol 2, in Moon's order."""
    protocol = PROTOCOLS[2]
    subjects = protocol.train_subjects if split == "train" else protocol.test_subjects
    for name in list_sequences(subjects):
        sequence = read_sequence(root, name, protocol.strides()[name.subject])
        for row, frame in enumerate(sequence.frames.tolist()):
            yield name.frame_file(frame), sequence, row


def read_salt(golden):
    """The salt of the recipe, which the case tells; none is an empty text."""
    if golden.find(INDEX) is None:
        return ""
    case = golden.load(INDEX)
    recipe = case.get("recipe", {})
    return case.get("salt", recipe.get("salt", "") if isinstance(recipe, dict) else "")


@pytest.fixture(scope="module")
def tree(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("sequences")
    write_tree(root, read_salt(request.config.golden))
    return root


@pytest.mark.parametrize("split", ["train", "test"])
def test_frames_are_enumerated_as_in_the_original(golden, tree, split):
    case = golden.load(INDEX)[split]
    samples = list(read_split(tree, split))
    paths = [path for path, _, _ in samples]
    assert BROKEN.folder not in {path.partition("/")[0] for path in paths}
    assert len(paths) == case["num"]
    assert (paths[:10], paths[-10:]) == (case["first10"], case["last10"])
    digest = hashlib.sha256("\n".join(paths).encode()).hexdigest()
    assert digest == case["sha256_of_relative_paths_joined_by_newline"]
    boxes = np.array([sequence_boxes(sequence)[row] for _, sequence, row in samples])
    # A sum of up to a million in float64.
    np.testing.assert_allclose(boxes.sum(), case["bbox_sum"], rtol=1e-9)
    for expected in case["samples"]:
        path, sequence, row = samples[expected["index"]]
        assert path == expected["img"]
        np.testing.assert_allclose(boxes[expected["index"]], expected["bbox"], rtol=0, atol=EXACT)
        root = sequence.joints_camera_mm[row, 0]
        np.testing.assert_allclose(root, expected["center_cam"], rtol=0, atol=EXACT)
        joints = np.column_stack(
            [sequence.keypoints_px[row], sequence.joints_camera_mm[row, :, 2] - root[2]]
        )
        ends = joints[[0, len(joints) - 1]]
        np.testing.assert_allclose(ends, expected["joint_img_0_17"], rtol=0, atol=EXACT)
        numbers = [*expected["f"], *expected["c"]]
        np.testing.assert_allclose(sequence.camera[:4], numbers, rtol=0, atol=EXACT)


def test_joint_sets_are_those_of_the_data_sets(golden, project_root):
    assert golden.load(SETS)
    # The original spells the joints of all its sets alike.
    aliases = load_dataset(project_root, "Human36M").aliases
    for name, case in golden.load(SETS).items():
        skeleton = load_dataset(project_root, name).skeleton
        spelled = tuple(aliases.get(joint, joint) for joint in case["joints_name"])
        assert spelled == skeleton.keypoints
        assert len(spelled) == case["joint_num"]
        assert [list(limb) for limb in skeleton.limbs] == case["skeleton"]
        for left, right in case.get("lr_skeleton", ()):
            assert sorted(skeleton.flip_permutation[left]) == sorted(right)
        if name == "Human36M":
            counted = [skeleton.index_of(joint) for joint in mpjpe.JOINT_VARIANTS[17]]
            assert counted == case["eval_joint"]
            assert dict(zip(case["action_idx"], case["action_name"], strict=True)) == ACTIONS
            assert case["camera_idx"] == list(range(1, len(CAMERA_IDS) + 1))
            sequences = list_sequences(SUBJECTS)
            assert case["subaction_idx"] == sorted({s.subaction for s in sequences})
        pairs = {frozenset(pair) for pair in skeleton.flip_pairs}
        assert pairs == {frozenset(pair) for pair in case["flip_pairs"]}


def test_joints_are_brought_into_another_order_as_in_the_original(golden, project_root):
    case = golden.load(SET_VALUES)
    mpii, h36m = (load_dataset(project_root, name).skeleton for name in ("MPII", "Human36M"))
    to_h36m = reindex_joints(mpii.keypoints, h36m)
    to_mpii = reindex_joints(h36m.keypoints, mpii)
    np.testing.assert_array_equal(take_joints(case["mpii"], to_h36m), case["mpii_to_h36m"])
    np.testing.assert_array_equal(take_joints(case["mpii_vis"], to_h36m), case["mpii_vis_to_h36m"])
    np.testing.assert_array_equal(take_joints(case["h36m"], to_mpii), case["h36m_to_mpii"])
