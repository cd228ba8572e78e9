"""What devices say when they fail, in one line that names the next step."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from poseras.engine.training_loop import explain_device_errors


def test_too_little_device_memory_is_one_line_with_the_batch_size():
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    strategy = tf.distribute.get_strategy()
    with (
        pytest.raises(MemoryError, match="train.batch_size=32 per device.*batch_size=16"),
        explain_device_errors(32, strategy),
    ):
        raise error


def test_a_lost_peer_is_told_to_runs_of_several_workers_alone():
    error = tf.errors.UnavailableError(None, None, "Connection reset by peer")
    resolver = SimpleNamespace(
        cluster_spec=lambda: SimpleNamespace(as_dict=lambda: {"worker": ["a:1", "b:2"]})
    )
    pair = SimpleNamespace(cluster_resolver=resolver)
    with pytest.raises(ConnectionError, match="--continue"), explain_device_errors(4, pair):
        raise error
    alone = tf.distribute.get_strategy()
    with pytest.raises(tf.errors.UnavailableError), explain_device_errors(4, alone):
        raise error
