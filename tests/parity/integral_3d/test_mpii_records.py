"""The people of MPII that Moon's loader of mixed data sets takes, and their boxes."""

import numpy as np
import pytest

from poseras.data import augment
from poseras.data.annotation import read_coco
from poseras.data.dataset import load_dataset
from poseras.data.persons import training_persons
from poseras.systems.integral_3d.options import Options, default_view

GIVEN, EXPECTED = "integral_3d/mpii_in.json", "integral_3d/mpii_expected.json"
#: Height and width of the network input in the cases that are told.
SHAPES = {"square": (256, 256), "tall": (256, 192)}


def input_shape(tag, boxes_xywh):
    """Of a case; one that nobody tells has the aspect that its boxes have."""
    height = 256
    width = height * np.median(boxes_xywh[:, 2] / boxes_xywh[:, 3])
    return SHAPES.get(tag, (height, 32 * round(width / 32)))


@pytest.mark.golden(EXPECTED, keys=r"(?P<tag>.+)")
def test_people_and_boxes_are_those_of_the_original(golden, tag, project_root):
    assert tag, "no case found"
    expected = golden.load(EXPECTED)[tag]
    assert expected, f"case {tag} has no people"
    dataset = load_dataset(project_root, "MPII")
    # An annotation without its picture is left out, as in the original.
    table = read_coco(
        golden.path(GIVEN),
        dataset.splits["train"].images,
        dataset.skeleton,
        keypoint_sets=(dataset.skeleton,),
        on_bad_sample="skip",
    )
    people = training_persons(table, skip_unlabelled=dataset.skip_unlabelled)
    names = [people.images.paths[i].rpartition("/")[2] for i in people.image_index]
    assert names == [person["img_path"].rpartition("/")[2] for person in expected]
    theirs = np.array([person["bbox"] for person in expected])
    view = default_view(Options(input_shape=input_shape(tag, theirs)))
    boxes = augment.place_people(people.boxes_xywh, view).boxes_xywh
    # Boxes are float32 here: a hundred-thousandth of a pixel at some hundred.
    np.testing.assert_allclose(boxes, theirs, rtol=0, atol=2e-4)
    joints = np.array([person["joint_img"] for person in expected])
    visible = np.array([person["joint_vis"] for person in expected])
    np.testing.assert_allclose(people.keypoints[..., :2], joints[..., :2], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(people.keypoints[..., 2] > 0, visible > 0)
