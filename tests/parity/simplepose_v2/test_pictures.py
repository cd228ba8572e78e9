"""Preparation of pictures for testing and training, colours and masks, against the original."""

import json

import numpy as np
import pytest

from poseras.data.annotation import read_coco
from poseras.data.colours import tint, turn_grey
from poseras.data.ignored_regions import rasterise, rasterise_regions
from poseras.data.image_augment import (
    PictureChange,
    change_matrix,
    find_middle,
    keypoints_in_picture_view,
)
from poseras.data.image_records import SMALL_AREA, all_pictures, training_pictures
from poseras.data.image_samples import warp_picture
from poseras.data.image_view import place_picture, view_picture
from poseras.engine.image_tester import bring_home
from poseras.engine.results import coco_results
from poseras.geometry import invert_affine, transform_points
from poseras.layers import Normalise
from poseras.structures import People, View
from poseras.systems.simplepose_v2.options import Options, default_view
from poseras.systems.simplepose_v2.targets import person_scales

OPTIONS = Options()
BORDER = default_view(OPTIONS).border_rgb
NORMALISE = Normalise(OPTIONS.channel_order, OPTIONS.pixel_mean, OPTIONS.pixel_std)
#: They round positions to 0.01 px and keep them in float32.
ROUNDED = 6e-3
#: Id of the picture that makes a training set of any case, and of the person on it.
OTHER = 10**6


def read_cases(case):
    return json.loads(str(case["cases_json"]))


def write_annotations(path, images, annotations, skeleton):
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content))
    return read_coco(path, path.parent, skeleton, segmentations=True)


def write_beside_another(path, image, annotations, skeleton):
    """The annotations of a case, and one more picture, whose person is to be learned in any case.

    As some files do, those of a case may lack what is not asked for.
    """
    keypoints = [1, 1, 2] + [0] * 3 * (skeleton.joint_count - 1)
    person = {"id": OTHER, "image_id": OTHER, "iscrowd": 0, "num_keypoints": 1, "area": 1e6}
    person |= {"bbox": [0, 0, 9, 9], "keypoints": keypoints}
    rows = [{"keypoints": [0] * len(keypoints), **row} for row in annotations]
    rows = [{"segmentation": [], **row, "category_id": 1} for row in [*rows, person]]
    other = {**image, "id": OTHER, "file_name": "other.jpg"}
    return write_annotations(path, [image, other], rows, skeleton)


def joints_of(annotations):
    """How many joints the people of a case have; COCO's where it has no people."""
    return max(
        (len(row["keypoints"]) // 3 for row in annotations if "keypoints" in row), default=17
    )


def place_case(case, image):
    """The view of a case, and where it shows the picture."""
    long_edge = case["mode"] == "long"
    view = View(
        rule="long_edge" if long_edge else "fixed_height",
        length=case["edge"],
        stride=1 if long_edge else case["max_stride"],
        interpolation="cubic",
        border_rgb=BORDER,
    )
    return view, place_picture(image.shape[:2], view)


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"image_(?P<tag>\d+)")
def test_pictures_are_resized_and_padded_as_by_the_original(golden, tag):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case = read_cases(data)[int(tag)]
    image, expected = data[f"image_{tag}"], data[f"image_out_{tag}"]
    view, placement = place_case(case, image)
    shown = view_picture(image, placement, view)
    assert shown.shape == expected.shape
    # OpenCV's versions round a bicubic sample differently.
    assert np.abs(shown.astype(int) - expected).max() <= 1
    normalised = np.asarray(NORMALISE(shown[None]))[0].transpose(2, 0, 1)[:, ::16, ::16]
    step = 1 / min(OPTIONS.pixel_std)  # such a grey level after the normalisation
    np.testing.assert_allclose(normalised, data[f"tensor_every16_{tag}"], rtol=0, atol=step + 1e-4)
    before, after = data[f"normalized_anns_{tag}"], data[f"anns_out_{tag}"]
    moved = transform_points(before[..., :2], placement.matrix)
    np.testing.assert_allclose(moved, after[..., :2], rtol=0, atol=1e-3)
    factor = np.sqrt(abs(np.linalg.det(placement.matrix[:, :2])))
    np.testing.assert_allclose(before[..., 3] * factor, after[..., 3], rtol=1e-5, atol=1e-3)
    poses, home = data[f"poses_{tag}"], data[f"poses_inverse_{tag}"]
    brought = transform_points(poses[..., :2], invert_affine(placement.matrix))
    np.testing.assert_allclose(brought, home[..., :2], rtol=0, atol=ROUNDED)


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"image_(?P<tag>\d+)")
def test_the_original_tells_the_same_placement(golden, tag):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case, image = read_cases(data)[int(tag)], data[f"image_{tag}"]
    _, placement = place_case(case, image)
    meta = case["meta"]
    (across, down), (left, top) = meta["scale"], meta["offset"]
    expected = [[across, 0, -left], [0, down, -top]]
    np.testing.assert_allclose(placement.matrix, expected, rtol=0, atol=1e-6)  # float32
    assert list(image.shape[1::-1]) == meta["original_width_height"]
    assert list(data[f"image_out_{tag}"].shape[1::-1]) == meta["width_height"]


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"poses_(?P<tag>\d+)")
def test_people_are_written_as_by_the_original(golden, tag):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case, poses = read_cases(data)[int(tag)], data[f"poses_{tag}"]
    _, placement = place_case(case, data[f"image_{tag}"])
    scores = poses[..., 2].astype(np.float64)
    people = People(poses[..., :2].astype(np.float64), scores, scores.mean(axis=1))
    rows = coco_results({7: bring_home(people, placement.matrix)})
    # For a picture without anybody the original writes a row of zeros.
    expected = [row for row in case["result_rows"] if any(row["keypoints"]) or row["score"] > 0.01]
    assert len(rows) == len(expected) == len(poses)
    for row, other, found in zip(rows, expected, scores > 0, strict=True):
        ours, theirs = (np.reshape(r["keypoints"], (-1, 3)) for r in (row, other))
        np.testing.assert_allclose(ours[found, :2], theirs[found, :2], rtol=0, atol=ROUNDED)
        # Ours are 0 where nothing was found. Theirs are moved there, too, and take any joint to the
        # left of the picture and above it for one that was not found.
        assert not ours[~found].any() and (ours[found, 2] == 1).all()
        inside = found & (theirs[:, :2] > 0).any(axis=1)
        assert (theirs[inside, 2] == 1).all()
        assert row["score"] == pytest.approx(other["score"], abs=6e-5)  # ours have four decimals


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"normalized_anns_(?P<tag>\d+)")
def test_people_are_chosen_as_by_the_original(golden, original, tag, tmp_path):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case, expected = read_cases(data)[int(tag)], data[f"normalized_anns_{tag}"]
    skeleton = original.make_skeleton(expected.shape[1], ())
    height, width = data[f"image_{tag}"].shape[:2]
    image = {"id": 1, "file_name": "x.jpg", "height": height, "width": width}
    rows = [
        {**row, "id": number + 1, "image_id": 1} for number, row in enumerate(case["annotations"])
    ]
    table = write_beside_another(tmp_path / "x.json", image, rows, skeleton)
    # CrowdPose's people have no areas, so that nobody is small.
    known = not rows or any("area" in row for row in rows)
    records = training_pictures(table, small_area=SMALL_AREA if known else 0.0)
    people = records.people.take(np.flatnonzero(records.people.annotation_ids != OTHER))
    if 1 not in records.image_ids:  # nobody on it has a labelled joint
        assert not expected[..., 2].any()
        return
    np.testing.assert_allclose(people.keypoints, expected[..., :3], rtol=0, atol=1e-4)
    scales = np.sqrt(people.boxes_xywh[:, 2] * people.boxes_xywh[:, 3])
    ours = scales[:, None] * np.float32(skeleton.oks_sigmas)
    np.testing.assert_allclose(ours, expected[..., 3], rtol=1e-5)


@pytest.mark.golden("simplepose_v2/train_warp.npz", keys=r"image_(?P<tag>\d+)")
def test_pictures_are_changed_as_by_the_original(golden, original, tag):
    data = golden.load("simplepose_v2/train_warp.npz")
    case = read_cases(data)[int(tag)]
    size, anns = case["size"], data[f"anns_{tag}"]
    order = data[f"joint_perm_{tag}"]
    skeleton = original.make_skeleton(anns.shape[1], (), order)
    change = PictureChange(
        mirrored=case["flip"],
        rotation_deg=case["rotate_deg"],
        scale_xy=(case["scale_x"], case["scale_y"]),
        offset_px=(case["x_offset"], case["y_offset"]),
    )
    image = data[f"image_{tag}"]
    middle = find_middle(anns[..., :3], image.shape[:2])
    np.testing.assert_array_equal(middle, data[f"roi_center_{tag}"])
    matrix = change_matrix(
        change, image.shape[:2], (size, size), middle if case["crop_roi"] else None
    )
    np.testing.assert_allclose(matrix, data[f"matrix_{tag}"][:2], rtol=0, atol=1e-6)
    view = View(rule="long_edge", size_hw=(size, size), interpolation="cubic", border_rgb=BORDER)
    warped = warp_picture(image, matrix, view, BORDER).astype(int)
    # OpenCV 4 and 5 round the sampling points differently.
    assert np.abs(warped - data[f"image_out_{tag}"]).max() <= 2
    mask = warp_picture(data[f"mask_{tag}"], matrix, view, 255).astype(int)
    assert np.abs(mask - data[f"mask_out_{tag}"]).max() <= 2
    permutation = skeleton.flip_permutation if change.mirrored else None
    shown = keypoints_in_picture_view(anns[..., :3], matrix, (size, size), permutation)
    np.testing.assert_allclose(shown, data[f"anns_out_{tag}"][..., :3], rtol=0, atol=1e-3)
    ours = np.arange(anns.shape[1]) if permutation is None else permutation
    np.testing.assert_array_equal(ours, order)
    after = data[f"anns_out_{tag}"]
    np.testing.assert_allclose(scale_joints(anns, matrix)[:, order], after[..., 3], rtol=1e-5)
    # The way home, which results take, is that of the original: all but what fell out of the view.
    back = data[f"anns_back_{tag}"]
    np.testing.assert_allclose(back[..., 3], anns[..., 3], rtol=1e-5)
    home = transform_points(np.float64(shown[:, np.argsort(order), :2]), invert_affine(matrix))
    np.testing.assert_allclose(home, back[..., :2], rtol=0, atol=1e-3)


def scale_joints(anns, matrix):
    """The scales of joints (people, joints, 4) in a view, each as that of a square box."""
    sides = anns[..., 3].reshape(1, -1, 1)
    boxes = np.concatenate([np.zeros_like(sides)] * 2 + [sides] * 2, axis=-1)
    return np.asarray(person_scales(boxes, matrix[None])).reshape(anns.shape[:2])


@pytest.mark.golden("simplepose_v2/colour.npz", keys=r"image_(?P<tag>\d+)")
def test_colours_change_as_by_the_original(golden, tag):
    data = golden.load("simplepose_v2/colour.npz")
    case, image = read_cases(data)[int(tag)], data[f"image_{tag}"]
    changed = tint(image, case["dh"], case["ds"], case["dv"]).astype(int)
    # Colour spaces are converted in fixed point.
    assert np.abs(changed - data[f"tint_{tag}"]).max() <= 1
    assert np.abs(turn_grey(image).astype(int) - data[f"gray_{tag}"]).max() <= 1


@pytest.mark.golden("simplepose_v2/mask_miss.npz", keys=r"mask_miss_(?P<tag>\d+)")
def test_what_the_loss_ignores_is_what_the_original_ignores(golden, original, tag, tmp_path):
    data = golden.load("simplepose_v2/mask_miss.npz")
    case, expected = read_cases(data)[int(tag)], data[f"mask_miss_{tag}"]
    joints = joints_of(case["annotations"])
    skeleton, image = original.make_skeleton(joints, ()), case["image"]
    rows = [dict(row) for row in case["annotations"]]
    for row in rows[:1]:  # the picture must count
        row["keypoints"] = [1, 1, 2] + [0] * 3 * (joints - 1)
    table = write_beside_another(tmp_path / "x.json", image, rows, skeleton)
    records = training_pictures(table)
    size_hw = expected.shape
    drawn = [rasterise(row["segmentation"], size_hw) for row in rows]
    anybody = np.any([np.zeros(size_hw, bool), *drawn], axis=0)
    np.testing.assert_array_equal(anybody, data[f"mask_all_{tag}"] > 0)
    if not rows:
        assert image["id"] not in records.image_ids and expected.all()
        assert len(all_pictures(table)) == 2
        return
    row = records.image_ids.tolist().index(image["id"])
    ignored = rasterise_regions(records.ignored_regions[row], size_hw)
    np.testing.assert_array_equal(ignored, expected == 0)
