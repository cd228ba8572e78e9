"""Groups of people and scores of pictures on three people, worked out by hand."""

import numpy as np
import pytest

from poseras.metrics.columns import GroundTruth
from poseras.report.analysis import analyse, count_overlaps, score_pictures, share_kinds
from poseras.report.people import read_people
from poseras.report.runs import read_run

# ks of all joints moved by 10 px: exp(-100 / 800) = 0.882; by 20 px: 0.607.
TEN, TWENTY = np.exp(-100 / 800), np.exp(-400 / 800)


@pytest.fixture
def analysis(project):
    """Two of the three people are found, 10 px and 20 px beside themselves."""
    folder = project.write_run("one", [(1, 0.9, project.pose(10)), (2, 0.8, project.pose(20))])
    return analyse(read_people(read_run(folder), project.root))


def test_each_person_has_the_oks_of_its_prediction_or_0(analysis):
    assert analysis.oks == pytest.approx([TEN, 0, TWENTY])
    assert analysis.missing == 1
    assert analysis.errors.count().sum(axis=0).tolist() == [3, 3, 0, 0, 0]


def test_pictures_are_scored_by_the_mean_of_their_people(analysis):
    ids, scores = score_pictures(analysis)
    assert ids.tolist() == [1, 2] and scores == pytest.approx([TEN / 2, TWENTY])


def test_people_who_do_not_count_are_in_no_picture_and_no_group(analysis):
    analysis.oks[2] = np.nan
    ids, _ = score_pictures(analysis)
    assert ids.tolist() == [1]


def test_groups_hold_the_people_their_titles_say(analysis):
    (small,) = analysis.splits["Size"]
    assert (small.name, small.people) == ("below 32 px", 3)
    # 0.882 is right at 8 of 10 thresholds, 0.607 at 3, the third person at none.
    assert small.found == pytest.approx(2 / 3) and small.recall == pytest.approx(11 / 30)
    assert small.oks == pytest.approx((TEN + TWENTY) / 3)
    assert small.kinds == pytest.approx([0.5, 0.5, 0, 0, 0])
    (alone,) = analysis.splits["Overlapping with"]
    assert (alone.name, alone.people) == ("nobody", 3)
    (few,) = analysis.splits["Labelled joints"]
    assert (few.name, few.people) == ("1 to 5", 3)


def test_the_curves_are_those_of_coco(analysis):
    assert analysis.evaluation.stats["AR"] == pytest.approx(11 / 30)


def make_truth(*boxes, images):
    rows = [
        {
            "id": n + 1,
            "image_id": image,
            "category_id": 1,
            "bbox": box,
            "area": 1,
            "keypoints": [1, 1, 2],
        }
        for n, (box, image) in enumerate(zip(boxes, images, strict=True))
    ]
    content = {"images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1}], "annotations": rows}
    return GroundTruth.from_coco(content)


def test_overlaps_are_counted_within_a_picture_from_an_iou_of_a_tenth_on():
    # Two boxes of 10 x 10 that share 2 columns: 20 / 180 = 0.11; one column: 10 / 190 = 0.05.
    boxes = [[0, 0, 10, 10], [8, 0, 10, 10], [17, 0, 10, 10], [0, 0, 10, 10]]
    truth = make_truth(*boxes, images=[1, 1, 1, 2])
    assert count_overlaps(truth).tolist() == [1, 1, 0, 0]


def test_a_box_without_area_overlaps_with_nobody():
    truth = make_truth([0, 0, 0, 0], [0, 0, 0, 0], images=[1, 1])
    assert count_overlaps(truth).tolist() == [0, 0]


def test_shares_of_nothing_are_nan():
    shares = share_kinds(np.array([[1, 3], [0, 0]]))
    assert shares[0].tolist() == [0.25, 0.75] and np.isnan(shares[1]).all()
