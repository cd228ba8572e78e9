"""The data doctor's program on a small synthetic set: table, pictures, report, mended files."""

import json
import shutil

import cv2
import pytest

import check_data
from poseras.data.dataset import load_dataset
from poseras.data.doctor.examination import examine
from poseras.data.doctor.kinds import KINDS

NAN = float("nan")


@pytest.fixture
def run(monkeypatch, planted):
    """Run the program on the planted set; its exit code."""

    def run(*arguments):
        planted.save()
        monkeypatch.setattr(check_data, "ROOT", planted.root)
        return check_data.main(["P", *map(str, arguments)])

    return run


def leak(p):
    name = p.val["images"][0]["file_name"]
    shutil.copy(p.picture(2), p.folder / "images" / "val" / name)


def test_fifteen_faults_in_one_set_are_all_found_by_the_program(planted, run, tmp_path, capsys):
    chosen = [
        "entry-malformed",
        "picture-missing",
        "visibility",
        "number-not-finite",
        "annotation-id-doubled",
    ]
    # Each on another person or picture, so that no fault hides another.
    people, images = planted.people, planted.images
    people[0].pop("bbox")
    planted.picture(1).unlink()
    people[2]["keypoints"][2] = 0.87
    people[3]["keypoints"][15] = NAN
    people[4]["id"] = people[5]["id"]
    people[6]["keypoints"] = [1, 2, 2] * 14
    people[7]["num_keypoints"] = 1
    people[8]["image_id"] = 123_456
    people[9]["bbox"] = [5000, 50, 40, 60]
    people[10]["keypoints"] = [100, 100, 2] * 17
    people[10]["num_keypoints"] = 17
    people[11]["category_id"] = 77
    images[12]["width"] = 0
    images[13]["file_name"] = "../val/x.jpg"
    shutil.copy(planted.picture(14), planted.picture(15))
    people.append({**people[14], "id": 888_888})
    leak(planted)
    planted.detections.append(
        {"image_id": 424_242, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.5}
    )
    chosen += ["keypoint-count", "num-keypoints", "annotation-without-image", "box-outside"]
    chosen += ["keypoints-in-one-point", "category-unknown", "image-size-unknown"]
    chosen += ["image-outside-folder", "picture-doubled", "person-doubled"]
    chosen += ["picture-in-two-splits", "detection-without-image"]
    assert len(chosen) >= 15
    assert run("--json", tmp_path / "report.json", "--draw", "30") == 1
    report = json.loads((tmp_path / "report.json").read_text())
    missed = set(chosen) - set(report["kinds"])
    assert not missed and not report["clean"]
    printed = capsys.readouterr().out
    assert all(code in printed and KINDS[code].advice in printed for code in chosen)
    drawn = list((planted.root / "output" / "vis" / "P" / "check").glob("*.jpg"))
    assert len(drawn) >= 5
    assert all(cv2.imread(str(path)) is not None for path in drawn)


def test_faults_of_the_files_are_found_without_opening_pictures(planted):
    planted.picture(2).unlink()
    planted.people[3]["category_id"] = 77
    report = planted.examine(look_at_pictures=False)
    assert report.codes() == ["category-unknown"] and not report.sizes_hw


def test_a_file_that_is_no_json_is_one_finding_and_the_other_split_is_looked_at(planted):
    planted.save()
    (planted.folder / "train.json").write_text('{"images": [')
    report = examine(load_dataset(planted.root, "P"))
    assert report.codes() == ["file-unreadable"] and list(report.columns) == ["val"]


def test_fix_mends_what_needs_no_guess_and_leaves_the_file_alone(planted, run, capsys):
    people = planted.people
    people[0]["image_id"] = 123_456
    people[1]["id"] = people[2]["id"]
    people[3]["id"] = 0
    people[4]["keypoints"][15:17] = [NAN, 5]
    people[5]["area"] = -1
    people[6]["num_keypoints"] = 99
    planted.images[7]["width"] = 0
    people.append(dict(people[8]))
    assert run("--fix", "--draw", "0") == 1
    printed = capsys.readouterr().out
    for words in (
        "1 sizes of pictures read",
        "1 annotations without their picture",
        "1 annotations that stood twice, word for word",
        "2 annotations given a new id",
        "1 keypoints with NaN",
        "1 areas that are no positive number",
        "num_keypoints counted again",
    ):
        assert words in printed, printed
    before, mended = planted.folder / "train.json", planted.folder / "train.mended.json"
    # NaN is not equal to itself, so the texts are compared.
    assert before.read_text() == json.dumps(planted.train)
    content = json.loads(mended.read_text())
    assert len(content["annotations"]) == 15
    assert content["annotations"][3]["keypoints"][15:18] == [0, 0, 0]
    planted.train = content
    report = planted.examine()
    assert report.codes() == []


def test_mended_files_of_one_name_go_to_one_folder_under_two_names(
    planted, run, tmp_path, monkeypatch
):
    planted.people[0]["num_keypoints"] = planted.val["annotations"][0]["num_keypoints"] = 99
    planted.save()
    (planted.folder / "other").mkdir()
    (planted.folder / "other" / "train.json").write_text(json.dumps(planted.val))
    described = planted.folder / "dataset.yaml"
    described.write_text(described.read_text().replace("P/val.json", "P/other/train.json"))
    monkeypatch.chdir(tmp_path)
    assert run("--fix", ".", "--skip-images", "--draw", "0") == 1
    written = sorted(path.name for path in tmp_path.glob("*.json"))
    assert written == ["train_train.mended.json", "val_train.mended.json"]
    assert json.loads((tmp_path / written[1]).read_text())["images"] == planted.val["images"]


def test_nothing_is_written_where_nothing_can_be_mended(planted, run, capsys):
    planted.people[2]["bbox"] = [5000, 50, 40, 60]
    assert run("--fix", "--skip-images", "--draw", "0") == 1
    assert "train: nothing to mend without guessing." in capsys.readouterr().out
    assert not list(planted.folder.glob("*.mended.json"))


def test_ignored_kinds_do_not_count(planted, run):
    planted.people[2]["category_id"] = 77
    assert run("--skip-images", "--draw", "0") == 1
    assert run("--skip-images", "--draw", "0", "--ignore", "category-unknown") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ignore", "box-outsid"], "Did you mean box-outside?"),
        (["--split", "tset"], "has no split 'tset'"),
    ],
)
def test_a_wrong_command_ends_with_one_line_and_code_2(run, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("check_data.py: error: ") and message in line


def test_a_set_without_any_annotation_file_is_a_wrong_command(planted, run, capsys, monkeypatch):
    monkeypatch.setattr(planted, "save", lambda: None)
    for name in ("train.json", "val.json"):
        (planted.folder / name).unlink()
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2 and "no annotations of P" in capsys.readouterr().err


def test_list_kinds_prints_every_kind(capsys):
    assert check_data.main(["--list-kinds"]) == 0
    printed = capsys.readouterr().out
    assert all(code in printed for code in KINDS) and len(KINDS) >= 15


def test_a_picture_that_was_turned_by_a_quarter_is_called_so(planted):
    image = planted.images[2]
    image["width"], image["height"] = image["height"], image["width"]
    (finding,) = [f for f in planted.examine().findings if f.code == "picture-size"]
    assert "is 640 x 480, the file says 480 x 640" in finding.line
    assert "quarter turn" in finding.line
