"""pose-tensorflow's PCK: numbers of each joint, and the printed table."""

import numpy as np

from poseras.metrics.pck import evaluate_pck

CASE = "deepercut_arttrack/eval_pck.json"
#: Rows of the table of MPII's fourteen joints.
GROUPS = {
    "ankle": (0, 5),
    "knee": (1, 4),
    "hip": (2, 3),
    "wrist": (6, 11),
    "elbow": (7, 10),
    "shoulder": (8, 9),
    "chin": (12,),
    "forehead": (13,),
}


def test_scores_and_table_equal_the_original(golden):
    case = golden.load(CASE)
    predicted = np.array(case["predictions"])
    truth = np.zeros((*predicted.shape[:2], 3))
    for person, joints in enumerate(case["gt_joints"]):
        for joint, x, y in joints:
            truth[person, joint] = x, y, 1
    assert case["results"]
    for threshold, wanted in case["results"].items():
        evaluation = evaluate_pck(truth, predicted, float(threshold))
        # Shares of small counts, in float64.
        np.testing.assert_allclose(evaluation.percent, wanted["pck"], rtol=0, atol=1e-9)
        assert evaluation.table(GROUPS) == wanted["printed"]
