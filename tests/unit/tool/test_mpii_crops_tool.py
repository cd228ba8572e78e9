"""MPII's crops from the release's file: whom they show, and who is held out to test on."""

import json
import re

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

import config as main_config
import mpii_crops
from poseras.data.mat_annotations import read_head_size
from poseras.data.mpii_crops import choose_single_people, find_listed_people, hold_out, list_crops
from poseras.data.mpii_release import Release

HEAD = (10.0, 10.0, 40.0, 50.0)
PICTURES = 23


def make_release():
    """Twenty-three pictures of two people, of whom the first stands apart; every other joint."""
    people = np.arange(2 * PICTURES)
    joints = np.arange(0, 16, 2)
    points = np.zeros((len(people), len(joints), 4))
    points[..., 0], points[..., 3] = joints, 1
    points[..., 1:3] = 100.0 + 5 * joints[:, None] + people[:, None, None]
    details = np.full((len(people), 7), np.nan)
    details[:, :4] = HEAD
    is_train = np.arange(PICTURES) != 1
    return Release(
        names=tuple(f"{row}.jpg" for row in range(PICTURES)),
        is_train=is_train,
        picture_of_person=people // 2,
        person_of_point=np.repeat(people, len(joints)),
        points=points.reshape(-1, 4),
        details=details,
        single_person=((1,),) * PICTURES,
    )


def list_person(release, person, shift=0.0, labelled=16):
    """A row of valid.json; joints that the release lacks are elsewhere, and not labelled."""
    joints, flags = np.full((16, 2), -1.0), np.zeros(16, int)
    for joint, x, y, _ in release.points[release.person_of_point == person]:
        joints[int(joint)] = x + shift, y
        flags[int(joint)] = joint < labelled
    name = release.names[release.picture_of_person[person]]
    fields = {"image": name, "center": [1.0, 1.0], "scale": 1.0}
    return {**fields, "joints": joints.tolist(), "joints_vis": flags.tolist()}


def test_people_of_a_list_are_found_by_their_joints():
    release = make_release()
    listed = [
        list_person(release, 9),  # of picture 4 the second
        list_person(release, 0, shift=0.4),  # rounded; the other one is 1.4 px away
        list_person(release, 12, labelled=5),
        list_person(release, 14, shift=90.0),  # nobody
        list_person(release, 14, labelled=0),
        list_person(release, 3),  # of a test picture
        {**list_person(release, 9), "image": "elsewhere.jpg"},
    ]
    assert find_listed_people(release, listed) == [(4, 2), (0, 1), (6, 1)]
    without = {name: value for name, value in listed[0].items() if not name.startswith("joints")}
    assert find_listed_people(release, [without]) == []


def test_without_a_list_single_people_of_every_tenth_picture_are_held_out():
    # Of the training pictures 0, 2, 3, ... the first, the eleventh and the twenty-first.
    assert choose_single_people(make_release()) == [(0, 1), (11, 1), (21, 1)]


def test_stripes_of_a_large_person_do_not_flicker_in_the_crop(tmp_path):
    picture = np.zeros((500, 500, 3), np.uint8)
    picture[:, ::2] = 255
    release = make_release()
    release.details[:, :4] = 10.0, 10.0, 130.0, 170.0  # a head of 200 px; the person is 960 px high
    crop = next(iter(list_crops(release, {row: (500, 500) for row in range(PICTURES)})))
    assert crop.crop_to_image[0, 0] == pytest.approx(2.4)
    mpii_crops.write_crop(tmp_path / crop.name, picture, crop)
    written = cv2.imread(str(tmp_path / crop.name))
    assert written.shape == (*crop.size_hw, 3)
    inside = written[:, 5:-5].astype(float)  # the picture is mirrored at its border
    assert np.abs(inside - 127.5).max() < 15


def test_a_crop_that_cannot_be_written_ends_the_work(tmp_path):
    release = make_release()
    crop = next(iter(list_crops(release, {row: (100, 100) for row in range(PICTURES)})))
    (tmp_path / "crops").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"Cannot write .*a\.png: .*\. Make that folder writable"):
        mpii_crops.write_crop(tmp_path / "crops" / "a.png", np.zeros((100, 100, 3), np.uint8), crop)


def test_no_picture_of_people_who_are_held_out_is_trained_on():
    release = make_release()
    crops = list(list_crops(release, {row: (400, 400) for row in range(PICTURES)}))
    assert len(crops) == 2 * (PICTURES - 1)
    train, test = hold_out(crops, [(4, 2), (0, 1)])
    assert [crop.name for crop in test] == ["im00001_1.png", "im00005_2.png"]
    assert len(train) == len(crops) - 4 and not {crop.row for crop in train} & {0, 4}


@pytest.fixture
def run(samples, tmp_path):
    """Runs the program on the sample of MPII; the names that each list has."""
    folder = samples / "MPII"
    release = folder / "original_annotations" / "mpii_human_pose_v1_u12_1.mat"
    images, output = str(folder / "images"), tmp_path / "cropped"

    def run_on(valid):
        named = ["--mat", str(release), "--images", images, "--output", str(output)]
        mpii_crops.main([*named, "--valid", str(valid)])
        lists = {path.name: loadmat(path)["dataset"].ravel() for path in output.glob("*.mat")}
        assert {read_head_size(path) for path in output.glob("*.mat")} == {50}  # PCKh's unit
        assert {path.name for path in output.glob("*.png")} == {
            entry[0].item() for entry in lists["dataset.mat"]
        }
        return {name: [entry[0].item() for entry in rows] for name, rows in lists.items()}

    return run_on


def test_people_of_the_real_list_are_held_out_of_the_real_release(run, samples, tmp_path, capsys):
    valid = json.loads((samples / "MPII" / "annot" / "valid.json").read_text())
    two = [person for person in valid if person["image"] in ("052475643.jpg", "005808361.jpg")]
    (tmp_path / "two.json").write_text(json.dumps(two))
    lists = run(tmp_path / "two.json")
    assert len(lists["dataset.mat"]) == 7  # everybody with a head box, as in the original
    assert lists["dataset-test.mat"] == ["im00018_1.png", "im00007_1.png"]
    assert lists["dataset-train.mat"] == ["im00028_1.png", "im00030_1.png", "im00031_1.png"]
    assert "2 of 2 people are in the release" in capsys.readouterr().out

    lists = run(samples / "MPII" / "annot" / "valid.json")  # people of all five pictures
    assert len(lists["dataset-test.mat"]) == 5 and "dataset-train.mat" not in lists
    assert "dataset-train.mat: not written, no crop is left" in capsys.readouterr().out


def test_the_recipe_trains_and_tests_on_the_files_that_are_written():
    recipe, folder = main_config.load_config("deepercut_mpii"), mpii_crops.FOLDER / "data/cropped"
    read = (recipe.data.annotations, recipe.test.annotations)
    written = [folder / name for name in mpii_crops.SPLIT_FILES]
    assert [main_config.PROJECT_ROOT / path for path in read] == written
    assert mpii_crops.make_parser().parse_args([]).output == folder


def test_lists_that_are_missing_or_of_others_are_one_line(run, samples, tmp_path, capsys):
    for valid, message in (
        (tmp_path / "none.json", "No list of people at .*none.json. valid.json comes with"),
        (samples / "MPII" / "annot" / "test.json", "must list people of the release's training"),
    ):
        with pytest.raises(SystemExit) as end:
            run(valid)
        assert end.value.code == 2
        assert re.search(message, capsys.readouterr().err)
