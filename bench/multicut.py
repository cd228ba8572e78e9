"""Time the multicut on made-up people: compiled, its reference, and the gap to the optimum.

    python bench/multicut.py
    python bench/multicut.py --large
    python bench/multicut.py --recorded multicut.npz multicut.json --exact-seconds 20

Detections are scattered around the joints of people in a picture; pairs of one person attract each
other and others repel, with noise. The original's solver cannot be installed any more: what it took
and reached on recorded instances, on another machine, stands in their .json file.

Where the optimum is not proven, "<= 0.40 %" is the gap to the bound that the exact solver proved in
its time: the optimum lies between.

`--large` takes graphs as large as a wrong threshold makes them, with and without a limit of work.

Times are of the processor, not of the clock, so that other jobs disturb them little. "Python" is
what the checks, the sums and the energy around the compiled solver take of its time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from poseras.ops import multicut_compiled, multicut_local
from poseras.ops.multicut import KICKS, Graph, make_graph, solve_multicut

SEED = 12
PEOPLE = (2, 5, 10, 20, 50)
#: Detections of a person: joints, and how many of each.
JOINTS, REPEATS = 14, 1.5
#: The exact solver gets no graphs of more pairs, of which a single round takes minutes, and this
#: many seconds for each.
EXACT_PAIRS, EXACT_SECONDS = 100_000, 60.0
#: The reference gets no larger graphs: it takes a second for this many nodes.
REFERENCE_NODES = 250
#: The limit of work that large graphs are solved with.
MAX_WORK = 10_000_000

Instance = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_people(count: int, seed: int = SEED) -> Instance:
    """Unary costs, pairs and their costs of a picture with some people, about 21 nodes each."""
    rng = np.random.default_rng(seed)
    repeats = 1 + rng.binomial(1, REPEATS - 1, (count, JOINTS))
    person, joint = np.repeat(
        np.stack(np.indices(repeats.shape)).reshape(2, -1), repeats.ravel(), 1
    )
    place = rng.uniform(0, 4 * np.sqrt(count), (count, 2))[person] + rng.normal(
        0, 1, (len(person), 2)
    )
    pairs = np.array(list(itertools.combinations(range(len(person)), 2)))
    first, second = pairs.T
    # As with a sparse graph of limbs: joints whose numbers lie near each other are compared.
    pairs = pairs[np.abs(joint[first] - joint[second]) <= 5]
    first, second = pairs.T
    distance = np.linalg.norm(place[first] - place[second], axis=1)
    evidence = np.where(person[first] == person[second], 2.0, -2.0) - 0.3 * distance
    costs = -evidence - rng.normal(0, 1.5, len(pairs))
    return rng.normal(-1.0, 1.5, len(person)), pairs, costs


def make_random(nodes: int, pairs: int, seed: int = SEED) -> Instance:
    """Unary costs, pairs and their costs, all random: nothing in them looks like people."""
    rng = np.random.default_rng(seed)
    return rng.normal(-1, 1, nodes), rng.integers(0, nodes, (pairs, 2)), rng.normal(0, 1, pairs)


def measure(function: Callable[[], object], repeats: int = 5) -> float:
    """The least milliseconds of the processor that a call takes."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times) * 1000


def measure_python(instance: Instance, graph: Graph) -> float:
    """Milliseconds of what stands around the compiled solver: checks, sums, the energy."""
    everything = np.ones(len(graph), bool)
    return measure(lambda: make_graph(*instance)) + measure(
        lambda: graph.objective(everything, everything)
    )


def find_gap(instance: Instance, energy: float, recorded: dict | None, seconds: float) -> str:
    """How far an energy, below 0, lies above the recorded or proven optimum, or a bound of it."""
    optimum, sign = (recorded or {}).get("optimum"), ""
    if optimum is None and len(instance[1]) > EXACT_PAIRS:
        return "-"
    if optimum is None:
        exact = solve_multicut(*instance, solver="exact", time_limit_s=seconds)
        optimum, sign = exact.bound, "" if exact.complete else "<= "
    return f"{sign}{abs(energy / optimum - 1) * 100:.2f} %" if np.isfinite(optimum) else "-"


def report(name: str, instance: Instance, recorded: dict | None, seconds: float) -> None:
    """One row of the table; `seconds` are the exact solver's."""
    graph = make_graph(*instance)
    energy = solve_multicut(*instance).objective
    row = [name, len(graph), len(graph.edges), "-", "-", "-"]
    if multicut_compiled.load_library() is not None:
        spent = measure(lambda: solve_multicut(*instance))
        row[3:5] = f"{spent:.2f}", f"{measure_python(instance, graph) / spent * 100:.0f} %"
    if len(graph) <= REFERENCE_NODES:
        row[5] = f"{measure(lambda: multicut_local.improve(graph, None, KICKS), 1):.0f}"
    gap = find_gap(instance, energy, recorded, seconds)
    row += [f"{solve_multicut(*instance, kicks=0).objective:.3f}", f"{energy:.3f}", gap]
    if recorded:
        row += [f"{recorded['seconds'] * 1000:.1f}", f"{recorded['objective']:.3f}"]
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def report_large() -> None:
    """Large graphs: seconds and energy, first without a limit."""
    print(
        f"| graph | nodes | pairs | s | energy | s, {MAX_WORK} looks | energy |\n"
        + "|---" * 7
        + "|"
    )
    instances = {"random": make_random(3000, 60_000), "100 people": make_people(100)}
    for name, instance in instances.items():
        graph = make_graph(*instance)
        row = [name, len(graph), len(graph.edges)]
        for limit in (None, MAX_WORK):
            start = time.thread_time()
            energy = solve_multicut(*instance, max_work=limit).objective
            row += [f"{time.thread_time() - start:.2f}", f"{energy:.1f}"]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recorded", nargs=2, type=Path, metavar=("NPZ", "JSON"))
    parser.add_argument("--exact-seconds", type=float, default=EXACT_SECONDS, metavar="S")
    parser.add_argument("--large", action="store_true", help="thousands of nodes, with a limit")
    chosen = parser.parse_args()
    if chosen.large:
        report_large()
        return
    columns = ["graph", "nodes", "pairs", "compiled, ms", "of it Python", "reference, ms"]
    columns += ["without kicks", "energy", "above optimum"]
    if chosen.recorded:
        columns += ["original, ms", "original, energy"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    if not chosen.recorded:
        for count in PEOPLE:
            report(f"{count} people", make_people(count), None, chosen.exact_seconds)
        return
    arrays = np.load(chosen.recorded[0])
    for case in json.loads(chosen.recorded[1].read_text(encoding="utf-8")):
        parts = tuple(arrays[f"{case['name']}/{part}"] for part in ("unary", "edges", "cost"))
        report(case["name"], parts, case, chosen.exact_seconds)


if __name__ == "__main__":
    main()
