import json
import os
import signal
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseras import files
from poseras.data.frames import Frame, FrameSource, open_frames
from poseras.data.pictures import Boxes
from poseras.data.video import read_video
from poseras.demonstration import Showing, demonstrate, open_window
from poseras.engine import snapshot
from poseras.frame_prediction import Looking, _join, find_in_frames, tracking_of
from poseras.person_boxes import BottomUpBoxes, ListedBoxes
from poseras.picture_space import PictureCamera
from poseras.predictor import load_predictor
from poseras.settings import flatten
from poseras.skeleton import Skeleton
from poseras.systems import options_module, system_class

pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")

NAMES = ("pelvis", "left_hand", "right_hand", "nose")
SKELETON = Skeleton("Mine/four", NAMES, ((1, 2),), ((0, 1), (0, 2)), (0.1,) * 4)
TINY = {"input_shape": (64, 64), "backbone_width": 8, "head_filters": (8, 8, 8)}
LOOKING = Looking(flip_test=False, batch_size=4)


def write_snapshot(path, system="simple_baselines", **options):
    """Weights drawn at random, stored as float16, as those that come with the package."""
    import keras

    keras.utils.set_random_seed(0)
    module = options_module(system)
    chosen = module.Options(**options)
    model = system_class(system)(chosen, SKELETON, {}).build_model()
    weights = snapshot.collect_weights(model)
    arrays = {name: array.astype(np.float16) for name, array in weights.items()}
    metadata = {
        "system": system,
        "options": flatten(chosen),
        "skeleton": SKELETON.to_dict(),
        "view": flatten(module.default_view(chosen)),
    }
    snapshot.write_snapshot(path, arrays, metadata)
    return path


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp("weights") / "a.safetensors", **TINY)


@pytest.fixture(scope="module")
def predictor(weights_file):
    return load_predictor(weights_file)


def make_frames(count, height=49, width=65):
    random = np.random.default_rng(0)
    image = cv2.resize(random.integers(0, 256, (6, 8, 3)).astype(np.uint8), (width, height))
    return [
        Frame(np.roll(image, number, axis=1), number, number, "clip.mp4", number / 25)
        for number in range(count)
    ]


def make_source(count=12, after=lambda number: None):
    frames = make_frames(count)

    def read():
        for frame in frames:
            after(frame.number)
            yield frame

    return FrameSource("video", "clip", read, count, 25.0)


def two_boxes(frames):
    pair = Boxes(np.array([[2, 3, 30, 40], [30, 3, 30, 44]], np.float32), np.array([0.5, 0.9]))
    return ListedBoxes({frame.number: pair for frame in frames if frame.number != 3})


def test_frames_looked_at_together_give_what_each_gives_alone(predictor):
    frames = make_frames(6)
    looking = Looking(two_boxes(frames), flip_test=False, batch_size=4, oks_nms_threshold=0)
    found = list(find_in_frames(predictor, frames, looking))
    assert [frame.number for frame, _ in found] == list(range(6))
    assert [len(poses) for _, poses in found] == [2, 2, 2, 0, 2, 2]
    for frame, poses in found:
        assert (poses.frame, poses.time_s, poses.size_hw) == (
            *(frame.number, frame.number / 25),
            (49, 65),
        )
        alone = predictor.predict(frame.image_rgb, poses.boxes_xywh, flip_test=False)
        # Batches of other sizes add up in another order.
        np.testing.assert_allclose(poses.keypoints_px, alone.keypoints_px, atol=1e-3)
        assert (np.diff(poses.person_scores) <= 0).all()


def test_tracked_people_have_ids_of_their_own(predictor):
    frames = make_frames(5)
    looking = Looking(
        two_boxes(frames),
        flip_test=False,
        oks_nms_threshold=0,
        tracking=tracking_of("greedy", "none", smooth=False),
    )
    found = [poses for _, poses in find_in_frames(predictor, frames, looking)]
    assert [len(poses.track_ids) for poses in found] == [2, 2, 2, 0, 2]
    assert all(len(set(poses.track_ids.tolist())) == len(poses) for poses in found)
    assert tracking_of(None, None, smooth=False) is None
    assert tracking_of("optimal", None, smooth=False).motion == "flow"
    with pytest.raises(ValueError, match="--motion .* without --track or --smooth"):
        tracking_of(None, "flow", smooth=False)
    assert tracking_of(None, "flow", smooth=True).matching == "greedy"


def test_expected_boxes_are_added_where_nobody_was_detected():
    detected = Boxes(np.array([[0, 0, 10, 10.0]], np.float32), np.array([0.7]))
    joined = _join(detected, np.array([[1, 0, 10, 10.0], [50, 0, 10, 10]]), 0.5)
    np.testing.assert_array_equal(joined.boxes_xywh, [[0, 0, 10, 10], [50, 0, 10, 10]])
    np.testing.assert_array_equal(joined.scores, [0.7, 0.7])
    nobody = Boxes(np.zeros((0, 4), np.float32), np.zeros(0))
    assert _join(nobody, np.array([[1, 0, 10, 10.0]]), 0.5).scores.tolist() == [1.0]


def test_tracking_from_python_takes_arrays_and_paths(predictor, tmp_path):
    images = [frame.image_rgb for frame in make_frames(3)]
    tracked = list(predictor.track(images, flip_test=False))
    assert [poses.time_s for poses in tracked] == [0.0, 0.04, 0.08]
    cv2.imwrite(str(tmp_path / "1.png"), images[0][..., ::-1])
    (poses,) = predictor.track(tmp_path / "1.png", flip_test=False)
    np.testing.assert_array_equal(poses.keypoints_px, tracked[0].keypoints_px)
    assert poses.track_ids is not None and poses.name == "1.png"


def test_a_video_becomes_a_drawn_one_a_coco_file_and_a_table(predictor, tmp_path):
    source = make_source()
    looking = Looking(two_boxes(list(source)), flip_test=False, oks_nms_threshold=0)
    demonstrate(predictor, source, tmp_path / "out", looking, Showing(csv=True))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "poses.csv", "poses.json"]
    frames = list(read_video(out / "clip.mp4"))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(12) / 25, atol=1e-4)
    assert frames[0].image_rgb.shape == (50, 66, 3)  # even sides
    content = json.loads((out / "poses.json").read_text())
    assert [image["frame"] for image in content["images"]] == list(range(12))
    assert len(content["annotations"]) == 22
    assert content["info"]["boxes"] == "detections"
    lines = (out / "poses.csv").read_text().splitlines()
    assert len(lines) == 1 + 22 * 4 and sum("image_id" in line for line in lines) == 1


@pytest.mark.parametrize("smooth", [False, True])
def test_a_stopped_video_can_be_played_and_everything_else_is_whole(predictor, tmp_path, smooth):
    def stop(number):
        if number == 9:
            os.kill(os.getpid(), signal.SIGINT)

    source = make_source(500, stop)
    tracking = tracking_of(None, "none" if smooth else None, smooth=smooth)
    looking = Looking(flip_test=False, frames_at_a_time=2, tracking=tracking)
    with pytest.raises(SystemExit) as end:
        demonstrate(predictor, source, tmp_path, looking, Showing(smooth=smooth))
    assert end.value.code == 130
    content = json.loads((tmp_path / "poses.json").read_text())
    written = len(content["images"])
    # Frames that were found before the signal are written in the second pass, too.
    assert (5 if smooth else 1) <= written < 40
    assert content["info"]["stopped_after_frames"] == written
    assert len(list(read_video(tmp_path / "clip.mp4"))) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "poses.json"]


def test_a_second_demonstration_into_a_folder_lets_the_first_one_end(predictor, tmp_path, caplog):
    with files.unfinished_file(tmp_path / "first.mp4") as unfinished:
        unfinished.write_bytes(b"half")
        demonstrate(predictor, make_source(2), tmp_path, LOOKING)
        assert unfinished.read_bytes() == b"half"
    assert "also holds" not in caplog.text
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["clip.mp4", "first.mp4", "poses.json"]


def test_an_error_in_the_middle_leaves_no_file(predictor, tmp_path):
    def fail(number):
        if number == 9:
            raise OSError("the camera was unplugged")

    with pytest.raises(OSError, match="unplugged"):
        demonstrate(predictor, make_source(20, fail), tmp_path / "out", LOOKING)
    assert not list((tmp_path / "out").iterdir())


def test_pictures_of_one_name_get_drawings_of_two_names(predictor, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "a.bmp", "b.png"):
        cv2.imwrite(str(folder / name), make_frames(1)[0].image_rgb)
    demonstrate(predictor, open_frames(folder), tmp_path / "out", LOOKING)
    drawn = sorted(path.name for path in (tmp_path / "out").glob("*.jpg"))
    assert drawn == ["a.bmp.jpg", "a.png.jpg", "b.jpg"]


def test_pictures_of_one_name_in_two_folders_are_all_drawn_and_told_apart(predictor, tmp_path):
    for camera in ("left", "right"):
        (tmp_path / camera).mkdir()
        cv2.imwrite(str(tmp_path / camera / "1.png"), make_frames(1)[0].image_rgb)
    demonstrate(predictor, open_frames(f"{tmp_path}/*t/1.png"), tmp_path / "out", LOOKING)
    out = tmp_path / "out"
    drawn = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))
    assert drawn == ["left/1.jpg", "right/1.jpg"]
    images = json.loads((out / "poses.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["left/1.png", "right/1.png"]


def test_what_an_earlier_run_left_is_told_of_and_stays(predictor, tmp_path, caplog):
    out, pictures = tmp_path / "out", []
    for folder, names in (("first", ("a.png", "b.png")), ("second", ("b.png", "c.png"))):
        (tmp_path / folder).mkdir()
        for name in names:
            cv2.imwrite(str(tmp_path / folder / name), make_frames(1)[0].image_rgb)
        pictures.append(open_frames(tmp_path / folder))
    demonstrate(predictor, pictures[0], out, LOOKING, Showing(csv=True))
    demonstrate(predictor, pictures[0], out, LOOKING, Showing(csv=True))
    assert "did not write" not in caplog.text
    demonstrate(predictor, pictures[1], out, LOOKING)
    assert "that this run did not write: 2, as a.jpg" in caplog.text
    names = ["a.jpg", "b.jpg", "c.jpg", "poses.csv", "poses.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    images = json.loads((out / "poses.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["b.png", "c.png"]


def test_the_input_in_a_folder_of_the_output_is_not_what_an_earlier_run_left(
    predictor, tmp_path, caplog
):
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), make_frames(1)[0].image_rgb)
    demonstrate(predictor, open_frames(tmp_path / "photos"), tmp_path, LOOKING)
    assert (tmp_path / "a.jpg").exists() and "did not write" not in caplog.text


def test_what_is_shown_is_drawn_like_what_is_written(predictor, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("poseras.demonstration.open_window", lambda: None)
    monkeypatch.setattr("poseras.demonstration._show", lambda drawn: shown.append(drawn) or True)
    (frame,) = make_frames(1)
    showing = Showing(style="original", draw_threshold=0.0, window=True)
    demonstrate(predictor, make_source(1), tmp_path, LOOKING, showing)
    ((_, poses),) = find_in_frames(predictor, [frame], LOOKING)
    expected = poses.draw(frame.image_rgb, style="original", threshold=0.0)
    np.testing.assert_array_equal(shown[0], expected)
    assert (expected != poses.draw(frame.image_rgb)).any()


def test_a_camera_is_refused_for_a_network_of_2d_poses(predictor, tmp_path):
    looking = Looking(flip_test=False, camera=PictureCamera(1000.0, 4000.0))
    with pytest.raises(ValueError, match="are for networks of 3D poses.*drop them"):
        demonstrate(predictor, make_source(1), tmp_path / "out", looking)
    assert not (tmp_path / "out").exists()


def test_a_drawing_never_takes_the_place_of_its_picture(predictor, tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), make_frames(1)[0].image_rgb)
    before = (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(ValueError, match=r"take the place of a\.jpg; choose another folder"):
        demonstrate(predictor, open_frames(tmp_path), tmp_path, LOOKING)
    assert (tmp_path / "a.jpg").read_bytes() == before


def test_pictures_that_cannot_be_read_at_all_are_an_error(predictor, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="Not one of 1 pictures of .* could be read"):
        demonstrate(predictor, open_frames(tmp_path), tmp_path / "out", LOOKING)
    assert not list((tmp_path / "out").iterdir())


def test_an_opencv_without_windows_says_which_one_has_them(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GUI:                           NONE")
    with pytest.raises(ValueError, match="pip install opencv-python$"):
        open_window()
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GUI:                           QT5")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="needs a screen"):
        open_window()


def test_a_detector_must_find_people_by_itself(predictor):
    with pytest.raises(ValueError, match="must be a bottom-up network.*a simple_baselines"):
        BottomUpBoxes(predictor)


def test_without_a_path_the_weights_that_come_with_poseras_are_used(weights_file, monkeypatch):
    monkeypatch.setattr("poseras.predictor.shipped_weights", lambda: weights_file)
    shipped = load_predictor()
    stored = snapshot.read_snapshot(weights_file).arrays
    for variable in shipped.model.weights:
        assert variable.dtype == "float32"
        np.testing.assert_array_equal(variable, stored[f"weights/{variable.path}"])


@pytest.fixture(scope="module")
def predictor_3d(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "b.safetensors"
    options = {**TINY, "depth": 18, "depth_bins": 16}
    return load_predictor(write_snapshot(path, "integral_3d", **options))


def test_poses_in_space_are_relative_to_the_root_or_in_a_known_camera(predictor_3d):
    image = make_frames(1)[0].image_rgb
    box = np.array([[10, 2, 40, 40.0]])
    relative = predictor_3d.predict(image, box, flip_test=False)
    assert relative.space_origin == "root"
    np.testing.assert_allclose(relative.joints_mm[:, 0], 0, atol=1e-6)
    # The view shows 2000 mm in 39 pixels, because the box around a root has one added.
    across = (relative.keypoints_px - relative.keypoints_px[:, :1]) * 2000 / 39
    np.testing.assert_allclose(relative.joints_mm[..., :2], across, atol=0.5)
    camera = PictureCamera(100.0, 5000.0)
    known = predictor_3d.predict(image, box, flip_test=False, camera=camera)
    assert known.space_origin == "camera"
    assert (np.abs(known.joints_mm[..., 2] - 5000) <= 1000).all()
    assert known.draw(image).shape[1] > image.shape[1]


def test_a_demonstration_in_3d_keeps_the_joints_in_space(predictor_3d, tmp_path, caplog):
    source = make_source(4)
    boxes = {0: two_boxes(list(source)).by_frame[0]}
    demonstrate(predictor_3d, source, tmp_path, Looking(ListedBoxes(boxes), flip_test=False))
    people = json.loads((tmp_path / "poses.json").read_text())["annotations"]
    assert all(np.shape(person["joints_root_mm"]) == (4, 3) for person in people)
    assert "relative to the root, in mm, as if each view were 2000 mm wide" in caplog.text
    sizes = {frame.image_rgb.shape for frame in read_video(tmp_path / "clip.mp4")}
    assert len(sizes) == 1 and sizes.pop()[1] > 100


def test_a_network_that_knows_no_size_says_that_it_takes_a_camera_to_space(
    predictor_3d, tmp_path, caplog
):
    view = replace(predictor_3d.view, rule="person_box", in_space=True)
    by_view = replace(predictor_3d, view=view)
    demonstrate(by_view, make_source(1), tmp_path, LOOKING)
    assert "needs a camera to give poses in space: --focal-length and --root-depth" in caplog.text
    (person,) = json.loads((tmp_path / "poses.json").read_text())["annotations"]
    assert not {"joints_root_mm", "joints_camera_mm"} & person.keys()
    camera = PictureCamera(1000.0, 4000.0)
    demonstrate(by_view, make_source(1), tmp_path, replace(LOOKING, camera=camera))
    (person,) = json.loads((tmp_path / "poses.json").read_text())["annotations"]
    depths = np.array(person["joints_camera_mm"])[:, 2]
    assert (np.abs(depths - 4000) <= 1000).all(), "the root is where it was said to be"
