import numpy as np
import pytest

from poseras.checkpoints.names import convert_checkpoint, export_checkpoint, locate_variable


@pytest.mark.parametrize(
    ("path", "rank", "name"),
    [
        ("resnet_v1_50.conv1/kernel", 4, "resnet_v1_50/conv1/weights"),
        ("up1.BatchNorm/moving_mean", 1, "up1/BatchNorm/moving_mean"),
        ("out/bias", 1, "out/biases"),
    ],
)
def test_tensorflow_names_are_paths_with_slashes(path, rank, name):
    assert locate_variable(path, rank, "tensorflow") == (name, ())


@pytest.mark.parametrize(
    ("path", "rank", "source"),
    [
        ("layer1.0.conv1/kernel", 4, ("layer1.0.conv1.weight", (2, 3, 1, 0))),
        ("deconv_layers.0/kernel", 4, ("deconv_layers.0.weight", (2, 3, 1, 0))),
        ("layer1.0.bn1/gamma", 1, ("layer1.0.bn1.weight", ())),
        ("layer1.0.bn1/beta", 1, ("layer1.0.bn1.bias", ())),
        ("layer1.0.bn1/moving_variance", 1, ("layer1.0.bn1.running_var", ())),
        ("final_layer/bias", 1, ("final_layer.bias", ())),
        ("classifier/kernel", 2, ("classifier.weight", (1, 0))),
    ],
)
def test_torch_names_and_axes(path, rank, source):
    assert locate_variable(path, rank, "pytorch") == source


def test_a_leaf_without_a_name_is_an_error():
    with pytest.raises(ValueError, match="must end in one of kernel.* Received norm/scale"):
        locate_variable("norm/scale", 1, "pytorch")


def test_conversion_reports_what_fits_and_what_does_not():
    shapes = {"conv1/kernel": (7, 7, 3, 4), "bn1/gamma": (4,), "final_layer/bias": (17,)}
    entries = {
        "module.conv1.weight": np.arange(588.0).reshape(4, 3, 7, 7),
        "module.final_layer.bias": np.zeros(16),
        "module.fc.weight": np.zeros((10, 4)),
        "module.bn1.num_batches_tracked": np.zeros((), np.int64),
    }
    conversion = convert_checkpoint(shapes, entries, "pytorch")
    kernel = conversion.arrays["conv1/kernel"]
    assert kernel.shape == (7, 7, 3, 4)
    assert kernel[6, 5, 2, 1] == entries["module.conv1.weight"][1, 2, 6, 5]
    assert conversion.used == ("module.conv1.weight",)
    assert conversion.unused == ("module.fc.weight",)
    assert conversion.training == ("module.bn1.num_batches_tracked",)
    assert conversion.missing == ("bn1/gamma",)
    assert conversion.mismatched == {"final_layer/bias": ((17,), (16,))}


def test_an_entry_of_another_rank_is_mismatched():
    conversion = convert_checkpoint({"a/kernel": (1, 1, 2, 2)}, {"a.weight": np.ones(4)}, "pytorch")
    assert conversion.mismatched == {"a/kernel": ((1, 1, 2, 2), (4,))}


def test_optimizer_slots_of_tensorflow_belong_to_training():
    entries = {
        name: np.zeros(17)
        for name in ("out/biases", "out/biases/Adam", "out/biases/Adam_1", "Variable", "mean_rgb")
    }
    conversion = convert_checkpoint({"out/bias": (17,)}, entries, "tensorflow")
    assert conversion.used == ("out/biases",)
    assert conversion.training == ("out/biases/Adam", "out/biases/Adam_1", "Variable")
    assert conversion.unused == ("mean_rgb",)


def test_the_misfit_names_both_sides_and_shapes_and_how_many_more():
    shapes = {f"a{n}/bias": (1,) for n in range(5)} | {"b/bias": (2,)}
    entries = {"b.bias": np.zeros(3), "c.bias": np.zeros(1)}
    assert convert_checkpoint(shapes, entries, "pytorch").misfit == (
        "the checkpoint has no a0/bias, a1/bias, a2/bias and 2 more; the network has no place for "
        "c.bias; b/bias is (2,) in the network and (3,) in the checkpoint"
    )
    assert convert_checkpoint({}, {}, "pytorch").misfit == ""


def test_a_torch_batch_norm_is_written_with_its_counter_so_that_a_strict_load_succeeds():
    arrays = {"bn1/moving_variance": np.ones(4, np.float32), "fc/kernel": np.zeros((4, 2))}
    entries = export_checkpoint(arrays, "pytorch")
    assert list(entries) == ["bn1.running_var", "bn1.num_batches_tracked", "fc.weight"]
    assert entries["bn1.num_batches_tracked"].dtype == np.int64
    assert entries["bn1.num_batches_tracked"].shape == ()
    assert entries["fc.weight"].shape == (2, 4)
    assert "num_batches_tracked" not in "".join(export_checkpoint(arrays, "tensorflow"))
