"""Every data/<NAME>/dataset.yaml: it loads, and its parts agree with each other."""

import re
from pathlib import Path

import pytest

from poseras.data.dataset import list_datasets, load_dataset

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.parent.name for path in (ROOT / "data").glob("*/dataset.yaml"))


def test_there_are_datasets():
    assert "COCO" in NAMES and list_datasets(ROOT) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_dataset_loads_with_keypoint_sets_and_splits(name):
    dataset = load_dataset(ROOT, name)
    assert dataset.name == name and dataset.folder == ROOT / "data" / name
    assert dataset.skeletons and dataset.splits


@pytest.mark.parametrize("name", NAMES)
def test_keypoint_names_are_canonical(name):
    for key, skeleton in load_dataset(ROOT, name).skeletons.items():
        assert skeleton.name == f"{name}/{key}"
        for keypoint in skeleton.keypoints:
            assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", keypoint)
            assert not re.match(r"[lr]_", keypoint), f"write {keypoint} with left_ or right_"


@pytest.mark.parametrize("name", NAMES)
def test_mirror_pairs_are_left_and_right_of_the_same_keypoint(name):
    for skeleton in load_dataset(ROOT, name).skeletons.values():
        for pair in skeleton.flip_pairs:
            one, other = (skeleton.keypoints[joint] for joint in pair)
            assert {one.partition("_")[0], other.partition("_")[0]} == {"left", "right"}
            assert one.partition("_")[2] == other.partition("_")[2]
        twice = skeleton.flip_permutation[skeleton.flip_permutation]
        assert twice.tolist() == list(range(skeleton.joint_count))


@pytest.mark.parametrize("name", NAMES)
def test_limbs_sigmas_and_colours_can_be_used(name):
    dataset = load_dataset(ROOT, name)
    for skeleton in dataset.skeletons.values():
        assert skeleton.limbs and len(set(skeleton.limbs)) == len(skeleton.limbs)
        assert len(skeleton.colours) == len(skeleton.limbs)
        assert all(0 <= value <= 255 for colour in skeleton.colours for value in colour)
        assert all(0 < sigma < 0.2 for sigma in skeleton.oks_sigmas)
    if dataset.evaluation == "coco":
        assert len(dataset.skeleton.oks_sigmas) == dataset.skeleton.joint_count


@pytest.mark.parametrize("name", NAMES)
def test_aliases_lead_to_keypoints_of_the_dataset(name):
    dataset = load_dataset(ROOT, name)
    known = {keypoint for s in dataset.skeletons.values() for keypoint in s.keypoints}
    assert set(dataset.aliases.values()) <= known
    assert not set(dataset.aliases) & known, "an alias is another spelling"


@pytest.mark.parametrize("name", NAMES)
def test_files_of_the_splits_lie_in_the_folder_of_the_dataset(name):
    dataset = load_dataset(ROOT, name)
    for split in dataset.splits.values():
        for path in (split.annotations, split.images, split.detections, split.sequences):
            assert path is None or dataset.folder in (path, *path.parents)
