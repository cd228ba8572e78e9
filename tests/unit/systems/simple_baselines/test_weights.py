"""Which published network a file is, and how it fits ours."""

import keras
import numpy as np
import pytest

from poseras.backbones.resnet import TORCH_NAMES
from poseras.checkpoints.names import assign_checkpoint, export_checkpoint
from poseras.settings import apply_differences
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.weights import convert, export, imagenet_files, recognise

TINY = {"input_shape": (32, 32), "backbone_width": 2, "head_filters": (2, 3, 4)}


def shapes_of(entries):
    return {name: np.shape(array) for name, array in entries.items()}


def make_entries(joints=5, **options):
    model = build_model(Options(**{**TINY, **options}), joints)
    form = options.get("form", "tensorflow")
    return export_checkpoint({v.path: v.numpy() for v in model.weights}, form)


@pytest.mark.parametrize("form", ["tensorflow", "pytorch"])
def test_a_network_exported_and_imported_is_the_same(form):
    options = Options(input_shape=(32, 32), form=form, backbone_width=2, head_filters=(2, 3, 4))
    first, second = build_model(options, 5), build_model(options, 5)
    entries = export_checkpoint({v.path: v.numpy() for v in first.variables}, form)
    report = assign_checkpoint(second, entries, form)
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    assert len(report.used) == len(first.variables)
    for old, new in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_a_snapshot_of_the_tensorflow_original_is_known_by_its_names(depth):
    found = recognise(shapes_of(make_entries(depth=depth)))
    assert found.kind == "TF-SimpleHumanPose snapshot"
    assert found.joint_count == 5
    assert "BGR" in found.preprocessing and "RGB" in found.preprocessing
    options = apply_differences(Options(), {**found.options, "input_shape": [32, 32]})
    assert options == Options(depth=depth, **TINY)


@pytest.mark.parametrize(
    "own",
    [
        {"depth": 18},
        {"depth": 34},
        {"depth": 50},
        {"depth": 101, "head_filters": (2, 3), "head_kernels": (2, 3), "final_kernel": 3},
        {"depth": 152, "head_bias": True},
    ],
)
def test_a_state_dict_of_microsoft_is_known_with_its_head_and_conventions(own):
    entries = make_entries(form="pytorch", **own)
    found = recognise(shapes_of({f"module.{name}": a for name, a in entries.items()}))
    assert found.kind == "Microsoft's pose_resnet" and found.joint_count == 5
    options = apply_differences(Options(), {**found.options, "input_shape": [32, 32]})
    for name, value in {**TINY, **own, "form": "pytorch"}.items():
        assert getattr(options, name) == value, name
    assert (options.target_peak, options.loss) == (1, "per_joint")
    assert (options.batch_norm_epsilon, options.zero_nonpositive) == (1e-5, True)
    assert options.pixel_std == (58.395, 57.12, 57.375) and options.channel_order == "bgr"
    assert found.view == {"outside_joints": "keep"}


def test_networks_of_imagenet_have_no_joints():
    slim = {n: a for n, a in make_entries().items() if n.startswith("resnet")}
    assert recognise(shapes_of(slim)).joint_count is None
    torch = make_entries(form="pytorch")
    torch = {n: a for n, a in torch.items() if not n.startswith(("deconv", "final"))}
    assert recognise(shapes_of(torch)).joint_count is None
    assert "torchvision" in recognise(shapes_of(torch)).kind


def test_a_file_of_another_system_is_not_claimed():
    assert recognise({"stage2.0.weight": (1,), "conv1.weight": (64, 3, 3, 3)}) is None
    assert recognise({}) is None


def test_units_that_no_resnet_has_are_an_error():
    shapes = shapes_of(make_entries(form="pytorch"))
    lacking = {n: s for n, s in shapes.items() if not n.startswith("layer3.5.")}
    with pytest.raises(ValueError, match="blocks have 3, 4, 5, 3 units, as no ResNet of depth 18"):
        recognise(lacking)
    shapes = shapes_of(make_entries())
    renamed = {n.replace("resnet_v1_50", "resnet_v1_101"): s for n, s in shapes.items()}
    with pytest.raises(ValueError, match="names say resnet_v1_101, its units are those of depth"):
        recognise(renamed)


@pytest.mark.parametrize(
    ("own", "other", "settings"),
    [
        ({}, {"form": "pytorch"}, "options.form=pytorch"),
        ({"form": "pytorch"}, {"form": "pytorch", "depth": 101}, "options.depth=101"),
        ({"depth": 101}, {}, "options.depth=50"),
    ],
)
def test_a_checkpoint_of_another_form_or_depth_names_the_settings_that_fit(own, other, settings):
    with pytest.raises(ValueError, match=f"does not fit; --set {settings} makes one that does"):
        convert({}, make_entries(**other), Options(**{**TINY, **own}))


def make_keras_entries(depth):
    """A ResNet of keras.applications whose every weight is random, as its file holds it."""
    keras.utils.set_random_seed(depth)
    build = {50: keras.applications.ResNet50, 101: keras.applications.ResNet101}[depth]
    theirs = build(include_top=False, weights=None, input_shape=(64, 64, 3))
    random = np.random.default_rng(depth)
    for variable in theirs.weights:
        if variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif not variable.path.endswith("kernel"):
            variable.assign(random.normal(0, 0.2, variable.shape))
    return theirs, {v.path: v.numpy() for v in theirs.weights}


@pytest.mark.parametrize("depth", [50, 101])
def test_a_resnet_of_keras_gives_the_features_that_it_gives_there(depth):
    theirs, entries = make_keras_entries(depth)
    found = recognise(shapes_of(entries))
    assert found.joint_count is None and f"ResNet-{depth} of keras.applications" in found.kind
    options = apply_differences(Options(), {**found.options, "input_shape": [64, 64]})
    ours = build_model(options, 5)
    shapes = {v.path: tuple(v.shape) for v in ours.weights}
    report = convert(shapes, entries, options)
    assert report.unused == () and report.mismatched == {}
    assert sorted(report.used) == sorted(entries), "each name is used, folded biases included"
    assert all(path.startswith(("deconv", "final")) for path in report.missing)
    for variable in ours.weights:
        if variable.path in report.arrays:
            variable.assign(report.arrays[variable.path])
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    expected = np.asarray(theirs(keras.applications.resnet.preprocess_input(pictures.copy())))
    last = TORCH_NAMES.of_unit(3, 2)
    features = keras.Model(ours.input, ours.get_layer(last).output)(pictures)
    # The same float32 sums, the bias added in another place.
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * expected.std())


@pytest.mark.parametrize("wrong", [{"stride_on": "3x3"}, {"pixel_mean": (123.68, 116.78, 103.94)}])
def test_a_resnet_of_keras_is_refused_where_strides_or_pictures_differ(wrong):
    _, entries = make_keras_entries(50)
    options = apply_differences(Options(), recognise(shapes_of(entries)).options)
    options = apply_differences(options, wrong)
    with pytest.raises(ValueError, match=rf"--set options\.{next(iter(wrong))}=1"):
        convert({}, entries, options)


def test_exports_need_a_network_of_the_published_kind():
    with pytest.raises(ValueError, match="Received the backbone hrnet"):
        export({}, apply_differences(Options(form="pytorch"), {"backbone": "hrnet"}))


def test_the_imagenet_file_follows_the_form_and_the_strides():
    assert imagenet_files(Options(depth=101)) == ("resnet_v1_101.ckpt",)
    torch = Options(form="pytorch", depth=50)
    assert imagenet_files(torch) == ("resnet50-19c8e357.pth", "resnet50.pth")
    caffe = Options(form="pytorch", depth=50, stride_on="1x1")
    assert imagenet_files(caffe)[0] == "resnet50-caffe.pth.tar"
    assert imagenet_files(Options(form="pytorch", depth=18)) == ("resnet18.pth",)
