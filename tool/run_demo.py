"""From nothing to poses: makes people, trains a network on them, scores it, draws what it finds.

`make demo` calls this. Every step is a command that you could type, and is printed; a step whose
inputs did not change since the last time is not repeated. The outcome is a table and the pictures
in output/vis/demo/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from poseras.error_lines import one_line_errors
from poseras.files import write_image_atomically, write_json_atomically
from poseras.settings import apply_differences, read_differences

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "demo"
#: Difficulty -> data set, and what make_synthetic.py is told. The standard one is trained on.
SETS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "easy": ("SyntheticEasy", ("--train", "0", "--val", "150", "--seed", "101")),
    "standard": ("SyntheticDemo", ("--train", "600", "--val", "150", "--seed", "102")),
    "crowd": ("SyntheticCrowd", ("--train", "0", "--val", "40", "--seed", "103")),
}
TRAINED_ON = SETS["standard"][0]
FOLDER = ROOT / "output" / "vis" / "demo"
STATE = ROOT / "output" / "log" / "demo.json"
UNTRAINED = (
    ROOT / "output" / "model_dump" / TRAINED_ON / "demo_untrained" / "snapshot_0.safetensors"
)
#: The training is interrupted when this share of its steps is done.
INTERRUPTED_AT = 0.4


class Stages:
    """The steps of the demonstration: each is done once for the same inputs.

    Args:
        path: of the JSON file that remembers key, seconds and result of each step.
        inputs: digests of what all steps depend on.
    """

    def __init__(self, path: Path, inputs: str):
        self._path, self._inputs = path, inputs
        try:
            self.done: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # none, or damaged: all is done anew
            self.done = {}

    def run(self, name: str, action: Callable[[], Any], products: tuple[Path, ...] = ()) -> Any:
        """The result of a step, from the last time where nothing changed.

        Args:
            name: of the step.
            action: does it; its result must be JSON.
            products: files without which the step has to be repeated.
        """
        key = hashlib.sha256(f"{name} {self._inputs}".encode()).hexdigest()
        entry = self.done.get(name)
        if entry and entry["key"] == key and all(path.exists() for path in products):
            print(f"= {name}: nothing changed ({entry['seconds']:.0f} s the last time)")
            return entry["result"]
        print(f"\n> {name}", flush=True)
        started = time.monotonic()
        result = action()
        seconds = time.monotonic() - started
        self.done[name] = {"key": key, "seconds": round(seconds, 1), "result": result}
        write_json_atomically(self._path, self.done)
        return result


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  python tool/run_demo.py\n  python tool/run_demo.py --fresh\n",
    )
    parser.add_argument("--fresh", action="store_true", help="do every step again; people stay")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the program."""
    given = parse_arguments(arguments)
    with one_line_errors("run_demo.py"):
        check_processor(Path("/proc/cpuinfo"))
        from poseras.shipped import shipped_weights

        if given.fresh:
            STATE.unlink(missing_ok=True)
        started = time.monotonic()
        stages = Stages(STATE, digest_inputs(shipped_weights()))
        try:
            scores = run_stages(stages, shipped_weights())
        except KeyboardInterrupt:
            print("Interrupted. `make demo` goes on with this step.", file=sys.stderr)
            raise SystemExit(130) from None
        print(summarise(scores, stages, time.monotonic() - started))


def check_processor(description: Path) -> None:
    """Say it in one line where TensorFlow would die without a word.

    Args:
        description: Linux' list of what the processor can do; nothing is checked without it.

    Raises:
        ValueError: an x86 processor without AVX.
    """
    text = description.read_text(encoding="utf-8") if description.is_file() else ""
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), None)
    if flags is not None and "avx" not in flags:
        raise ValueError(
            "TensorFlow's packages need a processor with AVX. Received one without; run this on "
            "another machine, or install a TensorFlow that was built for this one."
        )


def digest_inputs(weights: Path) -> str:
    """One digest of the code, the settings and the shipped weights."""
    files = [*(ROOT / "lib").rglob("*.py"), *(ROOT / "main").glob("*.py"), Path(__file__), weights]
    files += [ROOT / "tool/make_synthetic.py", ROOT / "main" / "configs" / f"{CONFIG}.yaml"]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def run_stages(stages: Stages, weights: Path) -> dict[str, Any]:
    """All steps in their order, and the numbers that they gave."""
    for difficulty, (dataset, arguments) in SETS.items():
        folder = ROOT / "data" / dataset
        stages.run(
            f"people, {difficulty}",
            lambda d=difficulty, f=folder, a=arguments: make_people(d, f, a),
            (folder / "annotations/val.json", folder / "dataset.yaml", people_sheet(difficulty)),
        )
    ceilings = stages.run("ceilings: the true maps, decoded", find_ceilings)
    untrained = stages.run(
        "scores, untrained",
        lambda: {"standard": score("standard", write_untrained(), "untrained")},
    )
    shipped = stages.run(
        "scores, shipped weights", lambda: {d: score(d, weights, "shipped") for d in SETS}
    )
    training = stages.run("training, interrupted and continued", train, (newest_snapshot(),))
    after = stages.run(
        "scores, after the training",
        lambda: {d: score(d, newest_snapshot(), "trained") for d in SETS},
        tuple(results_file(difficulty) for difficulty in SETS),
    )
    pictures = [FOLDER / f"{difficulty}.jpg" for difficulty in SETS]
    stages.run("pictures", draw_sheets, tuple(pictures))
    return {
        "ceiling": ceilings,
        "untrained": untrained,
        "shipped": shipped,
        "trained": after,
        "training": training,
    }


def call(*command: str) -> None:
    """Run a program of the project, shown as it would be typed.

    Raises:
        SystemExit: with its code, when it fails; it has said why.
    """
    print("$ python " + shlex.join(command), flush=True)
    code = subprocess.run([sys.executable, *command], cwd=ROOT).returncode
    if code:
        raise SystemExit(code)


def make_people(difficulty: str, folder: Path, arguments: tuple[str, ...]) -> None:
    """The pictures of one difficulty; a set that other settings made is made anew."""
    where = ("--output", str(folder.relative_to(ROOT)), "--force")
    sheet = ("--sheet", str(people_sheet(difficulty).relative_to(ROOT)))
    call("tool/make_synthetic.py", "--difficulty", difficulty, *arguments, *where, *sheet)


def people_sheet(difficulty: str) -> Path:
    """The picture of 24 people with their true keypoints."""
    return FOLDER / f"people_{difficulty}.jpg"


def results_file(difficulty: str, name: str = "trained") -> Path:
    """The poses that a network found."""
    return ROOT / "output" / "result" / SETS[difficulty][0] / f"demo_{name}" / "result.json"


def write_untrained() -> Path:
    """A snapshot of the network as it starts."""
    import keras

    from poseras.data.dataset import load_dataset
    from poseras.engine.snapshot import collect_weights, read_metadata, write_snapshot
    from poseras.shipped import shipped_weights
    from poseras.systems import options_module, system_class

    metadata = read_metadata(shipped_weights())
    options = apply_differences(options_module(metadata["system"]).Options(), metadata["options"])
    keras.utils.set_random_seed(0)
    skeleton = load_dataset(ROOT, TRAINED_ON).skeleton
    model = system_class(metadata["system"])(options, skeleton).build_model()
    write_snapshot(UNTRAINED, collect_weights(model), metadata)
    return UNTRAINED


def score(difficulty: str, snapshot: Path, name: str) -> float:
    """AP of a snapshot on one difficulty, with detected boxes."""
    run, dataset = f"demo_{name}", SETS[difficulty][0]
    settings = (f"run={run}", f"data.testset={dataset}", "test.real_keypoint_scores=true")
    file = snapshot.relative_to(ROOT) if snapshot.is_relative_to(ROOT) else snapshot
    call("main/test.py", "--config", CONFIG, "--model-file", str(file), "--set", *settings)
    metrics = results_file(difficulty, name).with_name("metrics.json")
    return float(json.loads(metrics.read_text(encoding="utf-8"))["metrics"].get("AP", 0.0))


def find_ceilings() -> dict[str, float]:
    """AP of a perfect network, with true boxes."""
    from poseras.ceiling import predict_true_targets
    from poseras.data.evaluation_set import find_evaluation_files, load_evaluation_set
    from poseras.engine.snapshot import read_snapshot
    from poseras.engine.tester import Selection
    from poseras.evaluation import evaluate
    from poseras.predictor import build_system
    from poseras.shipped import shipped_weights

    system, view = build_system(read_snapshot(shipped_weights()), {})
    height, width = view.size_hw
    found = {}
    for difficulty, (dataset, _) in SETS.items():
        files = find_evaluation_files(ROOT, dataset, "val", use_gt_box=True)
        people = load_evaluation_set(files, system.skeleton)
        selection = Selection(
            aspect_ratio=width / height, margin=view.margin, oks_sigmas=system.skeleton.oks_sigmas
        )
        predict = predict_true_targets(system, view)
        outcome = evaluate(predict, people, system.skeleton, selection=selection, evaluator="fast")
        found[difficulty] = float(outcome.evaluation.stats["AP"]) if outcome.evaluation else 0.0
    return found


def run_folder(kind: str) -> Path:
    """output/<kind>/ of the training."""
    return ROOT / "output" / kind / TRAINED_ON / CONFIG


def newest_snapshot() -> Path:
    """The last epoch of the training, or where it will be."""
    from poseras.engine.snapshot import list_snapshots, snapshot_path

    found = list_snapshots(run_folder("model_dump"))
    return found[max(found)] if found else snapshot_path(run_folder("model_dump"), 0)


def train() -> dict[str, float]:
    """Train from the shipped weights, stop the program on the way, and let it go on.

    Returns:
        The training loss, averaged over the first and the last tenth of the steps.
    """
    for kind in ("model_dump", "log"):
        shutil.rmtree(run_folder(kind), ignore_errors=True)
    command = ("main/train.py", "--config", CONFIG)
    print("$ python " + shlex.join(command) + "   # to be interrupted", flush=True)
    epochs = read_differences(ROOT / "main" / "configs" / f"{CONFIG}.yaml")["train.end_epoch"]
    program = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    try:
        while program.poll() is None and last_epoch() < INTERRUPTED_AT * int(epochs):
            time.sleep(0.5)
        interrupted = program.poll() is None
        if interrupted:
            program.send_signal(signal.SIGTERM)
        code = program.wait()
    finally:
        if program.poll() is None:  # Ctrl-C here must not leave it behind
            program.kill()
    if code and not (interrupted and code in (128 + signal.SIGTERM, -signal.SIGTERM)):
        raise SystemExit(code)
    print(f"Interrupted after {len(read_losses())} logged steps; now it goes on.", flush=True)
    call(*command, "--continue")
    losses = read_losses()
    tenth = max(len(losses) // 10, 1)
    return {
        "first": sum(losses[:tenth]) / tenth,
        "last": sum(losses[-tenth:]) / tenth,
        "steps": len(losses),
    }


def read_losses() -> list[float]:
    """The training loss of each step that was logged so far."""
    path = run_folder("log") / "values.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [entry["total"] for entry in entries if "total" in entry]


def last_epoch() -> int:
    """The highest epoch of the training that has a snapshot, 0 before the first."""
    from poseras.engine.snapshot import list_snapshots

    return max(list_snapshots(run_folder("model_dump")), default=0)


def draw_sheets() -> list[str]:
    """A sheet of 24 people of each difficulty with the poses that the trained network found."""
    import cv2
    import numpy as np

    from poseras.data.dataset import load_dataset
    from poseras.visualize import contact_sheet
    from poseras.visualize_sheet import pose_cell

    written = []
    for difficulty, (dataset, _) in SETS.items():
        folder = ROOT / "data" / dataset
        content = json.loads((folder / "annotations" / "val.json").read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        poses = json.loads(results_file(difficulty).read_text(encoding="utf-8"))
        people = [person for person in content["annotations"] if person["bbox"][3] >= 40]
        skeleton = load_dataset(ROOT, dataset).skeleton
        cells = []
        for number in np.linspace(0, len(people) - 1, min(24, len(people))).astype(int):
            person = people[number]
            file = folder / "images" / "val" / names[person["image_id"]]
            picture = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
            cells.append(pose_cell(picture, person["bbox"], match(person, poses), skeleton))
        path = FOLDER / f"{difficulty}.jpg"
        write_image_atomically(path, contact_sheet(cells, columns=8))
        written.append(str(path.relative_to(ROOT)))
    return written


def match(person: Mapping[str, Any], poses: list[dict[str, Any]]) -> Any:
    """(joints, 3) of the pose that lies nearest to a person, None where none lies in its box."""
    import numpy as np

    truth = np.array(person["keypoints"], float).reshape(-1, 3)
    best, nearest = None, 0.5 * float(np.hypot(*person["bbox"][2:]))
    for pose in poses:
        if pose["image_id"] == person["image_id"]:
            found = np.array(pose["keypoints"], float).reshape(-1, 3)
            apart = np.hypot(*(found - truth)[truth[:, 2] > 0, :2].T)
            if apart.size and apart.mean() < nearest:
                best, nearest = found, float(apart.mean())
    return best


def summarise(scores: Mapping[str, Any], stages: Stages, seconds: float) -> str:
    """What came out, as a table, and what to do next."""
    rows = [("AP, detected boxes", *SETS)]
    titles = {
        "untrained": "untrained network",
        "shipped": "shipped weights",
        "trained": "after the training",
        "ceiling": "true maps, true boxes",
    }
    for key, title in titles.items():
        values = (scores[key].get(difficulty) for difficulty in SETS)
        rows.append((title, *("" if v is None else f"{v:.3f}" for v in values)))
    lines = ["{:<24}{:>10}{:>10}{:>10}".format(*row) for row in rows]
    loss, before = scores["training"], scores["shipped"]["standard"]
    fell = "fell" if loss["last"] < loss["first"] else "did NOT fall"
    kept = "kept" if scores["trained"]["standard"] >= before - 0.01 else "did NOT keep"
    slowest = sorted(stages.done.items(), key=lambda item: -item[1]["seconds"])
    times = ", ".join(f"{name} {entry['seconds']:.0f} s" for name, entry in slowest[:4])
    return "\n".join(
        [
            "",
            *lines,
            "",
            f"The training loss {fell}: {loss['first']:.1f} in the first tenth, {loss['last']:.1f} "
            f"in the last. The held-out people {kept} their AP.",
            f"This run took {seconds:.0f} s; the longest steps: {times}.",
            f"Look at {FOLDER.relative_to(ROOT)}/: what was found; people_*.jpg: what is true.",
            "",
            "What next:",
            "  python main/demo.py --input photo.jpg --output poses      # your own pictures",
            "  python main/train.py --config finetune_own_data           # your own annotations",
            "  README.md: published recipes, data sets, converters",
        ]
    )


if __name__ == "__main__":
    main()
