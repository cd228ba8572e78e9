"""Cases of integral_3d that are a file each, found by their names."""

import pytest

#: Argument of a test -> the files that it is run for.
CASE_FILES = {
    "network": "network_*.npz",
    "manifest": "manifest_*.json",
    "snapshot": "snapshot_*.pth.tar",
}
#: What a folder of cases lacks of these comes from tests/golden.
NAME_LISTS = ("manifest",)


def pytest_generate_tests(metafunc):
    golden = metafunc.config.golden
    for argument, pattern in CASE_FILES.items():
        if argument in metafunc.fixturenames:
            own = [metafunc.config.rootpath / "tests" / "golden"] if argument in NAME_LISTS else []
            paths = [p for r in (*golden.roots, *own) for p in r.glob(f"integral_3d/{pattern}")]
            reason = f"no golden file integral_3d/{pattern} is in {golden.roots[0]}"
            absent = pytest.param("", marks=pytest.mark.skip(reason=reason))
            metafunc.parametrize(argument, sorted({path.name for path in paths}) or [absent])
