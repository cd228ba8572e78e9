"""What the parity tests of SimplePose V2 share: cases of files, skeletons and axis order."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.limbs import COCO_JOINTS, CROWDPOSE_JOINTS

COCO_SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062)
COCO_SIGMAS += (0.107, 0.107, 0.087, 0.087, 0.089, 0.089)
CROWDPOSE_SIGMAS = (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087)
CROWDPOSE_SIGMAS += (0.089, 0.089, 0.079, 0.079)


def pytest_generate_tests(metafunc):
    """A test with a `case_file` argument and a pattern runs once for each file that fits it.

    Where it names `quick_files`, all others are slow. Where it names `case_keys` it also has a
    `tag`, and runs once for each that this finds among the keys of a file; "", where a file has
    none, must make it fail.
    """
    pattern = getattr(metafunc.function, "case_files", None)
    if pattern is None:
        return
    golden, keys = metafunc.config.golden, getattr(metafunc.function, "case_keys", None)
    names = sorted({p.name for root in golden.roots for p in root.glob(f"simplepose_v2/{pattern}")})
    quick = getattr(metafunc.function, "quick_files", names)
    found = []
    for name in names:
        marks = [] if name in quick else pytest.mark.slow
        tags = _find_tags(golden.load(f"simplepose_v2/{name}"), keys) if keys else [None]
        found += [pytest.param(*([name, tag] if keys else [name]), marks=marks) for tag in tags]
    if not found:
        reason = f"no golden file simplepose_v2/{pattern} in {' or '.join(map(str, golden.roots))}"
        found = [pytest.param(*([""] * (2 if keys else 1)), marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("case_file, tag" if keys else "case_file", found)


def _find_tags(case, keys):
    matches = [re.fullmatch(keys, key) for key in case]
    return [match["tag"] for match in matches if match] or [""]


def _mirror_pairs(names):
    return tuple(
        (names.index(name), names.index(name.replace("left_", "right_")))
        for name in names
        if name.startswith("left_")
    )


def make_skeleton(joint_count, limbs, permutation=()):
    """COCO's or CrowdPose's joints by their number, with the limbs of a case.

    Other numbers are joints without names, whose mirror images are those of a permutation.
    """
    limbs = tuple((int(a), int(b)) for a, b in limbs)
    for names, sigmas in ((COCO_JOINTS, COCO_SIGMAS), (CROWDPOSE_JOINTS, CROWDPOSE_SIGMAS)):
        if len(names) == joint_count:
            return Skeleton("case", tuple(names), _mirror_pairs(names), limbs, sigmas)
    names = tuple(f"joint_{number}" for number in range(joint_count))
    pairs = tuple((a, int(b)) for a, b in enumerate(permutation) if a < b)
    return Skeleton("case", names, pairs, limbs, (0.07,) * joint_count)


def to_last(maps):
    """(batch, channels, height, width) to (batch, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(maps, 1, -1))


def to_pairs(maps):
    """(batch, 2 limbs, height, width) to (batch, height, width, limbs, 2)."""
    last = to_last(maps)
    return last.reshape(*last.shape[:3], -1, 2)


def thin_like(full, expected, usual=()):
    """An array as a case holds it: every n-th value of some axes.

    Args:
        full: the whole array.
        expected: what is compared with it.
        usual: axis -> n where the number of values fits it; else n is the lowest that fits.
    """
    slices = []
    for axis, (whole, kept) in enumerate(zip(full.shape, expected.shape, strict=True)):
        fitting = [step for step in range(1, whole + 1) if -(-whole // step) == kept]
        assert fitting, f"no step makes {kept} of {whole} values of axis {axis}"
        step = dict(usual).get(axis)
        slices.append(slice(None, None, step if step in fitting else fitting[0]))
    return full[tuple(slices)]


@pytest.fixture
def original():
    """The functions above."""
    return SimpleNamespace(
        make_skeleton=make_skeleton,
        to_last=to_last,
        to_pairs=to_pairs,
        thin_like=thin_like,
    )
