"""MPII's pages: distances in head sizes by hand, pictures, and runs without annotated boxes."""

import json

import numpy as np
import pytest

from poseras.engine.mpii_results import write_predictions
from poseras.error_lines import was_raised_by_us
from poseras.report.page import write_report
from poseras.report.pckh import read_pckh, score_pictures, show_people
from poseras.report.runs import read_run


@pytest.fixture
def write_pckh_run(project):
    """A run on annotated boxes; heads are 0.6 x the diagonal of 30 x 40, so 30 px."""
    dataset = project.root / "data" / "Made" / "dataset.yaml"
    dataset.write_text(dataset.read_text().replace("evaluation: coco", "evaluation: mpii"))
    annotations = project.root / "data" / "Made" / "val.json"
    content = json.loads(annotations.read_text())
    content["info"] = {"first_pixel": 0}
    for row in content["annotations"]:
        row["bbox_head"] = [0, 0, 30, 40]
    annotations.write_text(json.dumps(content))

    def write(name, shifts, **protocol):
        folder = project.write_run(name, [], metrics={"Mean": 66.0}, **protocol)
        truth = [np.array(project.pose(x)) for x in (0, 200, 0)]
        poses = [t + [np.nan if s is None else s, 0] for t, s in zip(truth, shifts, strict=True)]
        write_predictions(folder / "pred.mat", np.array(poses), 0)
        return read_run(folder)

    return write


def test_distances_are_in_head_sizes_and_nobody_is_infinitely_far(project, write_pckh_run):
    poses = read_pckh(write_pckh_run("one", [3, None, 30]), project.root)
    expected = [[0.1] * 3, [np.inf] * 3, [1.0] * 3]
    assert poses.distances.tolist() == pytest.approx(np.array(expected))
    # One of the three people is within 0.5 head sizes.
    assert poses.evaluation.per_joint() == pytest.approx(
        dict.fromkeys(poses.table.skeleton.keypoints, 100 / 3)
    )


def test_annotations_that_count_from_1_are_drawn_where_the_pixels_are(project, write_pckh_run):
    run = write_pckh_run("one", [3, 3, 3])
    zero = read_pckh(run, project.root)
    (drawn,) = show_people([zero], ["a"], [1])
    path = project.root / "data" / "Made" / "val.json"
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        joints = np.array(row["keypoints"]).reshape(-1, 3) + [1, 1, 0]
        row["keypoints"] = joints.ravel().tolist()
    path.write_text(json.dumps({**content, "info": {}}))
    one = read_pckh(run, project.root)
    assert one.first_pixel == 1 and one.distances == pytest.approx(zero.distances)
    assert show_people([one], ["a"], [1])[0].panels == drawn.panels


def test_pictures_are_scored_by_their_joints(project, write_pckh_run):
    poses = read_pckh(write_pckh_run("one", [3, None, 6]), project.root)
    ids, half, mean = score_pictures(poses)
    assert ids.tolist() == [1, 2] and half.tolist() == [50, 100]
    # 0.1 is within 41 of the 51 distances 0, 0.01, ..., 0.5, and 0.2 within 31 of them.
    assert mean == pytest.approx([100 * 41 / 51 / 2, 100 * 31 / 51], abs=1.1)


def test_truth_stands_beside_the_predictions_of_both_runs(project, write_pckh_run):
    every = [
        read_pckh(write_pckh_run(name, shifts), project.root)
        for name, shifts in (("one", [3, 3, 3]), ("two", [3, None, 3]))
    ]
    (picture,) = show_people(every, ["one", "two"], [1])
    assert [title for title, _ in picture.panels] == ["truth", "one", "two"]
    assert picture.caption == "1.jpg, PCKh@0.5 100 / 50 %"
    assert picture.panels[1][1] != picture.panels[2][1], "the second run drew one person less"


def test_a_page_has_curves_joints_and_pictures(project, write_pckh_run):
    runs = [write_pckh_run("one", [3, 30, 6])]
    page = write_report(runs, project.root)
    assert '<section id="pckh">' in page and "right hand" in page
    assert page.count("<figure>") == 2 and "<polyline" in page
    both = write_report([*runs, write_pckh_run("two", [3, 3, 3])], project.root)
    assert both.count("<polyline") == 2 and both.count("data:image/jpeg") == 6


def test_runs_on_detected_boxes_have_their_numbers_alone(project, write_pckh_run):
    run = write_pckh_run("one", [3, 3, 3])
    (run.folder / "pred.mat").unlink()
    assert read_pckh(run, project.root) is None
    page = write_report([run], project.root)
    assert "<td>66.0</td>" in page and "<figure>" not in page


def test_predictions_of_other_people_are_refused(project, write_pckh_run):
    run = write_pckh_run("one", [3, 3, 3])
    write_predictions(run.folder / "pred.mat", np.zeros((2, 3, 2)), 0)
    with pytest.raises(ValueError, match=r"preds of .* must have shape \(3, 3, 2\).*\(2, 3, 2\)"):
        read_pckh(run, project.root)


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file at all", b"MATLAB 5.0 MAT-file" * 8])
def test_a_damaged_file_of_predictions_is_named(project, write_pckh_run, content):
    run = write_pckh_run("one", [3, 3, 3])
    (run.folder / "pred.mat").write_bytes(content)
    message = r"pred\.mat must be a MATLAB 5 file.*Test the run again"
    with pytest.raises(ValueError, match=message) as caught:
        read_pckh(run, project.root)
    assert was_raised_by_us(caught.value)


def test_half_a_file_of_predictions_is_named(project, write_pckh_run):
    run = write_pckh_run("one", [3, 3, 3])
    content = (run.folder / "pred.mat").read_bytes()
    (run.folder / "pred.mat").write_bytes(content[:-20])
    with pytest.raises(ValueError, match="scipy cannot read it: .*Test the run again"):
        read_pckh(run, project.root)
