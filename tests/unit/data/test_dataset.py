import re
import textwrap
from pathlib import Path

import pytest

from poseras.data.dataset import choose_skeleton, list_datasets, load_dataset

HANDS = """
    keypoint_sets:
      star_5:
        keypoints: [head_top, left_wrist, right_wrist, left_ankle, right_ankle]
        flip_pairs: [[left_wrist, right_wrist], [3, 4]]
        limbs: [[head_top, left_wrist], [left_wrist, right_wrist], [right_ankle, head_top]]
        oks_sigmas: [0.05, 0.06, 0.06, 0.09, 0.09]
        colours: {left: [0, 0, 255], right: [255, 0, 0], centre: [0, 255, 0]}
      wrists_2:
        keypoints: [left_wrist, right_wrist]
        oks_sigmas: [0.06, 0.06]
    aliases: {l_hand: left_wrist}
    evaluation: coco
    splits:
      train: {annotations: data/Stars/annotations/train.json, images: /pictures}
      val:
        annotations: data/Stars/annotations/val.json
        images: data/Stars/images
        detections: data/Stars/dets/boxes.json
"""


def write_dataset(root: Path, text: str = HANDS, name: str = "Stars") -> Path:
    folder = root / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return root


def test_a_users_dataset_gives_skeletons_splits_and_absolute_paths(tmp_path):
    dataset = load_dataset(write_dataset(tmp_path), "Stars")
    assert list(dataset.skeletons) == ["star_5", "wrists_2"]
    assert dataset.skeleton.name == "Stars/star_5"
    assert dataset.skeleton.flip_pairs == ((1, 2), (3, 4))
    assert dataset.skeleton.limbs == ((0, 1), (1, 2), (4, 0))
    assert dataset.skeleton.oks_sigmas == (0.05, 0.06, 0.06, 0.09, 0.09)
    assert dataset.aliases == {"l_hand": "left_wrist"}
    assert dataset.evaluation == "coco"
    train, val = dataset.split("train"), dataset.split("val")
    assert train.images == Path("/pictures")
    assert train.detections is None
    assert val.annotations == tmp_path / "data/Stars/annotations/val.json"
    assert val.detections == tmp_path / "data/Stars/dets/boxes.json"


def test_a_limb_has_the_colour_of_the_one_side_its_joints_name(tmp_path):
    skeleton = load_dataset(write_dataset(tmp_path), "Stars").skeleton
    assert skeleton.colours == ((0, 0, 255), (0, 255, 0), (255, 0, 0))


def test_colours_may_be_listed_limb_by_limb(tmp_path):
    sides = "{left: [0, 0, 255], right: [255, 0, 0], centre: [0, 255, 0]}"
    text = HANDS.replace(sides, "[[1, 2, 3], [4, 5, 6], [7, 8, 9]]")
    skeleton = load_dataset(write_dataset(tmp_path, text), "Stars").skeleton
    assert skeleton.colours == ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def test_a_folder_is_a_dataset_when_it_holds_the_file(tmp_path):
    write_dataset(tmp_path)
    write_dataset(tmp_path, name="Comets")
    (tmp_path / "data" / "imagenet_weights").mkdir()
    assert list_datasets(tmp_path) == ["Comets", "Stars"]


def test_an_unknown_dataset_lists_those_there_are(tmp_path):
    write_dataset(tmp_path)
    with pytest.raises(ValueError, match=r"No dataset 'COCCO' in .*there: Stars\."):
        load_dataset(tmp_path, "COCCO")


def test_an_unknown_dataset_in_an_empty_project_says_none(tmp_path):
    with pytest.raises(ValueError, match=r"there: none\."):
        load_dataset(tmp_path, "COCO")


def test_an_unknown_split_lists_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"has no split 'test'. It has: train, val\."):
        load_dataset(write_dataset(tmp_path), "Stars").split("test")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("aliases:", "alias:", r"unknown key alias\. Did you mean aliases\?"),
        ("flip_pairs", "flips", r"unknown key keypoint_sets\.star_5\.flips\. Did you mean flip_p"),
        ("detections:", "dets:", r"unknown key splits\.val\.dets\. "),
        ("limbs: [[head_top", "limbs: [[head", r"star_5 has no keypoint 'head'\. Did you mean hea"),
        ("[3, 4]]", "[3, 9]]", r"flip_pairs of Stars/star_5 must hold .* Received \(3, 9\)"),
        ("[0.05, 0.06,", "[0.06,", r"oks_sigmas of Stars/star_5 must have one value per keypoint"),
        ("oks_sigmas: [0.06, 0.06]", "limbs: []", r"needs oks_sigmas .* Stars/wrists_2 has none"),
        ("l_hand: left_wrist", "l_hand: left_wirst", r"unknown left_wirst\. Did you mean left_w"),
        ("left: [0, 0, 255], ", "", r"star_5\.colours lacks left"),
        (
            "evaluation:",
            "derived: {neck: [head]}\n    evaluation:",
            r"derives neck from .* head\. D",
        ),
        (
            "evaluation:",
            "derived: {neck: []}\n    evaluation:",
            r"does not describe a dataset: Exp",
        ),
        ("[0, 0, 255]", "[0, 0]", r"does not describe a dataset: Expected `array` of length 3"),
        ("evaluation: coco", "evaluation: cocoa", r"Invalid enum value 'cocoa'"),
        ("images: /pictures", "detections: x", r"missing required field `images` - at `\$\.splits"),
        ("aliases: {", "aliases: {{", r"dataset\.yaml, line \d+ is not YAML: "),
        ("evaluation:", "evaluation: none\n    evaluation:", r"the key evaluation stands twice"),
        ("left: [0, 0, 255]", "left: [1, 1, 1], left: [0, 0, 255]", r"the key left stands twice"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(tmp_path, old, new, message):
    assert old in HANDS
    write_dataset(tmp_path, HANDS.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(tmp_path, "Stars")
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"does not describe a dataset"):
        load_dataset(write_dataset(tmp_path, ""), "Stars")


def test_no_keypoint_set_is_an_error(tmp_path):
    text = "keypoint_sets: {}\nsplits: {train: {annotations: a, images: b}}\n"
    with pytest.raises(ValueError, match=r"at least one entry under keypoint_sets"):
        load_dataset(write_dataset(tmp_path, text), "Stars")


def test_the_first_set_of_the_first_trainset_is_the_skeleton(tmp_path):
    write_dataset(tmp_path)
    assert choose_skeleton(tmp_path, ["Stars", "COCO"]).name == "Stars/star_5"
    assert choose_skeleton(tmp_path, ["COCO"], "Stars/wrists_2").name == "Stars/wrists_2"
    assert choose_skeleton(tmp_path, ["COCO"], "Stars").name == "Stars/star_5"


def test_an_unknown_keypoint_set_lists_those_there_are(tmp_path):
    write_dataset(tmp_path)
    with pytest.raises(ValueError, match=r"no keypoint set 'x'. It has: Stars/star_5, Stars/wri"):
        choose_skeleton(tmp_path, ["Stars"], "Stars/x")


def test_the_example_of_the_readme_is_complete(tmp_path, project_root):
    readme = (project_root / "data" / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)[1]
    dataset = load_dataset(write_dataset(tmp_path, example, "Climbers"), "Climbers")
    assert dataset.skeleton.joint_count == 5
    assert dataset.split("train").annotations == tmp_path / "data/Climbers/annotations/train.json"


def test_coco_has_its_numbers(project_root):
    dataset = load_dataset(project_root, "COCO")
    skeleton = dataset.skeleton
    assert skeleton.joint_count == 17
    assert skeleton.oks_sigmas[skeleton.index_of("nose")] == 0.026
    assert skeleton.oks_sigmas[skeleton.index_of("left_hip")] == 0.107
    assert len(set(skeleton.colours)) == 3
    for a, b in skeleton.flip_pairs:
        assert skeleton.keypoints[a].replace("left", "right") == skeleton.keypoints[b]
        assert skeleton.oks_sigmas[a] == skeleton.oks_sigmas[b]
    assert set(dataset.splits) == {"train", "val", "test"}
    assert dataset.split("val").images == project_root / "data/COCO/images/val2017"
