"""Our PoseTrack numbers against those that poseval gave for the same files."""

import copy
import math
import re

import pytest

from poseras.metrics.posetrack import evaluate_posetrack
from poseras.metrics.posetrack_columns import read_sequences

FOLDER = "evaluation/posetrack/"
CASES = FOLDER + "expected.json"

# Expected percents are rounded to 6 decimals; the smallest step of a count is far above this.
TOLERANCE = 1e-4

# Name in the golden file: name of ours.
EVENTS = {"MISS": "misses", "FP": "false_alarms", "SWITCH": "switches", "MATCH": "matches"}


def find_folder(golden, name):
    return golden.sample(name) if name.startswith("samples/") else golden.path(FOLDER + name)


def read_results(golden, name, truth):
    """A folder of result files, or the truth itself with the scores that the text names."""
    perfect = re.fullmatch(r"the GT files themselves.* (?P<joints>\d+) x (?P<score>[\d.]+)", name)
    if not perfect:
        return read_sequences(find_folder(golden, name))
    results = copy.deepcopy(truth)
    for file in results.values():
        for row in file["annotations"]:
            row["scores"] = [float(perfect["score"])] * int(perfect["joints"])
    return results


def near(expected):
    """Percent of joints; NaN where nothing counts."""
    return pytest.approx(expected, abs=TOLERANCE, nan_ok=True)


def compare_tables(ours, theirs):
    """Joint groups; ours are the means of the joints that count, where poseval prints NaN."""
    assert list(ours) == list(theirs)
    counted = {name: value for name, value in theirs.items() if not math.isnan(value)}
    assert counted
    assert {name: ours[name] for name in counted} == near(counted)


def evaluate_case(golden, tag):
    assert tag, f"no case in {CASES}"
    case = golden.load(CASES)[tag]
    truth = read_sequences(find_folder(golden, case["gt"]))
    results = read_results(golden, case["preds"], truth)
    return case, evaluate_posetrack(truth, results, tracking="MOTA" in case)


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_average_precision_equals_the_official_one(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    assert evaluation.frames == case["frames_evaluated"]
    compare_tables(evaluation.table, case["AP_table"])
    assert evaluation.ap == near(case["AP"])
    assert evaluation.precision == near(case["precision"])
    assert evaluation.recall == near(case["recall"])


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_tracking_equals_the_official_one(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    if "MOTA" not in case:
        assert evaluation.tracking is None
        return
    tracking = evaluation.tracking
    assert tracking.mota == near(case["MOTA"])
    assert tracking.motp_matched_only == near(case["MOTP_matched_only"])
    assert tracking.precision == near(case["MOT_precision"])
    assert tracking.recall == near(case["MOT_recall"])
    # MOTP of the official table adds the distances of all candidate pairs; ours does not.
    ours = {name: value for name, value in tracking.table.items() if "MOTP" not in name}
    compare_tables(ours, {k: v for k, v in case["MOT_table"].items() if "MOTP" not in k})


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_every_count_of_events_equals_the_official_one(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    if "MOT_counts" not in case:
        pytest.skip(f"{tag} has no tracking")
    counts = evaluation.tracking.counts.to_dict()
    assert counts == {EVENTS[event]: values for event, values in case["MOT_counts"].items()}
