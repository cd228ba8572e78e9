"""Pages in a real browser, without a network: no error on the console, and something was drawn."""

import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from poseras.report.page import write_report
from poseras.report.runs import read_run
from poseras.skeleton import Skeleton
from poseras.visualize_space import write_pose_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on the PATH"),
]

SKELETON = {
    "name": "Made/space",
    "keypoints": ["pelvis", "head_top", "left_wrist", "left_elbow"],
    "limbs": [[0, 1], [2, 3]],
    "colours": [[186, 230, 126], [64, 196, 255]],
}
POSE = [[0, 0, 4000], [0, -600, 4000], [-300, -300, 3900], [-250, -400, 3950]]
PERSON = {
    "image_id": 1,
    "annotation_id": 5,
    "joints_camera_mm": [[x + 20 * n, y, z] for n, (x, y, z) in enumerate(POSE)],
    "joints_true_mm": POSE,
    "keypoints_px": [[100, 100], [100, 40], [60, 80], [70, 60]],
}
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--window-size=1200,900",
    "--virtual-time-budget=2000",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]


def visit(page, tmp_path, *arguments):
    """What a fresh browser prints, after seeing that nothing was wrong on the console."""
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    profile = tmp_path / f"profile{len(list(tmp_path.glob('profile*')))}"
    done = subprocess.run(
        ["chromium", *QUIET, f"--user-data-dir={profile}", *arguments, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout


def photograph(page, tmp_path, *arguments):
    target = tmp_path / "shot.png"
    visit(page, tmp_path, f"--screenshot={target}", *arguments)
    return cv2.imread(str(target), cv2.IMREAD_COLOR_RGB)


@pytest.fixture
def runs(project):
    people = [(1, 0.9, project.pose(5)), (2, 0.7, project.pose(20))]
    return [read_run(project.write_run(name, people)) for name in ("one", "two")]


def test_a_console_error_would_be_seen(tmp_path):
    with pytest.raises(AssertionError):
        visit("<!doctype html><script>missing()</script>", tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_the_report_opens_and_draws(project, runs, tmp_path, count):
    drawn = visit(write_report(runs[:count], project.root), tmp_path, "--dump-dom")
    assert drawn.count("<polyline") == 11 * count
    assert drawn.count("<figure>") == 2 and drawn.count("<img") == 2 * (count + 1)
    rows = len(re.findall("<tr>", drawn))
    assert rows > 20 and "right hand" in drawn


@pytest.mark.parametrize(("scheme", "bright"), [(1, True), (0, False)])
def test_the_report_follows_the_light_or_dark_of_the_system(
    project, runs, tmp_path, scheme, bright
):
    page = write_report(runs[:1], project.root)
    picture = photograph(page, tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
    assert (picture[5, 5] > 200).all() == bright and (picture[5, 5] < 60).all() != bright
    assert picture.std() > 10


def test_the_page_of_poses_draws_limbs_truth_and_floor(tmp_path):
    page = write_pose_page([PERSON], Skeleton.from_dict(SKELETON), title="Poses in space")
    picture = photograph(page, tmp_path, "--blink-settings=preferredColorScheme=1").astype(int)

    def count(colour):
        return int((np.abs(picture - colour).max(axis=-1) < 12).sum())

    assert count([186, 230, 126]) > 200 and count([64, 196, 255]) > 100
    assert count([180, 180, 172]) > 100, "the truth in grey"
    assert count([226, 226, 220]) > 1000, "the floor"
    assert "1 of 1, image 1, mean joint error 30 mm" in visit(page, tmp_path, "--dump-dom")


def test_the_poses_of_a_3d_report_are_drawn_in_their_frame(project, tmp_path):
    folder = project.write_run("space", [], metrics={"MPJPE": 30.0})
    content = {"skeleton": SKELETON, "people": [PERSON]}
    (folder / "poses_3d.json").write_text(json.dumps(content))
    page = write_report([read_run(folder)], project.root)
    picture = photograph(page, tmp_path, "--window-size=1200,3000").astype(int)
    green = np.abs(picture - [186, 230, 126]).max(axis=-1) < 12
    # In the views of the person, and in the frame far below them.
    rows = np.flatnonzero(green.any(axis=1))
    assert green.sum() > 300 and np.ptp(rows) > 300
