"""Microsoft's centre and scale of a box: ours is a box of 200 * scale around the centre."""

import numpy as np
import pytest

from poseras.geometry import expand_box

FILE = "simple_baselines/ms_pipeline.json"
PIXELS_OF_SCALE = 200


@pytest.mark.golden(FILE, keys=r"(?P<tag>.*box2cs)")
def test_the_grown_box_has_the_centre_and_the_scale_of_the_original(golden, tag):
    assert tag, "no case found"
    cases = golden.load(FILE)[tag]
    assert cases
    for case in cases:
        grown = expand_box(np.float32(case["box"]), case["aspect_ratio"])
        # Both are float32: sides of some hundred pixels, scales around one.
        np.testing.assert_allclose(grown[:2] + grown[2:] / 2, case["center"], atol=1e-4)
        np.testing.assert_allclose(grown[2:] / PIXELS_OF_SCALE, case["scale"], atol=1e-6)
