"""What several tests of these cases look up: names of checkpoints, pairs of joints, a sigma."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poseras.data.dataset import list_datasets, load_dataset

VARIABLES = "simple_baselines/tf1_variables.json"
STATE_DICTS = "simple_baselines/torch_state_dicts.json"
DEPTHS = r"(?<!\d)(50|101|152)(?!\d)"


@pytest.fixture(scope="session")
def name_lists(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """The lists of a file by their tags: those of the folder before those of tests/golden."""
    golden, own = request.config.golden, request.config.rootpath / "tests" / "golden"

    def read(name: str) -> dict[str, Any]:
        return {**json.loads((own / name).read_text(encoding="utf-8")), **golden.manifest(name)}

    return read


@pytest.fixture(scope="session")
def variables_of(name_lists) -> Callable[[str, int], tuple[int, dict[str, tuple[int, ...]]]]:
    """Depth, and name to shape, of the variables of a TensorFlow case with so many joints.

    A tag without a list of its own has that of its depth, which is the first one in the tag.
    """

    def find(tag: str, joints: int) -> tuple[int, dict[str, tuple[int, ...]]]:
        networks = {k: v for k, v in name_lists(VARIABLES).items() if is_network(v)}
        own = networks.get(tag)
        depth = depth_of(own) if own else int(re.search(DEPTHS, tag)[1])
        entries = own or next(v for v in networks.values() if depth_of(v) == depth)
        return depth, {
            name: (*shape[:-1], joints) if name.startswith("out/") else tuple(shape)
            for name, shape in entries
        }

    return find


def is_network(entries: list[Any]) -> bool:
    """Whether a list is that of a network alone: no training snapshot, no bare names."""
    return isinstance(entries[0], list) and not any(n.endswith("/Adam") for n, _ in entries)


def depth_of(entries: list[Any]) -> int:
    return int(next(m[1] for n, _ in entries if (m := re.match(r"resnet_v1_(\d+)/", n))))


@pytest.fixture(scope="session")
def state_dict_of(name_lists) -> Callable[[str, int], dict[str, Any]]:
    """Options and (name, shape) of a PyTorch case with so many joints.

    A tag without a list has that of the longest tag that it begins with.
    """

    def find(tag: str, joints: int) -> dict[str, Any]:
        lists = name_lists(STATE_DICTS)
        case = lists[tag if tag in lists else max(filter(tag.startswith, lists), key=len)]
        entries = [
            (name, (joints, *shape[1:]) if name.startswith("final_layer.") else tuple(shape))
            for name, shape in case["state_dict"]
        ]
        return {**case, "num_joints": joints, "state_dict": entries}

    return find


@pytest.fixture(scope="session")
def flip_permutation_of(request: pytest.FixtureRequest) -> Callable[[str, int], np.ndarray]:
    """The channels of a mirrored view, which training cases do not hold.

    They were made with COCO's pairs. A tag that names another data set has that one's, and a case
    with another number of joints that of a data set with as many.
    """
    root = request.config.rootpath

    def find(tag: str, joints: int) -> np.ndarray:
        skeletons = {name: load_dataset(root, name).skeleton for name in list_datasets(root)}
        fitting = [name for name in skeletons if skeletons[name].joint_count == joints]
        assert fitting, f"{tag} has {joints} joints, and no data set has as many"
        named = [name for name in fitting if name.lower() in tag.lower()]
        published = [name for name in ("COCO", "MPII", "PoseTrack") if name in fitting]
        return skeletons[[*named, *published, *fitting][0]].flip_permutation

    return find


@pytest.fixture(scope="session")
def sigma_of() -> Callable[[np.ndarray], float]:
    """The sigma of rendered maps with peak 1: the cell beside a peak is exp(-1 / (2 sigma^2))."""

    def measure(maps: np.ndarray) -> float:
        beside = maps[(maps < 1) & (maps > 0)]
        # Without a single peak any sigma gives the same maps; that of the cases is 2.
        return float(np.round(np.sqrt(-0.5 / np.log(beside.max())), 3)) if beside.size else 2.0

    return measure
