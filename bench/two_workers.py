"""Two worker processes on the loopback interface against one process, and one of them killed.

    python bench/two_workers.py

1. One step of gradient descent with synchronised batch normalisation: the pair, 12 people each,
   against one process with 24. Every weight must agree within 1e-3 of the largest update, and the
   moving statistics within 1e-4: the pair sums squares, the fused kernel of one process distances
   from the mean.
2. A run of the pair with Adam in which worker 1 gets SIGKILL: worker 0 must end with exit code 1
   and one line. Both are started again with --continue; weights and logged values must be those of
   a pair that was never killed, bit for bit.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tiny_project

from poseras.engine.snapshot import list_snapshots, read_snapshot

ONE_STEP = (
    "train.optimizer=sgd",
    "train.end_epoch=1",
    "options.batch_norm_synchronized=true",
)
RUN = (
    "train.batch_size=4",
    "train.end_epoch=10",
    "train.snapshot_minutes=0.00001",
    "options.batch_norm_synchronized=true",
)
TIMEOUT_S = 300.0


def main() -> None:
    """Run both comparisons; the exit code is 1 where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        agree = compare_one_step(Path(folder))
        resumed = compare_killed_pair(Path(folder))
    sys.exit(0 if agree and resumed else 1)


def compare_one_step(folder: Path) -> bool:
    """The weights after one step of a pair and of one process."""
    weights = {}
    for name, batch, rate in (("still", 24, "1e-30"), ("one", 24, "0.001"), ("pair", 12, "0.001")):
        root = folder / name
        tiny_project.make_project(root)
        settings = [*ONE_STEP, f"train.batch_size={batch}", f"train.learning_rate={rate}"]
        if name == "pair":
            wait_for(start_pair(root, [], settings))
        else:
            wait_for([tiny_project.start_training(root, [], settings)])
        weights[name] = read_snapshot(list_snapshots(tiny_project.snapshot_folder(root))[1]).part(
            "weights"
        )
    one, pair, still = weights["one"], weights["pair"], weights["still"]
    statistics = [name for name in one if "/moving_" in name]
    learnt = [name for name in one if name not in statistics]
    update = max(np.abs(one[name] - still[name]).max() for name in learnt)
    difference = max(np.abs(one[name] - pair[name]).max() for name in learnt)
    drift = max(np.abs(one[n] - pair[n]).max() / np.abs(one[n]).max() for n in statistics)
    print(
        f"one SGD step: largest update {update:.3g}, pair against one {difference:.3g}; "
        f"moving statistics differ by {drift:.3g} of their maximum"
    )
    return bool(update > 0 and difference <= 1e-3 * update and drift <= 1e-4)


def compare_killed_pair(folder: Path) -> bool:
    """The end of a pair that was never killed, and of one whose worker 1 was."""
    unharmed, killed = folder / "unharmed", folder / "killed"
    for root in (unharmed, killed):
        tiny_project.make_project(root)
    wait_for(start_pair(unharmed, [], RUN))
    pair = start_pair(killed, [], RUN)
    values = tiny_project.values_file(killed)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and pair[1].poll() is None:
        if values.exists() and values.read_text(encoding="utf-8").count("\n") >= 4:
            break
        time.sleep(0.005)
    start = time.monotonic()
    pair[1].kill()
    output, _ = pair[0].communicate(timeout=TIMEOUT_S)
    pair[1].communicate()
    last = output.strip().splitlines()[-1]
    print(
        f"survivor: exit code {pair[0].returncode} after {time.monotonic() - start:.0f} s: {last}"
    )
    told = pair[0].returncode == 1 and "train.py: error" in last
    wait_for(start_pair(killed, ["--continue"], RUN))
    equal = fingerprint(killed) == fingerprint(unharmed)
    print(f"continued pair equals the unharmed one: {'yes' if equal else 'NO'}")
    return told and equal


def fingerprint(root: Path) -> tuple[str, str]:
    """The SHA-256 of the last snapshot and the text of all logged values."""
    snapshots = list_snapshots(tiny_project.snapshot_folder(root))
    values = tiny_project.values_file(root).read_text(encoding="utf-8")
    return read_snapshot(snapshots[max(snapshots)]).sha256, values


def start_pair(
    root: Path, arguments: Sequence[str], settings: Sequence[str]
) -> list[subprocess.Popen[str]]:
    """Start both workers of a project; they share its folder."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    return [
        tiny_project.start_training(
            root,
            arguments,
            settings,
            {
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
                )
            },
        )
        for index in range(2)
    ]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def wait_for(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until all have ended well."""
    outputs = [process.communicate(timeout=TIMEOUT_S)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(f"main/train.py ended with {process.returncode}:\n{output[-3000:]}")


if __name__ == "__main__":
    main()
