"""Microsoft's network in all its forms, with stand-in weights."""

import keras
import numpy as np
import pytest

from poseras.backbones.resnet import UNITS
from poseras.checkpoints.names import assign_checkpoint
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model

FORWARD = "simple_baselines/torch_forward.npz"

# In standard deviations of the map: float32 sums in another order, as the cases' own check against
# a second implementation. What was seen is 1e-5.
TOLERANCE = 1e-4


def read_options(case, input_shape):
    return Options(
        input_shape=input_shape,
        form="pytorch",
        depth=case["layers"],
        stride_on="1x1" if case["style"] == "caffe" else "3x3",
        head_filters=tuple(case["deconv_filters"]),
        head_kernels=tuple(case["deconv_kernels"]),
        head_bias=case["deconv_with_bias"],
        final_kernel=case["final_conv_kernel"],
        # On the 0..255 scale; torch's own order of operations divides by 255 first.
        pixel_mean=tuple(255 * value for value in (0.485, 0.456, 0.406)),
        pixel_std=tuple(255 * value for value in (0.229, 0.224, 0.225)),
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
    )


def name_stages(case):
    """Stages of the original and the layers that end them here."""
    layers = {
        f"layer{block}": f"layer{block}.{count - 1}"
        for block, count in enumerate(UNITS[case["layers"]], start=1)
    }
    last_relu = 3 * len(case["deconv_filters"]) - 1
    return {"maxpool": "maxpool", **layers, "deconv_layers": f"deconv_layers.{last_relu}"}


@pytest.mark.golden(FORWARD, keys=r"(?P<tag>.+)_image_u8")
def test_every_stage_and_the_heatmaps_are_the_original_ones(golden, tag, state_dict_of):
    assert tag, f"{FORWARD} holds no case"
    cases = golden.load(FORWARD)
    images, heatmaps = cases[f"{tag}_image_u8"], cases[f"{tag}_heatmap"]
    case = state_dict_of(tag, heatmaps.shape[1])
    model = build_model(read_options(case, images.shape[1:3]), heatmaps.shape[1])
    entries = {name: golden.fill(name, shape) for name, shape in case["state_dict"]}
    report = assign_checkpoint(model, entries, "pytorch")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})

    stages = {s: model.get_layer(n).output for s, n in name_stages(case).items()}
    network = keras.Model(model.input, {**stages, **model.output})
    # The channels are stored as the network takes them, blue first; the model takes RGB.
    outputs = network(images[..., ::-1].astype(np.float32))
    outputs = {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}
    for stage in stages:
        mean, deviation = cases[f"{tag}_{stage}_mean_std"]
        assert abs(outputs[stage].mean() - mean) <= TOLERANCE * deviation, stage
        assert abs(outputs[stage].std() - deviation) <= TOLERANCE * deviation, stage
    part, deviation = outputs["layer4"][0, :, :, :16], cases[f"{tag}_layer4_mean_std"][1]
    np.testing.assert_allclose(
        part.transpose(2, 0, 1), cases[f"{tag}_layer4_slice"], rtol=0, atol=TOLERANCE * deviation
    )
    worst = np.abs(outputs["heatmaps"].transpose(0, 3, 1, 2) - heatmaps).max()
    assert worst <= TOLERANCE * heatmaps.std()
