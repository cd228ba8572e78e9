"""Records, crops, samples and targets against the code that HSRNet came with.

It speaks of centre and scale where ours speak of boxes: a box of 200 * scale around the centre.
"""

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from poseras import geometry
from poseras.codecs.heatmap import encode_heatmaps
from poseras.data import augment, person_samples, warp
from poseras.data.annotation import read_coco
from poseras.data.dataset import load_dataset
from poseras.data.persons import detected_persons, training_persons
from poseras.skeleton import Skeleton
from poseras.structures import Augmentation, View
from poseras.systems.simple_baselines.conventions import CONVENTIONS

FILE, CASES, MINI = (f"hsrnet/{n}" for n in ("data.npz", "data.json", "mini_person_keypoints.json"))
DETECTIONS = "hsrnet/mini_detections.json"
PIXELS_OF_SCALE = 200
MARGIN = 1.25
STRIDE = 4  # of every network of that code


@pytest.fixture
def skeleton(project_root):
    return load_dataset(project_root, "COCO").skeleton


def view_of(size_hw, **settings):
    settings = {"margin": MARGIN, "outside_joints": "keep", **settings}
    return View("person_box", size_hw=tuple(size_hw), **settings)


def box_around(centre, scale):
    """(..., 4) the enlarged box of a centre and a scale."""
    size = PIXELS_OF_SCALE * np.asarray(scale, np.float64)
    return np.concatenate([np.asarray(centre, np.float64) - size / 2, size], axis=-1)


def assert_centre_and_scale(boxes, centre, scale):
    # float32 in the original: pixels of a hundred, scales of one.
    np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:] / 2, centre, rtol=0, atol=1e-4)
    np.testing.assert_allclose(boxes[:, 2:] / PIXELS_OF_SCALE, scale, rtol=0, atol=1e-6)


def cut(image, matrices, view):
    picture = warp.Picture("case", image.shape[:2], pixels=image)
    sizes = np.tile(image.shape[:2], (len(matrices), 1))
    crops, errors = person_samples.warp_people([picture] * len(matrices), matrices, sizes, view)
    assert not errors
    return crops


def normalise(crops):
    """As the network's first layer does: RGB statistics on BGR pictures, channels first."""
    own = CONVENTIONS["pytorch"]
    assert own["channel_order"] == "bgr"
    return np.moveaxis((crops - np.array(own["pixel_mean"])) / own["pixel_std"], -1, -3)


@pytest.mark.golden(FILE, keys=r"(?P<tag>box)_center")
def test_boxes_have_the_original_centre_and_scale(golden, tag):
    assert tag, f"{FILE} holds no boxes"
    cases = golden.load(FILE)
    width, height = 192, 256  # of the cases, as the key of their matrices says
    boxes = augment.place_people(cases["box"], view_of((height, width))).boxes_xywh
    assert_centre_and_scale(boxes, cases["box_center"], cases["box_scale"])


@pytest.mark.golden(FILE, keys=r"affine_(?P<tag>(?:inv_)?\d+x\d+)")
def test_matrices_of_the_crop_and_back_are_the_original_ones(golden, tag):
    assert tag, f"{FILE} holds no matrices"
    cases = golden.load(FILE)
    width, height = map(int, re.findall(r"\d+", tag))
    boxes = box_around(cases["box_center"], cases["box_scale"])
    inverse = tag.startswith("inv_")
    rotation = np.zeros(len(boxes)) if inverse else cases["affine_rot"]
    people = len(boxes)
    placement = augment.Placement(boxes, rotation, np.zeros(people, bool), np.ones(people))
    matrices = augment.placement_matrices(placement, view_of((height, width)))
    if inverse:
        matrices = np.stack([geometry.invert_affine(matrix) for matrix in matrices])
    # float32 points in the original.
    np.testing.assert_allclose(matrices, cases[f"affine_{tag}"], rtol=0, atol=1e-4)


@pytest.mark.golden(FILE, keys=r"warp_out_(?P<tag>\d+x\d+)")
def test_a_warped_picture_is_that_of_the_original(golden, tag):
    assert tag, f"{FILE} holds no warped picture"
    cases = golden.load(FILE)
    theirs = cases[f"warp_out_{tag}"]
    ours = cut(cases["warp_image"], cases["warp_matrix"][None], view_of(theirs.shape[:2]))[0]
    # Exactly rounded bilinear values on both sides; a tie may fall to either.
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def draw_targets(joints, flags, maps, sigma):
    height, width = maps.shape[-2:]
    keypoints = np.concatenate([joints[:, :2], flags[:, :1]], axis=1)[None].astype(np.float32)
    encoded, weights = encode_heatmaps(
        keypoints,
        input_hw=(height * STRIDE, width * STRIDE),
        heatmap_hw=(height, width),
        sigma=sigma,
        peak=1.0,
        window="three_sigma",
    )
    return np.moveaxis(np.array(encoded[0]), -1, 0), np.array(weights[0])


@pytest.mark.golden(FILE, keys=r"target_(?P<tag>s[\d.]+\w*?)_joints")
def test_targets_are_equal_at_every_edge(golden, tag):
    assert tag, f"{FILE} holds no targets"
    cases = golden.load(FILE)
    joints, flags, maps = (cases[f"target_{tag}{end}"] for end in ("_joints", "_vis", ""))
    encoded, weights = draw_targets(joints, flags, maps, float(re.match(r"s([\d.]+)", tag)[1]))
    # Two float32 exponentials multiplied instead of one.
    np.testing.assert_allclose(encoded * weights[:, None, None], maps, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weights, cases[f"target_{tag}_weight"][:, 0])


@pytest.mark.golden(FILE, keys=r"(?P<tag>fliplr)_joints")
def test_mirrored_joints_are_equal(golden, tag, skeleton):
    assert tag, f"{FILE} holds no mirrored joints"
    cases = golden.load(FILE)
    # The file's README tells the width of the picture, which is that of the warped one.
    width = cases["warp_image"].shape[1]
    permutation = skeleton.flip_permutation
    points = geometry.transform_points(cases[f"{tag}_joints"][:, :2], geometry.mirror_matrix(width))
    flags = cases[f"{tag}_vis"][permutation]
    np.testing.assert_array_equal(flags, cases[f"{tag}_vis_out"])
    # Its mirror multiplies the joints by their flags. Exact halves and integers.
    mirrored = points[permutation] * flags[:, :2]
    np.testing.assert_allclose(mirrored, cases[f"{tag}_joints_out"][:, :2], rtol=0, atol=1e-9)


@pytest.fixture
def table(golden):
    """The case's annotations, with a skeleton of its own: its category names joints k0, k1, ..."""
    (category,) = golden.load(MINI)["categories"]
    own = Skeleton("case/set", tuple(category["keypoints"]))
    return read_coco(golden.path(MINI), "ROOT/images/val2017", own)


def in_file_order(records):
    """By the place of their image in the file; people of one image keep their order."""
    return records.take(np.argsort(records.image_index, kind="stable"))


def images_of(records):
    """Each person's picture, from the folder on that stands for the data's."""
    paths = (records.images.paths[i] for i in records.image_index)
    return [f"ROOT{path.rpartition('ROOT')[2]}" for path in paths]


def assert_records(records, expected, size_hw=(4, 3)):
    """Images and, of each person, centre and scale at the aspect of a view."""
    assert images_of(records) == [record["image"] for record in expected]
    boxes = augment.place_people(records.boxes_xywh, view_of(size_hw)).boxes_xywh
    wanted = (np.array([record[name] for record in expected]) for name in ("center", "scale"))
    assert_centre_and_scale(boxes, *wanted)


@pytest.mark.golden(CASES, keys=r"(?P<tag>gt_records)")
def test_annotated_people_are_those_of_the_original(golden, tag, table):
    assert tag, f"{CASES} holds no annotated people"
    expected = golden.load(CASES)[tag]
    records = in_file_order(training_persons(table))
    assert_records(records, expected)
    flags = np.minimum(records.keypoints[..., 2], 1)
    np.testing.assert_array_equal(flags, [record["vis"] for record in expected])
    np.testing.assert_array_equal(
        records.keypoints[..., :2], np.array([r["joints"] for r in expected])[..., :2]
    )


@pytest.mark.golden(CASES, keys=r"det_records_image_thre_(?P<tag>[\d.]+)")
def test_detected_people_are_those_of_the_original(golden, tag, table):
    assert tag, f"{CASES} holds no detected people"
    expected = golden.load(CASES)[f"det_records_image_thre_{tag}"]
    # Its detections count from the threshold on, ours above it.
    threshold = np.nextafter(float(tag), -np.inf)
    records = detected_persons(table, golden.path(DETECTIONS), score_threshold=threshold)
    rows_of = defaultdict(list)  # equal scores in an image: in the order of the file
    for n, record in enumerate(expected):
        rows_of[record["image"], record["score"]].append(n)
    found = zip(images_of(records), records.scores.tolist(), strict=True)
    rows = [rows_of[image, score].pop(0) for image, score in found]
    assert_records(records, [expected[row] for row in rows])
    assert sorted(rows) == list(range(len(expected)))


def picture_of(cases, record):
    return cases[f"sample_image_{int(Path(record['image']).stem)}"]


def sigma_of(maps):
    """The file does not hold it; the cell beside a peak does: exp(-1 / (2 sigma^2))."""
    slopes = maps[(maps > 0) & (maps < 1)]
    # Where nothing is drawn any sigma will do.
    return float(np.round(np.sqrt(-0.5 / np.log(slopes.max())), 3)) if slopes.size else 1.0


@pytest.mark.golden(CASES, keys=r"sample_(?P<tag>eval\w+)")
def test_test_samples_are_those_of_the_original(golden, tag, table):
    assert tag, f"{CASES} holds no test samples"
    cases, listed = golden.load(FILE), golden.load(CASES)
    record = listed[f"sample_{tag}"]
    theirs = cases[f"sample_{tag}_input"]
    view = view_of(theirs.shape[1:])
    records = in_file_order(training_persons(table))
    row = next(
        n
        for n, gt in enumerate(listed["gt_records"])
        if (gt["image"], gt["center"]) == (record["image"], record["center"])
    )
    placement = augment.place_people(records.boxes_xywh[[row]], view)
    assert_centre_and_scale(placement.boxes_xywh, [record["center"]], [record["scale"]])
    matrices = augment.placement_matrices(placement, view)
    crops = cut(picture_of(cases, record), matrices, view)
    # One grey level.
    np.testing.assert_allclose(normalise(crops)[0], theirs, rtol=0, atol=0.02)
    keypoints = records.keypoints[row].astype(np.float64)
    joints = geometry.transform_points(keypoints[:, :2], matrices[0])
    flags = np.minimum(keypoints[:, 2:], 1)
    maps = cases[f"sample_{tag}_target"]
    encoded, weights = draw_targets(joints, flags, maps, sigma_of(maps))
    np.testing.assert_array_equal(weights, cases[f"sample_{tag}_weight"][:, 0])
    np.testing.assert_allclose(encoded * weights[:, None, None], maps, rtol=0, atol=1e-6)


@pytest.mark.golden(CASES, keys=r"sample_(?P<tag>train\w+)")
def test_training_samples_under_scripted_draws_are_those_of_the_original(
    golden, tag, table, skeleton
):
    assert tag, f"{CASES} holds no training samples"
    cases, case = golden.load(FILE), golden.load(CASES)[f"sample_{tag}"]
    records = in_file_order(training_persons(table)).take(np.array([case["record"]]))
    image = picture_of(cases, golden.load(CASES)["gt_records"][case["record"]])
    theirs = cases[f"sample_{tag}_input"]
    # Wider than the original's, so that its draws lie within.
    laws = Augmentation(scale_std=0.5, rotation_std_deg=90, flip_probability=0.5)
    view = view_of(theirs.shape[1:], augmentation=laws)
    draws = replace(
        augment.draw(0, np.zeros(1, int), np.zeros(1, int)),
        n_scale=np.array([(case["scale_factor"] - 1) / laws.scale_std]),
        u_rotation=np.zeros(1),
        n_rotation=np.array([case["rotation"] / laws.rotation_std_deg]),
        u_flip=np.array([0.0 if case["flip"] else 1.0]),
    )
    still = augment.place_people(records.boxes_xywh, view)
    moved = augment.disturb(still, records.keypoints, draws, laws)
    matrices = augment.placement_matrices(moved, view)
    np.testing.assert_allclose(normalise(cut(image, matrices, view))[0], theirs, rtol=0, atol=0.02)
    keypoints = records.keypoints.copy()
    keypoints[..., 2] = np.minimum(keypoints[..., 2], 1)
    shown = augment.keypoints_in_view(
        keypoints,
        matrices,
        moved.mirrored,
        image_widths=np.array([image.shape[1]]),
        flip_permutation=skeleton.flip_permutation,
        view=view,
    )[0]
    flags = shown[:, 2:]
    labelled = flags[:, 0] > 0
    joints = np.array(case["joints"])
    # float32 points in the original's matrix.
    np.testing.assert_allclose(shown[labelled, :2], joints[labelled, :2], rtol=0, atol=1e-3)
    maps = cases[f"sample_{tag}_target"]
    encoded, weights = draw_targets(shown, flags, maps, sigma_of(maps))
    np.testing.assert_array_equal(weights, cases[f"sample_{tag}_weight"][:, 0])
    np.testing.assert_allclose(encoded * weights[:, None, None], maps, rtol=0, atol=1e-6)
