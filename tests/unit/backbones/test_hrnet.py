import keras
import numpy as np
import pytest

from poseras.backbones.hrnet import build_backbone, build_hrnet, rename_entries

SETTINGS = {"batch_norm_momentum": 0.9, "batch_norm_epsilon": 1e-5, "synchronized": False}


@pytest.fixture(scope="module")
def model():
    images = keras.Input((64, 96, 3))
    return keras.Model(images, build_hrnet(images, width=4, **SETTINGS))


def test_each_stage_adds_a_branch_of_half_the_resolution_and_twice_the_channels(model):
    shapes = {name: [x.shape[1:] for x in branches] for name, branches in model.output.items()}
    finest = [(16, 24, 4), (8, 12, 8), (4, 6, 16)]
    assert shapes == {
        "layer1": [(16, 24, 256)],
        "stage2": finest[:2],
        "stage3": finest,
        "stage4": finest[:1],  # the last module keeps the finest branch alone
    }


def test_modules_stand_one_behind_the_other_as_published(model):
    names = {layer.name for layer in model.layers}
    assert {f"stage3.{m}.branches.2.3.conv2" for m in range(4)} <= names
    assert {f"stage4.{m}.branches.3.0.conv1" for m in range(3)} <= names
    assert "stage4.2.fuse_layers.0.3.0" in names and "stage4.2.fuse_layers.1.0.0.0" not in names
    assert "transition2.2.0.0" in names and "transition2.0.0" not in names


def test_an_input_that_cannot_be_halved_five_times_is_refused():
    with pytest.raises(ValueError, match=r"multiples of 32\. Received \(48, 64\)"):
        build_backbone(keras.Input((48, 64, 3)), width=4, **SETTINGS)


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("module.stage2.0.branches.0.0.conv1.weight", "stage2.0.branches.0.0.conv1.weight"),
        ("backbone.transition1.1.0.0.weight", "transition1.1.0.0.weight"),
        ("keypoint_head.final_layer.bias", "final_layer.bias"),
        ("head.final_layer.bias", "final_layer.bias"),
    ],
)
def test_the_scopes_of_mmpose_are_dropped(published, own):
    assert list(rename_entries({published: np.zeros(1)}, (64, 64))) == [own]
