"""Pictures of score maps and pairwise arrows, of a demonstration and of true maps."""

import cv2
import numpy as np
import pytest

import demo
from poseras.codecs.pairwise_models import measure_statistics
from poseras.data.frames import open_frames
from poseras.data.images import read_image
from poseras.data.video import read_video
from poseras.demonstration import Showing, demonstrate
from poseras.engine import snapshot
from poseras.engine.video_writer import open_video_writer
from poseras.frame_prediction import Looking
from poseras.part_pictures import (
    Look,
    PartPictures,
    draw_expectations,
    draw_guides,
    find_guides,
    part_path,
)
from poseras.predictor import load_predictor
from poseras.settings import flatten
from poseras.skeleton import Skeleton
from poseras.structures import People
from poseras.systems import options_module, system_class
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.system import System
from poseras.systems.simplepose_v2.options import Options as GuidedOptions
from poseras.systems.simplepose_v2.system import System as GuidedSystem

NAMES = ("left_hip", "right_hip", "nose")
SKELETON = Skeleton("made/up", NAMES, ((0, 1),), ((0, 1), (1, 2)), (0.1,) * 3)
PEOPLE = np.array([[[140, 150, 2], [30, 150, 2], [90, 30, 2]]], np.float32)
LIGHT = {"depth": 18, "backbone_width": 4, "batch_norm": "trained", "candidates": 3}
TINY = {"input_shape": (64, 64), "backbone_width": 8, "units": (1, 1)}
LOOKING = Looking(flip_test=False, batch_size=2, frames_at_a_time=2)


def make_resources():
    statistics, _ = measure_statistics(PEOPLE)
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    return {
        "means_px": statistics.means_px,
        "deviations_px": statistics.deviations_px,
        "model_pairs": pairs,
        "model_lower": np.zeros((3, 8)),
        "model_upper": np.full((3, 8), 10.0),
        "model_weights": np.tile(np.array([-6.0, 0, -6, 0, 0, 0, 0, 0, 9]), (3, 1)),
    }


def write_network(path, system="deepercut_arttrack", resources=None, **options):
    """A snapshot with weights drawn at random."""
    import keras

    keras.utils.set_random_seed(0)
    module = options_module(system)
    chosen = module.Options(**options)
    model = system_class(system)(chosen, SKELETON, resources or {}).build_model()
    arrays = snapshot.collect_weights(model)
    arrays |= {f"resources/{name}": table for name, table in (resources or {}).items()}
    metadata = {
        "system": system,
        "options": flatten(chosen),
        "skeleton": SKELETON.to_dict(),
        "view": flatten(module.default_view(chosen)),
        "config": {"system": system, **{f"options.{k}": v for k, v in flatten(chosen).items()}},
    }
    snapshot.write_snapshot(path, arrays, metadata)
    return path


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "snapshot_1.safetensors"
    tables = make_resources()
    return load_predictor(write_network(path, resources=tables, pairwise=True, **LIGHT))


@pytest.fixture(scope="module")
def other_network(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "snapshot_1.safetensors"
    tiny = {"input_shape": (64, 64), "backbone_width": 8, "head_filters": (8, 8, 8)}
    return write_network(path, "simple_baselines", **tiny)


def make_picture(shift=0):
    blocks = np.random.default_rng(3).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.roll(cv2.resize(blocks, (96, 64)), shift, axis=1)


def test_three_pictures_stand_beside_each_drawing_and_nothing_is_overwritten(predictor, tmp_path):
    pictures, out = tmp_path / "in", tmp_path / "out"
    pictures.mkdir()
    for name in ("a", "a_scores"):
        cv2.imwrite(str(pictures / f"{name}.png"), make_picture()[..., ::-1])
    demonstrate(predictor, open_frames(pictures), out, LOOKING, Showing(parts=True))
    kinds = ("people", "scores", "pairwise")
    expected = {out / "a.jpg", out / "a_scores.jpg"}
    expected |= {out / "parts" / f"{n}_{k}.jpg" for n in ("a", "a_scores") for k in kinds}
    assert set(out.rglob("*.jpg")) == expected
    sheet = read_image(part_path(out / "a.jpg", "scores"))
    assert sheet.shape == (64, 3 * 96 + 2 * 4, 3)  # the picture, both hips, the nose
    # JPEG changes each value a little; the first picture of the sheet is the picture itself.
    assert np.abs(sheet[:, :96].astype(int) - make_picture()).mean() < 12
    assert np.abs(sheet[:, 100:196].astype(int) - make_picture()).mean() > 20


def test_a_video_becomes_a_video_of_each_kind(predictor, tmp_path):
    pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    with open_video_writer(tmp_path / "clip.mp4", 25) as writer:
        for number in range(3):
            writer.write(np.ascontiguousarray(make_picture(number)))
    showing, out = Showing(parts=True), tmp_path / "out"
    demonstrate(predictor, open_frames(tmp_path / "clip.mp4"), out, LOOKING, showing)
    for kind in ("people", "scores", "pairwise"):
        frames = list(read_video(part_path(out / "clip.mp4", kind)))
        np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.04, 0.08], atol=1e-3)


def count_colour(picture, place_xy, colour):
    """Pixels of a colour, blended at their edges, in a square of 9 px."""
    x, y = place_xy
    square = picture[y - 4 : y + 5, x - 4 : x + 5].astype(int)
    return int((np.abs(square - colour).max(axis=-1) < 40).sum())


def test_arrows_lead_to_neighbours_alone_in_the_colour_of_where_they_lead():
    from poseras.visualize import rainbow_colours

    system = System(Options(pairwise=True, candidates=1), SKELETON, make_resources())
    size_hw = (192, 192)
    batch = {
        "keypoints": PEOPLE[None],
        "image_to_network": np.float32([[[1, 0, 0], [0, 1, 0]]]),
        "ignore_mask": np.zeros((1, *size_hw), bool),
    }
    outputs = system.perfect_outputs(system.encode(batch))
    said = {name: np.asarray(value)[0] for name, value in outputs.items()}
    black = np.zeros((*size_hw, 3), np.uint8)
    drawn = draw_expectations(system, Look(black, size_hw, np.eye(3)[:2], said))
    left_hip, right_hip, nose = rainbow_colours(3)
    between = (PEOPLE[0, :, None, :2] + PEOPLE[0, None, :, :2]) / 2
    hips, right_to_nose, left_to_nose = between[0, 1], between[1, 2], between[0, 2]
    # Two arrows lie on each other; that of the joint of higher number is drawn last.
    assert count_colour(drawn, hips.astype(int), left_hip) >= 9
    assert count_colour(drawn, right_to_nose.astype(int), right_hip) >= 9
    assert not count_colour(drawn, right_to_nose.astype(int), left_hip)
    x, y = left_to_nose.astype(int)
    assert not drawn[y - 4 : y + 5, x - 4 : x + 5].any(), "no limb joins them"
    assert count_colour(drawn, PEOPLE[0, 2, :2].astype(int), nose) > 30  # the disc


@pytest.fixture
def guided():
    """A system with offsets, and what a perfect network of it says of `PEOPLE`."""
    system = GuidedSystem(GuidedOptions(**TINY), SKELETON)
    batch = {
        "keypoints": PEOPLE[None],
        "boxes_xywh": np.float32([[[20, 20, 130, 140]]]),
        "image_to_network": np.float32([[[1, 0, 0], [0, 1, 0]]]),
        "ignore_mask": np.zeros((1, 192, 192), bool),
    }
    outputs = system.perfect_outputs(system.encode(batch))
    said = {name: np.asarray(value)[0] for name, value in outputs.items()}
    return system, Look(np.zeros((192, 192, 3), np.uint8), (192, 192), np.eye(3)[:2], said)


def test_guiding_offsets_lead_from_peaks_to_the_ends_of_limbs(guided):
    points, joints, vectors = find_guides(*guided)
    assert sorted(joints) == [0, 1, 2]
    truth = PEOPLE[0, joints, :2]
    np.testing.assert_allclose(points, truth, atol=1.5)  # peaks are whole pixels
    for start, end in SKELETON.limbs:
        (row,) = np.flatnonzero(joints == start)
        # An offset leads from a pixel to the end itself.
        np.testing.assert_allclose(points[row] + vectors[row, end], PEOPLE[0, end, :2], atol=0.01)
        assert not np.delete(vectors[row], end, axis=0).any()
    assert not vectors[joints == 2].any(), "no limb starts there"


def test_a_sheet_of_offsets_shows_all_limbs_and_then_those_of_each_start(guided):
    from poseras.visualize import rainbow_colours

    sheets = draw_guides(*guided)
    # The picture, both hips, the nose; all limbs, those of both hips, three times as large.
    assert sheets["scores"].shape == (192, 3 * 192 + 2 * 4, 3)
    assert sheets["offsets"].shape == (576, 2 * 576 + 4, 3)
    _, right_hip, nose = rainbow_colours(3)
    places = 3 * PEOPLE[0, :, :2] + 1
    hips, right_to_nose = [(places[a] + places[b]) / 2 for a, b in SKELETON.limbs]
    for left in (0, 580):
        drawn = sheets["offsets"][:, left : left + 576]
        assert count_colour(drawn, hips.astype(int), right_hip) >= 9
        assert count_colour(drawn, right_to_nose.astype(int), nose) >= 9
        assert count_colour(drawn, places[2].astype(int), nose) > 30  # the disc


def test_an_empty_picture_has_sheets_without_arrows(guided):
    system, look = guided
    nothing = {name: np.zeros_like(value) for name, value in look.outputs.items()}
    empty = Look(look.view_rgb, look.resized_hw, look.image_to_view, nothing)
    assert not draw_guides(system, empty)["offsets"][:, :576].any()


def test_a_network_with_offsets_has_a_sheet_of_them(tmp_path):
    path = write_network(tmp_path / "a.safetensors", "simplepose_v2", **TINY)
    pictures, image = PartPictures(load_predictor(path)), make_picture()
    assert pictures.kinds == ("people", "scores", "offsets")
    nobody = People(np.zeros((0, 3, 2)), np.zeros((0, 3)), np.zeros(0))
    drawn = pictures.draw(image, nobody)
    assert set(drawn) == set(pictures.kinds) and drawn["people"].shape == image.shape


def test_a_network_for_one_person_has_score_maps_alone(tmp_path):
    one_person = load_predictor(write_network(tmp_path / "a.safetensors", **LIGHT))
    pictures = PartPictures(one_person)
    assert pictures.kinds == ("people", "scores")
    image = make_picture()
    (poses,) = one_person.predict([image], flip_test=False)
    drawn = pictures.draw(image, poses)
    assert set(drawn) == {"people", "scores"} and drawn["people"].shape == image.shape


def test_a_network_without_parts_is_refused_in_one_line(other_network, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), make_picture())
    out = tmp_path / "out"
    given = ["--input", str(tmp_path / "a.png"), "--output", str(out), "--gpu", "cpu"]
    with pytest.raises(SystemExit) as end:
        demo.main([*given, "--parts", "--model-file", str(other_network)])
    assert end.value.code == 2 and not out.exists()
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    assert "draws the maps of deepercut_arttrack and simplepose_v2. Received a network" in line
    assert "of simple_baselines; leave it out." in line
