"""Scores and learning rates against the original."""

import json

import numpy as np
import pytest

from poseras.engine.schedule import Schedule
from poseras.metrics.coco import score
from poseras.metrics.crowdpose import evaluate_crowdpose

#: Epochs over which the learning rate rises.
WARMUP = 15
#: The two schedules of the original as (from epoch, share); a power of 0.2 from epoch 110 on.
SHARES = {
    "main": [(65, 0.2), (70, 0.04), (75, 0.008), (78, 1.0), (92, 0.1), (105, 0.01)]
    + [(epoch, 0.2 ** ((epoch - 60) // 5)) for epoch in range(110, 400, 5)],
    "develop": [(150, 0.1), (200, 1.0), (260, 0.01), (320, 1.0)],
}


@pytest.mark.golden("simplepose_v2/lr_schedule.json", keys=r"(?P<tag>.+_(no)?warm)")
def test_learning_rates_are_the_originals(golden, tag):
    case = golden.load("simplepose_v2/lr_schedule.json")
    branch, _, warm = tag.rpartition("_")
    epochs, shares = zip(*SHARES[branch], strict=True)
    rate, steps = read_recipe(case)
    schedule = Schedule(
        steps_per_epoch=steps,
        end_epoch=max(case["epochs"]) + 1,
        learning_rate=rate,
        decay_epochs=epochs,
        decay_factors=shares,
        warmup_steps=WARMUP * steps if warm == "warm" else 0,
    )
    for epoch, (first, last) in zip(case["epochs"], case[tag], strict=True):
        assert schedule.rate_at(steps * epoch) == pytest.approx(first, rel=1e-9)
        assert schedule.rate_at(steps * epoch + steps - 1) == pytest.approx(last, rel=1e-9)


def read_recipe(case):
    """The rate of all processes before it decays, and the steps of an epoch, of a case.

    It tells them by its rates alone: the highest one without warm-up, and, in warm-up, by how much
    more than a whole number of epochs the first step of an epoch has.
    """
    rate = max(max(rows) for tag in case if tag.endswith("_nowarm") for rows in case[tag])
    epoch = min(case["epochs"])
    assert epoch < WARMUP, "no epoch of the case lies in the warm-up"
    warm = next(case[tag] for tag in case if tag.endswith("_warm"))
    first = warm[case["epochs"].index(epoch)][0]
    return rate, round(1 / (WARMUP * first / rate - epoch))


def find_parts(case):
    """Ground truth, detections and sigmas of a case, whatever its keys are called."""
    truth = next(v for v in case.values() if isinstance(v, dict) and "annotations" in v)
    found = next(
        v
        for k, v in case.items()
        if isinstance(v, list) and v and isinstance(v[0], dict) and "score" in v[0]
    )
    return json.loads(json.dumps(truth)), json.loads(json.dumps(found))


def test_crowdpose_scores_are_the_originals(golden, original):
    case = golden.load("simplepose_v2/eval_crowdpose.json")
    truth, found = find_parts(case)
    joints = len(found[0]["keypoints"]) // 3
    sigmas = original.make_skeleton(joints, ()).oks_sigmas
    evaluation = evaluate_crowdpose(truth, found, sigmas=sigmas)
    np.testing.assert_allclose(list(evaluation.stats.values()), case["stats"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("evaluator", ["pycocotools", "fast"])
def test_coco_scores_are_the_originals(golden, original, evaluator):
    case = golden.load("simplepose_v2/eval_coco.json")
    truth, found = find_parts(case)
    joints = len(found[0]["keypoints"]) // 3
    sigmas = original.make_skeleton(joints, ()).oks_sigmas
    evaluation = score(truth, found, sigmas=sigmas, evaluator=evaluator)
    np.testing.assert_allclose(list(evaluation.stats.values()), case["stats"], rtol=0, atol=1e-6)
