"""What the parity tests of SimplePose V2 share: the original's skeletons and axis order."""

from types import SimpleNamespace

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.limbs import (
    COCO_JOINTS,
    COCO_LIMBS,
    CROWDPOSE_JOINTS,
    CROWDPOSE_LIMBS,
)

COCO_SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062)
COCO_SIGMAS += (0.107, 0.107, 0.087, 0.087, 0.089, 0.089)
CROWDPOSE_SIGMAS = (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087)
CROWDPOSE_SIGMAS += (0.089, 0.089, 0.079, 0.079)


def pytest_generate_tests(metafunc):
    """A test with a `case_file` argument and a pattern runs once for each file that fits it.

    Where it names `quick_files`, all others are slow.
    """
    pattern = getattr(metafunc.function, "case_files", None)
    if pattern is None:
        return
    roots = metafunc.config.golden.roots
    names = sorted({path.name for root in roots for path in root.glob(f"simplepose_v2/{pattern}")})
    quick = getattr(metafunc.function, "quick_files", names)
    found = [pytest.param(n, marks=[] if n in quick else pytest.mark.slow) for n in names]
    if not found:
        reason = f"no golden file simplepose_v2/{pattern} in {' or '.join(map(str, roots))}"
        found = [pytest.param("", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("case_file", found)


def _mirror_pairs(names):
    return tuple(
        (names.index(name), names.index(name.replace("left_", "right_")))
        for name in names
        if name.startswith("left_")
    )


def make_skeleton(joint_count, limbs):
    """COCO's or CrowdPose's joints by their number, with the limbs of a case.

    Other numbers are joints without names and mirror images.
    """
    limbs = tuple((int(a), int(b)) for a, b in limbs)
    for names, sigmas in ((COCO_JOINTS, COCO_SIGMAS), (CROWDPOSE_JOINTS, CROWDPOSE_SIGMAS)):
        if len(names) == joint_count:
            return Skeleton("case", tuple(names), _mirror_pairs(names), limbs, sigmas)
    names = tuple(f"joint_{number}" for number in range(joint_count))
    return Skeleton("case", names, (), limbs, (0.07,) * joint_count)


def to_last(maps):
    """(batch, channels, height, width) to (batch, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(maps, 1, -1))


def to_pairs(maps):
    """(batch, 2 limbs, height, width) to (batch, height, width, limbs, 2)."""
    last = to_last(maps)
    return last.reshape(*last.shape[:3], -1, 2)


@pytest.fixture
def original():
    """The functions above, and the original's limbs."""
    return SimpleNamespace(
        make_skeleton=make_skeleton,
        to_last=to_last,
        to_pairs=to_pairs,
        coco_limbs=COCO_LIMBS["published_19"],
        crowdpose_limbs=CROWDPOSE_LIMBS,
    )
