import logging
from fractions import Fraction

import numpy as np
import pytest

from poseras.data import video

av = pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")


def write_clip(path, greys, times_s=None, *, size_hw=(48, 64), rotation_deg=None, codec="libx264"):
    """One plain picture per grey value; key frames every 8 frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "8", "bf": "0", "crf": "10"})
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        if rotation_deg is not None:
            stream.set_display_rotation(rotation_deg)
        for number, grey in enumerate(greys):
            image = np.full((*size_hw, 3), grey, np.uint8)
            image[: size_hw[0] // 2, : size_hw[1] // 2] = (255, 0, 0)  # red above on the left
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            time_s = number / 25 if times_s is None else times_s[number]
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def is_red(image, row, column):
    red, green, blue = image[row, column].astype(int)
    return red > 180 and green < 90 and blue < 90


def test_frames_come_with_the_times_of_a_varying_rate(tmp_path):
    times = [0.0, 0.04, 0.5, 0.52, 3.0]
    path = write_clip(tmp_path / "a.mp4", range(0, 250, 50), times)
    frames = list(video.read_video(path))
    np.testing.assert_allclose([f.time_s for f in frames], times, atol=1e-4)
    # x264 and the two conversions of colour move a plain grey by less than 6 of 255.
    np.testing.assert_allclose(
        [f.image_rgb[-1, -1].mean() for f in frames], range(0, 250, 50), atol=6
    )
    assert all(f.image_rgb.shape == (48, 64, 3) for f in frames)


def test_the_head_tells_rate_and_number_of_frames(tmp_path):
    opened = video.open_video(write_clip(tmp_path / "a.mp4", [0] * 12))
    assert (opened.frame_count, opened.frame_rate) == (12, 25.0)


@pytest.mark.parametrize(
    ("rotation", "shape", "red"),
    [(None, (48, 64), (5, 5)), (-90, (64, 48), (5, 42)), (90, (64, 48), (58, 5))],
)
def test_a_portrait_video_is_turned_upright(tmp_path, rotation, shape, red):
    path = write_clip(tmp_path / "a.mp4", [0, 0], rotation_deg=rotation)
    for frame in video.read_video(path):
        assert frame.image_rgb.shape[:2] == shape
        assert is_red(frame.image_rgb, *red)
        assert not is_red(frame.image_rgb, shape[0] - 1 - red[0], red[1])


def test_half_a_turn_turns_both_axes():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(video.turn_upright(image, 180), image[::-1, ::-1])
    assert video.turn_upright(image, 0.2) is image


def write_pan(path):
    """A camera over coloured blocks, 60 frames, every 20th a key frame, some of them two-sided."""
    blocks = np.random.default_rng(0).integers(0, 256, (30, 60, 3)).astype(np.uint8)
    wide = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "20", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 240, 320, "yuv420p"
        for number in range(60):
            view = np.ascontiguousarray(wide[:, 2 * number : 2 * number + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("key_frame", [False, True])
def test_a_broken_middle_is_left_out_and_told_in_one_line(tmp_path, caplog, key_frame):
    path = tmp_path / "a.mp4"
    write_pan(path)
    whole = [frame.image_rgb for frame in video.read_video(path)]
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        keys = [p for p in packets if p.is_keyframe]
        assert len(keys) == 3
        broken = keys[1] if key_frame else packets[packets.index(keys[1]) + 1]
        place, size = broken.pos, broken.size
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(1).bytes(size - size // 3)
    data[place + size // 3 : place + size] = noise
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger="poseras"):
        frames = list(video.read_video(path))
    numbers = [round(frame.time_s * 25) for frame in frames]
    assert set(range(18)) | set(range(40, 60)) <= set(numbers) and len(numbers) < 60
    for number, frame in zip(numbers, frames, strict=True):
        # Between the broken packet and the next key frame noise may by chance be a valid picture.
        if not 18 <= number < 40:
            np.testing.assert_array_equal(frame.image_rgb, whole[number])
    (message,) = [record.message for record in caplog.records]
    assert "is damaged: " in message and "left out" in message and "s and 1.60 s" in message


def test_a_file_cut_off_ends_with_what_can_be_read(tmp_path, caplog):
    path = write_clip(tmp_path / "a.mkv", range(0, 240, 6))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with caplog.at_level(logging.WARNING, logger="poseras"):
        assert 8 <= len(list(video.read_video(path))) < 40


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(4000)])
def test_what_is_no_video_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mp4 must be a picture or a video\. Received \d+ byt"):
        video.open_video(path)


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(ValueError, match="without a frame that can be decoded|must be a"):
        list(video.read_video(path))


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(ValueError, match="without pictures in it"):
        video.open_video(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no video .*none.mp4"):
        video.open_video(tmp_path / "none.mp4")
