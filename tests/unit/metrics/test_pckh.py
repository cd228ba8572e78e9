"""PCKh on people whose heads measure 10 px across: a head box of 6 x 8, of which 0.6 is 6 px."""

import numpy as np
import pytest
import scipy.io

from poseras.metrics.pckh import THRESHOLDS, arrange_predictions, evaluate_pckh
from poseras.metrics.pckh_truth import PckhTruth, read_gt_valid

NAMES = ("right_shoulder", "left_shoulder", "pelvis", "head_top", "upper_neck")
HEAD_PX = 6.0  # 0.6 x diagonal 10


def make_truth(people=2, labelled=None, **values):
    shape = (people, len(NAMES))
    columns = {
        "names": NAMES,
        "keypoints_px": np.full((*shape, 2), 50.0),
        "labelled": np.ones(shape, bool) if labelled is None else np.array(labelled, bool),
        "head_sizes_px": np.full(people, HEAD_PX),
        "ids": np.arange(people) + 7,
        **values,
    }
    return PckhTruth(**columns)


def shift(truth, *head_sizes):
    """Predictions to the right of the truth, each person by its own number of head sizes."""
    moved = truth.keypoints_px.copy()
    moved[..., 0] += np.array(head_sizes)[:, None] * HEAD_PX
    return moved


def make_dataset(*rows):
    return {
        "categories": [{"id": 1, "keypoints": ["throax", "head_top"]}],
        "annotations": [
            {"id": number, "image_id": 1, "bbox_head": [1, 2, 6, 8], "keypoints": keypoints, **more}
            for number, (keypoints, more) in enumerate(rows, start=3)
        ],
    }


def make_mat(people=1, **changes):
    content = {
        "dataset_joints": np.array([["rank", "head"]], object),
        "pos_gt_src": np.full((2, 2, people), 21.0),
        "jnt_missing": np.zeros((2, people), np.uint8),
        "headboxes_src": np.tile(np.array([[1.0, 1], [7, 9]])[..., None], people),
        **changes,
    }
    return {name: values for name, values in content.items() if values is not None}


def test_a_joint_half_a_head_away_is_right_and_one_farther_is_wrong():
    truth = make_truth()
    evaluation = evaluate_pckh(truth, shift(truth, 0.5, 0.51))
    assert evaluation.per_joint() == dict.fromkeys(NAMES, 50.0)


def test_the_published_tenth_reads_the_curve_at_eleven_hundredths():
    truth = make_truth(3)
    evaluation = evaluate_pckh(truth, shift(truth, 0.095, 0.105, 0.2))
    assert evaluation.stats["Mean@0.1"] == pytest.approx(200 / 3)
    assert evaluation.stats["Mean@0.1 (true)"] == pytest.approx(100 / 3)
    assert evaluation.stats["Mean"] == 100


def test_unlabelled_joints_count_nowhere():
    truth = make_truth(labelled=[[1, 1, 1, 1, 1], [0, 1, 1, 0, 1]])
    evaluation = evaluate_pckh(truth, shift(truth, 0, 1))
    assert evaluation.per_joint()["right_shoulder"] == 100
    assert evaluation.per_joint()["left_shoulder"] == 50
    assert evaluation.counts.tolist() == [1, 2, 2, 1, 2]


def test_a_group_is_the_plain_mean_of_both_sides_whatever_their_counts():
    truth = make_truth(3, labelled=[[1, 1, 1, 1, 1], [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    table = evaluate_pckh(truth, shift(truth, 0, 1, 1)).table()
    assert table["Shoulder"] == pytest.approx((100 + 100 / 3) / 2)


def test_the_mean_weighs_joints_by_people_and_leaves_the_pelvis_out():
    truth = make_truth(labelled=[[1, 1, 0, 1, 1], [0, 0, 1, 1, 1]])
    # Person one is right: 4 of the 6 joints that count. The pelvis is person two's, and wrong.
    assert evaluate_pckh(truth, shift(truth, 0, 1)).table()["Mean"] == pytest.approx(400 / 6)


def test_a_joint_that_nobody_has_is_nan_and_leaves_the_mean_alone():
    truth = make_truth(labelled=[[1, 0, 1, 1, 1], [1, 0, 1, 1, 1]])
    evaluation = evaluate_pckh(truth, shift(truth, 0, 1))
    assert np.isnan(evaluation.per_joint()["left_shoulder"])
    assert evaluation.table() == {"Head": 50.0, "Shoulder": 50.0, "Mean": 50.0}
    nobody = make_truth(labelled=np.zeros((2, 5)))
    assert np.isnan(evaluate_pckh(nobody, shift(nobody, 0, 0)).table()["Mean"])


def test_groups_without_joints_are_not_listed():
    truth = make_truth()
    assert list(evaluate_pckh(truth, shift(truth, 0, 0)).table()) == ["Head", "Shoulder", "Mean"]


def test_a_prediction_of_nan_is_wrong():
    truth = make_truth()
    predictions = shift(truth, 0, 0)
    predictions[1] = np.nan
    assert evaluate_pckh(truth, predictions).table()["Head"] == 50


def test_predictions_counted_from_zero_meet_a_truth_counted_from_one():
    truth = make_truth(first_pixel=1.0)
    assert evaluate_pckh(truth, truth.keypoints_px - 1).curve[0].tolist() == [100] * len(NAMES)


def test_a_third_number_per_joint_is_not_used():
    truth = make_truth()
    scored = np.concatenate([shift(truth, 0, 0), np.full((2, len(NAMES), 1), 900.0)], axis=2)
    assert evaluate_pckh(truth, scored).table()["Mean"] == 100


def test_the_curve_has_the_thresholds_of_the_original():
    np.testing.assert_allclose(THRESHOLDS, np.linspace(0, 0.5, 51), atol=1e-12)
    truth = make_truth()
    with pytest.raises(ValueError, match=r"threshold must be one of .* 0 to 0.5. Received 0.7"):
        evaluate_pckh(truth, shift(truth, 0, 0)).table(0.7)
    assert evaluate_pckh(truth, shift(truth, 0, 1), thresholds=[0.7, 1]).table(1)["Mean"] == 100


def test_the_protocol_says_where_the_published_tenth_is_read():
    truth = make_truth()
    protocol = evaluate_pckh(truth, shift(truth, 0, 0)).protocol()
    assert protocol["thresholds_head_sizes"]["Mean@0.1"] == 0.11
    assert protocol["annotated_people"]["pelvis"] == 2


@pytest.mark.parametrize("shape", [(5, 2), (1, 5, 2), (2, 4, 2), (2, 5, 4)])
def test_predictions_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(2, 5, 2 or 3\).*Received \("):
        evaluate_pckh(make_truth(), np.zeros(shape))


def test_no_people_are_refused():
    with pytest.raises(ValueError, match="needs annotated people. Received none"):
        evaluate_pckh(make_truth(0), np.zeros((0, len(NAMES), 2)))


def test_predictions_are_arranged_by_the_person_they_were_made_for():
    truth = make_truth(3)  # ids 7, 8, 9
    arranged = arrange_predictions(truth, [9, 100, 7], np.arange(30).reshape(3, 5, 2))
    assert arranged[:, 0, 0].tolist()[::2] == [20, 0]
    assert np.isnan(arranged[1]).all()


def test_two_predictions_for_one_person_are_refused():
    with pytest.raises(ValueError, match="one prediction with each.*use_gt_box=true"):
        arrange_predictions(make_truth(), [7, 7], np.zeros((2, 5, 2)))


def test_predictions_for_nobody_known_are_refused():
    with pytest.raises(ValueError, match="none with an id of the truth.*use_gt_box=true"):
        arrange_predictions(make_truth(), [-1], np.zeros((1, 5, 2)))


def test_some_people_can_be_taken():
    part = make_truth(3).take(np.array([2]))
    assert (len(part), part.ids.tolist(), part.labelled.shape) == (1, [9], (1, 5))


def test_a_person_without_a_head_is_refused_by_id():
    with pytest.raises(ValueError, match=r"size of 0 px in row 1 \(id 8\)"):
        make_truth(head_sizes_px=np.array([6.0, 0.0]))


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"labelled .* must have shape \(2, 5\)"):
        make_truth(labelled=np.ones((2, 4)))
    with pytest.raises(ValueError, match="different ids"):
        make_truth(ids=np.array([1, 1]))


def test_a_coco_file_gives_the_labelled_people_with_their_heads():
    dataset = make_dataset(
        ([5, 6, 1, 7, 8, 2], {}), ([0] * 6, {}), ([1, 1, 1, 1, 1, 1], {"iscrowd": 1})
    )
    truth = PckhTruth.from_coco(dataset, aliases={"throax": "thorax"}, first_pixel=1)
    assert truth.names == ("thorax", "head_top")
    assert (truth.ids.tolist(), truth.head_sizes_px.tolist()) == ([3], [HEAD_PX])
    assert truth.keypoints_px.tolist() == [[[5, 6], [7, 8]]]
    assert truth.first_pixel == 1


def test_a_coco_row_without_a_head_box_is_named():
    dataset = make_dataset(([5, 6, 1, 7, 8, 2], {"bbox_head": []}))
    with pytest.raises(ValueError, match="'bbox_head' with 4 numbers.*Annotation 3 has"):
        PckhTruth.from_coco(dataset)


def test_a_coco_file_without_names_of_keypoints_is_refused():
    with pytest.raises(ValueError, match="category that names its keypoints"):
        PckhTruth.from_coco({"categories": [{"id": 1}], "annotations": []})


def test_a_mat_file_is_read_with_canonical_names(tmp_path):
    path = tmp_path / "gt_valid.mat"
    scipy.io.savemat(path, make_mat(jnt_missing=np.array([[1], [0]], np.uint8)))
    truth = read_gt_valid(path)
    assert truth.names == ("right_ankle", "head_top")
    assert truth.labelled.tolist() == [[False, True]]
    assert truth.head_sizes_px.tolist() == [HEAD_PX]
    assert evaluate_pckh(truth, np.full((1, 2, 2), 20.0)).table()["Head"] == 100


def test_a_mat_file_without_a_field_is_refused_by_name(tmp_path):
    path = tmp_path / "gt_valid.mat"
    scipy.io.savemat(path, make_mat(headboxes_src=None))
    with pytest.raises(ValueError, match="It has no headboxes_src; is it MPII's gt_valid.mat"):
        read_gt_valid(path)


def test_a_mat_file_of_unequal_lengths_is_refused(tmp_path):
    path = tmp_path / "gt_valid.mat"
    scipy.io.savemat(path, make_mat(jnt_missing=np.zeros((2, 3))))
    with pytest.raises(ValueError, match=r"jnt_missing must have shape \(2, 1\)"):
        read_gt_valid(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No PCKh ground truth at"):
        read_gt_valid(tmp_path / "gt_valid.mat")
    path = tmp_path / "text.mat"
    path.write_text("not a MATLAB file at all, and long enough to have a header of its own" * 5)
    with pytest.raises(ValueError, match="must be a MATLAB file"):
        read_gt_valid(path)
