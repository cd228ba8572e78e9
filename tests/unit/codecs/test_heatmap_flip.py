import json
import os
import subprocess
import sys

import numpy as np
import pytest

from poseras.codecs.heatmap import merge_flipped


def test_a_map_flipped_twice_is_itself():
    maps = np.random.default_rng(5).random((2, 16, 12, 3)).astype(np.float32)
    swap = np.array([0, 2, 1])
    # What a perfect network says of the mirrored view: mirrored maps, left and right exchanged.
    flipped = maps[:, :, ::-1][..., swap]
    np.testing.assert_array_equal(np.array(merge_flipped(maps, flipped, swap, shift=False)), maps)


def test_the_shift_moves_the_mirrored_maps_one_cell_right_and_keeps_column_zero():
    flipped = np.zeros((1, 1, 4, 1), np.float32)
    flipped[0, 0, :, 0] = [1, 2, 3, 4]
    merged = merge_flipped(np.zeros_like(flipped), flipped, np.array([0]), shift=True)
    assert (2 * np.array(merged))[0, 0, :, 0].tolist() == [4, 4, 3, 2]
    merged = merge_flipped(np.zeros_like(flipped), flipped, np.array([0]), shift=False)
    assert (2 * np.array(merged))[0, 0, :, 0].tolist() == [4, 3, 2, 1]


OTHER_BACKEND = """
import json, numpy as np, keras
from poseras.codecs.heatmap import decode_heatmaps, encode_heatmaps, merge_flipped
points = keras.ops.convert_to_tensor(np.array([[[17, 30, 2], [40, 9, 1], [-9, 3, 2]]], "float32"))
maps, weights = encode_heatmaps(
    points, input_hw=(64, 48), heatmap_hw=(16, 12), sigma=2.0, window="three_sigma")
merged = merge_flipped(maps, maps[:, :, ::-1], np.array([0, 2, 1]))
found = [decode_heatmaps(merged, input_hw=(64, 48), decoder=d) for d in ("quarter", "dark")]
arrays = [maps, weights, merged, *(a for pair in found for a in pair)]
print(json.dumps([keras.ops.convert_to_numpy(a).tolist() for a in arrays]))
"""


@pytest.mark.parametrize(("backend", "package"), [("jax", "jax"), ("torch", "torch")])
def test_other_keras_backends_agree_with_tensorflow(backend, package):
    pytest.importorskip(package, reason=f"Keras' {backend} backend is not installed")

    def run(name):
        done = subprocess.run(
            [sys.executable, "-c", OTHER_BACKEND],
            env={**os.environ, "KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "2"},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    for ours, theirs in zip(run("tensorflow"), run(backend), strict=True):
        # Two float32 implementations of exp and log.
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
