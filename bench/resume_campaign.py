"""Kill training at random moments, continue it, and compare with a run that was never killed.

    python bench/resume_campaign.py [--kills 12] [--seed 0] [--set train.precision=mixed_bfloat16]

Moments: start-up, inside an epoch, while a snapshot is written, and again after a first kill. After
the last kill `--continue` runs to the end. Weights, optimizer, averages and running values of the
last snapshot must equal those of the uninterrupted run bit for bit (one SHA-256 over arrays,
counters and settings), and so must every logged value. The exit code is 1 where they do not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tiny_project

from poseras.engine.snapshot import list_snapshots, read_snapshot
from poseras.files import UNFINISHED

EPOCHS = 8
#: A rolling snapshot after every step, so that a kill often falls into the writing of one.
RECIPE = (
    "train.batch_size=4",
    f"train.end_epoch={EPOCHS}",
    "train.ema_decay=0.9",
    "train.snapshot_minutes=0.00001",
    "view.augmentation.colour_gain=0.2",
)
TIMEOUT_S = 300.0
#: From project, random numbers and settings to what was on the disk when the run was killed.
Kill = Callable[[Path, random.Random, Sequence[str]], str]


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description="Kill training at random and continue it.")
    parser.add_argument("--kills", type=int, default=12, help="runs that are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--moment", choices=MOMENTS, help="instead of all of them in turn")
    parser.add_argument("--set", nargs="+", default=[], help="settings of main/train.py")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        moments = [MOMENTS[chosen.moment]] if chosen.moment else list(MOMENTS.values())
        failures = run_campaign(Path(folder), chosen.kills, moments, chosen.seed, chosen.set)
    print(f"{chosen.kills - failures} of {chosen.kills} killed runs ended bit-identical.")
    sys.exit(1 if failures else 0)


def run_campaign(
    folder: Path, kills: int, moments: Sequence[Kill], seed: int, settings: Sequence[str]
) -> int:
    """Compare killed runs with an unharmed one; the number that differ."""
    unharmed = folder / "unharmed"
    tiny_project.make_project(unharmed)
    finish(unharmed, [], settings)
    expected = fingerprint(unharmed)
    draw = random.Random(seed)
    failures = 0
    print(f"{'moment':<16}{'killed at':<68}{'equal':<8}")
    for number in range(kills):
        kill = moments[number % len(moments)]
        root = folder / f"killed_{number}"
        shutil.copytree(unharmed, root, ignore=shutil.ignore_patterns("output"))
        where = kill(root, draw, settings)
        finish(root, ["--continue"], settings)
        equal = fingerprint(root) == expected
        failures += not equal
        print(f"{kill.__name__:<16}{where:<68}{'yes' if equal else 'NO':<8}", flush=True)
        shutil.rmtree(root)
    return failures


def finish(root: Path, arguments: Sequence[str], settings: Sequence[str]) -> None:
    """Train to the end of the schedule."""
    process = tiny_project.start_training(root, arguments, [*RECIPE, *settings])
    output, _ = process.communicate(timeout=TIMEOUT_S)
    if process.returncode:
        raise RuntimeError(f"main/train.py ended with {process.returncode}:\n{output[-3000:]}")


def fingerprint(root: Path) -> tuple[str, str]:
    """The SHA-256 of the last snapshot and the text of all logged values."""
    last = list_snapshots(tiny_project.snapshot_folder(root))[EPOCHS]
    values = tiny_project.values_file(root).read_text(encoding="utf-8")
    return read_snapshot(last).sha256, values


def at_start(root: Path, draw: random.Random, settings: Sequence[str]) -> str:
    """Some seconds after the start: imports, annotations, the first trace."""
    delay = draw.uniform(0.5, 5.0)
    return kill_when(root, [], settings, lambda: True, delay)


def inside_epoch(root: Path, draw: random.Random, settings: Sequence[str]) -> str:
    """After a random number of logged lines, somewhere in the step that follows."""
    lines = draw.randint(1, 20)
    values = tiny_project.values_file(root)

    def logged() -> bool:
        return values.exists() and values.read_text(encoding="utf-8").count("\n") >= lines

    return kill_when(root, [], settings, logged, draw.uniform(0, 0.05))


def while_writing(root: Path, draw: random.Random, settings: Sequence[str]) -> str:
    """While an unfinished snapshot stands in the folder, after some whole ones."""
    return kill_in_writing(root, [], draw, settings)


def twice(root: Path, draw: random.Random, settings: Sequence[str]) -> str:
    """Inside an epoch, and once more while the continued run writes."""
    first = inside_epoch(root, draw, settings)
    second = kill_in_writing(root, ["--continue"], draw, settings)
    return f"{first}; {second}"


def kill_in_writing(
    root: Path, arguments: Sequence[str], draw: random.Random, settings: Sequence[str]
) -> str:
    """Kill at a random one of the unfinished snapshots that come up."""
    folder = tiny_project.snapshot_folder(root)
    wanted = draw.randint(1, 12)
    seen: set[str] = set()

    def writing() -> bool:
        seen.update(path.name for path in folder.glob(f".*{UNFINISHED}"))
        return len(seen) >= wanted and any(folder.glob(f".*{UNFINISHED}"))

    return kill_when(root, arguments, settings, writing, 0.0)


def kill_when(
    root: Path,
    arguments: Sequence[str],
    settings: Sequence[str],
    condition: Callable[[], bool],
    delay_s: float,
) -> str:
    """Start training, wait for a condition and some time more, and send SIGKILL.

    Returns:
        What was on the disk then: steps logged, snapshots, unfinished files.
    """
    process = tiny_project.start_training(root, arguments, [*RECIPE, *settings])
    deadline = time.monotonic() + TIMEOUT_S
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(delay_s)
    ended = process.poll() is not None
    process.kill()
    process.communicate()
    folder, values = tiny_project.snapshot_folder(root), tiny_project.values_file(root)
    lines = values.read_text(encoding="utf-8").count("\n") if values.exists() else 0
    unfinished = len(list(folder.glob(f".*{UNFINISHED}")))
    state = f"{lines} lines, {len(list_snapshots(folder))} epochs, {unfinished} unfinished"
    return f"{state}, had ended" if ended else state


MOMENTS: dict[str, Kill] = {
    kill.__name__: kill for kill in (at_start, inside_epoch, while_writing, twice)
}


if __name__ == "__main__":
    main()
