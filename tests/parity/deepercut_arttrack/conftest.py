"""Cases of DeeperCut and ArtTrack that are a file each, found by their names."""

import numpy as np
import pytest

#: Argument of a test -> the files that it is run for, by their names without the ending.
CASE_FILES = {
    "target_case": "targets_*.npz",
    "network_case": "network_*x*.npz",
    "update_case": "train_steps_*.npz",
    "people_case": "end_to_end*.npz",
    "graph_case": "pairwise[0-9]*.npz",
}


def pytest_generate_tests(metafunc):
    golden = metafunc.config.golden
    for argument, pattern in CASE_FILES.items():
        if argument in metafunc.fixturenames:
            paths = [p for r in golden.roots for p in r.glob(f"deepercut_arttrack/{pattern}")]
            reason = f"no golden file deepercut_arttrack/{pattern} is in {golden.roots[0]}"
            absent = pytest.param("", marks=pytest.mark.skip(reason=reason))
            metafunc.parametrize(argument, sorted({path.stem for path in paths}) or [absent])


@pytest.fixture
def assert_same_people():
    """Compares people (people, joints, 2), px, whose order does not count."""

    def compare(ours, theirs, tolerance):
        assert ours.shape == theirs.shape
        apart = np.abs(ours[:, None] - theirs[None]).max(axis=(2, 3))
        nearest = apart.argmin(axis=0)  # ours to each of theirs
        assert sorted(nearest.tolist()) == list(range(len(ours)))
        np.testing.assert_allclose(ours[nearest], theirs, rtol=0, atol=tolerance)

    return compare
