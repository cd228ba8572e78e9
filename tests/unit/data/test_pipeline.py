import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseras.data import person_samples, pipeline
from poseras.data.order import Order
from poseras.data.sample_log import SampleLog
from poseras.structures import SAMPLE_KEYS, Augmentation, ImageTable, PersonRecords, View

VIEW = View("person_box", size_hw=(64, 48), border_rgb=(3, 5, 7))
EVERYTHING = Augmentation(
    scale_std=0.3,
    rotation_std_deg=40,
    flip_probability=0.5,
    half_body_probability=0.5,
    half_body_min_joints=3,
    colour_gain=0.2,
    occlusion_probability=0.5,
)
WILD = replace(VIEW, augmentation=EVERYTHING)
JOINTS = 4
PERMUTATION = np.array([0, 2, 1, 3])
UPPER = np.array([True, True, True, False])
PEOPLE = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine pictures: smooth noise, one of them a PNG."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for number in range(9):
        small = generator.integers(0, 256, (12, 16, 3), np.uint8)
        picture = cv2.resize(small, (150 + number, 110 + 3 * number))
        name = f"{number}.png" if number == 4 else f"{number}.jpg"
        assert cv2.imwrite(str(folder / name), picture)
    return folder


def make_records(folder, people=PEOPLE):
    generator = np.random.default_rng(1)
    names = [str(folder / (f"{n}.png" if n == 4 else f"{n}.jpg")) for n in range(9)]
    index = np.sort(generator.integers(0, 9, people)).astype(np.int32)
    visibility = generator.integers(0, 3, (people, JOINTS))
    points = generator.uniform(10, 100, (people, JOINTS, 2))
    keypoints = np.concatenate([points, visibility[:, :, None]], axis=2)
    return PersonRecords(
        images=ImageTable(np.arange(9) + 700, tuple(names), np.zeros((9, 2), np.int32)),
        image_index=index,
        boxes_xywh=generator.uniform([-5, -5, 20, 20], [80, 60, 70, 70], (people, 4)).astype("f4"),
        keypoints=keypoints.astype(np.float32),
        scores=np.ones(people),
        areas=np.ones(people),
        annotation_ids=np.arange(people) + 90000,
    )


@pytest.fixture
def records(folder):
    return make_records(folder)


def train(records, **changes):
    choices = {"batch_size": 4, "seed": 3, "workers": 1, "upper_body": UPPER, "view": WILD}
    choices |= changes
    view = choices.pop("view")
    return pipeline.build_training_batches(records, PERMUTATION, view, **choices)


def take(dataset, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in dataset.take(count)]


def assert_equal_batches(left, right):
    assert len(left) == len(right) > 0
    for one, two in zip(left, right, strict=True):
        assert one.keys() == two.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], two[key], err_msg=key)


def by_sample(batches):
    """Samples by their place in the run, whatever batches they came in."""
    return {k: np.concatenate([batch[k] for batch in batches]) for k in batches[0]}


def test_batches_have_the_keys_types_and_static_shapes_of_samples(records):
    for dataset in (
        train(records),
        pipeline.build_inference_batches(records, VIEW, batch_size=4),
    ):
        shapes = {
            "image": (4, 64, 48, 3),
            "keypoints": (4, 1, JOINTS, 3),
            "boxes_xywh": (4, 1, 4),
            "image_to_network": (4, 2, 3),
            "view_scale": (4,),
            "channel_gain": (4, 3),
            "index": (4,),
            "image_id": (4,),
            "annotation_id": (4,),
        }
        assert {k: tuple(s.shape) for k, s in dataset.element_spec.items()} == shapes
        for key, spec in dataset.element_spec.items():
            assert spec.dtype.name == SAMPLE_KEYS[key][1]


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_no_sample(records, workers):
    assert_equal_batches(take(train(records), 14), take(train(records, workers=workers), 14))


@pytest.mark.parametrize("first_step", [1, 5, 6, 13])
def test_a_restart_in_the_middle_of_a_pass_changes_no_sample(records, first_step):
    whole = take(train(records), 16)
    resumed = take(train(records, first_step=first_step, workers=2), 16 - first_step)
    assert_equal_batches(whole[first_step:], resumed)


def test_devices_and_processes_share_the_samples_of_one_device(records):
    whole = by_sample(take(train(records, batch_size=8), 6))
    both = by_sample(take(train(records, batch_size=4, devices=2), 12))
    assert_equal_batches([whole], [both])
    lone = [
        take(train(records, batch_size=2, devices=4, first_device=d, local_devices=2), 12)
        for d in (0, 2)
    ]
    steps = [b for s in range(6) for rank in lone for b in rank[2 * s : 2 * s + 2]]
    assert_equal_batches([whole], [by_sample(steps)])


def test_a_restart_of_one_process_of_several_changes_no_sample(records):
    mine = {"batch_size": 2, "devices": 4, "first_device": 1, "local_devices": 2}
    whole = take(train(records, **mine), 12)
    resumed = take(train(records, first_step=3, **mine), 6)
    assert_equal_batches(whole[6:], resumed)


def test_another_seed_or_pass_changes_samples(records):
    calm = replace(WILD, augmentation=replace(EVERYTHING, occlusion_probability=0.0))
    one = by_sample(take(train(records, batch_size=PEOPLE, view=calm), 2))
    two = by_sample(take(train(records, batch_size=PEOPLE, view=calm, seed=4), 1))
    assert (one["index"][:PEOPLE] != two["index"]).any()
    first, second = np.argsort(one["index"][:PEOPLE]), PEOPLE + np.argsort(one["index"][PEOPLE:])
    assert (one["view_scale"][first] != one["view_scale"][second]).all()


def test_a_pass_shows_each_sample_once_and_the_next_in_another_order(records):
    index = by_sample(take(train(records, batch_size=PEOPLE), 3))["index"].reshape(3, PEOPLE)
    for order in index:
        np.testing.assert_array_equal(np.sort(order), np.arange(PEOPLE))
    assert (index[0] != index[1]).any()
    assert (index[1] != index[2]).any()


def test_the_picture_of_a_sample_is_what_its_affine_says(records):
    geometry = replace(
        WILD, augmentation=replace(EVERYTHING, occlusion_probability=0.0, colour_gain=0.0)
    )
    batch = by_sample(take(train(records, view=geometry), 6))
    determinants = np.linalg.det(batch["image_to_network"][..., :2])
    assert (determinants < 0).any()
    assert (determinants > 0).any()
    for slot, row in enumerate(batch["index"]):
        path = records.images.paths[records.image_index[row]]
        picture = cv2.imread(path)[..., ::-1]
        expected = cv2.warpAffine(
            picture, batch["image_to_network"][slot].astype(float), (48, 64), borderValue=(3, 5, 7)
        )
        # The batch holds the affine in float32, and the picture was decoded in part.
        assert np.abs(batch["image"][slot].astype(int) - expected).max() <= 1
        assert batch["image_id"][slot] == records.image_ids[row]
        assert batch["annotation_id"][slot] == 90000 + row
        np.testing.assert_array_equal(batch["boxes_xywh"][slot, 0], records.boxes_xywh[row])
        swap = PERMUTATION if determinants[slot] < 0 else np.arange(JOINTS)
        known = records.keypoints[row][swap]
        matrix = batch["image_to_network"][slot]
        expected = known[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        labelled = known[:, 2] > 0
        # float32 coordinates of a few hundred pixels.
        np.testing.assert_allclose(
            batch["keypoints"][slot, 0, labelled, :2], expected[labelled], atol=1e-3
        )


def test_occlusion_paints_half_of_the_samples_and_moves_nothing(records):
    without = replace(WILD, augmentation=replace(EVERYTHING, occlusion_probability=0.0))
    painted = by_sample(take(train(records), 12))
    clean = by_sample(take(train(records, view=without), 12))
    changed = (painted["image"] != clean["image"]).any(axis=(1, 2, 3))
    assert 12 <= changed.sum() <= 36
    np.testing.assert_array_equal(painted["keypoints"], clean["keypoints"])


def test_inference_keeps_the_order_and_pads_the_last_batch(records):
    batches = take(pipeline.build_inference_batches(records, VIEW, batch_size=5, workers=2), 99)
    index = by_sample(batches)["index"]
    assert len(batches) == 5
    np.testing.assert_array_equal(index[:PEOPLE], np.arange(PEOPLE))
    assert (index[PEOPLE:] == -1).all()
    np.testing.assert_array_equal(batches[-1]["image"][-1], batches[-1]["image"][0])


@pytest.mark.parametrize("batch_size", [1, 4, 7, 64])
def test_the_batch_size_of_inference_changes_no_sample(records, batch_size):
    one = by_sample(take(pipeline.build_inference_batches(records, VIEW, batch_size=5), 99))
    other = pipeline.build_inference_batches(records, VIEW, batch_size=batch_size, workers=2)
    two = by_sample(take(other, 99))
    for key in one:
        np.testing.assert_array_equal(one[key][:PEOPLE], two[key][:PEOPLE], err_msg=key)


def test_inference_ignores_augmentation(records):
    plain = take(pipeline.build_inference_batches(records, VIEW, batch_size=5), 99)
    wild = take(pipeline.build_inference_batches(records, WILD, batch_size=5), 99)
    assert_equal_batches(plain, wild)
    assert all((batch["view_scale"] == 1).all() for batch in wild)


def test_people_on_one_picture_decode_it_once(records, monkeypatch):
    opened, decoded = [], []
    real_open, real_decode = person_samples.open_picture, person_samples.decode_window
    monkeypatch.setattr(
        person_samples, "open_picture", lambda path: opened.append(path) or real_open(path)
    )
    monkeypatch.setattr(
        person_samples,
        "decode_window",
        lambda picture, window: decoded.append(picture.name) or real_decode(picture, window),
    )
    take(pipeline.build_inference_batches(records, VIEW, batch_size=64, workers=1), 1)
    assert len(opened) == len(set(opened)) == len(np.unique(records.image_index))
    assert sorted(decoded) == sorted(opened)


def test_no_records_give_no_inference_batch(records):
    empty = records.take(np.arange(0))
    assert take(pipeline.build_inference_batches(empty, VIEW, batch_size=4), 9) == []


def test_pictures_in_memory_give_the_samples_of_their_files(records):
    pictures = [cv2.imread(path)[..., ::-1].copy() for path in records.images.paths]
    boxes = [records.boxes_xywh[records.image_index == n] for n in range(9)]
    made = pipeline.records_of_boxes(pictures, boxes, JOINTS)
    np.testing.assert_array_equal(made.image_index, records.image_index)
    memory = list(pipeline.view_pictures(pictures, made, VIEW, batch_size=5))
    files = take(pipeline.build_inference_batches(records, VIEW, batch_size=5), 99)
    for key in ("image", "image_to_network", "index", "boxes_xywh"):
        np.testing.assert_array_equal(by_sample(memory)[key], by_sample(files)[key])


@pytest.fixture
def broken(folder, tmp_path):
    """The same records with picture 2 missing and picture 5 cut off."""
    for file in folder.iterdir():
        content = file.read_bytes()
        if file.name == "5.jpg":
            content = content[: len(content) // 2]
        if file.name != "2.jpg":
            (tmp_path / file.name).write_bytes(content)
    return make_records(tmp_path)


def test_a_bad_picture_ends_training_with_its_own_error(broken):
    log = SampleLog()
    bad = np.isin(broken.image_index, [2, 5])
    start = time.monotonic()
    with (
        pytest.raises((FileNotFoundError, ValueError), match=r"2\.jpg|5\.jpg") as caught,
        log.original_errors(),
    ):
        for batch in train(broken, log=log, workers=2):
            assert not bad[batch["index"]].any()
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20  # no hanging


def test_the_error_raised_is_that_of_the_first_bad_batch(broken):
    log = SampleLog()
    dataset = pipeline.build_inference_batches(broken, VIEW, batch_size=1, workers=4, log=log)
    with pytest.raises(FileNotFoundError, match=r"No picture at .*2\.jpg"), log.original_errors():
        for _ in dataset:
            pass


def test_skipping_omits_bad_samples_from_inference_and_lists_them(broken):
    log = SampleLog()
    dataset = pipeline.build_inference_batches(
        broken, VIEW, batch_size=5, on_bad_sample="skip", log=log
    )
    batches = take(dataset, 99)
    index = by_sample(batches)["index"]
    bad = np.isin(broken.image_index, [2, 5])
    assert bad.any()
    np.testing.assert_array_equal(index[index >= 0], np.flatnonzero(~bad))
    assert sorted(log.skipped) == np.flatnonzero(bad).tolist()
    assert log.summary().startswith(f"Skipped {bad.sum()} bad sample(s): ")
    assert "5.jpg" in log.summary()


def test_a_batch_of_nothing_but_bad_samples_is_padding(broken):
    rows = np.flatnonzero(broken.image_index == 2)
    dataset = pipeline.build_inference_batches(
        broken.take(rows), VIEW, batch_size=2, on_bad_sample="skip"
    )
    assert all((batch["index"] == -1).all() for batch in take(dataset, 9))


def test_skipping_puts_the_next_sample_of_the_pass_in_place_of_a_bad_one(broken):
    log = SampleLog()
    made = by_sample(take(train(broken, on_bad_sample="skip", log=log), 11))
    order = Order(PEOPLE, 3)
    bad = np.isin(broken.image_index, [2, 5])
    good_row = {}
    for position in range(44):
        where = np.array([position])
        while bad[order.rows(where)[1][0]]:
            where = order.next_positions(where)
        assert where[0] // PEOPLE == position // PEOPLE
        good_row[position] = int(order.rows(where)[1][0])
    assert made["index"].tolist() == list(good_row.values())
    assert sorted(log.skipped) == np.flatnonzero(bad).tolist()
    resumed = take(train(broken, on_bad_sample="skip", first_step=4, workers=2), 7)
    for key, values in by_sample(resumed).items():
        np.testing.assert_array_equal(values, made[key][16:])


def test_training_without_one_readable_picture_stops(broken):
    rows = np.flatnonzero(broken.image_index == 2)
    log = SampleLog()
    dataset = train(broken.take(rows), batch_size=1, on_bad_sample="skip", log=log)
    with pytest.raises(ValueError, match="at least one readable picture"), log.original_errors():
        take(dataset, 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch_size": 24}, r"must not be larger than the training set of 23 samples"),
        ({"batch_size": 12, "devices": 2}, r"Received 12 per device on 2 device\(s\) = 24"),
        ({"batch_size": 0}, r"batch_size must be positive"),
        ({"workers": -1}, r"workers at least 0"),
        ({"devices": 2, "first_device": 2}, r"must lie within 2 device\(s\)"),
        ({"on_bad_sample": "ignore"}, r"must be stop or skip. Received 'ignore'"),
        ({"upper_body": None}, r"half_body_probability above 0 needs upper_body"),
        ({"upper_body": UPPER[:2]}, r"one value per joint \(4\)"),
        ({"view": replace(VIEW, rule="whole")}, r"person_box or root_box_3d. Received whole"),
        ({"view": replace(VIEW, interpolation="pillow_linear")}, r"must be linear or cubic"),
    ],
)
def test_impossible_requests_are_refused_at_the_door(records, changes, text):
    with pytest.raises(ValueError, match=text):
        train(records, **changes)


def test_an_empty_training_set_is_refused(records):
    with pytest.raises(ValueError, match="at least one labelled person. Received none"):
        train(records.take(np.arange(0)))


def test_a_box_without_size_is_refused_with_its_picture(records):
    flat = replace(records, boxes_xywh=records.boxes_xywh * np.array([1, 1, 0, 0], np.float32))
    with pytest.raises(
        ValueError, match=r"width and a height of at least 0.*\d\.(jpg|png) \(and 22 more"
    ):
        pipeline.build_inference_batches(flat, VIEW, batch_size=2)


def test_the_mirror_and_the_keypoints_agree_with_a_picture_of_one_bright_pixel(tmp_path):
    picture = np.zeros((97, 121, 3), np.uint8)
    picture[40, 60] = 255
    assert cv2.imwrite(str(tmp_path / "a.png"), picture)
    one = PersonRecords(
        images=ImageTable(np.array([1]), (str(tmp_path / "a.png"),), np.zeros((1, 2), np.int32)),
        image_index=np.zeros(1, np.int32),
        boxes_xywh=np.array([[40, 10, 40, 60]], np.float32),
        keypoints=np.array([[[60, 40, 2], [0, 0, 0], [60, 40, 2], [0, 0, 0]]], np.float32),
        scores=np.ones(1),
        areas=np.ones(1),
        annotation_ids=np.ones(1, np.int64),
    )
    laws = Augmentation(scale_std=0.3, rotation_std_deg=40, flip_probability=0.5)
    view = View("person_box", size_hw=(256, 192), augmentation=laws)
    signs = set()
    for batch in take(train(one, batch_size=1, view=view), 12):
        mirrored = bool(np.linalg.det(batch["image_to_network"][0, :, :2]) < 0)
        signs.add(mirrored)
        light = batch["image"][0, :, :, 0].astype(float)
        y, x = np.mgrid[:256, :192]
        centre = np.array([(x * light).sum(), (y * light).sum()]) / light.sum()
        visible = batch["keypoints"][0, 0, :, 2] > 0
        assert visible.tolist() == [True, mirrored, not mirrored, False]
        # The spot covers several view pixels, whose shades are rounded.
        np.testing.assert_allclose(
            batch["keypoints"][0, 0, visible, :2], [centre, centre], atol=0.1
        )
    assert signs == {True, False}
