"""Convert Human3.6M to frames and COCO format with cameras and 3D joints, one file a subject."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "Human36M"


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="human36m2coco.py",
        description="Convert Human3.6M to COCO format: joints, cameras and frames.\n"
        "Without options it reads data/Human36M/original/ (S1, S5, ... and metadata.xml as\n"
        "unpacked from the official archives), writes frames into data/Human36M/data/ and one\n"
        "JSON file a subject into data/Human36M/annotations/. Complete sequences stay as they are.",
        epilog="examples:\n  python tool/human36m2coco.py --release /where/h36m/lies\n"
        "  python tool/human36m2coco.py --preprocessed data/Human36M/data\n"
        "  python tool/human36m2coco.py --protocol 1 --actions 2 14 --processes 4\n"
        "  python tool/human36m2coco.py --preprocessed folders --allow-missing",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--release", metavar="DIR", type=Path, help="default: data/Human36M/original")
    add("--metadata", metavar="FILE", type=Path, help="default: metadata.xml in the release")
    layout = "folders s_01_act_02_subact_01_ca_01/ that are already there; no release is read"
    add("--preprocessed", metavar="DIR", type=Path, help=layout)
    add("--frames", metavar="DIR", type=Path, help="default: data/Human36M/data")
    add("--output", metavar="DIR", type=Path, help="default: data/Human36M/annotations")
    protocol = (
        "1 tests on subject 11, 2 on 9 and 11; training takes every 5th frame, tests every 64th"
    )
    add("--protocol", type=int, choices=(1, 2), default=2, help=protocol + " (2)")
    add("--subjects", metavar="S", type=int, nargs="+", help="of the protocol's; default: all")
    add("--actions", metavar="A", type=int, nargs="+", default=[], help="2 to 16; default: all")
    everything = "every frame, not those of the protocol's sampling alone; files s_.._every_1.json"
    add("--all-frames", action="store_true", help=everything)
    missing = "leave out sequences and frames that are not there, and count them"
    add("--allow-missing", action="store_true", help=missing)
    boxes = "2 m around the root, as published, or close around the joints, as a detector's (root)"
    add("--boxes", choices=("root", "joints"), default="root", help=boxes)
    add("--jpeg-quality", type=int, default=75, metavar="Q", help="of frames (75, as MATLAB's)")
    add("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: cores")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("human36m2coco.py"):
        strides = choose_strides(chosen)
        frames = chosen.preprocessed or chosen.frames or FOLDER / "data"
        if not chosen.preprocessed:
            write_frames(chosen, frames, strides)
        elif not frames.is_dir():
            raise FileNotFoundError(f"No folder {frames}; --preprocessed names the sequences.")
        write_annotations(chosen, frames, strides)


def choose_strides(chosen: argparse.Namespace) -> dict[int, int]:
    """Subject to the stride of its frames in the annotations.

    Raises:
        ValueError: a subject that the protocol does not have, or an unknown action.
    """
    from poseras.data.human36m_sequences import ACTIONS, PROTOCOLS

    strides = PROTOCOLS[chosen.protocol].strides()
    subjects = chosen.subjects or list(strides)
    strange = [subject for subject in subjects if subject not in strides]
    if strange or not set(chosen.actions) <= set(ACTIONS):
        raise ValueError(
            f"--subjects must be among {', '.join(map(str, strides))} and --actions among 2 to 16. "
            f"Received {subjects} and {chosen.actions}."
        )
    return {subject: strides[subject] for subject in subjects}


def write_frames(chosen: argparse.Namespace, frames: Path, strides: dict[int, int]) -> None:
    """Write the folders of all sequences that are not complete, several at a time."""
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from poseras.data import human36m_release as h36m
    from poseras.data.human36m_sequences import list_sequences
    from poseras.engine.progress import progress_bar

    release = chosen.release or FOLDER / "original"
    metadata = h36m.read_metadata(chosen.metadata or release / "metadata.xml")
    names = [n for n in list_sequences(list(strides)) if n.action in (chosen.actions or [n.action])]
    absent = 0
    convert = partial(
        h36m.convert_sequence, release, metadata, frames, jpeg_quality=chosen.jpeg_quality
    )
    with (
        ProcessPoolExecutor(max(chosen.processes, 1)) as pool,
        progress_bar(total=len(names), unit="sequence", desc="frames") as bar,
    ):
        jobs = []
        for name in names:
            stride = 1 if chosen.all_frames else strides[name.subject]
            if h36m.is_complete(frames, name, stride):
                bar.update()
                continue
            if chosen.allow_missing and not h36m.is_there(release, metadata, name):
                absent += 1
                bar.update()
                continue
            h36m.import_cdflib()  # says here, and not in a process of its own, that it is missing
            jobs.append(pool.submit(convert, name, stride=stride))
        try:
            for job in as_completed(jobs):
                job.result()
                bar.update()
        finally:
            for job in jobs:
                job.cancel()
    if absent:
        print(f"{absent} of {len(names)} sequences are not in {release} and were left out")


def write_annotations(chosen: argparse.Namespace, frames: Path, strides: dict[int, int]) -> None:
    """Write one file a subject; each is written when the subject is done."""
    from poseras.data.human36m_coco import annotation_file, convert_subject
    from poseras.data.human36m_sequences import list_sequences
    from poseras.engine.progress import progress_bar
    from poseras.files import write_json_atomically

    output = chosen.output or FOLDER / "annotations"
    total = sum(n.action in (chosen.actions or [n.action]) for n in list_sequences(list(strides)))
    found = 0
    with progress_bar(total=total, unit="sequence", desc="annotations") as bar:
        for subject, stride in strides.items():
            stride = 1 if chosen.all_frames else stride
            conversion = convert_subject(
                frames,
                subject,
                stride,
                actions=chosen.actions,
                allow_missing=chosen.allow_missing,
                boxes=chosen.boxes,
                report=lambda _: bar.update(),
            )
            path = output / annotation_file(subject, stride)
            write_json_atomically(path, conversion.content)
            found += len(conversion.content["images"])
            bar.write(f"{path}: {conversion.summary()}")
    if not found:
        raise ValueError(f"Not one frame was found in {frames}; is it the folder of s_01_act_...?")


if __name__ == "__main__":
    main()
