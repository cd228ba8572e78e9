"""Networks of the system: the shapes of their maps."""

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System

SKELETON = Skeleton(
    "made/up", ("nose", "left_wrist", "right_wrist"), ((1, 2),), ((0, 1), (0, 2)), (0.05,) * 3
)


@pytest.mark.parametrize(
    "options",
    [
        Options(input_shape=(64, 64), backbone_width=8, units=(1, 1)),
        Options(input_shape=(64, 64), backbone_width=8, units=(1, 1), stacks=1),
        Options(backbone="hrnet", backbone_width=4, stacks=1),
        Options(
            backbone="imhn",
            backbone_width=16,
            stacks=2,
            jitter=True,
            loss_weights=(1, 0, 1, 1, 0),
        ),
    ],
    ids=["two hourglasses", "one", "hrnet", "imhn"],
)
def test_maps_are_a_quarter_of_any_picture_that_the_network_can_halve(options):
    model = System(options, SKELETON).build_model()
    multiple = options.input_multiple
    for size in ((multiple, 2 * multiple), (2 * multiple, multiple)):
        outputs = model(np.zeros((2, *size, 3), np.uint8), training=False)
        rows, columns = size[0] // 4, size[1] // 4
        for stack in range(options.stacks):
            assert outputs[f"heatmaps.{stack}"].shape == (2, rows, columns, 3)
            assert outputs[f"offsets.{stack}"].shape == (2, rows, columns, 2, 2)
        assert ("jitter.0" in outputs) == options.jitter
