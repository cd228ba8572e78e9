"""Scores and learning rates against the original."""

import numpy as np
import pytest

from poseras.engine.schedule import Schedule
from poseras.metrics.coco import score
from poseras.metrics.columns import Detections
from poseras.metrics.crowdpose import RULES, evaluate_crowdpose, read_crowdpose
from poseras.metrics.matching import list_pairs, measure_oks, rank_detections

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
    rate, steps = read_recipe(case, branch)
    epochs, shares = zip(*(SHARES.get(branch) or read_shares(case, branch, rate)), strict=True)
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


def read_recipe(case, branch):
    """The rate of all processes before it decays, and the steps of an epoch, of a branch.

    A case tells them by its rates alone: the highest one without warm-up, and, in warm-up, by how
    much more than a whole number of epochs the first step of an epoch has.
    """
    plain, warm = case.get(f"{branch}_nowarm"), case.get(f"{branch}_warm")
    if plain is None:
        pytest.skip(f"the case has no rates {branch}_nowarm, which tell how its warm-up ends")
    rate = max(max(rows) for rows in plain)
    if warm is None:  # no step counts
        return rate, 1
    epoch = min(case["epochs"])
    assert epoch < WARMUP, "no epoch of the case lies in the warm-up"
    first, share = warm[case["epochs"].index(epoch)][0], plain[case["epochs"].index(epoch)][0]
    return rate, round(1 / (WARMUP * first / share - epoch))


def read_shares(case, branch, rate):
    """The schedule of a branch that is not known here, as the listed epochs show it."""
    rates = [rows[0] for rows in case[f"{branch}_nowarm"]]
    return [(epoch, one / rate) for epoch, one in zip(case["epochs"], rates, strict=True)]


def read_detections(case, original):
    """The detections of a case and the sigmas of its joints."""
    people = [*case["detections"], *case["ground_truth"]["annotations"]]
    joints = len(people[0]["keypoints"]) // 3
    return case["detections"], np.asarray(original.make_skeleton(joints, ()).oks_sigmas)


def test_crowdpose_scores_are_the_originals(golden, original):
    case = golden.load("simplepose_v2/eval_crowdpose.json")
    found, sigmas = read_detections(case, original)
    if not found:  # the original ends with an error, too
        with pytest.raises(ValueError, match="must not be empty"):
            evaluate_crowdpose(case["ground_truth"], found, sigmas=sigmas)
        return
    evaluation = evaluate_crowdpose(case["ground_truth"], found, sigmas=sigmas)
    np.testing.assert_allclose(list(evaluation.stats.values()), case["stats"], rtol=0, atol=1e-6)
    for name, values in (
        ("ap_per_threshold", evaluation.overall.precision),
        ("recall_per_threshold", evaluation.overall.recall),
    ):
        # Both begin with the threshold; precision has an axis of recall after it.
        ours = values.reshape(len(RULES.thresholds), -1).mean(axis=1)
        np.testing.assert_allclose(ours, case[name], rtol=0, atol=1e-6)
    assert list(evaluation.images_per_level.values()) == case["split_sizes"]


def test_similarities_of_crowdposes_people_are_the_originals(golden, original):
    case = golden.load("simplepose_v2/eval_crowdpose.json")
    rows, sigmas = read_detections(case, original)
    rows = [row for row in rows if any(row["keypoints"][2::3])]  # theirs leave out the others
    truth, found = read_crowdpose(case["ground_truth"]), Detections.from_coco(rows)
    ranking = rank_detections(truth, found, RULES.max_detections[-1])
    pairs = list_pairs(truth, ranking)
    similarities = measure_oks(truth, found, ranking, pairs, sigmas)
    assert case["oks_first_images"]
    for name, expected in case["oks_first_images"].items():
        image, category = map(int, name.split(","))
        chosen = (truth.image_ids[pairs.rows] == image) & (
            truth.category_ids[pairs.rows] == category
        )
        # Predictions by falling score, annotated rows in file order.
        order = np.lexsort((pairs.rows[chosen], ranking.places[pairs.ranked[chosen]]))
        # Theirs have eight decimals.
        np.testing.assert_allclose(
            similarities[chosen][order], np.ravel(expected), rtol=0, atol=6e-9, err_msg=name
        )


@pytest.mark.parametrize("evaluator", ["pycocotools", "fast"])
def test_coco_scores_are_the_originals(golden, original, evaluator):
    case = golden.load("simplepose_v2/eval_coco.json")
    found, sigmas = read_detections(case, original)
    if not found:  # pycocotools ends with an error, too
        with pytest.raises(ValueError, match="must not be empty"):
            score(case["ground_truth"], found, sigmas=sigmas, evaluator=evaluator)
        return
    evaluation = score(case["ground_truth"], found, sigmas=sigmas, evaluator=evaluator)
    np.testing.assert_allclose(list(evaluation.stats.values()), case["stats"], rtol=0, atol=1e-6)
