"""People of a run read again from its annotation and result files."""

import json

import numpy as np
import pytest

from poseras.report.people import RunPeople, read_people
from poseras.report.runs import read_run


def read(project, folder):
    return read_people(read_run(folder), project.root)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_truth_and_predictions_are_read_in_the_order_of_the_files(project):
    people = read(project, project.write_run("one", [(2, 0.7, project.pose(3))]))
    assert isinstance(people, RunPeople) and people.notes == ()
    assert people.truth.ids.tolist() == [1, 2, 3] and not people.truth.ignore.any()
    assert people.detections.keypoints[0, :, 0].tolist() == [103, 43, 163]
    assert people.found.all() and people.skeleton.name == "Made/three"


def test_joints_that_the_network_lacks_do_not_count_and_are_not_drawn(project):
    folder = project.write_run("one", [(2, 0.7, project.pose())], skeleton="Made/two")
    people = read(project, folder)
    assert people.truth.keypoints[0, :, 2].tolist() == [2, 2, 0]
    assert people.found.tolist() == [[True, True, False]]
    assert people.notes == ("The network lacks right_hand of Made/three.",)


def test_a_third_value_of_0_is_a_joint_that_was_not_found(project):
    folder = project.write_run("one", [(2, 0.7, project.pose())])
    edit(folder / "result.json", lambda rows: rows[0]["keypoints"].__setitem__(5, 0))
    assert read(project, folder).found.tolist() == [[True, False, True]]


def test_annotations_that_changed_since_the_test_are_noted(project):
    folder = project.write_run("one", [(2, 0.7, project.pose())], annotations_sha256="0" * 64)
    (note,) = read(project, folder).notes
    assert "has changed since the run was tested" in note


def test_without_annotations_one_sentence_says_why_there_is_nothing(project):
    folder = project.write_run("one", [(2, 0.7, project.pose())])
    (project.root / "data" / "Made" / "val.json").unlink()
    assert "val.json, so nothing can be compared" in read(project, folder)


def test_a_run_that_found_nobody_says_so(project):
    assert read(project, project.write_run("one", [])) == "Nobody was found."


def test_a_data_set_without_sigmas_says_so(project):
    path = project.root / "data" / "Made" / "dataset.yaml"
    folder = project.write_run("one", [(2, 0.7, project.pose())])
    lines = [line for line in path.read_text().splitlines() if "oks_sigmas" not in line]
    path.write_text("\n".join(lines).replace("evaluation: coco", "evaluation: mpii"))
    assert read(project, folder).startswith("Made has no OKS sigmas")


def test_a_run_without_its_result_file_is_one_line(project):
    folder = project.write_run("one", [])
    (folder / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match="No result at .*result.json"):
        read(project, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[0].update(image_id=9), "stand on pictures of the annotation file"),
        (lambda rows: rows[0].update(keypoints=[1, 2, 3]), "must have the 3 joints of Made/three"),
        (lambda rows: rows[0].pop("score"), "must have 'score'"),
    ],
)
def test_wrong_results_are_refused_with_their_folder(project, change, message):
    folder = project.write_run("one", [(2, 0.7, project.pose())])
    edit(folder / "result.json", change)
    with pytest.raises(ValueError, match=f"the predictions of .*one.*{message}"):
        read(project, folder)


def test_people_on_pictures_that_the_test_left_out_do_not_count(project):
    poses = [(1, 0.7, project.pose())]
    path = project.root / "data" / "Made" / "val.json"
    first = json.loads(path.read_text())["images"][0]["id"]
    whole = read(project, project.write_run("whole", poses)).truth
    part = read(project, project.write_run("part", poses, most_pictures=1)).truth
    assert part.ids.tolist() == whole.ids[whole.image_ids == first].tolist()
    assert 0 < len(part) < len(whole) and part.images.tolist() == [first]


def test_people_of_all_annotation_files_of_a_test_count(project):
    folder = project.root / "data" / "Made"
    content = json.loads((folder / "val.json").read_text())
    content["images"] = [{**image, "id": image["id"] + 10} for image in content["images"]]
    content["annotations"] = [
        {**row, "id": row["id"] + 10, "image_id": row["image_id"] + 10}
        for row in content["annotations"]
    ]
    (folder / "more.json").write_text(json.dumps(content))
    settings = folder / "dataset.yaml"
    text = settings.read_text()
    settings.write_text(
        text.replace("data/Made/val.json", "[data/Made/val.json, data/Made/more.json]")
    )
    poses = [(11, 0.7, project.pose())]
    run = project.write_run("one", poses, more_annotations=["more.json"])
    assert read(project, run).truth.ids.tolist() == [1, 2, 3, 11, 12, 13]


def test_of_all_pictures_the_first_ones_count_even_without_people(project):
    path = project.root / "data" / "Made" / "val.json"
    empty = {"id": 9, "file_name": "9.png", "height": 80, "width": 140}
    edit(path, lambda content: content["images"].insert(0, empty))
    seen = {"most_pictures": 1, "all_images": True}
    folder = project.write_run("one", [(1, 0.7, project.pose())], **seen)
    assert read(project, folder).truth.images.tolist() == [9]
    assert len(read(project, folder).truth) == 0


def test_crowdpose_takes_its_own_areas_and_leaves_out_empty_predictions(project):
    path = project.root / "data" / "Made" / "dataset.yaml"
    path.write_text(path.read_text().replace("evaluation: coco", "evaluation: crowdpose"))
    poses = [(1, 0.7, project.pose()), (2, 0.6, project.pose(9))]
    folder = project.write_run("one", poses)
    edit(folder / "result.json", lambda rows: rows[0].update(keypoints=[1, 2, 0] * 3))
    people = read(project, folder)
    assert people.truth.areas == pytest.approx([0.53 * 140 * 80] * 3)
    assert people.detections.image_ids.tolist() == [2] and people.found.shape == (1, 3)


def test_posetrack_results_are_read_by_sequence_and_joint_name(project):
    path = project.root / "data" / "Made" / "dataset.yaml"
    text = path.read_text().replace("evaluation: coco", "evaluation: posetrack")
    path.write_text(text + "aliases: {hand_l: left_hand}\n")
    folder = project.write_run("one", [])
    (folder / "val").mkdir()
    content = {
        "categories": [{"keypoints": ["hand_l", "nose", "right_hand"]}],
        "annotations": [
            {
                "image_id": 2,
                "category_id": 1,
                "track_id": 0,
                "scores": [0.2, 0.4, 0.9],
                "keypoints": [1, 2, 1, 3, 4, 1, 5, 6, 1],
            }
        ],
    }
    (folder / "val" / "a.json").write_text(json.dumps(content))
    people = read(project, folder)
    assert people.detections.keypoints[0, :, :2].tolist() == [[3, 4], [1, 2], [5, 6]]
    assert people.detections.scores == pytest.approx([np.mean([0.2, 0.4, 0.9])])
    (folder / "val" / "a.json").unlink()
    with pytest.raises(FileNotFoundError, match="No result at .*val"):
        read(project, folder)
