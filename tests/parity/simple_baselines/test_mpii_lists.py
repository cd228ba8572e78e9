"""MPII's lists of single people, against Microsoft's loader and its PCKh."""

import json

import numpy as np
import pytest
from scipy.io import loadmat

from poseras.data.annotation import read_coco
from poseras.data.dataset import load_dataset
from poseras.data.image_size import measure_pictures
from poseras.data.mpii_annotations import read_head_sizes
from poseras.data.mpii_lists import convert_people, read_head_boxes, read_people
from poseras.engine.mpii_results import score_people
from poseras.structures import People

CASES = "simple_baselines/ms_pipeline.json"
SCORES = "evaluation/mpii/expected.json"
#: Microsoft's crop is 200 px for a scale of 1; its loader multiplies scales by our view's margin.
PIXELS_OF_SCALE, MARGIN = 200, 1.25


@pytest.mark.golden(CASES, keys=r"(?P<tag>.*mpii_db)")
def test_people_are_those_of_the_loader(golden, tag, tmp_path):
    assert tag, f"{CASES} holds no list of people"
    case = golden.load(CASES)[tag]
    path = tmp_path / "people.json"
    path.write_text(json.dumps(case["annotations"]))
    people = read_people(path)
    sizes = {person["image"]: (1, 1) for person in people}
    content = convert_people(people, sizes).content
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert len(content["annotations"]) == len(case["records"])
    for row, record in zip(content["annotations"], case["records"], strict=True):
        assert names[row["image_id"]] == record["image"]
        x, y, width, height = row["bbox"]
        if record["scale"][0] > 0:
            # 1e-9: the golden README's tolerance for floats; both are double precision.
            centre, side = np.array(record["center"]), np.array(record["scale"]) * PIXELS_OF_SCALE
            np.testing.assert_allclose([x + width / 2, y + height / 2], centre, rtol=0, atol=1e-9)
            np.testing.assert_allclose(np.array([width, height]) * MARGIN, side, rtol=1e-9)
        else:
            assert [x, y, width, height] == [0, 0, 0, 0]
        keypoints = np.reshape(row["keypoints"], (-1, 3))
        visible = np.array(record["joints_3d_vis"])[:, 0]
        np.testing.assert_array_equal(keypoints[:, 2], visible)
        points = np.array(record["joints_3d"])[:, :2] * visible[:, None]
        np.testing.assert_allclose(keypoints[:, :2], points, rtol=0, atol=1e-9)


def load_predictions(golden, case, annot):
    """(people, joints, 2); a case without a file of its own takes the truth, counted from 0."""
    file, _, key = case["preds"].partition(":")
    if file.endswith(".npz"):
        return golden.load(f"evaluation/mpii/{file}")[key]
    return loadmat(annot / "gt_valid.mat")["pos_gt_src"].transpose(2, 0, 1) - 1


@pytest.mark.golden(SCORES, keys=r"(?P<tag>.+)")
def test_predictions_for_the_converted_list_have_the_official_pckh(
    golden, tag, project_root, tmp_path
):
    assert tag, f"{SCORES} holds no case"
    case = golden.load(SCORES)[tag]
    if not case["gt"].startswith("samples/"):
        pytest.skip(f"{tag} has no list of people and no pictures")
    annot = golden.sample(case["gt"]).parent
    images = annot.parent / "images"
    people = read_people(annot / "valid.json")
    sizes = measure_pictures({p["image"]: images / p["image"] for p in people}, annot)
    heads = read_head_boxes(annot / "gt_valid.mat", len(people))
    path = tmp_path / "val.json"
    path.write_text(json.dumps(convert_people(people, sizes, heads).content))
    dataset = load_dataset(project_root, "MPII")
    table = read_coco(path, images, dataset.skeleton, aliases=dataset.aliases)
    predictions = load_predictions(golden, case, annot)
    found = People(
        predictions,
        keypoint_scores=np.ones(predictions.shape[:2]),
        person_scores=np.ones(len(predictions)),
        annotation_ids=np.arange(len(predictions)),
    )
    read = read_head_sizes(path, dataset.aliases)
    head_sizes = dict(zip(read.ids.tolist(), read.sizes_px.tolist(), strict=True))
    stats = score_people({0: found}, table, head_sizes).stats
    # 1e-4: the golden README's tolerance, in percent.
    for name, value in case["summary"].items():
        assert stats[name] == pytest.approx(value, abs=1e-4), name
