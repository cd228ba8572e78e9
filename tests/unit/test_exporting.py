"""Exports: the graph says what the predictor says, and a file that says otherwise is not kept."""

import cv2
import numpy as np
import pytest

from poseras import exporting
from poseras.engine import runtimes, snapshot
from poseras.predictor import load_predictor
from poseras.settings import flatten
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines.options import Options, default_view

SKELETON = Skeleton("Mine/three", ("left_hand", "right_hand", "nose"), flip_pairs=((0, 1),))
OPTIONS = Options(
    input_shape=(64, 64), form="pytorch", depth=18, backbone_width=4, head_filters=(4, 4, 4)
)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    from poseras.systems.simple_baselines import System

    model = System(OPTIONS, SKELETON, {}).build_model()
    path = tmp_path_factory.mktemp("weights") / "snapshot_1.safetensors"
    metadata = {
        "system": "simple_baselines",
        "options": flatten(OPTIONS),
        "skeleton": SKELETON.to_dict(),
        "view": flatten(default_view(OPTIONS)),
    }
    snapshot.write_snapshot(path, snapshot.collect_weights(model), metadata)
    return path


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for seed, shape in enumerate(((70, 90, 3), (120, 60, 3))):
        image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        paths.append(tmp_path / f"{seed}.png")
        cv2.imwrite(str(paths[-1]), cv2.GaussianBlur(image, (0, 0), 3))
    return paths


@pytest.mark.parametrize("flip_test", [False, True])
def test_the_graph_decodes_and_merges_as_the_predictor_does(weights_file, pictures, flip_test):
    predictor = load_predictor(weights_file)
    views = exporting.cut_views(predictor, pictures, None)
    assert views.shape == (2, 64, 64, 3)
    graph = exporting.build_graph(predictor, flip_test)
    found = graph(views)
    outputs = predictor.model(views)
    if flip_test:
        mirrored = predictor.model(views[:, :, ::-1])
        outputs = predictor.system.merge_flip(outputs, mirrored)
    for name, expected in predictor.system.decode(outputs).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("form", "name", "flip_test"), [("saved_model", "model", True), ("litert", "a.tflite", False)]
)
def test_an_export_says_the_same_in_its_runtime(
    weights_file, pictures, tmp_path, form, name, flip_test
):
    target = tmp_path / "out" / name
    moved = exporting.export_snapshot(weights_file, target, form, pictures, flip_test=flip_test)
    assert moved <= exporting.TOLERANCE_PX
    assert target.exists() and list(target.parent.iterdir()) == [target]


def test_an_export_takes_the_place_of_an_earlier_one(weights_file, pictures, tmp_path):
    target = tmp_path / "model"
    (target / "variables").mkdir(parents=True)
    (target / "variables" / "of_the_old_one").touch()
    (target / "saved_model.pb").write_bytes(b"old")
    exporting.export_snapshot(weights_file, target, "saved_model", pictures)
    assert (target / "saved_model.pb").stat().st_size > 3
    assert not (target / "variables" / "of_the_old_one").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "model"]


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        (
            "saved_model",
            "data",
            r"takes the place of an earlier one alone\. .*a folder with photos;",
        ),
        ("saved_model", "half", r"a folder with variables; name a folder that does not exist yet"),
        ("saved_model", "mixed", r"a folder with photos;"),
        ("saved_model", "0.png", r"A saved_model export is a folder\. Received the file .*0\.png"),
        (
            "litert",
            "data.tflite",
            r"A litert export is a file\. Received the folder .*data\.tflite",
        ),
    ],
)
def test_a_folder_that_holds_anything_else_is_not_touched(
    weights_file, pictures, tmp_path, monkeypatch, form, name, message
):
    monkeypatch.setattr(
        exporting, "load_predictor", lambda path: pytest.fail("a network was built")
    )
    for folder in ("data/photos", "half/variables", "mixed/photos", "data.tflite"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mixed" / "saved_model.pb").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        exporting.export_snapshot(weights_file, tmp_path / name, form, pictures)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_that_gives_nan_is_refused(weights_file, pictures, tmp_path, monkeypatch):
    load = runtimes.load_runtime

    def load_broken(*arguments):
        run = load(*arguments)
        return lambda views: {**run(views), "keypoints_px": np.full((1, 1, 3, 2), np.nan)}

    monkeypatch.setattr(exporting, "load_runtime", load_broken)
    with pytest.raises(ValueError, match="Received nan px for litert on 2 people"):
        exporting.export_snapshot(weights_file, tmp_path / "a.tflite", "litert", pictures)


def test_an_onnx_export_says_the_same_where_its_packages_are_installed(
    weights_file, pictures, tmp_path
):
    for package in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    moved = exporting.export_snapshot(weights_file, tmp_path / "a.onnx", "onnx", pictures)
    assert moved <= exporting.TOLERANCE_PX


def test_a_file_whose_keypoints_move_is_refused_and_the_old_one_stays(
    weights_file, pictures, tmp_path, monkeypatch
):
    target = tmp_path / "a.tflite"
    target.write_bytes(b"old")
    load = runtimes.load_runtime

    def load_wrong(*arguments):
        run = load(*arguments)

        def moved(views):
            outputs = run(views)
            return {**outputs, "keypoints_px": outputs["keypoints_px"] + 0.11 / np.sqrt(2)}

        return moved

    monkeypatch.setattr(exporting, "load_runtime", load_wrong)
    with pytest.raises(ValueError, match=r"move by 0\.1 px at most\. Received 0\.11 px for litert"):
        exporting.export_snapshot(weights_file, target, "litert", pictures)
    assert target.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


def test_nobody_to_compare_is_an_error(weights_file, pictures, tmp_path):
    nobody = [np.zeros((0, 4))] * 2
    with pytest.raises(ValueError, match="at least one picture with a person. Received none"):
        exporting.export_snapshot(weights_file, tmp_path / "m", "saved_model", pictures, nobody)


def test_a_mixed_precision_policy_does_not_reach_the_export(weights_file, pictures, tmp_path):
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        exporting.export_snapshot(weights_file, tmp_path / "a.tflite", "litert", pictures)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        ("onnx", "a.onnx", r"needs tf2onnx, onnx, onnxruntime\. .*pip install -e \"\.\[onnx\]\""),
        ("onnx", "a.pb", r"A onnx file must end in \.onnx\. Received"),
        ("coreml", "a", "must be one of saved_model, onnx, litert. Received 'coreml'"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(tmp_path, monkeypatch, form, name, message):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=message):
        runtimes.check_format(form, tmp_path / name)
