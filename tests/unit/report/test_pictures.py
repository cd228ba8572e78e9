"""Which pictures are shown, and that a drawn point stays on its pixel."""

import base64

import cv2
import numpy as np
import pytest

from poseras.report.analysis import analyse
from poseras.report.people import read_people
from poseras.report.pictures import (
    LONGEST_PX,
    choose_median,
    choose_worst,
    cut_to,
    encode_jpeg,
    show_pictures,
)
from poseras.report.runs import read_run


def decode(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)


def test_the_worst_come_lowest_first_and_the_median_ones_without_them():
    scores = np.array([0.9, 0.1, 0.5, 0.3, 0.7])
    worst = choose_worst(scores, 2)
    assert worst.tolist() == [1, 3]
    assert choose_median(scores, 1, worst).tolist() == [2]
    assert choose_median(scores, 3, worst).tolist() == [2, 4, 0]
    assert choose_median(scores, 9, np.arange(5)).tolist() == []


@pytest.mark.parametrize("shape", [(300, 200), (90, 120)])
def test_a_bright_pixel_and_its_point_move_together(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[50, 60] = 255
    part = cut_to(image, np.array([[60.0, 50], [30, 80]]))
    assert max(part.image.shape[:2]) == LONGEST_PX
    bright = np.argwhere(part.image[..., 0] >= part.image.max() * 0.9).mean(axis=0)[::-1]
    assert part.move(np.array([60.0, 50])) == pytest.approx(bright, abs=1)


def test_a_part_holds_its_points_and_is_not_narrower_than_asked():
    image = np.zeros((300, 300, 3), np.uint8)
    points = np.array([[150.0, 60], [150, 240]])
    part = cut_to(image, points, lowest_ratio=1.0)
    assert part.image.shape == (LONGEST_PX, LONGEST_PX, 3)
    moved = part.move(points)
    assert (moved > 0).all() and (moved < LONGEST_PX).all()
    height, width = cut_to(image, points, lowest_ratio=0.5).image.shape[:2]
    assert width / height == pytest.approx(0.5, abs=0.02)


def test_points_outside_the_picture_do_not_move_the_part():
    image = np.zeros((100, 200, 3), np.uint8)
    whole = cut_to(image, np.array([[500.0, 50], [np.nan, 3]]))
    assert whole.corner.tolist() == [0, 0] and whole.scale == LONGEST_PX / 200


def test_a_picture_survives_its_text():
    image = np.full((20, 30, 3), (200, 30, 60), np.uint8)
    assert np.abs(decode(encode_jpeg(image)).astype(int) - image).max() < 8


def analyse_run(project, name, people):
    return analyse(read_people(read_run(project.write_run(name, people)), project.root))


def test_truth_stands_beside_the_prediction_of_each_run(project):
    good = analyse_run(project, "good", [(1, 0.9, project.pose(5))])
    bad = analyse_run(project, "bad", [(1, 0.9, project.pose(25))])
    (picture,) = show_pictures([good, bad], ["good", "bad"], [1])
    assert [title for title, _ in picture.panels] == ["truth", "good", "bad"]
    # exp(-25 / 800) / 2 and exp(-625 / 800) / 2, of two people.
    assert picture.caption == "1.jpg, OKS 0.48 / 0.23, 2 people, 1 / 1 not found"
    truth, drawn, missed = (decode(uri) for _, uri in picture.panels)
    assert truth.shape == drawn.shape and not np.array_equal(truth, drawn)
    # Every joint of the bad run is a miss, with a ring in that colour; none is in the good one.
    ring = [200, 70, 90]
    counts = [
        (np.abs(panel.astype(int) - ring).max(axis=-1) < 40).sum() for panel in (drawn, missed)
    ]
    assert counts[1] > counts[0] + 60


def test_a_picture_that_is_not_there_is_said_and_not_drawn(project):
    analysis = analyse_run(project, "one", [(1, 0.9, project.pose())])
    (project.root / "data" / "Made" / "images" / "1.jpg").unlink()
    (picture,) = show_pictures([analysis], ["one"], [1])
    assert picture.panels == () and "No picture at" in picture.trouble


def test_matching_predictions_are_drawn_before_false_alarms_of_a_higher_score(project):
    people = [(1, 0.5, project.pose(2)), (1, 0.4, project.pose(202))]
    without = analyse_run(project, "without", people)
    more = analyse_run(project, "more", [(1, 0.9, project.pose(100)), *people])
    (picture,) = show_pictures([without, more], ["without", "more"], [1])
    assert picture.panels[1][1] == picture.panels[2][1]
