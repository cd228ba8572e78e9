"""Several machines: the same program on each, found through the environment variable TF_CONFIG.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                "task": {"type": "worker", "index": 0}}'

Worker 0 is the chief: it alone writes. `output/` is shared between the machines, so that all of
them read the same snapshot. TensorFlow waits without a word for workers that do not come; so they
are looked for before it is asked.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from ..error_lines import print_error
from . import distribute
from .snapshot import Snapshot

log = logging.getLogger("poseras")

#: What TensorFlow raises when a peer goes away while a step exchanges gradients.
LOST_PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The workers of a run.

    Attributes:
        addresses: `host:port` of each.
        index: of this worker; 0 is the chief.
    """

    addresses: tuple[str, ...]
    index: int


def parse_cluster(text: str | None) -> Cluster | None:
    """Read the value of TF_CONFIG.

    Args:
        text: of the environment variable; None or empty means one machine.

    Returns:
        The cluster, None for one machine.

    Raises:
        ValueError: not JSON, or something is missing or impossible; the message says what.
    """
    if not text or not text.strip():
        return None
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"TF_CONFIG must be JSON like {_EXAMPLE}. Received: {error}.") from error
    try:
        addresses = config["cluster"]["worker"]
        kind, index = config["task"]["type"], config["task"]["index"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"TF_CONFIG must have cluster.worker, task.type and task.index, like {_EXAMPLE}. "
            f"Received {text.strip()}, where {error} is missing or no mapping."
        ) from error
    if not isinstance(addresses, list) or not addresses:
        raise ValueError(f"cluster.worker of TF_CONFIG must list host:port. Received {addresses}.")
    for address in addresses:
        _split_address(address)
    if set(config["cluster"]) != {"worker"} or kind != "worker":
        raise ValueError(
            "TF_CONFIG must hold workers alone; worker 0 is the chief. Received the kinds "
            f"{sorted(config['cluster'])} and task.type {kind!r}."
        )
    if not isinstance(index, int) or not 0 <= index < len(addresses):
        raise ValueError(
            f"task.index of TF_CONFIG must be 0 to {len(addresses) - 1}, one for each worker. "
            f"Received {index!r}."
        )
    return Cluster(tuple(addresses), index) if len(addresses) > 1 else None


def _split_address(address: Any) -> tuple[str, int]:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(
            f"Addresses in TF_CONFIG must be host:port, like 10.0.0.1:2222. Received {address!r}."
        )
    return host.strip("[]"), int(port)


def wait_for_peers(cluster: Cluster, timeout_s: float) -> None:
    """Wait until every worker answers at its address, counting down.

    Every worker answers at its own address meanwhile, and goes on answering until all were seen
    and a short grace has passed; then the port is free for TensorFlow.

    Args:
        cluster: of this run.
        timeout_s: how long to wait.

    Raises:
        ConnectionError: some did not answer in time; the message names them.
        OSError: this worker cannot listen at its own address.
    """
    own = _split_address(cluster.addresses[cluster.index])
    missing = [a for i, a in enumerate(cluster.addresses) if i != cluster.index]
    deadline = time.monotonic() + timeout_s
    with _listen(own):
        told = float("inf")
        while missing:
            missing = [address for address in missing if not _answers(address)]
            left = deadline - time.monotonic()
            if not missing:
                break
            if left <= 0:
                raise ConnectionError(
                    f"Workers of TF_CONFIG did not answer within {timeout_s:g} s: "
                    f"{', '.join(missing)}. Start main/train.py on them too, check address and "
                    "firewall, or wait longer with --set train.peer_timeout_s=SECONDS."
                )
            if left <= told - 10:
                log.warning("Waiting %d s more for %s ...", left, ", ".join(missing))
                told = left
            time.sleep(min(0.5, max(left, 0)))
        time.sleep(_GRACE_S)


#: How long a worker that has seen all others still answers those that have not seen it.
_GRACE_S = 1.5


def _listen(address: tuple[str, int]) -> socket.socket:
    """A socket at which the operating system accepts connections for us."""
    try:
        return socket.create_server(("", address[1]), backlog=128)
    except OSError as error:
        raise OSError(
            f"This worker cannot listen at port {address[1]}, its own in TF_CONFIG: "
            f"{error.strerror}. Choose a free port, or end the program that uses it."
        ) from error


def _answers(address: str) -> bool:
    try:
        with socket.create_connection(_split_address(address), timeout=1.0):
            return True
    except OSError:
        return False


def join(tf_config: str | None, gpus: Sequence[int], timeout_s: float) -> tf.distribute.Strategy:
    """The strategy of a run: over the workers of TF_CONFIG, if it is set, else over the GPUs.

    Args:
        tf_config: value of the environment variable, or None.
        gpus: of this machine, as `distribute.parse_gpus` gives them.
        timeout_s: how long to wait for other workers.

    Raises:
        ValueError: TF_CONFIG is wrong.
        ConnectionError: a worker does not answer in time.
    """
    cluster = parse_cluster(tf_config)
    if cluster is None:
        return distribute.make_strategy(gpus)
    wait_for_peers(cluster, timeout_s)
    tf.get_logger().setLevel(logging.WARNING)  # it tells of every exchange that it plans
    log.info("Worker %d of %d.", cluster.index, len(cluster.addresses))
    return distribute.make_worker_strategy(gpus)


@contextmanager
def failures_in_one_line(program: str) -> Iterator[None]:
    """End a program with exit code 1 and one line on stderr where a run fails on its way.

    A lost or missing peer, a loss that is no number, too little device memory. TensorFlow's
    threads still wait for a lost peer then, so the process ends without waiting for them.

    Args:
        program: its name, which begins the line.
    """
    try:
        yield
    except (ConnectionError, FloatingPointError, MemoryError) as error:
        print_error(program, error)
        if isinstance(error, ConnectionError):
            logging.shutdown()
            os._exit(1)
        raise SystemExit(1) from error


def count(strategy: tf.distribute.Strategy) -> int:
    """The number of workers of a strategy, 1 on one machine."""
    resolver = strategy.cluster_resolver
    return len(resolver.cluster_spec().as_dict().get("worker", [0])) if resolver else 1


def local_strategy(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """A strategy that a single worker may use by itself: its own, or the default one."""
    return strategy if count(strategy) == 1 else tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes."""
    return count(strategy) == 1 or strategy.cluster_resolver.task_id == 0


def any_worker(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Whether the flag is set on any worker; all of them must ask at the same step."""
    if count(strategy) == 1:
        return flag
    return bool(_gather(strategy, np.array([flag], np.int32)).any())


def compare_starts(strategy: tf.distribute.Strategy, snapshot: Snapshot | None) -> None:
    """Make sure that all workers begin with the same snapshot.

    Raises:
        ConnectionError: epoch, step or SHA-256 differ; the message lists them by worker.
    """
    if count(strategy) == 1:
        return
    counters = snapshot.metadata["counters"] if snapshot else {}
    digest = bytes.fromhex(snapshot.sha256) if snapshot else bytes(32)
    own = [counters.get("epoch", 0), counters.get("step", 0), *digest]
    rows = _gather(strategy, np.array(own, np.int32)).reshape(count(strategy), -1)
    if (rows == rows[0]).all():
        return
    starts = [
        f"worker {index}: epoch {row[0]}, step {row[1]}, SHA-256 {_hex(row[2:])[:12]}"
        for index, row in enumerate(rows)
    ]
    raise ConnectionError(
        "All workers must begin with the same snapshot; output/ must be shared between them. "
        f"Received {'; '.join(starts)}."
    )


def _hex(digest: np.ndarray) -> str:
    return bytes(digest.tolist()).hex()


def _gather(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """The values of all workers one after the other, one copy for each worker."""
    rows = _gather_function(strategy)(tf.constant(values))
    local = strategy.experimental_local_results(rows)[0].numpy()  # (devices, values)
    per_worker = strategy.num_replicas_in_sync // count(strategy)
    return local[::per_worker].reshape(-1)


@lru_cache(maxsize=1)
def _gather_function(strategy: tf.distribute.Strategy) -> Any:
    """One function for a whole run: every new trace would be a new exchange for TensorFlow."""

    @tf.function(autograph=False, reduce_retracing=False)
    def gather(values: tf.Tensor) -> Any:
        def everywhere() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_gather(values[tf.newaxis], axis=0)

        return strategy.run(everywhere)

    return gather
