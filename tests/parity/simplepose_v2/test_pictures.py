"""Preparation of pictures for testing and training, colours and masks, against the original."""

import json

import numpy as np
import pytest

from poseras.data.annotation import read_coco
from poseras.data.colours import tint, turn_grey
from poseras.data.ignored_regions import rasterise_regions
from poseras.data.image_augment import (
    PictureChange,
    change_matrix,
    find_middle,
    keypoints_in_picture_view,
)
from poseras.data.image_records import all_pictures, training_pictures
from poseras.data.image_samples import warp_picture
from poseras.data.image_view import place_picture, view_picture
from poseras.geometry import invert_affine, transform_points
from poseras.layers import Normalise
from poseras.structures import View
from poseras.systems.simplepose_v2.options import Options, default_view

OPTIONS = Options()
BORDER = default_view(OPTIONS).border_rgb
NORMALISE = Normalise(OPTIONS.channel_order, OPTIONS.pixel_mean, OPTIONS.pixel_std)


def read_cases(case):
    return json.loads(str(case["cases_json"]))


def write_annotations(path, images, annotations, skeleton):
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content))
    return read_coco(path, path.parent, skeleton, segmentations=True)


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"image_(?P<tag>\d+)")
def test_pictures_are_resized_and_padded_as_by_the_original(golden, tag):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case = read_cases(data)[int(tag)]
    long_edge = case["mode"] == "long"
    view = View(
        rule="long_edge" if long_edge else "fixed_height",
        length=case["edge"],
        stride=1 if long_edge else case["max_stride"],
        interpolation="cubic",
        border_rgb=BORDER,
    )
    image, expected = data[f"image_{tag}"], data[f"image_out_{tag}"]
    placement = place_picture(image.shape[:2], view)
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
    np.testing.assert_allclose(brought, home[..., :2], rtol=0, atol=6e-3)  # they round to 0.01 px


@pytest.mark.golden("simplepose_v2/preprocess_eval.npz", keys=r"normalized_anns_(?P<tag>\d+)")
def test_people_are_chosen_as_by_the_original(golden, original, tag, tmp_path):
    data = golden.load("simplepose_v2/preprocess_eval.npz")
    case, expected = read_cases(data)[int(tag)], data[f"normalized_anns_{tag}"]
    skeleton = original.make_skeleton(expected.shape[1], original.coco_limbs)
    height, width = data[f"image_{tag}"].shape[:2]
    images = [{"id": 1, "file_name": "x.jpg", "height": height, "width": width}]
    rows = [
        {**row, "id": number + 1, "image_id": 1, "segmentation": []}
        for number, row in enumerate(case["annotations"])
    ]
    if not rows:
        assert not len(expected)
        return
    people = training_pictures(
        write_annotations(tmp_path / "x.json", images, rows, skeleton)
    ).people
    np.testing.assert_allclose(people.keypoints, expected[..., :3], rtol=0, atol=1e-4)
    scales = np.sqrt(people.boxes_xywh[:, 2] * people.boxes_xywh[:, 3])
    ours = scales[:, None] * np.float32(skeleton.oks_sigmas)
    np.testing.assert_allclose(ours, expected[..., 3], rtol=1e-5)


@pytest.mark.golden("simplepose_v2/train_warp.npz", keys=r"image_(?P<tag>\d+)")
def test_pictures_are_changed_as_by_the_original(golden, original, tag):
    data = golden.load("simplepose_v2/train_warp.npz")
    case = read_cases(data)[int(tag)]
    size, anns = case["size"], data[f"anns_{tag}"]
    skeleton = original.make_skeleton(anns.shape[1], original.coco_limbs)
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
    order = np.arange(anns.shape[1]) if permutation is None else permutation
    np.testing.assert_array_equal(order, data[f"joint_perm_{tag}"])
    # The way home, which results take, is that of the original: all but what fell out of the view.
    back = data[f"anns_back_{tag}"][..., :3]
    home = transform_points(np.float64(shown[:, np.argsort(order), :2]), invert_affine(matrix))
    np.testing.assert_allclose(home, back[..., :2], rtol=0, atol=1e-3)


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
    skeleton = original.make_skeleton(17, original.coco_limbs)
    # One more picture, whose person makes a training set of any case.
    person = {
        "id": 10**6,
        "image_id": 10**6,
        "iscrowd": 0,
        "num_keypoints": 1,
        "area": 1e4,
        "bbox": [0, 0, 9, 9],
        "segmentation": [],
        "keypoints": [1, 1, 2] + [0] * 48,
        "category_id": 1,
    }
    rows = [{"keypoints": [0] * 51, **row, "category_id": 1} for row in case["annotations"]]
    for row in rows[:1]:  # the picture must count
        row["keypoints"] = [1, 1, 2] + [0] * 48
    image = {**case["image"], "id": case["image"]["id"]}
    other = {**case["image"], "id": 10**6, "file_name": "y.jpg"}
    table = write_annotations(tmp_path / "x.json", [image, other], [*rows, person], skeleton)
    records = training_pictures(table)
    size_hw = expected.shape
    if not rows:
        assert image["id"] not in records.image_ids and expected.all()
        assert len(all_pictures(table)) == 2
        return
    row = records.image_ids.tolist().index(image["id"])
    ignored = rasterise_regions(records.ignored_regions[row], size_hw)
    np.testing.assert_array_equal(ignored, expected == 0)
