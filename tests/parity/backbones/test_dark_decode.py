"""The plain DARK decoding against MMPose's."""

import numpy as np
import pytest

from poseras.codecs.heatmap import decode_heatmaps

FILE = "backbones/codecs.npz"


@pytest.mark.golden(FILE, keys=r"(?P<tag>(?!simcc).+)_dark_dec")
def test_dark_coordinates_and_scores_are_equal(golden, tag):
    assert tag, f"{FILE} holds no DARK decoding"
    cases = golden.load(FILE)
    maps = np.moveaxis(cases[f"{tag}_dec_in"], 0, -1)[None]  # (1, height, width, maps)
    height, width = maps.shape[1:3]
    points, scores = decode_heatmaps(
        maps,
        input_hw=(4 * height, 4 * width),  # crops are four times their maps
        peak=1.0,
        decoder="dark",
        sigma=height / 32,  # 2 for maps of 64 rows, 3 for 96: kernels 11 and 17
    )
    found = cases[f"{tag}_dark_decs"] > 0  # a joint that was not found has no place
    assert found.any()
    expected = cases[f"{tag}_dark_dec"][found]
    # float32 logarithms of a smoothed map, in crop pixels.
    np.testing.assert_allclose(np.array(points)[found], expected, rtol=0, atol=1e-3)
    np.testing.assert_allclose(np.array(scores), cases[f"{tag}_dark_decs"], rtol=0, atol=1e-6)
