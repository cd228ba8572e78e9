import numpy as np
import pytest

from poseras.data.video import read_video
from poseras.engine.video_writer import open_video_writer

pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")


def plain(grey, height=48, width=64):
    return np.full((height, width, 3), grey, np.uint8)


def test_frames_keep_the_times_they_were_given(tmp_path):
    times = [0.0, 0.1, 0.15, 0.5, 2.0]
    with open_video_writer(tmp_path / "a.mp4", 25) as writer:
        for number, time_s in enumerate(times):
            writer.write(plain(40 * number), time_s)
    frames = list(read_video(tmp_path / "a.mp4"))
    np.testing.assert_allclose([f.time_s for f in frames], times, atol=1e-4)
    greys = [f.image_rgb.mean() for f in frames]
    np.testing.assert_allclose(greys, [0, 40, 80, 120, 160], atol=6)  # lossy


def test_without_times_frames_come_at_the_rate(tmp_path):
    with open_video_writer(tmp_path / "a.mp4", 10) as writer:
        for _ in range(4):
            writer.write(plain(0))
    times = [f.time_s for f in read_video(tmp_path / "a.mp4")]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3], atol=1e-4)


def test_times_that_stand_still_or_go_back_are_moved_on(tmp_path):
    with open_video_writer(tmp_path / "a.mp4", 25) as writer:
        for grey, time_s in ((0, 0.0), (80, 0.4), (160, 0.2), (240, 0.4)):
            writer.write(plain(grey), time_s)
    frames = list(read_video(tmp_path / "a.mp4"))
    np.testing.assert_allclose([f.time_s for f in frames], [0, 0.4, 0.4, 0.4], atol=1e-3)
    greys = [f.image_rgb.mean() for f in frames]
    np.testing.assert_allclose(greys, [0, 80, 160, 240], atol=6)  # their order stays


def test_odd_sizes_gain_one_row_and_column(tmp_path):
    with open_video_writer(tmp_path / "a.mp4", 25) as writer:
        writer.write(plain(200, 33, 47))
        writer.write(plain(200, 66, 94))  # a change of size within a video
    first, second = read_video(tmp_path / "a.mp4")
    assert first.image_rgb.shape == second.image_rgb.shape == (34, 48, 3)
    assert first.image_rgb.min() > 190, "the added edge is black"


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), open_video_writer(tmp_path / "a.mp4", 25) as writer:
        writer.write(plain(0))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_other_arrays_are_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"must be uint8 .* Received float64 of \(4, 4\)"),
        open_video_writer(tmp_path / "a.mp4", 25) as writer,
    ):
        writer.write(np.zeros((4, 4)))
