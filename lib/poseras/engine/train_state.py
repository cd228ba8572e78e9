"""Everything that a training run must remember to go on as if it had not stopped.

Snapshot parts: `weights/` and `ema/` by the path of the model's variable, `optimizer/` by that of
the optimizer's, `random/` the states of dropout layers by their order, `loss_scale/`, and
`running/` the losses since the last line of the log; `resources/` the tables that the system was
given, which are written and never restored. Data order, augmentation and learning rate
are functions of the step and need no memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from .snapshot import Snapshot, assign_weights, collect_weights
from .train_step import TrainStep


def collect_state(step: TrainStep, running: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    """Copies of all arrays of a snapshot.

    Args:
        step: between two updates.
        running: name of a logged value -> one number for each step since the last line.
    """
    arrays = collect_weights(step.model)
    for part, variables in _other_variables(step).items():
        arrays |= {f"{part}/{name}": variable.numpy() for name, variable in variables.items()}
    arrays |= {f"running/{name}": np.array(values) for name, values in running.items()}
    resources = getattr(step.system, "resources", {})
    arrays |= {f"resources/{name}": np.asarray(table) for name, table in resources.items()}
    return arrays


def restore_state(step: TrainStep, snapshot: Snapshot) -> tuple[dict[str, list[float]], list[str]]:
    """Bring a step back to where it was when the snapshot was written.

    Args:
        step: of the same network.
        snapshot: as `collect_state` filled it.

    Returns:
        The running values, and one line for each part that the snapshot has not and that
        therefore starts anew.

    Raises:
        ValueError: the snapshot is of another network.
    """
    assign_weights(step.model, snapshot.arrays, source=str(snapshot.path))
    notes = []
    for part, variables in _other_variables(step).items():
        stored = snapshot.part(part)
        fits = all(
            name in stored and stored[name].shape == tuple(variable.shape)
            for name, variable in variables.items()
        )
        if fits:
            for name, variable in variables.items():
                variable.assign(stored[name])
        elif step.average and part == "ema":
            step.average.restart()
            notes.append("The snapshot has no weight averages: they start at its weights.")
        else:
            notes.append(f"The snapshot has no fitting {part} state: it starts anew.")
    running = {name: values.tolist() for name, values in snapshot.part("running").items()}
    return running, notes


def _other_variables(step: TrainStep) -> dict[str, dict[str, tf.Variable | keras.Variable]]:
    """Part of the snapshot -> name -> variable, for all but the weights themselves."""
    weights = {id(variable) for variable in step.model.weights}
    # Keras numbers the names of random states by process, not by model: their order counts.
    states = [variable for variable in step.model.variables if id(variable) not in weights]
    parts = {
        "optimizer": {v.path: v for v in step.optimizer.variables if v.name != "learning_rate"},
        "random": {str(number): state for number, state in enumerate(states)},
    }
    if step.average:
        paths = [weight.path for weight in step.average.weights]
        parts["ema"] = dict(zip(paths, step.average.averages, strict=True))
    if step.loss_scale:
        parts["loss_scale"] = {
            "scale": step.loss_scale.scale,
            "good_steps": step.loss_scale.good_steps,
        }
    return parts
