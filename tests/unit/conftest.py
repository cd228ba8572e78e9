"""What unit tests of several folders share."""

import pytest

from poseras.skeleton import Skeleton


@pytest.fixture(scope="session")
def five_joints() -> Skeleton:
    """A made-up skeleton: a star around the nose, with two mirrored pairs."""
    return Skeleton(
        "made/up",
        ("nose", "left_wrist", "right_wrist", "left_ankle", "right_ankle"),
        ((1, 2), (3, 4)),
        ((0, 1), (0, 2), (0, 3), (0, 4)),
        (0.06,) * 5,
    )
