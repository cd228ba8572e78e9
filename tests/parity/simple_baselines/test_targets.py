"""Targets and loss against TF-SimpleHumanPose's graph."""

import numpy as np
import pytest

from poseras import losses
from poseras.codecs.heatmap import encode_heatmaps

FILE = "simple_baselines/targets.npz"


@pytest.mark.golden(FILE, keys=r"(?P<tag>.+)_params")
def test_targets_equal_the_rendered_gaussians(golden, tag):
    assert tag, f"{FILE} holds no targets"
    cases = golden.load(FILE)
    *sizes, sigma = cases[f"{tag}_params"].tolist()
    height, width, map_height, map_width = map(int, sizes)  # floats, where sigma is a fraction
    maps, weights = encode_heatmaps(
        cases[f"{tag}_coord"],
        input_hw=(height, width),
        heatmap_hw=(map_height, map_width),
        sigma=sigma,
    )
    # Two float32 exponentials multiplied instead of one: 2e-7 of the peak 255 are 5e-5.
    np.testing.assert_allclose(np.array(maps), cases[f"{tag}_heatmap"], rtol=0, atol=1e-3)
    assert (np.array(weights) == 1).all()


@pytest.mark.golden(FILE, keys=r"(?P<tag>.*loss)_output")
def test_the_loss_equals_the_training_expression(golden, tag):
    assert tag, f"{FILE} holds no loss"
    cases = golden.load(FILE)
    outputs = cases[f"{tag}_output"]
    # The file does not say whose targets these outputs belong to. Their shape does, and where it
    # is that of several cases, the losses do.
    found = [
        [
            float(losses.masked_mean_squared_error(targets, outputs, valid.astype(np.float32)))
            for valid in cases[f"{tag}_valid"]
        ]
        for key, targets in cases.items()
        if key.endswith("_heatmap") and targets.shape == outputs.shape
    ]
    expected = cases[f"{tag}_value"]
    nearest = min(found, key=lambda values: np.abs(np.subtract(values, expected)).max())
    # float32 sums of some thousand numbers, added up in another order.
    np.testing.assert_allclose(nearest, expected, rtol=1e-5)
