import numpy as np
import pytest

from poseras import geometry
from poseras.engine import tester
from poseras.structures import ImageTable, PersonRecords

SIZE_HW = (64, 48)


def make_records(boxes, image_index=None, scores=None, joints=3):
    people = len(boxes)
    image_index = np.zeros(people, np.int32) if image_index is None else np.array(image_index)
    images = int(image_index.max()) + 1 if people else 1
    return PersonRecords(
        images=ImageTable(
            np.arange(images) + 10,
            tuple(f"/pictures/{i}.jpg" for i in range(images)),
            np.full((images, 2), 100, np.int32),
        ),
        image_index=image_index,
        boxes_xywh=np.array(boxes, np.float32).reshape(people, 4),
        keypoints=np.zeros((people, joints, 3), np.float32),
        scores=np.ones(people) if scores is None else np.array(scores, float),
        areas=np.zeros(people),
        annotation_ids=np.full(people, -1),
    )


def make_batches(records, batch_size):
    rows = np.arange(len(records))
    grown = geometry.expand_box(records.boxes_xywh, SIZE_HW[1] / SIZE_HW[0])
    matrices = geometry.view_matrix(grown, SIZE_HW)
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        padding = batch_size - len(part)
        yield {
            "image": np.zeros((batch_size, *SIZE_HW, 3), np.uint8),
            "image_to_network": np.concatenate(
                [matrices[part], np.repeat(matrices[part[:1]], padding, axis=0)]
            ),
            "index": np.concatenate([part, np.full(padding, -1)]),
        }


def centre_step(images):
    """A network that finds every joint in the middle of its view."""
    height, width = SIZE_HW
    return [
        {
            "keypoints_px": np.full((len(i), 1, 3, 2), (width / 2, height / 2), np.float32),
            "keypoint_scores": np.full((len(i), 1, 3), 0.5, np.float32),
        }
        for i in images
    ]


@pytest.mark.parametrize("devices", [1, 2, 3, 5])
def test_results_come_home_in_the_order_of_the_records_on_any_number_of_devices(devices):
    boxes = [[10 * i, 5 * i, 20 + i, 30] for i in range(7)]
    records = make_records(boxes)
    found = tester.predict_people(
        centre_step,
        make_batches(records, 2),
        records,
        joint_count=3,
        devices=devices,
        progress=False,
    )
    centres = records.boxes_xywh[:, :2] + records.boxes_xywh[:, 2:] / 2
    np.testing.assert_allclose(found.keypoints_px, np.repeat(centres[:, None], 3, 1), atol=1e-4)
    assert found.found.all()
    assert (found.keypoint_scores == 0.5).all()


def test_rows_without_a_sample_are_marked_as_not_found():
    records = make_records([[0, 0, 10, 10], [5, 5, 10, 10]])
    batches = [{**b, "index": np.array([0])} for b in make_batches(records.take([0]), 1)]
    found = tester.predict_people(centre_step, batches, records, joint_count=3, progress=False)
    assert found.found.tolist() == [True, False]


def test_an_output_that_is_not_a_number_names_its_picture():
    records = make_records([[0, 0, 10, 10], [1, 2, 3, 4]], image_index=[0, 1])

    def broken_step(images):
        decoded = centre_step(images)
        decoded[0]["keypoint_scores"][1, 0, 2] = np.nan
        return decoded

    with pytest.raises(ValueError, match=r"finite.*\[1.0, 2.0, 3.0, 4.0\] of /pictures/1.jpg"):
        tester.predict_people(
            broken_step, make_batches(records, 2), records, joint_count=3, progress=False
        )


def select(records, keypoints, scores, **changes):
    settings = {"aspect_ratio": 0.75, "margin": 1.25, "oks_sigmas": (0.1, 0.1, 0.1)} | changes
    predictions = tester.Predictions(keypoints, scores, np.ones(len(records), bool))
    return tester.select_people(records, predictions, tester.Selection(**settings))


def test_of_two_people_in_one_place_the_better_one_stays():
    records = make_records([[0, 0, 50, 60]] * 2, scores=[0.5, 0.9])
    keypoints = np.tile(np.array([[10.0, 10], [20, 20], [30, 30]]), (2, 1, 1))
    people = select(records, keypoints, np.full((2, 3), 0.8))[10]
    np.testing.assert_allclose(people.person_scores, [0.72])


def test_nms_of_zero_keeps_everyone_best_first():
    records = make_records([[0, 0, 50, 60]] * 2, scores=[0.5, 0.9])
    keypoints = np.zeros((2, 3, 2))
    people = select(records, keypoints, np.full((2, 3), 0.8), oks_nms_threshold=0.0)[10]
    np.testing.assert_allclose(people.person_scores, [0.72, 0.4])


def test_box_nms_drops_the_lower_of_two_overlapping_boxes():
    records = make_records([[0, 0, 50, 60], [1, 1, 50, 60], [90, 90, 50, 60]], scores=[0.5, 0.9, 1])
    keypoints = np.arange(18.0).reshape(3, 3, 2) * 100
    people = select(
        records,
        keypoints,
        np.full((3, 3), 1.0),
        oks_nms_threshold=0.0,
        box_nms_threshold=0.5,
    )[10]
    assert people.boxes_xywh[:, 0].tolist() == [90, 1]


def test_keypoints_below_the_threshold_do_not_count_in_the_score():
    records = make_records([[0, 0, 50, 60]])
    people = select(records, np.zeros((1, 3, 2)), np.array([[0.2, 0.4, 0.8]]))[10]
    np.testing.assert_allclose(people.person_scores, [0.6])


def test_images_stay_apart_and_in_order():
    records = make_records([[0, 0, 50, 60]] * 3, image_index=[1, 0, 1])
    people = select(records, np.arange(18.0).reshape(3, 3, 2) * 100, np.full((3, 3), 1.0))
    assert list(people) == [11, 10]
    assert [len(p) for p in people.values()] == [2, 1]


def test_the_device_step_shares_work_over_two_devices_and_merges_the_flip():
    import tensorflow as tf

    class Middle:
        """Decodes the mean grey level; the flip test adds the first column of the mirrored view."""

        def merge_flip(self, outputs, flipped):
            return {"mean": outputs["mean"] + flipped["first"]}

        def decode(self, outputs):
            return {"keypoints_px": outputs["mean"]}

    def model(images, training):
        assert training is False
        images = tf.cast(images, tf.float32)
        return {"mean": tf.reduce_mean(images, (1, 2, 3)), "first": images[:, 0, 0, 0]}

    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[:, :, 1] = 7
    step = tester.make_predict_step(Middle(), model, tf.distribute.get_strategy(), flip_test=True)
    assert float(step([image])[0]["keypoints_px"][0]) == 3.5 + 7
    plain = tester.make_predict_step(Middle(), model, tf.distribute.get_strategy(), flip_test=False)
    assert float(plain([image])[0]["keypoints_px"][0]) == 3.5
