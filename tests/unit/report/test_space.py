"""Poses in space: errors by hand, the order of people, and pages of one and two runs."""

import json

import numpy as np
import pytest

from poseras.report.page import write_report
from poseras.report.runs import read_run
from poseras.report.space import choose_shown, find_paths, read_space, trace_pck, write_view

SKELETON = {
    "name": "Made/space",
    "keypoints": ["pelvis", "head_top", "left_wrist"],
    "limbs": [[0, 1], [0, 2]],
    "colours": [[186, 230, 126], [64, 196, 255]],
}
TRUE = [[0, 0, 4000], [0, -600, 4000], [-300, -300, 3900]]


def make_person(number, error_mm):
    """A person whose wrist is off by a distance, and of whom the head is unknown."""
    found = np.array(TRUE, float)
    found[2, 0] += error_mm
    return {
        "image_id": 1 + number % 2,
        "annotation_id": number,
        "joints_camera_mm": (found + [10, 0, 50]).tolist(),
        "joints_true_mm": [TRUE[0], None, TRUE[2]],
        "keypoints_px": [[100, 100], [100, 40], [60, 80]],
    }


@pytest.fixture
def write_space_run(project):
    def write(name, errors_mm, **protocol):
        evaluation = {
            "per_action_mm": {"MPJPE": {"Eating": 12.0, "Sitting": 34.56}, "PA-MPJPE": {}},
            "per_axis_mm": {"x": 1.0, "y": 2.0, "z": 33.25},
        }
        metrics = {"MPJPE": 55.5, "PA-MPJPE": 44.4}
        folder = project.write_run(name, [], metrics=metrics, evaluation=evaluation, **protocol)
        people = [make_person(n, error) for n, error in enumerate(errors_mm)]
        content = {"skeleton": SKELETON, "people": people}
        (folder / "poses_3d.json").write_text(json.dumps(content))
        return read_run(folder)

    return write


def test_errors_are_measured_from_the_root_over_known_joints(write_space_run):
    space = read_space(write_space_run("one", [30, 90]))
    assert space.evaluation.names == ("pelvis", "head_top", "left_wrist")
    assert space.errors_mm == pytest.approx([15, 45])
    assert np.isnan(space.evaluation.errors_mm[:, 1]).all()


def test_a_run_without_poses_is_none_and_an_empty_file_is_refused(project, write_space_run):
    assert read_space(read_run(project.write_run("flat", []))) is None
    run = write_space_run("one", [])
    with pytest.raises(ValueError, match=r"poses_3d.json must hold a skeleton and people"):
        read_space(run)


def test_the_share_within_a_distance_is_of_known_joints():
    traced = trace_pck(np.array([[0.0, 10, np.nan], [20, 40, np.nan]]), np.array([0.0, 10, 30]))
    assert traced.tolist() == [[0, 25], [10, 50], [30, 75]]


def test_people_are_leafed_through_from_the_worst_to_the_best(write_space_run):
    space = read_space(write_space_run("one", [30, 90, 60]))
    assert choose_shown(space).tolist() == [1, 2, 0]
    page = write_view(space, "one", np.array([2, 7, 0]))
    assert page.count('"image_id":1') == 2, "persons 2 and 0 stand on picture 1, 7 is nobody"


def test_pictures_are_found_by_the_annotation_file(project, write_space_run):
    run = write_space_run("one", [30])
    paths = find_paths(run, project.root, {2, 9})
    assert list(paths) == [2] and paths[2].endswith("images/2.jpg")


def test_a_page_of_one_run_has_tables_pictures_and_poses_to_turn(project, write_space_run):
    page = write_report([write_space_run("one", [30, 90])], project.root)
    assert "<td>34.6</td>" in page and "<td>33.2</td>" in page and "<td>55.5</td>" in page
    assert page.count("<iframe") == 1 and page.count("<figure>") == 2
    assert page.count("data:image/jpeg") == 4, "a picture and two views of each of two people"
    assert "left wrist" in page


def test_a_page_of_two_runs_shows_the_same_people_of_both(project, write_space_run):
    runs = [write_space_run("one", [30, 90]), write_space_run("two", [10, 20])]
    page = write_report(runs, project.root)
    assert page.count("<iframe") == 2 and page.count("data:image/jpeg") == 8
    assert "mean joint error 45 mm / 10 mm" in page


def test_two_runs_on_different_people_are_shown_apart(project, write_space_run):
    runs = [write_space_run("one", [30, 90]), write_space_run("two", [10])]
    page = write_report(runs, project.root)
    assert "one: Worst" in page and "two: Worst" in page


def test_without_pictures_the_views_in_space_stay(project, write_space_run):
    run = write_space_run("one", [30])
    for path in (project.root / "data" / "Made" / "images").iterdir():
        path.unlink()
    page = write_report([run], project.root)
    assert page.count("data:image/jpeg") == 1 and "No picture at" in page
