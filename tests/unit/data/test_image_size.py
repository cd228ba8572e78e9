import cv2
import numpy as np
import pytest

from poseras.data.image_size import read_size_hw


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp"])
def test_the_size_is_height_then_width(tmp_path, ending):
    path = tmp_path / f"picture{ending}"
    cv2.imwrite(str(path), np.zeros((37, 91, 3), np.uint8))
    assert read_size_hw(path) == (37, 91)


def test_a_picture_cut_behind_its_head_still_tells_its_size(tmp_path):
    path = tmp_path / "picture.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[:5000])
    assert read_size_hw(path) == (200, 300)


def test_a_preview_before_the_frame_is_passed_over(tmp_path):
    path, preview = tmp_path / "picture.jpg", b"\xff\xe1\xff\xff" + bytes(65533)
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[:2] + preview + data[2:])
    assert read_size_hw(path) == (20, 30)


def test_the_stored_size_counts_and_not_the_orientation(tmp_path):
    path = tmp_path / "picture.jpg"
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    data = path.read_bytes()
    # An EXIF block with the one entry orientation (0x0112) = 6, turned by 90 degrees.
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    assert cv2.imread(str(path)).shape[:2] == (30, 20), "the block is not read as an orientation"
    assert read_size_hw(path) == (20, 30)


def test_a_missing_picture_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No picture at .*a\.jpg"):
        read_size_hw(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"", b"no picture at all"])
def test_a_file_that_is_no_picture_is_an_error(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg must be a picture"):
        read_size_hw(path)
