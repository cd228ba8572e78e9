import cv2
import keras
import numpy as np
import pytest

from poseras.backbones.vit import (
    PositionEmbedding,
    SelfAttention,
    build_backbone,
    number_layer,
    rename_entries,
)

SMALL = {"depth": 2, "width": 8, "heads": 2, "drop_path": 0.0}


def build(hw=(64, 32), **differences):
    images = keras.Input((*hw, 3))
    return keras.Model(images, build_backbone(images, **{**SMALL, **differences}))


def test_features_are_tokens_on_a_grid_of_stride_16():
    assert build((64, 96)).output.shape == (None, 4, 6, 8)


def test_every_token_gets_the_vector_of_its_place_and_the_shared_one():
    layer = PositionEmbedding()
    layer.build((None, 3, 2))
    layer.bias.assign([[[100, 0], [1, 2], [3, 4], [5, 6]]])
    np.testing.assert_array_equal(
        layer(np.zeros((1, 3, 2), np.float32)), [[[101, 2], [103, 4], [105, 6]]]
    )


def test_a_head_attends_by_its_own_queries_and_keys():
    # Two heads of one channel. Head 1's keys are 0: it averages. Head 0's query picks token 1.
    queries, keys, values = [[50, 1], [50, 1]], [[0, 0], [1, 0]], [[1, 2], [3, 6]]
    joined = np.concatenate([queries, keys, values], axis=1).astype(np.float32)[None]
    np.testing.assert_allclose(SelfAttention(2)(joined), [[[3, 4], [3, 4]]], rtol=1e-6)


def test_later_blocks_are_left_out_more_often_and_the_first_never():
    model = build(depth=5, drop_path=0.4)
    rates = {
        layer.name.split(".")[2]: layer.rate
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    }
    assert rates == pytest.approx({"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.4})


def test_a_block_is_left_out_for_whole_samples_and_in_training_only():
    model = build(depth=2, drop_path=0.5)
    branch = model.get_layer("backbone.blocks.1.add2.drop_path").output
    noise = np.random.default_rng(0).normal(size=(32, 64, 32, 3)).astype(np.float32)
    probe = keras.Model(model.input, branch)
    sizes = np.abs(np.array(probe(noise, training=True))).sum(axis=(1, 2))
    assert 4 < (sizes == 0).sum() < 28
    assert (np.abs(np.array(probe(noise, training=False))).sum(axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"depth": 0}])
def test_heads_that_do_not_divide_the_width_are_refused(wrong):
    with pytest.raises(ValueError, match="depth of at least 1 and a width that its heads divide"):
        build(**wrong)


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("backbone.blocks.3.attn.qkv.bias", "backbone.blocks.3.attn.qkv.bias"),
        ("backbone.patch_embed.projection.bias", "backbone.patch_embed.proj.bias"),
        ("backbone.layers.11.ln1.weight", "backbone.blocks.11.norm1.weight"),
        ("backbone.layers.0.attn.proj.bias", "backbone.blocks.0.attn.proj.bias"),
        ("backbone.layers.0.ffn.layers.0.0.bias", "backbone.blocks.0.mlp.fc1.bias"),
        ("backbone.layers.0.ffn.layers.1.bias", "backbone.blocks.0.mlp.fc2.bias"),
        ("backbone.ln1.weight", "backbone.last_norm.weight"),
        ("head.deconv_layers.3.bias", "keypoint_head.deconv_layers.3.bias"),
        ("backbone.encoder.layer.2.layernorm_after.bias", "backbone.blocks.2.norm2.bias"),
        (
            "backbone.encoder.layer.2.attention.output.dense.bias",
            "backbone.blocks.2.attn.proj.bias",
        ),
        ("backbone.encoder.layer.2.mlp.fc2.bias", "backbone.blocks.2.mlp.fc2.bias"),
        ("backbone.layernorm.bias", "backbone.last_norm.bias"),
        ("head.batchnorm2.running_var", "keypoint_head.deconv_layers.4.running_var"),
        ("head.conv.bias", "keypoint_head.final_layer.bias"),
        ("blocks.5.norm1.bias", "backbone.blocks.5.norm1.bias"),  # MAE
        ("norm.bias", "norm.bias"),
    ],
)
def test_each_published_spelling_is_read(published, own):
    assert list(rename_entries({published: np.zeros(4)}, (64, 32))) == [own]


def test_queries_keys_and_values_become_rows_of_one_layer():
    scope = "backbone.encoder.layer.0.attention.attention."
    parts = {f"{scope}{part}.bias": np.full(2, i) for i, part in enumerate(("value", "key"))}
    renamed = rename_entries({**parts, f"{scope}query.bias": np.full(2, 9)}, (64, 32))
    assert {name: array.tolist() for name, array in renamed.items()} == {
        "backbone.blocks.0.attn.qkv.bias": [9, 9, 1, 1, 0, 0]
    }


def test_a_missing_shared_vector_is_zero():
    embedding = np.ones((1, 8, 2))
    (renamed,) = rename_entries({"backbone.pos_embed": embedding}, (64, 32)).values()
    assert renamed.shape == (1, 9, 2)
    assert not renamed[:, 0].any() and (renamed[:, 1:] == 1).all()


def test_the_square_grid_of_mae_is_resized_as_opencv_does_it():
    embedding = np.random.default_rng(0).normal(size=(1, 1 + 14 * 14, 3)).astype(np.float32)
    (resized,) = rename_entries({"pos_embed": embedding}, (256, 192)).values()
    grid = cv2.resize(embedding[0, 1:].reshape(14, 14, 3), (12, 16), interpolation=cv2.INTER_CUBIC)
    # OpenCV's weights are float32.
    np.testing.assert_allclose(resized[0, 1:], grid.reshape(192, 3), atol=1e-5)
    np.testing.assert_array_equal(resized[:, 0], embedding[:, 0])


def test_smaller_patches_are_padded_to_sixteen_cells():
    kernel = np.ones((1, 1, 14, 13))
    (padded,) = rename_entries({"patch_embed.proj.weight": kernel}, (64, 32)).values()
    assert padded.shape == (1, 1, 16, 16)
    assert padded[0, 0, :, 5].tolist() == [0] + 14 * [1] + [0]
    assert padded[0, 0, 5].tolist() == [0] + 13 * [1] + 2 * [0]


def test_a_mixture_of_experts_is_named_as_the_reason():
    name = "backbone.blocks.0.mlp.experts.0.weight"
    with pytest.raises(ValueError, match=r"ViTPose\+ files.* Received the entry .*experts\.0"):
        rename_entries({name: np.zeros(1)}, (64, 32))


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("backbone.patch_embed.proj/kernel", 0),
        ("backbone.pos_embed/bias", 0),
        ("backbone.blocks.0.norm1/gamma", 1),
        ("backbone.blocks.11.mlp.fc2/kernel", 12),
        ("backbone.last_norm/gamma", 13),
        ("keypoint_head.final_layer/kernel", 13),
    ],
)
def test_layers_are_numbered_from_the_patches_to_the_head(path, layer):
    assert number_layer(path, 12) == layer
