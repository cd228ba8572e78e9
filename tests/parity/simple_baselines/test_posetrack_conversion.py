"""PoseTrack's sequence files to COCO format and back, against TF-SimpleHumanPose."""

import json

import pytest

from poseras.data.image_size import measure_pictures
from poseras.data.posetrack_release import convert_sequences, list_pictures, read_sequences
from poseras.engine.posetrack_results import split_by_sequence

FILE = "simple_baselines/posetrack.json"


def sort_by_id(content):
    """The original joins files in the order of the folder; ids make both orders one."""
    rows = {key: sorted(content[key], key=lambda row: row["id"]) for key in content}
    return {**rows, "categories": content["categories"]}


def test_sequences_become_the_published_files(golden, tmp_path):
    case = golden.load(FILE)
    assert case["inputs"]
    sizes = case["image_sizes_width_height"]
    sizes_hw = {name: (height, width) for name, (width, height) in sizes.items()}
    for split, files in case["inputs"].items():
        folder = tmp_path / split
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        labelled = split.partition("_")[0] != "test"
        conversion = convert_sequences(read_sequences(folder), sizes_hw, labelled=labelled)
        assert list(conversion.content) == list(case["expected"][split])
        assert sort_by_id(conversion.content) == sort_by_id(case["expected"][split])


def test_results_are_split_into_the_files_of_the_published_loader(golden):
    case = golden.load(FILE)
    evaluation = case["evaluation"]
    sequences = next(
        files for files in case["inputs"].values() if files.keys() == evaluation["files"].keys()
    )
    assert split_by_sequence(evaluation["results"], sequences) == evaluation["files"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_real_sample_becomes_the_published_file(samples, split):
    folder = samples / "PoseTrack"
    sequences = read_sequences(folder / "original_annotations" / split)
    paths = list_pictures(sequences, folder / "images")
    sizes_hw = measure_pictures(paths, folder)
    content = convert_sequences(sequences, sizes_hw, labelled=split != "test").content
    assert content == json.loads((folder / "annotations" / f"{split}2018.json").read_text())
