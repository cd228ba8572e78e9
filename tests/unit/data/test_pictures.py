import json

import pytest

from poseras.data.pictures import list_pictures, name_pictures, read_boxes


@pytest.fixture
def folder(tmp_path):
    for name in ("000000000785.jpg", "b.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write_boxes(folder, boxes):
    path = folder / "boxes.json"
    path.write_text(json.dumps(boxes))
    return path


def test_a_folder_gives_its_pictures_by_name(folder):
    assert [p.name for p in list_pictures(folder)] == ["000000000785.jpg", "b.PNG"]


def test_a_picture_gives_itself(folder):
    assert list_pictures(folder / "b.PNG") == [folder / "b.PNG"]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must hold pictures .*Received none"):
        list_pictures(tmp_path)


def test_nothing_at_a_path_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing at .*nowhere"):
        list_pictures(tmp_path / "nowhere")


def test_boxes_find_their_picture_by_name_or_by_number(folder):
    path = write_boxes(
        folder,
        [
            {"file_name": "b.PNG", "bbox": [1, 2, 3, 4], "score": 0.5},
            {"image_id": 785, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 0.25},
            {"image_id": 785, "category_id": 2, "bbox": [5, 6, 7, 8], "score": 0.9},
            {"image_id": 785, "category_id": 1, "bbox": [5, 6, 0, 8], "score": 0.9},
            {"image_id": 99, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 0.9},
        ],
    )
    number, name = read_boxes(path, list_pictures(folder))
    assert number.boxes_xywh.tolist() == [[5, 6, 7, 8]] and number.scores.tolist() == [0.25]
    assert name.boxes_xywh.tolist() == [[1, 2, 3, 4]] and name.scores.tolist() == [0.5]


def test_pictures_of_one_name_in_two_folders_are_told_apart_by_their_folders(tmp_path):
    pictures = [tmp_path / "left" / "7.jpg", tmp_path / "right" / "7.jpg"]
    assert name_pictures(pictures) == ["left/7.jpg", "right/7.jpg"]
    assert name_pictures(pictures[:1]) == ["7.jpg"]
    bare = [{"file_name": "7.jpg", "bbox": [9, 9, 9, 9]}, {"image_id": 7, "bbox": [8, 8, 8, 8]}]
    named = {"file_name": "left/7.jpg", "bbox": [1, 2, 3, 4]}
    first, second = read_boxes(write_boxes(tmp_path, [*bare, named]), pictures)
    assert first.boxes_xywh.tolist() == [[1, 2, 3, 4]] and not len(second.boxes_xywh)
    with pytest.raises(ValueError, match="0 of 2 boxes"):
        read_boxes(write_boxes(tmp_path, bare), pictures)


def test_a_picture_without_a_box_has_no_row(folder):
    path = write_boxes(folder, [{"file_name": "b.PNG", "bbox": [1, 2, 3, 4]}])
    assert read_boxes(path, list_pictures(folder))[0].boxes_xywh.shape == (0, 4)


def test_boxes_on_other_pictures_alone_are_an_error_with_the_count(folder):
    path = write_boxes(folder, [{"image_id": 3, "bbox": [1, 2, 3, 4]}] * 2)
    with pytest.raises(ValueError, match="0 of 2 boxes .* on the 2 pictures"):
        read_boxes(path, list_pictures(folder))


@pytest.mark.parametrize("boxes", [{"a": 1}, [{"image_id": 1}], [{"image_id": 1, "bbox": [1]}]])
def test_another_format_is_an_error(folder, boxes):
    with pytest.raises(ValueError, match="COCO result format"):
        read_boxes(write_boxes(folder, boxes), list_pictures(folder))


def test_a_missing_file_of_boxes_says_what_happens_without(folder):
    with pytest.raises(FileNotFoundError, match="each whole picture is one box"):
        read_boxes(folder / "none.json", list_pictures(folder))
