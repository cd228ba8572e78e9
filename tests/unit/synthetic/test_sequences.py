import numpy as np
import pytest

from poseras.synthetic.sequences import make_clip


@pytest.mark.parametrize("index", [0, 1])
def test_frames_of_a_clip_differ_little_and_are_not_equal(assets, index):
    frames = [scene.image_rgb for scene in make_clip(assets, seed=2, index=index, frames=4)]
    for before, after in zip(frames, frames[1:], strict=False):
        # noise and moving people; light, colours and background stay
        difference = np.abs(before.astype(int) - after)
        assert 0 < difference.mean() < 25
        assert np.abs(before.mean(axis=(0, 1)) - after.mean(axis=(0, 1))).max() < 4


def test_a_clip_is_the_same_every_time(assets):
    first, again = (
        [scene.image_rgb for scene in make_clip(assets, seed=2, index=3, frames=2)]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
