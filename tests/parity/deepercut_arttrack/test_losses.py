"""The losses of pose-tensorflow, their gradients, and four updates of its network."""

import numpy as np
import pytest
import tensorflow as tf

from poseras.checkpoints.names import assign_checkpoint
from poseras.engine.optimizer import make_optimizer
from poseras.systems.deepercut_arttrack.losses import compute_loss
from poseras.systems.deepercut_arttrack.model import build_model
from poseras.systems.deepercut_arttrack.options import Options

FOLDER = "deepercut_arttrack/"
#: Our name of a part of the loss -> the original's.
PARTS = {
    "parts": "part_loss",
    "parts_intermediate": "part_loss_interm",
    "refinement": "locref_loss",
    "pairwise": "pairwise_loss",
    "total": "total_loss",
}


def as_vectors(channels):
    return channels.reshape(*channels.shape[:-1], -1, 2)


#: Our name of vectors -> the original's.
VECTORS = {"refinement": "locref", "pairwise": "pairwise"}


def make_targets(case, *, weighted, empty=()):
    """The targets of a case; `empty` names the vectors that are known nowhere."""
    parts = case["in_part_score_targets"]
    weights = case["in_part_score_weights"] if weighted else np.ones_like(parts)
    targets = {"parts": parts, "part_weights": weights}
    for name, theirs in VECTORS.items():
        if f"in_{theirs}_targets" in case:
            known = as_vectors(case[f"in_{theirs}_mask"]) * (name not in empty) > 0
            targets |= {name: as_vectors(case[f"in_{theirs}_targets"]), f"{name}_known": known}
    return targets


def find_empty(config, losses):
    """The vectors that a case knows nowhere: they have a weight, and no loss."""
    return {
        name
        for name, theirs in VECTORS.items()
        if losses.get(f"{theirs}_loss") == 0 and config[f"{theirs}_loss_weight"]
    }


def make_outputs(case, config):
    outputs = {"parts": case["in_part_pred"]}
    if config["intermediate_supervision"]:
        outputs["parts_intermediate"] = case["in_part_pred_interm"]
    if config["location_refinement"]:
        outputs["refinement"] = as_vectors(case["in_locref"])
    if config["pairwise_predict"]:
        outputs["pairwise"] = as_vectors(case["in_pairwise_pred"])
    return {name: tf.Variable(value) for name, value in outputs.items()}


@pytest.mark.golden(FOLDER + "losses.json", keys="(?P<tag>(?!learning_rate).+)")
def test_losses_and_gradients_equal_the_original(golden, tag):
    assert tag, "no case in losses.json"
    case, notes = golden.load(FOLDER + "losses.npz"), golden.load(FOLDER + "losses.json")[tag]
    config, wanted = notes["config"], notes["losses"]
    weighted, empty = config["weigh_part_predictions"], find_empty(config, wanted)
    targets = make_targets(case, weighted=weighted, empty=empty)
    outputs = make_outputs(case, config)
    options = Options(
        huber=config["locref_huber_loss"],
        pairwise_huber=config["pairwise_huber_loss"],
        refinement_weight=config["locref_loss_weight"],
        pairwise_weight=config["pairwise_loss_weight"],
    )
    with tf.GradientTape() as tape:
        losses = compute_loss(targets, outputs, options)
    assert set(losses) == {name for name, theirs in PARTS.items() if theirs in wanted}
    for name, value in losses.items():
        # Float32 sums in another order.
        assert float(value) == pytest.approx(wanted[PARTS[name]], rel=1e-5), name
    gradients = tape.gradient(losses["total"], outputs)
    for name, key in (("parts", "grad_part"), ("refinement", "grad_locref")):
        if f"{key}_{tag}" in case:
            theirs = case[f"{key}_{tag}"]
            ours = np.reshape(tf.convert_to_tensor(gradients[name]), theirs.shape)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


def name_variable(path):
    """The original's name of a variable."""
    layer, _, leaf = path.rpartition("/")
    return f"{layer.replace('.', '/')}/{ {'kernel': 'weights', 'bias': 'biases'}.get(leaf, leaf) }"


def fill_weights(golden, model):
    """The stand-in weights as the cases describe them: small residuals and heads."""
    stand_ins = {}
    for variable in model.variables:
        name = name_variable(variable.path)
        array = golden.fill(name, tuple(variable.shape))
        if name.endswith("conv3/BatchNorm/gamma"):
            array = array * np.float32(0.25)
        if name.startswith("pose/") and name.endswith("weights"):
            array = array * np.float32(0.02)
        stand_ins[name] = array
    return stand_ins


#: The original's optimiser -> ours. Its name `sgd` stands for momentum 0.9 in TensorFlow 1's form.
OPTIMIZERS = {"sgd": "momentum", "adam": "adam"}


def list_rates(notes):
    """The learning rate of each update; Adam's stays as it is."""
    config, rates = notes["config"], notes["learning_rates"]
    return [config["adam_lr"]] * len(rates) if config["optimizer"] == "adam" else rates


def make_options(config):
    supervised = config["intermediate_supervision"]
    return Options(
        depth=int(config["net_type"].removeprefix("resnet_")),
        location_refinement=config["location_refinement"],
        pairwise=config["pairwise_predict"],
        intermediate_supervision=supervised,
        intermediate_unit=config["intermediate_supervision_layer"] if supervised else 0,
        huber=config["locref_huber_loss"],
        pairwise_huber=config["pairwise_huber_loss"],
        refinement_weight=config["locref_loss_weight"],
        pairwise_weight=config["pairwise_loss_weight"],
    )


def test_four_updates_of_the_network_equal_the_original(golden, update_case):
    case, notes = (golden.load(f"{FOLDER}{update_case}.{kind}") for kind in ("npz", "json"))
    config, rates = notes["config"], list_rates(notes)
    options = make_options(config)
    model = build_model(options, config["num_joints"])
    report = assign_checkpoint(model, fill_weights(golden, model), "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    targets = make_targets(case, weighted=config["weigh_part_predictions"])
    before = {name_variable(v.path): v.numpy() for v in model.variables}
    optimizer = make_optimizer(OPTIMIZERS[config["optimizer"]])
    for step, wanted in enumerate(notes["losses"]):
        with tf.GradientTape() as tape:
            outputs = model(case["in_inputs"], training=True)
            losses = compute_loss(targets, outputs, options)
        assert set(losses) == {name for name, theirs in PARTS.items() if theirs in wanted}
        for name, value in losses.items():
            # Float32 sums in another order, through up to four updates.
            assert float(value) == pytest.approx(wanted[PARTS[name]], rel=1e-4), name
        if step < len(notes["losses"]) - 1:
            gradients = tape.gradient(losses["total"], model.trainable_variables)
            optimizer.learning_rate = rates[step]
            optimizer.apply(gradients, model.trainable_variables)
    after = {name_variable(v.path): v.numpy() for v in model.variables}
    for name, delta in notes["delta"].items():
        # Some changes are a few units of the last place of the weights.
        moved = np.linalg.norm(after[name].astype(np.float64) - before[name])
        assert moved == pytest.approx(delta["l2"], rel=1e-2), name
        wanted = np.array(delta["first"])
        count, old = len(wanted), before[name].ravel()
        first = after[name].ravel()[:count].astype(np.float64) - old[:count]
        # Four updates round to the places of the weights; Adam divides small gradients, sums whose
        # terms nearly cancel, by themselves.
        allowed = 4 * np.spacing(np.abs(old[:count])) + 0.02 * np.abs(wanted).max()
        assert (np.abs(first - wanted) <= allowed).all(), name
    for variable in model.non_trainable_variables:
        name = name_variable(variable.path)
        np.testing.assert_array_equal(after[name], before[name])
