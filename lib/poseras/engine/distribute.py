"""Which devices a run uses: the `--gpu` argument, and the strategy that spreads a step over them.

TensorFlow is imported inside the functions, so that a wrong `--gpu` is reported at once where the
number of GPUs is known.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger("poseras")

_SYNTAX = "--gpu must be like 0, 0,1, 0-1, 2- (from 2 on), -2 (0 to 2) or cpu."


def count_gpus() -> int:
    """The number of GPUs that TensorFlow sees."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def parse_gpus(text: str | None, available_count: int) -> tuple[int, ...]:
    """The GPUs that a `--gpu` argument asks for.

    A range includes both ends; without a number it begins at 0 or ends at the last GPU, so that
    `-` is all of them.

    Args:
        text: `0`, `0,1`, `0-1`, `2-`, `-2`, `cpu`, or None for one GPU of this function's choice.
        available_count: how many GPUs the machine shows.

    Returns:
        GPU numbers in the order asked for; empty for the CPU, also where there is no GPU at all,
        which one loud line says.

    Raises:
        ValueError: the text means nothing, or names a GPU that is not there while others are.

    Source: the syntax is that of TF-SimpleHumanPose.
    """
    if text is not None and text.strip().lower() == "cpu":
        return ()
    asked = () if text is None else _read_numbers(text, available_count)
    if available_count == 0:
        wish = "" if text is None else f" that --gpu {text} asks for"
        log.warning(
            "NO GPU: TensorFlow sees no GPU%s. Running on the CPU, many times slower.", wish
        )
        return ()
    if text is None:
        chosen = _least_used_gpu(available_count)
        log.info("GPU %d of %d is used; choose with --gpu.", chosen, available_count)
        return (chosen,)
    present = ",".join(map(str, range(available_count)))
    if not asked or max(asked) >= available_count:
        wish = f"GPUs {','.join(map(str, asked))}" if asked else "GPUs beyond the last"
        raise ValueError(
            f"--gpu {text} asks for {wish}; this machine shows {available_count} ({present})."
        )
    return asked


def _read_numbers(text: str, available_count: int) -> tuple[int, ...]:
    compact = text.replace(" ", "")
    if re.fullmatch(r"\d+(,\d+)*", compact):
        numbers = tuple(int(part) for part in compact.split(","))
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"--gpu must name each GPU once. Received {text!r}.")
        return numbers
    span = re.fullmatch(r"(\d*)-(\d*)", compact)
    if not span:
        raise ValueError(f"{_SYNTAX} Received {text!r}.")
    first = int(span[1] or 0)
    if span[2] and int(span[2]) < first:
        raise ValueError(f"--gpu must count upwards. Received {text!r}.")
    return tuple(range(first, int(span[2]) + 1 if span[2] else available_count))


def _least_used_gpu(available_count: int) -> int:
    """The GPU with the least memory in use, as nvidia-smi says; 0 where it cannot be asked."""
    program = shutil.which("nvidia-smi")
    if available_count == 1 or program is None:
        return 0
    query = [program, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    used = re.findall(r"^\s*(\d+)", answer, re.MULTILINE)
    # Another count means that CUDA_VISIBLE_DEVICES hides some: the numbers would not correspond.
    return min(range(len(used)), key=lambda i: int(used[i])) if len(used) == available_count else 0


def make_strategy(gpus: Sequence[int], *, cpu_devices: int = 1) -> tf.distribute.Strategy:
    """The strategy under whose scope models are made, and which runs a step on every device.

    Other GPUs are hidden from this process, and memory is taken as it is needed. So it must be
    called before anything else has touched a device.

    Args:
        gpus: as `parse_gpus` gives them; empty for the CPU.
        cpu_devices: logical devices that the CPU is divided into when it is used. Above 1 they
            stand in for several GPUs, in tests and to find out how a run would divide.

    Returns:
        A MirroredStrategy over several devices, TensorFlow's default strategy for a single one.

    Raises:
        RuntimeError: TensorFlow has begun to use other devices already.
    """
    import tensorflow as tf

    chosen = _show_gpus(gpus)
    if not chosen and cpu_devices > 1:
        _divide_cpu(cpu_devices)
    count = len(chosen) or cpu_devices
    if count == 1:
        return tf.distribute.get_strategy()
    # Hidden GPUs are not counted: the chosen ones are logical GPU 0, 1, ... in their order.
    kind = "GPU" if chosen else "CPU"
    return tf.distribute.MirroredStrategy([f"/{kind}:{number}" for number in range(count)])


def current_strategy() -> tf.distribute.Strategy:
    """The strategy whose scope the caller stands in, one device by default."""
    import tensorflow as tf

    return tf.distribute.get_strategy()


def make_worker_strategy(gpus: Sequence[int]) -> tf.distribute.Strategy:
    """The strategy over all workers of TF_CONFIG, each with the devices that it chose.

    TensorFlow waits without a word for workers that do not come; `workers.wait_for_peers` looks
    for them first.

    Args:
        gpus: of this machine, as `parse_gpus` gives them; empty for the CPU.
    """
    import tensorflow as tf

    _show_gpus(gpus)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _show_gpus(gpus: Sequence[int]) -> list[Any]:
    """Hide all other GPUs from this process, and take memory of these as it is needed."""
    import tensorflow as tf

    physical = tf.config.list_physical_devices("GPU")
    chosen = [physical[number] for number in gpus]
    tf.config.set_visible_devices(chosen, "GPU")
    for device in chosen:
        tf.config.experimental.set_memory_growth(device, True)
    return chosen


def _divide_cpu(count: int) -> None:
    """Make `count` logical CPU devices, unless there are that many already."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    present = tf.config.get_logical_device_configuration(cpu)
    if present is None or len(present) != count:
        tf.config.set_logical_device_configuration(cpu, parts)
