import base64
import struct

import cv2
import numpy as np
import pytest

from poseras.data import images, warp
from poseras.structures import View

# An 8x8 CMYK picture with cyan 0, magenta 100 %, yellow 100 %, black 0, which is red.
CMYK_RED = base64.b85decode(
    "|JeWT01iQ9Z(?NtWB>pF0095n07C!+0s;d90s{jB0|WyD1O*5M1q1{I3I_)U2n-4g3=0Yi3k?nu5Dg9y4hstq77!5="
    "6crT}3=bC=78Do~6crTzzyK5o00;mG1Va%3O%VWD5dcdO0RO}Q6aWDL000000000000000000U9!~hf!0RR910000000"
    "000000000RP$m4g^C0O#oQ{O8@{r093_Lsw!{)*#"
)


def make_picture(height=61, width=83, channels=3, dtype=np.uint8):
    """Colourful and smooth, so that JPEG keeps it and every pixel differs from its neighbours."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 3 + y, y * 3 + 40, 255 - x * 2 - y][:channels]
    return np.stack(planes, axis=-1).clip(0, 255).astype(dtype)


def encode(extension, rgb, *parameters):
    ok, data = cv2.imencode(extension, rgb[..., ::-1], parameters)
    assert ok
    return data.tobytes()


def with_orientation(jpeg, orientation):
    """The same JPEG with an EXIF segment that says how to turn it."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def test_a_png_comes_back_as_rgb(tmp_path):
    picture = make_picture()
    (tmp_path / "a.png").write_bytes(encode(".png", picture))
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), picture)


def test_a_grey_png_gets_three_equal_channels():
    grey = make_picture(channels=1)[..., 0]
    image = images.decode_image(cv2.imencode(".png", grey)[1].tobytes())
    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


def test_sixteen_bits_become_their_upper_eight():
    deep = make_picture().astype(np.uint16) * 256 + 17
    image = images.decode_image(cv2.imencode(".png", deep[..., ::-1])[1].tobytes())
    np.testing.assert_array_equal(image, make_picture())


def test_alpha_is_dropped():
    picture = make_picture()
    bgra = np.dstack([picture[..., ::-1], np.full(picture.shape[:2], 9, np.uint8)])
    image = images.decode_image(cv2.imencode(".png", bgra)[1].tobytes())
    np.testing.assert_array_equal(image, picture)


def test_cmyk_becomes_rgb():
    image = images.decode_image(CMYK_RED)
    assert image.shape == (8, 8, 3)
    # JPEG's rounding: two grey levels.
    assert np.abs(image.astype(int) - [255, 0, 0]).max() <= 2


def test_orientation_is_ignored_for_data_sets_and_honoured_on_request():
    turned = with_orientation(encode(".jpg", make_picture(40, 70)), 6)
    stored = images.decode_image(turned)
    assert stored.shape == (40, 70, 3)
    upright = images.decode_image(turned, honour_orientation=True)
    # Orientation 6 means: turn by 90 degrees clockwise to look at it.
    np.testing.assert_array_equal(upright, np.rot90(stored, -1))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No picture at .*gone\.jpg"):
        images.read_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\xff\xd8\xff\xe0", b"\0" * 500])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg must be"):
        images.read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_jpeg_that_was_cut_off_is_named(tmp_path, share, progressive):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = encode(".jpg", noise, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    (tmp_path / "cut.jpg").write_bytes(data[: int(len(data) * share)])
    for read in (images.read_image, lambda path: warp.open_picture(str(path))):
        with pytest.raises(ValueError, match=r"cut\.jpg must be a complete picture.*cut off"):
            read(tmp_path / "cut.jpg")


def test_a_preview_in_the_head_does_not_pass_for_the_end_of_a_cut_jpeg():
    preview = encode(".jpg", make_picture(16, 16))
    data = encode(".jpg", make_picture())
    segment = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
    whole = data[:2] + segment + data[2:]
    assert images.decode_image(whole).shape == (61, 83, 3)
    with pytest.raises(ValueError, match="cut off"):
        images.decode_image(whole[:-40])


def test_zeros_in_place_of_the_end_are_noticed():
    data = encode(".jpg", make_picture())
    with pytest.raises(ValueError, match="cut off"):
        images.decode_image(data[:-300] + b"\0" * 300)


def test_bytes_that_a_camera_appended_are_allowed():
    data = encode(".jpg", make_picture())
    np.testing.assert_array_equal(
        images.decode_image(data + b"\0" * 9 + b"SEFT"), images.decode_image(data)
    )


def test_a_png_that_was_cut_off_is_named():
    data = encode(".png", make_picture())
    with pytest.raises(ValueError, match="cut off"):
        images.decode_image(data[:-5])


def test_the_head_of_a_jpeg_gives_its_size():
    frame = images.find_jpeg_frame(encode(".jpg", make_picture(61, 83)))
    assert frame.size_hw == (61, 83)
    assert frame.decodes_windows
    assert not images.find_jpeg_frame(CMYK_RED).decodes_windows
    assert images.find_jpeg_frame(encode(".png", make_picture())) is None


SAMPLINGS = {
    name: getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}")
    for name in ("411", "420", "422", "440", "444")
}


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 2])
def test_a_decoded_window_has_the_pixels_of_the_whole_picture(
    tmp_path, sampling, progressive, restart
):
    generator = np.random.default_rng(3)
    noise = cv2.resize(generator.integers(0, 256, (30, 41, 3), np.uint8), (161, 117))
    path = str(tmp_path / "a.jpg")
    flags = (
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart),
    )
    (tmp_path / "a.jpg").write_bytes(encode(".jpg", noise, *flags))
    whole, picture = images.read_image(path), warp.open_picture(path)
    assert picture.pixels is None  # windows are really decoded alone
    for _ in range(40):
        left, right = np.sort(generator.choice(162, 2, replace=False))
        top, bottom = np.sort(generator.choice(118, 2, replace=False))
        window = warp.decode_window(picture, (left, top, right, bottom))
        np.testing.assert_array_equal(window, whole[top:bottom, left:right])


def test_a_grey_jpeg_is_decoded_in_windows_too(tmp_path):
    grey = make_picture(channels=1)[..., 0]
    (tmp_path / "a.jpg").write_bytes(cv2.imencode(".jpg", grey)[1].tobytes())
    picture = warp.open_picture(str(tmp_path / "a.jpg"))
    whole = images.read_image(tmp_path / "a.jpg")
    assert picture.pixels is None
    np.testing.assert_array_equal(warp.decode_window(picture, (5, 7, 30, 40)), whole[7:40, 5:30])


def test_damaged_jpeg_data_are_named(tmp_path):
    data = encode(".jpg", make_picture())
    tables = data.find(b"\xff\xdb")
    (tmp_path / "bad.jpg").write_bytes(data[:tables] + data[data.find(b"\xff\xc0") :])
    picture = warp.open_picture(str(tmp_path / "bad.jpg"))
    with pytest.raises(ValueError, match=r"bad\.jpg must hold JPEG data that can be decoded"):
        warp.decode_window(picture, (0, 0, 20, 20))


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_a_view_of_the_window_equals_a_view_of_the_whole_picture(interpolation):
    generator = np.random.default_rng(5)
    whole = generator.integers(0, 256, (97, 121, 3), np.uint8)
    view = View("person_box", size_hw=(64, 48), interpolation=interpolation, border_rgb=(9, 80, 7))
    for _ in range(50):
        angle, factor = generator.uniform(-3, 3), generator.uniform(0.3, 3)
        turn = factor * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turn[:, 0] *= generator.choice([-1, 1])
        centre = generator.uniform(-20, 130, 2)
        matrix = np.hstack([turn, ([24, 32] - turn @ centre)[:, None]])
        (window,) = warp.find_windows(matrix[None], view, np.array([[97, 121]]))
        left, top, right, bottom = window
        part = warp.warp_view(whole[top:bottom, left:right], (left, top), matrix, view)
        full = warp.warp_view(whole, (0, 0), matrix, view)
        # Sampling points are rounded at another place of the number line: one grey level.
        assert np.abs(part.astype(int) - full).max() <= 1


def test_a_view_beside_its_picture_is_border():
    view = View("person_box", size_hw=(8, 6), border_rgb=(1, 2, 3))
    matrix = np.array([[1.0, 0, -500], [0, 1, 0]])
    ((left, top, right, bottom),) = warp.find_windows(matrix[None], view, np.array([[50, 60]]))
    assert left == right or top == bottom
    empty = np.zeros((bottom - top, right - left, 3), np.uint8)
    image = warp.warp_view(empty, (left, top), matrix, view)
    np.testing.assert_array_equal(image, np.broadcast_to([1, 2, 3], (8, 6, 3)))
