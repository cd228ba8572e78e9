"""Joints and cameras from COCO-format files, and their way through the pipeline."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseras.data import pipeline
from poseras.data.annotation import read_split
from poseras.data.dataset import Dataset, Split
from poseras.data.joined_annotations import join_tables
from poseras.data.persons import annotated_persons, join_records
from poseras.data.space import attach_space
from poseras.skeleton import Skeleton
from poseras.structures import Augmentation, View

OWN = Skeleton("Made/small", ("nose", "left_hip", "right_hip"), ((1, 2),), ((0, 1), (0, 2)))
LARGE = Skeleton(
    "Made/large",
    ("pelvis", "left_hip", "right_hip", "head_top"),
    ((1, 2),),
    ((0, 1), (0, 2), (0, 3)),
)
JOINTS = [[0.0, -500, 4000], [100, 0, 4100], [-100, 0, 3900]]
LARGE_JOINTS = [[10.0, 0, 4000], [100, 0, 4100], [-100, 0, 3900], [0, -600, 4050]]
CAMERA = {"R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "T": [0, 0, 0], "f": [1000, 900], "c": [80, 60]}
BOX_MM = (2000.0, 1000.0)


def person(number=1, image=1, **changes):
    entry = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [10, 10, 50, 80],
        "keypoints": [1, 1, 2, 2, 2, 1, 3, 3, 0],
        "keypoints_large": [5, 5, 2, 6, 6, 2, 7, 7, 2, 0, 0, 0],
        "joints_camera_mm": JOINTS,
        "joints_camera_mm_large": LARGE_JOINTS,
        "action": 4,
    }
    return {k: v for k, v in (entry | changes).items() if v is not None}


def write(folder, people, camera=CAMERA, name="file.json", images=(1, 2)):
    entries = [
        {"id": i, "file_name": f"{i}.png", "width": 160, "height": 120, "camera": camera}
        for i in images
    ]
    for image in images:
        picture = np.random.default_rng(image).integers(0, 256, (120, 160, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{image}.png"), picture)
    if camera is None:
        entries = [{k: v for k, v in e.items() if k != "camera"} for e in entries]
    (folder / name).write_text(json.dumps({"images": entries, "annotations": people}))
    return Dataset(
        name="Made",
        folder=folder,
        skeletons={"small": OWN, "large": LARGE},
        aliases={},
        splits={"val": Split(folder / name, folder)},
        evaluation="none",
    )


def read(folder, people, skeleton=OWN, policy="stop", **choices):
    dataset = write(folder, people, **choices)
    records = annotated_persons(read_split(dataset, "val", skeleton=skeleton))
    path = dataset.split("val").annotations
    return attach_space(records, path, dataset, skeleton, box_mm=BOX_MM, on_bad_sample=policy)


def test_joints_come_with_camera_root_and_projection(tmp_path):
    records = read(tmp_path, [person(), person(2, image=2)])
    space = records.space
    np.testing.assert_allclose(space.joints_camera_mm[1], JOINTS)
    assert space.joints_valid.all() and space.located.all() and space.actions.tolist() == [4, 4]
    np.testing.assert_allclose(space.cameras[0], [1000, 900, 80, 60, 0, 0, 0, 0, 0])
    # No pelvis: the root is the middle of the hips.
    np.testing.assert_allclose(space.root_camera_mm[0], [0, 0, 4000])
    u = 100 / 4100 * 1000 + 80
    np.testing.assert_allclose(records.keypoints[0, 1], [u, 60, 1], atol=1e-4)
    assert records.keypoints[0, :, 2].tolist() == [2, 1, 0]


def test_the_keypoint_set_that_fits_the_network_is_read(tmp_path):
    records = read(tmp_path, [person()], skeleton=LARGE)
    np.testing.assert_allclose(records.space.joints_camera_mm[0], LARGE_JOINTS)
    np.testing.assert_allclose(records.space.root_camera_mm[0], LARGE_JOINTS[0])
    assert records.keypoints[0, :, 2].tolist() == [2, 2, 2, 0]


def test_joints_of_another_order_are_found_by_name(tmp_path):
    network = Skeleton("Other", ("right_hip", "neck", "nose"))
    records = read(tmp_path, [person()], skeleton=network)
    np.testing.assert_allclose(records.space.joints_camera_mm[0], [JOINTS[2], [0, 0, 0], JOINTS[0]])
    assert records.space.joints_valid[0].tolist() == [True, False, True]


def test_joints_of_the_network_that_follow_from_others_are_derived_in_space_and_picture(tmp_path):
    network = Skeleton("Other", ("pelvis", "nose", "chest"))
    dataset = replace(
        write(tmp_path, [person(keypoints=[1, 1, 2, 2, 2, 2, 4, 8, 1])]),
        skeletons={"small": OWN},
        derived={"pelvis": ["left_hip", "right_hip"], "chest": ["pelvis", "neck"]},
    )
    table = read_split(dataset, "val", skeleton=network)
    assert table.keypoints[0].tolist() == [[3, 5, 1], [1, 1, 2], [0, 0, 0]]
    records = annotated_persons(table)
    path = dataset.split("val").annotations
    space = attach_space(records, path, dataset, network, box_mm=BOX_MM).space
    np.testing.assert_allclose(space.joints_camera_mm[0, 0], [0, 0, 4000])
    assert space.joints_valid[0].tolist() == [True, True, False]


def test_a_derived_joint_is_labelled_where_its_sources_are(tmp_path):
    rules = {"pelvis": ["left_hip", "right_hip"]}
    dataset = replace(write(tmp_path, [person()]), skeletons={"small": OWN}, derived=rules)
    table = read_split(dataset, "val", skeleton=Skeleton("Other", ("pelvis", "left_hip")))
    # The right hip of the file is unlabelled.
    assert table.keypoints[0, :, 2].tolist() == [0, 1]


def test_people_without_joints_in_space_stay_as_they_are(tmp_path):
    flat = {"joints_camera_mm": None, "joints_camera_mm_large": None}
    records = read(tmp_path, [person(**flat)], camera=None)
    assert not records.space.located.any() and not records.space.joints_valid.any()
    np.testing.assert_allclose(records.keypoints[0, 0], [1, 1, 2])
    mixed = read(tmp_path, [person(), person(2, **flat)])
    assert mixed.space.joints_valid.all(axis=1).tolist() == [True, False]
    np.testing.assert_allclose(mixed.keypoints[1, 0], [1, 1, 2])


@pytest.mark.parametrize(
    ("people", "camera", "message"),
    [
        ([person()], None, r"annotation 1 has joints in space, so its image must have a camera"),
        (
            [person(joints_camera_mm=[*JOINTS[:2], [0, 0, -5]])],
            CAMERA,
            "annotation 1 must have all joints before the camera. Received 1 with a z of 0",
        ),
        (
            [person(joints_camera_mm=[[x + 9000, y, z] for x, y, z in JOINTS])],
            CAMERA,
            "annotation 1 must have its root near the picture.*1000 x 2000 mm lies beside it",
        ),
        (
            [person(), person(2, joints_camera_mm=JOINTS[:2])],
            CAMERA,
            r"joints_camera_mm of annotation 2 must be 3 triples.*nose, left_hip, right_hip",
        ),
        (
            [person(), person(2, joints_camera_mm=[*JOINTS[:2], [1, "x", 2]])],
            CAMERA,
            "joints_camera_mm of annotation 2 must be 3 triples of numbers",
        ),
        ([person(action="run")], CAMERA, "does not hold people in space"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, people, camera, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, people, camera=camera)


def test_bad_people_are_left_out_on_request(tmp_path):
    behind = [[x, y, -z] for x, y, z in JOINTS]
    records = read(tmp_path, [person(joints_camera_mm=behind), person(2)], policy="skip")
    assert records.annotation_ids.tolist() == [2] and len(records.space) == 1


def test_a_root_is_a_pelvis_or_two_hips(tmp_path):
    dataset = write(tmp_path, [person()])
    headless = replace(dataset, skeletons={"small": Skeleton("a", ("nose", "left_hip", "neck"))})
    records = annotated_persons(read_split(headless, "val"))
    with pytest.raises(ValueError, match="need a root: a pelvis, or both hips"):
        attach_space(records, tmp_path / "file.json", headless, headless.skeleton, box_mm=BOX_MM)


def test_files_are_joined_and_ids_must_differ(tmp_path):
    first = read_split(write(tmp_path, [person()], name="a.json", images=(1,)), "val")
    second = read_split(write(tmp_path, [person(7, 2)], name="b.json", images=(2,)), "val")
    joined = join_tables([first, second])
    assert joined.images.ids.tolist() == [1, 2] and joined.image_index.tolist() == [0, 1]
    assert joined.annotation_ids.tolist() == [1, 7] and len(joined.keypoints) == 2
    with pytest.raises(ValueError, match="Each image id must stand in one file of a split"):
        join_tables([first, first])


VIEW = View("root_box_3d", size_hw=(64, 32), margin=1.0, box_mm=BOX_MM, outside_joints="keep")


def mixed_records(tmp_path):
    """One person in space, one who is not, in this order."""
    flat = {"joints_camera_mm": None, "joints_camera_mm_large": None}
    (tmp_path / "flat").mkdir()
    return join_records([read(tmp_path, [person()]), read(tmp_path / "flat", [person(**flat)])])


def test_a_view_shows_the_box_around_the_root_and_else_that_of_the_person(tmp_path):
    records = mixed_records(tmp_path)
    batch = next(iter(pipeline.build_inference_batches(records, VIEW, batch_size=2)))
    # 1000 mm at 4 m are 250 px and 2000 mm 450, one pixel more, around (80, 60).
    matrix = batch["image_to_network"].numpy()
    np.testing.assert_allclose(matrix[0] @ [80.5, 60.5, 1], [16, 32], atol=1e-4)
    np.testing.assert_allclose(matrix[0, 0, 0], 32 / 251, rtol=1e-5)
    np.testing.assert_allclose(matrix[0, 1, 1], 64 / 451, rtol=1e-5)
    # The box 10, 10, 50, 80 has the wrong aspect: its width is kept, its height grows to 100.
    np.testing.assert_allclose(matrix[1] @ [35, 50, 1], [16, 32], atol=1e-4)
    np.testing.assert_allclose(matrix[1, 0, 0], 32 / 50, rtol=1e-5)
    assert batch["joints_valid"].numpy().tolist() == [[[1, 1, 1]], [[0, 0, 0]]]
    np.testing.assert_allclose(batch["joints_camera_mm"][0, 0], JOINTS)
    np.testing.assert_allclose(batch["root_camera_mm"][:, 0, 2], [4000, 0])
    assert batch["camera"].shape == (2, 9)


def test_a_mirrored_view_has_left_and_right_depths_exchanged(tmp_path):
    records = mixed_records(tmp_path)
    records = replace(records, keypoints=np.maximum(records.keypoints, np.float32([0, 0, 1])))
    view = replace(VIEW, augmentation=Augmentation(flip_probability=1.0))
    batches = pipeline.build_training_batches(
        records, OWN.flip_permutation, view, batch_size=2, seed=1
    )
    batch = {key: value.numpy() for key, value in next(iter(batches)).items()}
    row = int(np.flatnonzero(batch["index"] == 0)[0])
    z = batch["joints_camera_mm"][row, 0, :, 2]
    np.testing.assert_allclose(z, [4000, 3900, 4100])
    # The mirrored keypoint of a joint is that of its partner, and its depth too.
    shown = batch["keypoints"][row, 0]
    points = np.column_stack([records.keypoints[0][[0, 2, 1], :2], np.ones(3)])
    np.testing.assert_allclose(shown[:, :2], points @ batch["image_to_network"][row].T, atol=1e-3)


def test_space_needs_one_row_per_person(tmp_path):
    records = read(tmp_path, [person(), person(2)])
    with pytest.raises(ValueError, match=r"space must have one row per person \(2\). Received 1"):
        replace(records, space=records.space.take(np.array([0])))
    with pytest.raises(ValueError, match=r"cameras must have shape \(2, 9\)"):
        replace(records.space, cameras=np.zeros((2, 8)))
    assert Path(records.images.paths[0]).is_file()
