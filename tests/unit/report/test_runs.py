"""Finding and reading result folders."""

import pytest

from poseras.report.runs import find_run, read_json, read_run


def test_a_run_is_found_by_its_name_and_by_its_folder(project):
    folder = project.write_run("one", [])
    assert find_run(project.root, "Made/one") == folder.resolve()
    assert find_run(project.root, str(folder)) == folder.resolve()


def test_an_unknown_run_names_those_there_are(project):
    project.write_run("one", [])
    with pytest.raises(FileNotFoundError, match=r"No run Made/two.*There: Made/one\."):
        find_run(project.root, "Made/two")


def test_where_there_is_no_run_the_line_says_what_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run; main/test.py makes one"):
        find_run(tmp_path, "Made/two")


def test_metrics_and_protocol_are_read(project):
    run = read_run(project.write_run("one", []))
    assert run.name == "Made/one"
    assert run.metrics == {"AP": 0.5, "AR": None} and run.protocol["split"] == "val"


def test_a_folder_without_results_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="No result at .*metrics.json. Run main/test.py"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"metrics": {}, "protocol": 3}'])
def test_a_foreign_metrics_file_is_refused(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match="must hold the objects metrics and protocol"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "metrics, evaluation, line",
    [
        (
            {"AP": "0.5"},
            {},
            "metrics.AP of .*metrics.json must be a number or null. Received '0.5'",
        ),
        ({}, "coco", "evaluation of .*metrics.json must be an object. Received 'coco'"),
        ({"AP": True}, {}, "metrics.AP of .* must be a number or null. Received True"),
        ({"AP": {"a": 1}}, {}, "metrics.AP of .* must be a number or null. Received {'a': 1}"),
        ({}, {"per_axis_mm": {"x": "far"}}, "per_axis_mm.x of .* Received 'far'"),
        (
            {},
            {"per_action_mm": {"MPJPE": 3}},
            "MPJPE of .* must be an object of numbers. Received 3",
        ),
        ({}, {"per_action_mm": {"MPJPE": {"Eating": "x"}}}, "MPJPE.Eating of .* Received 'x'"),
    ],
)
def test_texts_where_numbers_belong_are_one_line(project, metrics, evaluation, line):
    folder = project.write_run("one", [], metrics=metrics, evaluation=evaluation)
    with pytest.raises(ValueError, match=line):
        read_run(folder)


def test_numbers_that_nothing_counted_for_may_be_null(project):
    evaluation = {"per_axis_mm": None, "per_action_mm": {"MPJPE": {"Eating": None}}}
    run = read_run(project.write_run("one", [], metrics={"AP": None}, evaluation=evaluation))
    assert run.metrics == {"AP": None}


def test_a_cut_off_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ValueError, match="a.json is not JSON"):
        read_json(tmp_path / "a.json")
