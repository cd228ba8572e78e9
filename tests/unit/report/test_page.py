"""Whole pages: what they hold, what they refuse, and that they need nothing from elsewhere."""

import json
import re

import pytest

from poseras.engine.tests_log import append_test
from poseras.report.markup import write_pictures
from poseras.report.page import write_report
from poseras.report.pictures import Picture
from poseras.report.runs import read_run


@pytest.fixture
def good(project):
    people = [(1, 0.9, project.pose(5)), (1, 0.8, project.pose(205)), (2, 0.7, project.pose(20))]
    return read_run(project.write_run("good", people))


@pytest.fixture
def bad(project):
    return read_run(project.write_run("bad", [(1, 0.9, project.pose(25))]))


def sections_of(page):
    return re.findall(r'<section id="(\w+)">', page)


def test_a_page_of_one_run_holds_every_section(project, good):
    page = write_report([good], project.root)
    assert sections_of(page) == ["numbers", "curves", "errors", "groups", "pictures", "protocol"]
    assert "<title>Made/good</title>" in page
    assert page.count("<polyline") == 11, "ten curves of precision and one of AP"
    assert page.count('<a href="#') == 6
    assert "3 of 3 people matched" in page
    # Each of the two pictures once: both are among the worst.
    assert page.count("<figure>") == 2 and page.count("data:image/jpeg") == 4


def test_a_run_that_was_tested_more_than_once_has_a_table_of_its_tests(project, good):
    named = {"snapshot": "a/snapshot_7.safetensors", "split": "val", "boxes": "detected"}
    append_test(good.folder, {"AP": 0.4, "AR": 0.5}, named, {"options.depth": 50})
    assert "tests" not in sections_of(write_report([good], project.root))
    named = {**named, "snapshot": "a/snapshot_best.safetensors", "boxes": "annotated"}
    settings = {"options.depth": 50, "test.use_gt_box": True}
    append_test(good.folder, {"AP": 0.456, "AR": float("nan")}, named, settings)
    page = write_report([good], project.root)
    assert sections_of(page)[:2] == ["numbers", "tests"]
    table = re.search(r'<section id="tests">.*?</section>', page)[0]
    rows = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
    assert rows[0] == ["snapshot", "time (UTC)", "AP", "AR", "what differs among the tests"]
    assert [rows[1][0], *rows[1][2:]] == ["epoch 7", "0.400", "0.500", "boxes detected"]
    assert [rows[2][0], *rows[2][2:4]] == ["snapshot_best.safetensors", "0.456", "–"]
    assert rows[2][4] == "boxes annotated, test.use_gt_box yes"


def test_a_page_needs_nothing_from_elsewhere(project, good, bad):
    page = write_report([good, bad], project.root)
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert all(uri.startswith("data:") for uri in re.findall(r'src="([^"]*)"', page))
    assert not re.search(r'<link|@import|url\("?(?!data:)', page)


def test_two_runs_stand_beside_each_other(project, good, bad):
    page = write_report([good, bad], project.root)
    assert "Both runs were measured by the same protocol." in page
    assert "good is better" in page and "bad is better" not in page
    assert "3 of 3 people matched" in page and "1 of 3 people matched" in page
    assert page.count("<polyline") == 22
    assert "<th>difference</th><td>+0.000</td><td>–</td>" in page


def test_numbers_differ_with_a_sign(project, good):
    other = read_run(project.write_run("other", [], metrics={"AP": 0.25, "AR": 0.5}))
    page = write_report([good, other], project.root)
    assert "<td>−0.250</td><td>–</td>" in page


def test_runs_of_different_protocols_are_refused_unless_asked_for(project, good):
    other = read_run(project.write_run("other", [(1, 0.9, project.pose())], boxes="detected"))
    with pytest.raises(ValueError, match="differ in 1 fields: boxes: annotated against detected"):
        write_report([good, other], project.root)
    page = write_report([good, other], project.root, anyway=True)
    assert "measured by different protocols; they differ in boxes" in page
    assert "<mark>annotated</mark>" in page and "<mark>detected</mark>" in page


def test_runs_on_different_people_are_shown_apart(project, good, tmp_path):
    content = json.loads((project.root / "data" / "Made" / "val.json").read_text())
    content["annotations"] = content["annotations"][:1]
    path = project.root / "data" / "Made" / "fewer.json"
    path.write_text(json.dumps(content))
    people = [(1, 0.9, project.pose())]
    other = project.write_run("other", people, annotations=str(path), annotations_sha256="0")
    page = write_report([good, read_run(other)], project.root, anyway=True)
    assert "good: Worst" in page and "other: Worst" in page and "is better" not in page


def test_a_page_without_pictures_says_which_are_missing(project, good):
    for path in (project.root / "data" / "Made" / "images").iterdir():
        path.unlink()
    page = write_report([good], project.root)
    assert page.count("No picture at") == 2 and "data:image" not in page
    assert page.count("<polyline") == 11


def test_curves_that_do_not_give_the_stored_ap_are_noted(project, good):
    page = write_report([good], project.root)
    assert re.search(r"good: the curves give AP 0\.\d+, metrics.json says 0.500", page)


def test_a_run_without_scores_shows_its_protocol(project):
    run = read_run(project.write_run("blind", [], metrics={}))
    page = write_report([run], project.root)
    assert sections_of(page) == ["numbers", "people", "protocol"]
    assert "no annotations to compare with" in page and "blind: Nobody was found." in page


def test_captions_and_troubles_of_pictures_are_escaped():
    page = write_pictures([Picture("<b>.jpg", (("<run>", "data:,"),), "no <file>")])
    assert "&lt;b&gt;.jpg" in page and "&lt;run&gt;" in page and "no &lt;file&gt;" in page
    assert not re.search("<(b|run|file)>", page)


def test_names_are_escaped(project):
    page = write_report([read_run(project.write_run("<i>", []))], project.root)
    assert "<i>" not in page.split("<main>")[1].replace("<i ", "") and "&lt;i&gt;" in page


def test_no_run_and_three_runs_are_refused(project, good):
    for runs in ([], [good] * 3):
        with pytest.raises(ValueError, match=f"one or two runs. Received {len(runs)}"):
            write_report(runs, project.root)


def test_of_two_runs_one_that_found_nobody_leaves_the_other(project, good):
    empty = read_run(project.write_run("empty", []))
    page = write_report([good, empty], project.root)
    assert "empty: Nobody was found." in page and "3 of 3 people matched" in page
    assert page.count("<polyline") == 11
