"""pose-tensorflow's poses by true masks, which its COCO evaluation scores."""

import numpy as np

from poseras.systems.deepercut_arttrack.oracle import read_poses_in_masks

CASE = "deepercut_arttrack/gt_segm_pose.npz"


def test_poses_in_masks_equal_the_original(golden):
    case = golden.load(CASE)
    ours = read_poses_in_masks(
        case["in_scmap"], case["in_locref"], case["in_segm"], int(case["stride"])
    )
    wanted = case["out_keypoints"].reshape(ours.shape)
    np.testing.assert_array_equal(ours[..., :2], wanted[..., :2])
    # Float32 scores, which the original hands through float64.
    np.testing.assert_allclose(ours[..., 2], wanted[..., 2], rtol=0, atol=1e-6)
