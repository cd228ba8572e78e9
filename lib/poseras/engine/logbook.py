"""What a run tells while it trains: log file, numbers for other programs, TensorBoard, the bar.

In `output/log/<dataset>/<run>/`:
- `train.log`: the story for people, appended by every start of the run, restarts included;
- `config.yaml`: the settings of the last start, see `run_description`;
- `values.jsonl`: one JSON object a line, the logged values alone. Without times, and cut back to
  the step that a run continues from, so that it is that of a run that was never interrupted;
- `events.out.tfevents.*`: the same values and the image strips for TensorBoard, where repeated
  steps simply coincide.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ..files import write_text_atomically
from .run_snapshots import make_writable

log = logging.getLogger("poseras")

LOG_NAME = "train.log"
VALUES_NAME = "values.jsonl"


class Logbook:
    """The open log of one run.

    Only the chief of several workers writes; a logbook without a folder keeps silent.

    Args:
        folder: `output/log/<dataset>/<run>/`, made if missing; None for silence.
        first_step: the step that the run begins with; what was logged beyond it is dropped.
    """

    def __init__(self, folder: str | Path | None, first_step: int = 0):
        self.folder = Path(folder) if folder is not None else None
        self._handler: logging.Handler | None = None
        self._writer: Any = None
        if self.folder is None:
            return
        make_writable(self.folder)
        truncate_values(self.folder / VALUES_NAME, first_step)
        self._handler = logging.FileHandler(self.folder / LOG_NAME, encoding="utf-8")
        self._handler.setFormatter(
            logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        )
        log.addHandler(self._handler)
        self._level_before = log.level
        log.setLevel(logging.INFO)  # the file tells the whole story, whatever the terminal shows
        self._writer = tf.summary.create_file_writer(str(self.folder))

    def write_values(
        self, step: int, values: Mapping[str, float], times: Mapping[str, float] | None = None
    ) -> None:
        """Note the values of a step in `values.jsonl` and TensorBoard.

        Args:
            step: number of updates made.
            values: what a repeated run would log too.
            times: what it would not, for TensorBoard alone.
        """
        if self.folder is None:
            return
        with (self.folder / VALUES_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}, sort_keys=True) + "\n")
        with self._writer.as_default(step=step):
            for name, value in {**values, **(times or {})}.items():
                tf.summary.scalar(name, value)

    def write_strip(self, step: int, strip_rgb: np.ndarray) -> None:
        """Show a picture in TensorBoard: predictions beside the truth.

        Args:
            step: number of updates made.
            strip_rgb: (height, width, 3) uint8.
        """
        if self.folder is None:
            return
        with self._writer.as_default(step=step):
            tf.summary.image("predictions_and_truth", strip_rgb[np.newaxis])

    def values_of(self, name: str) -> dict[int, float]:
        """Step to logged value of one name; empty without a folder."""
        if self.folder is None:
            return {}
        lines = read_values(self.folder / VALUES_NAME)
        return {line["step"]: line[name] for line in lines if name in line}

    def flush(self) -> None:
        """Bring everything to the disk, before a snapshot promises that it is there."""
        if self._handler and self.folder:
            self._handler.flush()
            self._writer.flush()
            with (self.folder / VALUES_NAME).open("a", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Flush and let go of the files."""
        if self._handler:
            self.flush()
            self._writer.close()
            log.removeHandler(self._handler)
            log.setLevel(self._level_before)
            self._handler.close()


def read_values(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a `values.jsonl`, but for one that a killed run left unfinished."""
    path = Path(path)
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def truncate_values(path: str | Path, step: int) -> None:
    """Drop the lines of a `values.jsonl` that lie beyond a step, and an unfinished one."""
    path = Path(path)
    if path.exists():
        kept = [line for line in read_values(path) if line["step"] <= step]
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in kept)
        write_text_atomically(path, text)


class Stopwatch:
    """Where the time of training goes, since the last reading.

    Attributes:
        waiting_s: seconds spent waiting for data.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin to measure anew."""
        self._start = time.perf_counter()
        self._paused_s = 0.0
        self.waiting_s = 0.0
        self.steps = 0

    def next_batch(self, iterator: Any) -> Any:
        """The next element of an iterator; the time it takes counts as waiting."""
        start = time.perf_counter()
        batch = next(iterator)
        self.waiting_s += time.perf_counter() - start
        return batch

    def exclude(self, seconds: float) -> None:
        """Leave out time that was not training: a validation, a snapshot."""
        self._paused_s += seconds

    def read(self, samples_per_step: int) -> dict[str, float]:
        """Samples per second and the share of the time spent waiting, since the last restart."""
        elapsed = max(time.perf_counter() - self._start - self._paused_s, 1e-9)
        return {
            "samples_per_second": self.steps * samples_per_step / elapsed,
            "waiting_share": self.waiting_s / elapsed,
        }


class ProgressBar:
    """The live line of a training run: epoch, loss, samples/s, waiting for data, time left.

    Args:
        first_step: where the run begins.
        end_step: where it ends.
        hidden: show nothing (other workers than the chief).
    """

    def __init__(self, first_step: int, end_step: int, *, hidden: bool = False):
        self._bar = tqdm(
            initial=first_step,
            total=end_step,
            unit="step",
            desc="train",
            disable=hidden or None,  # None: no bar where the output is no terminal
            dynamic_ncols=True,
            smoothing=0.05,
        )

    def advance(self) -> None:
        """One step more."""
        self._bar.update()

    def show(self, epoch: int, loss: float, times: Mapping[str, float]) -> None:
        """Refresh the figures; the time left is the bar's own."""
        self._bar.set_description(f"epoch {epoch}", refresh=False)
        self._bar.set_postfix(
            {
                "loss": f"{loss:.4g}",
                "samples/s": f"{times['samples_per_second']:.1f}",
                "waiting": f"{100 * times['waiting_share']:.0f}%",
            }
        )

    def close(self) -> None:
        """Leave the last state of the bar on the screen."""
        self._bar.close()
