"""Annotation files of pose-tensorflow, Penn Action's among them, and MPII's crops in that form."""

import numpy as np
import pytest
from scipy.io import savemat

import mpii_crops
from poseras.data.annotation import read_split
from poseras.data.dataset import Dataset, Split, choose_skeleton, load_dataset, replace_files
from poseras.data.images import read_image
from poseras.data.mat_annotations import read_head_size, read_mat_people
from poseras.data.mpii_crops import Crop
from poseras.skeleton import Skeleton

SKELETON = Skeleton("made/up", ("left_hip", "right_hip", "nose"), ((0, 1),), ((0, 1), (1, 2)), ())


def write(path, entries, names=("image", "size", "joints"), **more):
    """A file with one entry for each tuple (name, [channels, height, width], people)."""
    dataset = np.zeros((1, len(entries)), [(name, object) for name in names])
    for place, (name, size, people, *rest) in enumerate(entries):
        cell = np.zeros((1, len(people)), object)
        for number, person in enumerate(people):
            cell[0, number] = np.array(person, np.int32)
        fields = (name, np.array([size], np.int32), cell, *rest)
        dataset[0, place] = fields[: len(names)]
    savemat(path, {"dataset": dataset, **more})
    return path


def test_all_people_of_a_picture_are_read(tmp_path):
    people = [[[0, 5, 6], [2, 7, 8]], [[1, 100, 20]]]
    path = write(tmp_path / "d.mat", [("a.png", [3, 50, 200], people), ("b.png", [3, 9, 9], [])])
    table = read_mat_people(path, tmp_path, SKELETON)
    assert len(table) == 2 and len(table.images) == 2
    assert table.image_index.tolist() == [0, 0]
    assert table.keypoints[0].tolist() == [[5, 6, 2], [0, 0, 0], [7, 8, 2]]
    assert table.keypoints[1, 1].tolist() == [100, 20, 2]
    assert table.boxes_xywh.tolist() == [[5, 6, 2, 2], [100, 20, 0, 0]]
    assert table.images.sizes_hw.tolist() == [[50, 200], [9, 9]]
    assert table.images.paths[0] == str(tmp_path / "a.png")
    assert read_head_size(path) is None


def test_a_file_without_joints_has_pictures_alone(tmp_path):
    path = write(tmp_path / "d.mat", [("a.png", [3, 5, 6], [])], names=("image", "size"))
    table = read_mat_people(path, tmp_path, SKELETON)
    assert len(table) == 0 and len(table.images) == 1


def test_frames_of_penn_action_are_pictures_like_others(tmp_path):
    names = ("image", "size", "joints", "crop", "seq_id", "frame_id")
    frames = [(f"{n}.jpg", [3, 5, 6], [[[0, 1, 1]]], [1, 1, 5, 6], 1, n) for n in (1, 2)]
    path = write(tmp_path / "d.mat", frames, names, sequences=np.array([[1, 2]]))
    assert len(read_mat_people(path, tmp_path, SKELETON)) == 2


def test_pictures_that_moved_are_found_by_their_names(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    path = write(tmp_path / "d.mat", [("/elsewhere/x/a.png", [3, 5, 6], [])])
    assert read_mat_people(path, tmp_path, SKELETON).images.paths == (str(tmp_path / "a.png"),)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("a.png", [3, 5, 6], [[[3, 1, 1]]])], r"number the 3 joints.*Received \[3\]"),
        ([("a.png", [3, 5, 6], [[[0, 1, 1], [0, 2, 2]]])], "each once"),
        ([("a.png", [3, 5], [])], r"as \[channels, height, width\]"),
        ([("a.png", [3, 5, 6], [[[0, 1]]])], "rows of joint, x and y"),
    ],
)
def test_files_of_other_joints_or_forms_are_refused(tmp_path, entries, message):
    with pytest.raises(ValueError, match=message):
        read_mat_people(write(tmp_path / "d.mat", entries), tmp_path, SKELETON)


def test_files_that_are_none_are_refused(tmp_path):
    savemat(tmp_path / "o.mat", {"other": 1})
    with pytest.raises(ValueError, match="must hold a struct array dataset.*Received other"):
        read_mat_people(tmp_path / "o.mat", tmp_path, SKELETON)
    (tmp_path / "t.mat").write_text("text")
    with pytest.raises(ValueError, match="MATLAB file of version 5"):
        read_mat_people(tmp_path / "t.mat", tmp_path, SKELETON)
    with pytest.raises(FileNotFoundError, match="tool/mpii_crops.py makes"):
        read_mat_people(tmp_path / "none.mat", tmp_path, SKELETON)


def test_a_split_whose_file_is_replaced_reads_it(tmp_path):
    path = write(tmp_path / "d.mat", [("a.png", [3, 5, 6], [[[0, 1, 1]]])])
    usual = {"train": Split(tmp_path / "usual.json", tmp_path / "images")}
    dataset = Dataset("Made", tmp_path, {"up": SKELETON}, {}, usual, "coco")
    other = replace_files(dataset, "train", path, None, "pck")
    table = read_split(other, "train")
    assert len(table) == 1 and other.evaluation == "pck"
    assert table.images.paths == (str(tmp_path / "a.png"),)
    moved = replace_files(dataset, "train", None, tmp_path / "b").split("train")
    assert (moved.annotations, moved.images) == (tmp_path / "usual.json", tmp_path / "b")


def read_numbered(folder, root, dataset, count, network=None):
    """One person whose joint j is at (10 + j, 5), read by a network for a data set's split."""
    people = [[[joint, 10 + joint, 5] for joint in range(count)]]
    path = write(folder / "numbered.mat", [("a.png", [3, 50, 60], people)])
    files = replace_files(load_dataset(root, dataset), "train", path)
    skeleton = network and choose_skeleton(root, [network.partition("/")[0]], network)
    return read_split(files, "train", skeleton=skeleton)


@pytest.mark.parametrize(
    ("dataset", "numbered", "network"),
    [
        ("PennAction", "PennAction/penn_13", "PennAction"),
        ("PennAction", "PennAction/penn_13", "MPII/mpii_14"),
        ("PennAction", "PennAction/penn_13", "COCO"),
        ("MPII", "MPII/mpii_14", "MPII/mpii_14"),
        ("MPII", "MPII/mpii_14", "COCO"),
        ("MPII", "MPII/mpii_14", None),
        ("MPII", "MPII/mpii_16", "MPII/mpii_14"),
    ],
)
def test_joints_are_those_that_the_data_set_numbers_whatever_the_network(
    tmp_path, project_root, dataset, numbered, network
):
    names = choose_skeleton(project_root, [dataset], numbered).keypoints
    table = read_numbered(tmp_path, project_root, dataset, len(names), network)
    wanted = choose_skeleton(project_root, [dataset], network or dataset)
    assert table.skeleton == wanted and table.keypoints.shape == (1, wanted.joint_count, 3)
    for name, (x, y, visibility) in zip(wanted.keypoints, table.keypoints[0], strict=True):
        known = [10 + names.index(name), 5, 2] if name in names else [0, 0, 0]
        assert [x, y, visibility] == known, name
    assert table.num_keypoints.tolist() == [len(names)]
    assert table.boxes_xywh.tolist() == [[10, 5, len(names) - 1, 0]]


def test_the_joints_of_the_network_win_wherever_they_fit_and_the_log_says_so(
    tmp_path, project_root, caplog
):
    """14 numbers are all joints of mpii_14, or those of mpii_16 without the left arm's last."""
    caplog.set_level("INFO")
    table = read_numbered(tmp_path, project_root, "MPII", 14, "MPII/mpii_16")
    assert table.keypoints[0, :, 0].tolist() == [*range(10, 24), 0, 0]
    chosen, warned = caplog.records
    assert chosen.getMessage().endswith("numbers 14 joints, which are those of MPII/mpii_16.")
    assert warned.levelname == "WARNING" and "--set data.skeleton=MPII/mpii_14" in warned.message
    caplog.clear()
    read_numbered(tmp_path, project_root, "MPII", 14, "MPII/mpii_14")
    (chosen,) = caplog.records
    assert chosen.getMessage().endswith("are those of MPII/mpii_14.")


def test_a_file_without_the_last_joints_numbers_those_of_the_network(tmp_path, project_root):
    table = read_numbered(tmp_path, project_root, "MPII", 12, "MPII/mpii_14")
    assert table.keypoints[0, :, 0].tolist() == [*range(10, 22), 0, 0]


def test_a_file_of_another_data_set_is_refused(tmp_path, project_root):
    with pytest.raises(ValueError, match="joints of COCO/coco_17, as whose.*Received 13 joints"):
        read_numbered(tmp_path, project_root, "COCO", 13, "PennAction")
    with pytest.raises(ValueError, match="MPII/mpii_16 or MPII/mpii_14.*data.testset of a test"):
        read_numbered(tmp_path, project_root, "MPII", 13, "PennAction")


def test_joints_that_a_file_lacks_are_derived_as_the_data_set_says(tmp_path):
    path = write(tmp_path / "d.mat", [("a.png", [3, 5, 6], [[[0, 8, 4], [1, 2, 0], [2, 1, 1]]])])
    files = {"train": Split(path, tmp_path)}
    derived = {"pelvis": ("left_hip", "right_hip")}
    dataset = Dataset("Made", tmp_path, {"up": SKELETON}, {}, files, "pck", derived)
    network = Skeleton("other", ("pelvis", "nose", "thorax"))
    table = read_split(dataset, "train", skeleton=network)
    assert table.keypoints.tolist() == [[[5, 2, 2], [1, 1, 2], [0, 0, 0]]]


def test_crops_are_cut_at_their_persons_scale_and_listed(tmp_path):
    crop = Crop(
        row=0,
        name="im00001_1.png",
        resized_hw=(20, 40),
        corners=(11, 3, 30, 12),
        joints=np.array([[0, 5, 6], [2, 7, 8]], np.int32),
        crop_to_image=np.diag([0.5, 0.5, 1.0]),
    )
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = (0, 0, 250)
    mpii_crops.write_crop(tmp_path / crop.name, picture, crop)
    mpii_crops.write_lists([crop], tmp_path)
    table = read_mat_people(tmp_path / "dataset.mat", tmp_path, SKELETON)
    assert table.keypoints[0].tolist() == [[5, 6, 2], [0, 0, 0], [7, 8, 2]]
    assert table.images.sizes_hw.tolist() == [[10, 20]]
    assert read_head_size(tmp_path / "dataset.mat") == 50

    shown = read_image(table.images.paths[0])
    assert shown.shape == (10, 20, 3) and shown[5, 15, 2] > 240 and shown[5, 3, 2] < 10
