"""Golden cases for parity tests: where they lie, which there are, and the stand-in weights.

`pytest tests/parity --golden DIR --weight-prefix P` runs another folder laid out like tests/golden.
A test that carries `@pytest.mark.golden(FILE, keys=REGEX)` is run once for each `tag` that REGEX
finds among the keys of FILE, so that no test lists its cases.
"""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"


@lru_cache(maxsize=64)
def _load(path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    raise ValueError(f"A golden file must be .json or .npz. Received {path}.")


class Golden:
    """The golden cases of one folder, or of tests/golden and ../shared/golden together."""

    def __init__(self, folder: str | None, weight_prefix: str):
        self.roots = [Path(folder).resolve()] if folder else [OWN, SHARED / "golden"]
        self.weight_prefix = weight_prefix

    def find(self, name: str) -> Path | None:
        """The path of a golden file, or None where the folder lacks it."""
        return next((root / name for root in self.roots if (root / name).exists()), None)

    def path(self, name: str) -> Path:
        """The path of a golden file; the test is skipped by name where the folder lacks it."""
        found = self.find(name)
        if found is None:
            pytest.skip(f"golden file {name} is not in {' or '.join(map(str, self.roots))}")
        return found

    def load(self, name: str) -> Any:
        """The contents of a .json file, or a dict of the arrays of a .npz file."""
        return _load(self.path(name))

    def manifest(self, name: str) -> Any:
        """As `load`, for name lists: what the folder lacks comes from tests/golden."""
        return _load(self.find(name) or OWN / name)

    def sample(self, path: str) -> Path:
        """A path of a case that begins with samples/."""
        for root in (*self.roots, SHARED):
            if (root / path).exists():
                return root / path
        pytest.skip(f"sample file {path} is not in {self.roots[0]} nor beside the project")

    @cached_property
    def _recipe(self) -> Callable[[str, tuple[int, ...]], np.ndarray]:
        spec = importlib.util.spec_from_file_location("golden_weights", OWN / "weights.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.fill

    def fill(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The stand-in array of one parameter, by its name in the original checkpoint."""
        return self._recipe(self.weight_prefix + name, shape)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", metavar="DIR", help="folder of golden cases to run instead")
    parser.addoption(
        "--weight-prefix", metavar="P", default="", help="goes before each name of a weight"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "golden(file, keys): run once for each `tag` that keys finds in a golden file"
    )
    config.golden = Golden(config.getoption("--golden"), config.getoption("--weight-prefix"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None or "tag" not in metafunc.fixturenames:
        return
    name, golden = marker.args[0], metafunc.config.golden
    if golden.find(name) is None:
        reason = f"golden file {name} is not in {' or '.join(map(str, golden.roots))}"
        metafunc.parametrize("tag", [pytest.param("", marks=pytest.mark.skip(reason=reason))])
        return
    found = [re.fullmatch(marker.kwargs["keys"], key) for key in golden.load(name)]
    tags = list(dict.fromkeys(match["tag"] for match in found if match))
    # A file without a single case must not pass silently: the test runs with "" and fails.
    metafunc.parametrize("tag", tags or [""])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    folder = session.config.getoption("--golden")
    if folder and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if folder and reporter and not (reporter.stats.get("passed") or reporter.stats.get("failed")):
        reporter.write_line(f"no golden case was found in {folder}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return request.config.golden


@pytest.fixture
def samples() -> Path:
    """The folder of real sample data; a test that needs it is skipped where it is absent."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("the real sample data (../shared/samples) is not beside the project")
    return folder


@pytest.fixture
def shapes_alone() -> Iterator[None]:
    """Networks that the test builds get no memory for their variables, 2.5 GB for the largest."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        yield
    # Keras keeps such variables, and gives memory to all of them the next time that a scope ends.
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def dfine_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny D-FINE with random weights, as KerasHub saves it."""
    keras_hub = pytest.importorskip("keras_hub", reason="the extra `detector` is not installed")
    import keras

    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 1, 3],
            [16, 8, 32, 1, 1, 3],
            [32, 16, 64, 1, 1, 5],
            [64, 16, 64, 1, 1, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 64],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(64, 64, 3),
        out_features=["stage3", "stage4"],
    )
    network = keras_hub.models.DFineBackbone(
        backbone=backbone,
        decoder_in_channels=[32, 32],
        encoder_hidden_dim=32,
        num_denoising=0,
        num_labels=80,
        hidden_dim=32,
        learn_initial_query=False,
        num_queries=20,
        anchor_image_size=(64, 64),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 64],
        encode_proj_layers=[1],
        num_attention_heads=4,
        encoder_ffn_dim=32,
        num_encoder_layers=1,
        hidden_expansion=0.5,
        depth_multiplier=0.34,
        eval_idx=-1,
        num_decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=32,
        decoder_n_points=[3, 3],
        lqe_hidden_dim=16,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(64, 64, 3),
    )
    converter = keras_hub.layers.DFineImageConverter(image_size=(64, 64), scale=1 / 255)
    detector = keras_hub.models.DFineObjectDetector(
        backbone=network,
        num_classes=80,
        bounding_box_format="yxyx",
        preprocessor=keras_hub.models.DFineObjectDetectorPreprocessor(image_converter=converter),
    )
    folder = tmp_path_factory.mktemp("presets") / "dfine_tiny"
    detector.save_to_preset(str(folder))
    return folder
