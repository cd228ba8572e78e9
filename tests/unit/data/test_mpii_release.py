"""MPII's .mat file: what is read, what is converted, and each way it can be wrong."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from poseras.data.mpii_conversion import Settings, convert_release
from poseras.data.mpii_release import read_release


def struct(**fields):
    """A 1x1 MATLAB struct."""
    value = np.empty((1, 1), [(name, object) for name in fields])
    value[0, 0] = tuple(fields.values())
    return value


def row_of(structs):
    """A 1xN struct of several 1x1 ones, whose fields are those of the first."""
    return np.concatenate(structs, axis=1) if structs else np.zeros((0, 0))


def point(joint, x, y, **others):
    return struct(x=float(x), y=float(y), id=float(joint), **others)


def person(points, **others):
    return struct(annopoints=struct(point=row_of(points)), **others)


def entry(name, people):
    return struct(image=struct(name=name), annorect=row_of(people))


def write_release(path: Path, entries, img_train=None, **others) -> Path:
    train = np.array([img_train or [1] * len(entries)], np.uint8)
    savemat(path, {"RELEASE": struct(annolist=row_of(entries), img_train=train), **others})
    return path


SQUARE = [point(9, 11, 21), point(0, 31, 61), point(5, 21, 41)]


def convert(path, split="train", settings=None):
    release = read_release(path, details=True)
    sizes = dict.fromkeys(release.list_pictures(split), (100, 200))
    return convert_release(release, sizes, split, settings)


def test_a_box_is_the_extent_less_one_pixel_times_1_2(tmp_path):
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [person(SQUARE)])])
    (row,) = convert(path).content["annotations"]
    # x 11..31: 19 wide around 21; y 21..61: 39 high around 41.
    np.testing.assert_allclose(row["bbox"], [21 - 11.4, 41 - 23.4, 22.8, 46.8])
    assert row["area"] == pytest.approx(22.8 * 46.8)
    assert row["num_keypoints"] == 3
    assert row["keypoints"][:3] == [31, 61, 1] and row["keypoints"][27:30] == [11, 21, 1]
    assert row["keypoints"][3:15] == [0] * 12


def test_ids_of_pictures_are_their_places_and_people_are_counted_on(tmp_path):
    entries = [
        entry("none.jpg", []),
        entry("test.jpg", [struct(scale=1.0)]),
        entry("two.jpg", [person(SQUARE), person([]), person(SQUARE)]),
        entry("flat.jpg", [person([point(1, 5, 5), point(2, 6, 90)])]),
    ]
    path = write_release(tmp_path / "a.mat", entries, [1, 0, 1, 1])
    train = convert(path)
    assert [image["id"] for image in train.content["images"]] == [2, 3]
    assert train.content["images"][0]["file_name"] == "images/two.jpg"
    assert (train.content["images"][0]["height"], train.content["images"][0]["width"]) == (100, 200)
    assert [(p["id"], p["image_id"]) for p in train.content["annotations"]] == [(0, 2), (1, 2)]
    assert train.summary() == (
        "2 pictures, 2 people; left out: 1 pictures without annorect, 1 people without points, "
        "1 people whose points have no extent"
    )
    test = convert(path, "test")
    assert [image["id"] for image in test.content["images"]] == [1]
    assert test.content["annotations"] == []


@pytest.mark.parametrize(
    ("value", "flag"), [(1.0, 2), (0.0, 1), ("1", 2), ("0", 1), (np.zeros((0, 0)), 2)]
)
def test_visibility_is_kept_where_asked_whatever_its_type(tmp_path, value, flag):
    points = [point(0, 1, 1, is_visible=value), point(1, 9, 9, is_visible=value)]
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [person(points)])])
    (row,) = convert(path, settings=Settings(visibility=True)).content["annotations"]
    assert row["keypoints"][2::3] == [flag, flag] + [0] * 14
    (row,) = convert(path).content["annotations"]
    assert row["keypoints"][2::3] == [1, 1] + [0] * 14


def test_counting_from_0_moves_everything_by_one_pixel_and_says_so(tmp_path):
    whole = person(SQUARE, x1=1.0, y1=2.0, x2=11.0, y2=32.0, scale=2.5, objpos=struct(x=7.0, y=8.0))
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [whole])])
    from_1 = convert(path, settings=Settings(details=True)).content
    from_0 = convert(path, settings=Settings(details=True, zero_based=True)).content
    assert "info" not in from_1 and from_0["info"] == {"first_pixel": 0}
    (one,), (zero,) = from_1["annotations"], from_0["annotations"]
    assert (one["scale"], one["objpos"], one["bbox_head"]) == (2.5, [7, 8], [1, 2, 10, 30])
    assert (zero["scale"], zero["objpos"], zero["bbox_head"]) == (2.5, [6, 7], [0, 1, 10, 30])
    np.testing.assert_allclose(np.subtract(one["bbox"], zero["bbox"]), [1, 1, 0, 0], atol=1e-9)
    assert zero["keypoints"][:3] == [30, 60, 1] and zero["keypoints"][3:6] == [0, 0, 0]


def test_details_that_the_release_lacks_are_left_out(tmp_path):
    partial = person(SQUARE, x1=1.0, y1=2.0, x2=np.zeros((0, 0)), y2=3.0, objpos=np.zeros((0, 0)))
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [partial])])
    (row,) = convert(path, settings=Settings(details=True)).content["annotations"]
    assert not {"scale", "objpos", "bbox_head"} & row.keys()


def test_the_result_is_the_same_twice(tmp_path):
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [person(SQUARE)] * 3)])
    assert convert(path) == convert(path)


def test_a_missing_file_says_where_it_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No MPII release at .*a\.mat.*--mat FILE"):
        read_release(tmp_path / "a.mat")


def test_files_of_other_kinds_and_cut_files_are_refused(tmp_path):
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", [person(SQUARE)] * 9)])
    whole = path.read_bytes()
    refused = 0
    for content in (b"", b"{}", b"text " * 99, *(whole[:size] for size in range(130, 4000, 97))):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.mat must be|a\.mat must have") as caught:
            read_release(path)
        assert "\n" not in str(caught.value)
        refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"joints": np.eye(2)}, "must be MPII's release: .* Received joints;"),
        ({"RELEASE": struct(annolist=1.0)}, "Received annolist;"),
        ({"RELEASE": np.eye(3)}, "Received none;"),
        (
            {"RELEASE": struct(annolist=struct(image=1.0), img_train=1.0)},
            "must have the fields image and annorect. Received no annorect;",
        ),
        (
            {"RELEASE": struct(annolist=entry("a.jpg", []), img_train=np.ones((1, 3)))},
            "one number of img_train for each of the 1 entries .* Received 3;",
        ),
        (
            {"RELEASE": struct(annolist=struct(image=1.0, annorect=1.0), img_train=1.0)},
            r"annolist\(1\) of .* must have image.name",
        ),
        (
            {
                "RELEASE": struct(
                    annolist=struct(image=struct(name="a.jpg"), annorect=3.0), img_train=1.0
                )
            },
            r"annorect of annolist\(1\) .* must be a struct",
        ),
    ],
)
def test_a_mat_file_that_is_not_mpiis_names_what_it_lacks(tmp_path, content, message):
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(ValueError, match=message):
        read_release(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([struct(x=1.0, y=2.0)], "must have id, x and y. Received no id;"),
        ([point(16, 1, 2)], "must have ids 0 to 15"),
        ([point(0.5, 1, 2)], "must have ids 0 to 15"),
        ([point(0, np.nan, 2)], "finite coordinates"),
        ([struct(id=0.0, x=np.zeros((0, 0)), y=1.0)], "finite coordinates"),
    ],
)
def test_bad_points_name_their_picture(tmp_path, points, message):
    path = write_release(tmp_path / "a.mat", [entry("a.jpg", []), entry("b.jpg", [person(points)])])
    with pytest.raises(ValueError, match=message) as caught:
        read_release(path)
    assert "annolist(2)" in str(caught.value)
