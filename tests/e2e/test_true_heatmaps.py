"""The test path without a network: the true heatmaps of real people go in, their joints come out.

AP alone would not show a bias of half a cell (it stays at 0.86), so the joints are compared.
"""

import numpy as np
import pytest

from poseras import evaluation
from poseras.ceiling import predict_true_targets
from poseras.data.evaluation_set import find_evaluation_files, load_evaluation_set
from poseras.engine import tester
from poseras.geometry import expand_box, transform_points, view_matrix
from poseras.systems import options_module, system_class

CELL_PX = 4


def load_people(project_root, samples, split):
    """The annotated people of a sample split, whether or not it is linked into this checkout."""
    folder = (samples / "COCO").resolve()
    files = find_evaluation_files(
        project_root,
        "COCO",
        split,
        annotations=str(folder / f"annotations/person_keypoints_{split}2017.json"),
        images=str(folder / f"images/{split}2017"),
        use_gt_box=True,
    )
    return load_evaluation_set(files, files.dataset.skeleton)


@pytest.mark.parametrize("decoder", ["quarter", "dark", "none"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_every_labelled_joint_comes_back_without_bias(project_root, samples, split, decoder):
    module = options_module("simple_baselines")
    options = module.Options(decoder=decoder)
    view = module.default_view(options)
    people = load_people(project_root, samples, split)
    skeleton = people.files.dataset.skeleton
    system = system_class("simple_baselines")(options, skeleton, {})
    predict = predict_true_targets(system, view)

    records = people.records
    found = predict(records)
    assert found.found.all()
    height, width = view.size_hw
    matrices = view_matrix(
        expand_box(records.boxes_xywh, width / height, view.margin), view.size_hw
    )
    truth = transform_points(records.keypoints[..., :2].astype(float), matrices)
    inside = (
        (records.keypoints[..., 2] > 0)
        & (truth >= 0).all(axis=-1)
        & (truth < (width, height)).all(axis=-1)
    )
    error = (transform_points(found.keypoints_px, matrices) - truth)[inside] / CELL_PX
    assert len(error) > 400
    # Targets stand on whole cells, so up to half a cell is lost; 0.01 for float32 coordinates. At
    # x beyond the last cell centre the target's peak lies outside the map, and the last cell wins.
    edge = truth[inside] / CELL_PX > np.array([width, height]) / CELL_PX - 0.5
    assert (np.abs(error)[~edge] <= 0.51).all()
    assert (np.abs(error)[edge] <= 1.01).all()
    assert (np.abs(error.mean(axis=0)) < 0.05).all()

    selection = tester.Selection(
        aspect_ratio=width / height,
        margin=view.margin,
        oks_sigmas=skeleton.oks_sigmas,
    )
    outcome = evaluation.evaluate(predict, people, skeleton, selection=selection, evaluator="both")
    ap = outcome.evaluation.stats["AP"]
    print(
        f"{split} {decoder}: AP {ap:.3f}, {len(error)} joints, bias {error.mean(axis=0).round(4)}"
    )
    assert ap > 0.9
