import json

import numpy as np

from poseras.engine import rescoring


def test_coco_scores_average_the_keypoints_above_the_threshold():
    keypoint_scores = [[0.9, 0.2, 0.1], [0.1, 0.1, 0.2], [-0.5, 0.3, 0.5]]
    scores = rescoring.rescore_coco([0.5, 1.0, 1.0], keypoint_scores, 0.2)
    np.testing.assert_allclose(scores, [0.5 * 0.9, 0, 0.4], rtol=1e-12)


def test_posetrack_scores_are_the_plain_mean():
    np.testing.assert_allclose(rescoring.rescore_posetrack([[0.9, 0.2, 0.1]]), [0.4], rtol=1e-12)


def test_nms_keeps_people_image_by_image_in_order_of_first_appearance():
    here = np.array([[0.0, 0], [10, 0]])
    keypoints = np.stack([here, here + 500, here, here, here + 500])
    kept = rescoring.keep_after_nms(
        np.array([9, 3, 9, 3, 9]),
        keypoints,
        np.array([0.1, 0.5, 0.2, 0.6, 0.9]),
        np.full(5, 400.0),
        sigmas=np.array([0.05, 0.05]),
    )
    # image 9: row 4, then row 2 which removes row 0; image 3: rows 3 and 1
    assert kept.tolist() == [4, 2, 3, 1]


def test_nms_of_nobody_keeps_nobody():
    kept = rescoring.keep_after_nms(
        np.zeros(0, np.int64), np.zeros((0, 2, 2)), [], [], sigmas=[0.1, 0.1]
    )
    assert kept.shape == (0,)


def test_records_hold_plain_rounded_json_numbers():
    keypoints = np.array([[1.23456, 2], [3, 4.00049]], np.float32)
    scores = np.array([0.123456, 1], np.float32)
    record = rescoring.coco_record(np.int64(7), keypoints, np.float32(0.98766))
    assert record == {
        "image_id": 7,
        "category_id": 1,
        "score": 0.9877,
        "keypoints": [1.235, 2, 1, 3, 4, 1],
    }
    assert rescoring.coco_record(7, keypoints, 0.5, scores)["keypoints"][2::3] == [0.1235, 1]
    posetrack = rescoring.posetrack_record(7, keypoints, scores)
    assert posetrack == {
        "image_id": 7,
        "category_id": 1,
        "track_id": 0,
        "scores": [0.1235, 1],
        "keypoints": [1.235, 2, 1, 3, 4, 1],
    }
    mpii = rescoring.mpii_record(7, keypoints, scores)
    assert mpii == {key: posetrack[key] for key in ("image_id", "scores", "keypoints")}
    assert json.loads(json.dumps([record, posetrack, mpii])) == [record, posetrack, mpii]
