"""The system on made-up people: what it encodes, it finds again; losses and options."""

import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.image_tester import at_scales, bring_home, predict_images
from poseras.engine.snapshot import Snapshot
from poseras.predictor import build_system
from poseras.settings import flatten
from poseras.structures import ImageRecords, ImageTable, People, PersonRecords
from poseras.systems.simplepose_v2.losses import compute_loss, focal_terms, mean_of_terms
from poseras.systems.simplepose_v2.options import Options, default_view
from poseras.systems.simplepose_v2.system import System
from poseras.training import TrainingJob

SMALL = Options(input_shape=(64, 64), backbone_width=8, units=(1, 1))
FULL = replace(
    SMALL, background=True, jitter=True, scales=True, loss_weights=(1, 1, 100, 100, 0.01)
)


def make_batch(people=3, size=(128, 160), seed=0):
    random = np.random.default_rng(seed)
    centres = np.array([[30, 40], [110, 50], [60, 96]])[:people, None]
    points = centres + random.uniform(-22, 22, (people, 5, 2))
    keypoints = np.concatenate([points, np.full((people, 5, 1), 2)], axis=-1)
    return {
        "keypoints": keypoints[None].astype(np.float32),
        "boxes_xywh": np.full((1, people, 4), 50, np.float32),
        "image_to_network": np.eye(2, 3, dtype=np.float32)[None],
        "ignore_mask": np.zeros((1, *size), bool),
    }


def decode(system, outputs):
    return {k: np.asarray(v)[0] for k, v in system.decode(outputs).items()}


@pytest.mark.parametrize("options", [SMALL, FULL], ids=["published heads", "all heads"])
@pytest.mark.parametrize("seed", range(3))
def test_everybody_is_found_again_within_a_pixel(five_joints, options, seed):
    system = System(options, five_joints)
    batch = make_batch(seed=seed)
    people = system.group(decode(system, system.perfect_outputs(system.encode(batch))))
    assert len(people) == 3
    for person in batch["keypoints"][0]:
        errors = np.abs(people.keypoints_px - person[:, :2]).max(axis=(1, 2))
        assert errors.min() <= 1.5  # a pixel, and a rounding of the bicubic resize


def test_the_flip_test_of_a_mirrored_truth_changes_nothing(five_joints):
    system = System(SMALL, five_joints)
    batch = make_batch()
    width = batch["ignore_mask"].shape[2]
    mirrored = {k: v.copy() for k, v in batch.items()}
    mirrored["keypoints"][..., 0] = width - 1 - batch["keypoints"][..., 0]
    mirrored["keypoints"] = mirrored["keypoints"][:, :, five_joints.flip_permutation]
    direct = system.perfect_outputs(system.encode(batch))
    flipped = system.perfect_outputs(system.encode(mirrored))
    merged = system.merge_flip(direct, flipped)
    np.testing.assert_allclose(merged["heatmaps.0"], direct["heatmaps.0"], atol=1e-5)
    people = system.group(decode(system, merged))
    assert len(people) == 3


def test_nobody_is_found_on_empty_maps_and_hundreds_of_peaks_are_grouped(five_joints):
    system = System(SMALL, five_joints)
    shape = (1, 32, 40)
    empty = {f"heatmaps.{s}": np.zeros((*shape, 5), np.float32) for s in (0, 1)}
    empty |= {f"offsets.{s}": np.zeros((*shape, 4, 2), np.float32) for s in (0, 1)}
    nobody = system.group(decode(system, empty))
    assert len(nobody) == 0 and nobody.keypoints_px.shape == (0, 5, 2)
    noise = np.random.default_rng(0).uniform(0, 1, (*shape, 5)).astype(np.float32)
    candidates = decode(system, {**empty, "heatmaps.1": noise})
    assert (candidates["peak_count"] > 32).all()
    people = system.group(candidates)
    assert len(people) and np.isfinite(people.keypoints_px).all()


def make_records(count):
    table = ImageTable(np.arange(count) + 5, tuple(f"{n}.jpg" for n in range(count)), np.zeros(0))
    people = PersonRecords(
        table,
        np.zeros(0, np.int32),
        np.zeros((0, 4), np.float32),
        np.zeros((0, 5, 3), np.float32),
        *[np.zeros(0)] * 3,
    )
    return ImageRecords(people, np.arange(count, dtype=np.int32), np.zeros(count + 1, np.int64))


def predict_from(system, outputs):
    """What is found on the second of two pictures, for which a network gives these outputs."""
    batch = {
        "image": np.zeros((1, 4, 4, 3), np.uint8),
        "image_to_network": np.eye(2, 3)[None],
        "index": np.array([1]),
    }

    def step(images):
        return [system.decode(outputs)]

    return predict_images(step, [batch], make_records(2), system.group, progress=False)


@pytest.mark.parametrize(
    ("part", "where"), [("heatmaps.1", (0, 3, 3, 0)), ("offsets.1", ...), ("heatmaps.1", ...)]
)
def test_maps_with_nan_name_their_picture(five_joints, part, where):
    system = System(SMALL, five_joints)
    outputs = system.perfect_outputs(system.encode(make_batch()))
    outputs[part] = np.array(outputs[part])
    outputs[part][where] = np.nan
    with pytest.raises(ValueError, match=r"Received NaN or infinity for 1\.jpg"):
        predict_from(system, outputs)


def test_more_peaks_than_there_is_room_for_are_told_with_their_picture(five_joints, caplog):
    system = System(SMALL, five_joints)
    outputs = system.perfect_outputs(system.encode(make_batch()))
    noise = np.random.default_rng(0).uniform(0.5, 1, outputs["heatmaps.1"].shape)
    (people,) = predict_from(system, {**outputs, "heatmaps.1": noise.astype(np.float32)}).values()
    assert np.isfinite(people.keypoints_px).all()
    assert re.search(r"1\.jpg: up to \d{2,3} peaks, of which the 32 highest count", caplog.text)


def test_joints_that_were_not_found_stay_at_zero_on_the_way_home():
    people = People(np.float64([[[10, 20], [0, 0]]]), np.float64([[0.5, 0]]), np.ones(1))
    home = bring_home(people, np.float32([[2, 0, 4], [0, 2, 0]]))
    assert home.keypoints_px.tolist() == [[[3, 10], [0, 0]]]


def test_a_network_in_several_sizes_gives_vectors_in_pixels_of_the_view(five_joints):
    system = System(SMALL, five_joints)

    def network(images, training=False):
        height, width = images.shape[1:3]
        scale = width / 160
        batch = make_batch(size=(height, width))
        batch["keypoints"][..., :2] *= scale
        return {k: tf.constant(v) for k, v in system.perfect_outputs(system.encode(batch)).items()}

    averaged = at_scales(system, network, (1.0, 2.0), 32)
    outputs = averaged(np.zeros((1, 128, 160, 3), np.uint8))
    people = system.group(decode(system, outputs))
    assert len(people) == 3
    for person in make_batch()["keypoints"][0]:
        assert np.abs(people.keypoints_px - person[:, :2]).max(axis=(1, 2)).min() <= 3
    with pytest.raises(ValueError, match="1 among them"):
        at_scales(system, network, (0.5, 2.0), 32)
    assert at_scales(system, network, (1.0,), 32) is network


def test_ignored_cells_teach_nothing(five_joints):
    system = System(FULL, five_joints)
    batch = make_batch()
    outputs = {k: tf.zeros_like(v) for k, v in system.perfect_outputs(system.encode(batch)).items()}
    seen = system.compute_loss(system.encode(batch), outputs)
    batch["ignore_mask"][:] = True
    hidden = system.compute_loss(system.encode(batch), outputs)
    assert seen["total"] > 0 and all(float(value) == 0 for value in hidden.values())


@pytest.mark.parametrize("box", [(5, 5, 0, 40), (5, 5, -5, 40), (5, 5, -8, -5)])
@pytest.mark.parametrize("offset_loss", ["instance_l1", "l1"])
def test_a_person_whose_box_has_no_area_leaves_gradients_finite(five_joints, box, offset_loss):
    system = System(replace(FULL, offset_loss=offset_loss), five_joints)
    batch = make_batch()
    batch["boxes_xywh"][0, 0] = box
    targets = system.encode(batch)
    assert (np.asarray(targets["instance_scales"]) >= 0).all()
    outputs = system.perfect_outputs(targets)
    outputs = {k: tf.Variable(tf.zeros_like(v)) for k, v in outputs.items()}
    with tf.GradientTape() as tape:
        losses = system.compute_loss(targets, outputs)
    gradients = tape.gradient(losses["total"], outputs)
    assert float(losses["total"]) > 0 and np.isfinite([float(v) for v in losses.values()]).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    # Only the loss that is divided by a person's size goes without theirs.
    row, column = batch["keypoints"][0, 0, 0, 1::-1].astype(int) // 4
    learned = np.asarray(gradients["offsets.0"])[0, row, column].any()
    assert learned == (offset_loss == "l1")


def test_gamma_and_tau_have_their_effect():
    target, found = np.float32([0.5, 0.0]), np.float32([0.4, 0.2])
    np.testing.assert_allclose(focal_terms(target, found, 0.01, 0.0), [0.005, 0.02], rtol=1e-5)
    np.testing.assert_allclose(focal_terms(target, found, 0.01, 1.0), [0.003, 0.004], rtol=1e-5)
    np.testing.assert_allclose(focal_terms(target, found, 0.01, 2.0), [0.0018, 0.0008], rtol=1e-5)
    np.testing.assert_allclose(focal_terms(target, found, 0.6, 1.0), [0.002, 0.004], rtol=1e-5)


def test_terms_below_the_margin_do_not_count():
    terms, known = np.float32([4.0, 0.25, 9.0]), np.array([True, True, False])
    assert float(mean_of_terms(terms, known, 0.3, False)) == 4 / 2
    assert float(mean_of_terms(terms, known, 0.1, True)) == pytest.approx((2 + 0.5) / 3)


def test_a_loss_beyond_the_limit_becomes_zero(five_joints):
    system = System(replace(SMALL, loss_limit=1e-6), five_joints)
    batch = make_batch()
    targets = system.encode(batch)
    outputs = {k: tf.zeros_like(v) for k, v in system.perfect_outputs(targets).items()}
    losses = compute_loss(targets, outputs, system.options)
    assert float(losses["total"]) == 0 and float(losses["heatmaps"]) > 0


@pytest.mark.parametrize(
    ("part", "value", "offset_loss"),
    [
        ("heatmaps.1", 1e13, "instance_l1"),
        ("heatmaps.0", -np.inf, "instance_l1"),
        ("offsets.1", np.inf, "instance_l1"),
        ("offsets.1", np.inf, "vector_l1"),
        ("offsets.0", 1e30, "laplace"),
        ("spread.1", -100.0, "laplace"),
    ],
)
def test_a_loss_beyond_the_limit_has_no_gradient_though_it_be_infinite(
    five_joints, part, value, offset_loss
):
    options = replace(SMALL, spread=offset_loss == "laplace", offset_loss=offset_loss)
    system = System(options, five_joints)
    targets = system.encode(make_batch())
    outputs = dict(system.perfect_outputs(targets))
    outputs |= {f"spread.{s}": np.zeros((1, 32, 40, 4), np.float32) for s in (0, 1)}
    # Beside the truth, so that every offset has a loss.
    outputs |= {f"offsets.{s}": outputs[f"offsets.{s}"] + 1 for s in (0, 1)}
    outputs[part] = np.full(outputs[part].shape, value, np.float32)
    outputs = {name: tf.Variable(maps) for name, maps in outputs.items()}
    with tf.GradientTape() as tape:
        total = system.compute_loss(targets, outputs)["total"]
    gradients = tape.gradient(total, outputs)
    assert float(total) == 0
    for name, gradient in gradients.items():
        assert not np.asarray(gradient).any(), name  # NaN would count as True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (100, 64)}, r"divisible by the stride 8 of the hourglass"),
        ({"units": (2,)}, "at least two levels"),
        ({"backbone": "hrnet", "units": (2, 2, 2, 2, 2, 4)}, "one stack; set options.stacks=1"),
        ({"backbone": "imhn"}, "units is for the hourglass alone"),
        ({"scales": True}, "scales=true without a weight learns nothing"),
        ({"loss_weights": (1, 1, 0, 1, 0)}, "for background, which the network lacks"),
        ({"offset_loss": "laplace"}, "spread and offset_loss=laplace go together"),
        ({"stacks": 3}, "one weight for each of 3 stacks"),
        ({"feature_stage": 2}, "feature_stage one of them"),
        ({"heatmap_threshold": 0.0}, "heatmap_threshold must be positive"),
        ({"heatmap_clip": 1.0}, "heatmap_clip must lie between 0 and 1"),
        ({"backbone_width": 6}, "positive multiple of 4"),
        ({"candidates": 65}, "candidates must be at most 64, the pixels of the smallest picture"),
        (
            {"backbone": "hrnet", "units": (2, 2, 2, 2, 2, 4), "stacks": 1, "backbone_width": 256},
            "of an HRNet must be at most 64. Received 256, .* set options.backbone_width=48",
        ),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_the_smallest_picture_has_room_for_as_many_candidates_as_may_be_asked_for(five_joints):
    options = replace(SMALL, candidates=64, stacks=1, peak_search="dense")
    outputs = {"heatmaps.0": np.ones((1, 2, 2, 5), np.float32)}
    outputs["offsets.0"] = np.zeros((1, 2, 2, 4, 2), np.float32)
    assert System(options, five_joints).decode(outputs)["peak_scores"].shape == (1, 5, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 64}, r"view.stride must be a multiple of 128, .* set view.stride=128"),
        ({"size_hw": (500, 512)}, r"Received 500,512; set view.size_hw=512,512"),
    ],
)
def test_a_view_that_the_network_cannot_halve_is_refused_by_a_training_and_a_test(
    five_joints, tmp_path, changes, message
):
    options, view = Options(), default_view(Options())
    job = TrainingJob(
        people=make_records(1),
        skeleton=five_joints,
        recipe=None,
        system_name="simplepose_v2",
        options=options,
        view=replace(view, stride=256),
        seed=0,
        config={},
        **dict.fromkeys(("snapshot_folder", "log_folder", "root"), tmp_path),
    )
    with pytest.raises(ValueError, match=message):
        replace(job, view=replace(view, **changes))
    metadata = {
        "system": "simplepose_v2",
        "options": flatten(options),
        "skeleton": five_joints.to_dict(),
        "view": flatten(view),
    }
    snapshot = Snapshot(tmp_path / "s.safetensors", {}, metadata, "")
    assert build_system(snapshot, {})[1] == view
    with pytest.raises(ValueError, match=message):
        build_system(snapshot, {f"view.{name}": value for name, value in changes.items()})


def test_limbs_in_parts_stop_a_training_and_are_told_of_a_network_that_is_there(
    five_joints, caplog
):
    parts = System(SMALL, replace(five_joints, limbs=((0, 1), (0, 2))))
    with pytest.raises(ValueError, match="leaves apart: nose, left_wrist, right_wrist; left_ankle"):
        parts.check_start(pretrained=False)
    parts.check_grouping()
    assert "Limbs must join all joints" in caplog.text
    System(SMALL, five_joints).check_start(pretrained=True)


def test_the_published_view_is_long_edge_640_in_steps_of_128():
    view = default_view(Options())
    assert (view.rule, view.length, view.stride, view.size_hw) == (
        "long_edge",
        640,
        128,
        (512, 512),
    )
    hrnet = default_view(Options(backbone="hrnet", stacks=1, backbone_width=48))
    assert (hrnet.length, hrnet.stride) == (640, 32)
