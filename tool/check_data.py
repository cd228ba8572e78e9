"""Look for what is wrong in the files of a data set: the data doctor."""

from __future__ import annotations

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from poseras.error_lines import one_line_errors

if TYPE_CHECKING:
    import numpy as np

    from poseras.data.dataset import Dataset
    from poseras.data.doctor.columns import SplitColumns
    from poseras.data.doctor.findings import Finding, Report

ROOT = Path(__file__).resolve().parent.parent
#: Lines under each kind of fault.
EXAMPLES = 3
#: What the new file of --fix is called.
MENDED = ".mended.json"
#: Pixels of a line of a caption.
LINE_PX = 18


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="check_data.py",
        description="Look for what is wrong in the annotations, pictures and detections that\n"
        "data/NAME/dataset.yaml names. Nothing is changed. Exit code: 0 clean (notes alone), 1\n"
        "faults were found, 2 the command is wrong.",
        epilog="examples:\n  python tool/check_data.py COCO --skip-images\n"
        "  python tool/check_data.py Climbers --json report.json\n"
        "  python tool/check_data.py Climbers --split train --fix   # train.mended.json beside it\n"
        "  python tool/check_data.py --list-kinds",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help="folder of data/")
    add("--split", nargs="+", default=[], metavar="SPLIT", help="default: all of dataset.yaml")
    add("--skip-images", action="store_true", help="look at the annotations alone")
    threads = f"pictures opened at the same time ({min(os.cpu_count() or 1, 16)})"
    add("--threads", type=_count, default=min(os.cpu_count() or 1, 16), metavar="N", help=threads)
    ignored = "kinds that do not count, by their codes"
    add("--ignore", nargs="+", default=[], metavar="CODE", help=ignored)
    add("--json", type=Path, metavar="FILE", help="write everything that was found")
    mended = (
        f"mend what can be mended without guessing into NAME{MENDED} beside each annotation file, "
        "or in DIR; the file itself is not touched"
    )
    add("--fix", type=Path, nargs="?", const=False, metavar="DIR", help=mended)
    drawn = "pictures of the worst, drawn into output/vis/NAME/check/ (16; 0 for none)"
    add("--draw", type=_count_or_none, default=16, metavar="N", help=drawn)
    add("--list-kinds", action="store_true", help="print every kind of fault, and end")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1. Received {text!r}.")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Returns:
        The exit code: 0 or 1; a wrong command ends the program with 2.
    """
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    if chosen.list_kinds:
        print_kinds()
        return 0
    if chosen.name is None:
        parser.error("NAME is missing: a folder of data/ that holds a dataset.yaml.")
    with one_line_errors("check_data.py"):
        return check(chosen)


def check(chosen: argparse.Namespace) -> int:
    """What the command line asks for; the exit code.

    Raises:
        ValueError, FileNotFoundError: see `examination.examine`; an unknown code.
        OSError: a file cannot be written.
    """
    from poseras.data.dataset import load_dataset
    from poseras.data.doctor.examination import examine
    from poseras.engine.progress import progress_bar
    from poseras.files import write_json_atomically

    check_codes(chosen.ignore)
    dataset = load_dataset(ROOT, chosen.name)
    with progress_bar(unit="picture", desc="check", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = examine(
            dataset,
            chosen.split,
            look_at_pictures=not chosen.skip_images,
            threads=chosen.threads,
            progress=show,
        )
    report = report.without(chosen.ignore)
    print_report(report)
    if chosen.draw and report.findings:
        folder = ROOT / "output" / "vis" / dataset.name / "check"
        count = draw_worst(report, folder, chosen.draw)
        print(f"{count} pictures: {folder}" if count else "No picture could be drawn.")
    if chosen.json:
        write_json_atomically(chosen.json, report.to_dict(), indent=True)
        print(f"report: {chosen.json}")
    if chosen.fix is not None:
        write_mended(report, dataset, chosen.fix or None)
    return 0 if report.is_clean else 1


def check_codes(codes: Sequence[str]) -> None:
    """Refuse codes that no kind of fault has.

    Raises:
        ValueError: there is one; the nearest is named.
    """
    import difflib

    from poseras.data.doctor.kinds import KINDS

    for code in codes:
        if code not in KINDS:
            near = difflib.get_close_matches(code, KINDS, n=1)
            hint = f"Did you mean {near[0]}?" if near else "--list-kinds prints all."
            raise ValueError(f"There is no kind of fault {code!r}. {hint}")


def print_kinds() -> None:
    """Every kind of fault, the severest first."""
    from poseras.data.doctor.findings import sort_codes
    from poseras.data.doctor.kinds import KINDS

    for kind in map(KINDS.__getitem__, sort_codes(KINDS)):
        print(f"{kind.severity:8} {kind.code:26} {kind.meaning}")
        print(f"{'':35} -> {kind.advice}{' (--fix)' if kind.mendable else ''}")


def print_report(report: Report) -> None:
    """The table: a row for each kind, with its counts, examples and what to do."""
    from poseras.data.doctor.kinds import KINDS

    for name, columns in report.columns.items():
        print(f"{name}: {len(columns.image_ids)} pictures, {len(columns)} people, {columns.path}")
    for name, path in report.absent.items():
        print(f"{name}: not looked at, there is no {path}")
    print(*report.remarks, sep="\n", end="\n" if report.remarks else "")
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_code[finding.code].append(finding)
    splits = list(dict.fromkeys(finding.split for finding in report.findings))
    if by_code:
        heads = "".join(f"{split or 'detections':>12}" for split in splits)
        print(f"\n{'severity':8} {'code':26}{heads}")
    for code in report.codes():
        kind, found = KINDS[code], by_code[code]
        counts = "".join(f"{report.count(code, split) or '':>12}" for split in splits)
        print(f"{kind.severity:8} {code:26}{counts}\n  {kind.meaning}")
        for finding in found[:EXAMPLES]:
            print(f"    {finding.split + ': ' if finding.split else ''}{finding.line}")
        if len(found) > EXAMPLES:
            print(f"    and {len(found) - EXAMPLES} more")
        print(f"  -> {kind.advice}")
    print_verdict(report)


def print_verdict(report: Report) -> None:
    """The last line of the table."""
    by_severity: dict[str, int] = defaultdict(int)
    for finding in report.findings:
        by_severity[finding.kind.severity] += 1
    if report.is_clean:
        notes = f", {by_severity['note']} notes" if by_severity["note"] else ""
        print(f"{report.dataset}: clean{notes}.")
        return
    words = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity in ("error", "warning", "note")
        if (count := by_severity[severity])
    )
    print(f"{report.dataset}: {words}.")


def write_mended(report: Report, dataset: Dataset, folder: Path | None) -> None:
    """Write the mended files and say what was done.

    Args:
        report: of the data set.
        dataset: to which it belongs.
        folder: for the new files; None for the one of each annotation file. Files of one name in
            several folders get the names of their splits in front.
    """
    from poseras.data.doctor.mending import mend
    from poseras.files import write_json_atomically

    places = Counter(columns.path.name for columns in report.columns.values())
    for name, columns in report.columns.items():
        content, done = mend(columns, report.sizes_hw, dataset.evaluation)
        if not done:
            print(f"{name}: nothing to mend without guessing.")
            continue
        stem = columns.path.name.removesuffix(".json")
        if folder and places[columns.path.name] > 1:
            stem = f"{name.replace(':', '_')}_{stem}"
        path = (folder or columns.path.parent) / f"{stem}{MENDED}"
        write_json_atomically(path, content)
        words = ", ".join(f"{count} {what}" for what, count in done.items())
        print(f"{name}: {words}. Written: {path}")


def draw_worst(report: Report, folder: Path, most: int) -> int:
    """Draw the pictures of the worst findings, of every kind in turn.

    Args:
        report: of the data set.
        folder: for the pictures; those of an earlier examination are deleted.
        most: how many at most.

    Returns:
        How many were drawn; pictures that cannot be read are passed over.
    """
    from poseras.data.images import read_image
    from poseras.files import write_image_atomically

    for old in folder.glob("[0-9][0-9]_*.jpg"):
        old.unlink()
    drawn = 0
    for place, found in choose_worst(report):
        if drawn == most:
            break
        split, image = place
        columns = report.columns[split]
        try:
            picture = read_image(columns.paths[image])
        except (OSError, ValueError):
            continue
        code = found[0].code
        path = folder / f"{drawn:02}_{split}_{columns.image_ids[image]}_{code}.jpg"
        write_image_atomically(path, draw_findings(picture, columns, image, found))
        drawn += 1
    return drawn


def choose_worst(report: Report) -> list[tuple[tuple[str, int], list[Finding]]]:
    """The pictures with findings, (split, row) and what was found: one of each kind, then more."""
    by_picture: dict[tuple[str, int], list[Finding]] = defaultdict(list)
    by_code: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for finding in report.findings:
        if finding.image >= 0 and finding.kind.severity != "note":
            place = (finding.split, finding.image)
            by_picture[place].append(finding)
            by_code[finding.code].append(place)
    longest = max(map(len, by_code.values()), default=0)
    in_turns = (
        places[turn] for turn in range(longest) for places in by_code.values() if turn < len(places)
    )
    return [(place, by_picture[place]) for place in dict.fromkeys(in_turns)]


def draw_findings(
    picture: np.ndarray, columns: SplitColumns, image: int, found: Sequence[Finding]
) -> np.ndarray:
    """One picture with the people of its findings, or all where none is meant, under a caption.

    Args:
        picture: (height, width, 3) uint8 RGB.
        columns: of its split.
        image: its row there.
        found: what is wrong with it.

    Returns:
        (height + caption, width, 3) uint8 RGB.
    """
    import cv2
    import numpy as np

    from poseras.skeleton import reindex_joints, take_joints
    from poseras.visualize import draw_truth

    rows = sorted({f.person for f in found if f.person >= 0})
    rows = rows or np.flatnonzero(columns.image_index == image).tolist()
    keypoints = np.zeros((len(rows), columns.skeleton.joint_count, 3))
    if set(columns.names) & set(columns.skeleton.keypoints):
        order = reindex_joints(columns.names, columns.skeleton)
        keypoints = take_joints(np.nan_to_num(columns.keypoints[rows]), order)
    drawn = draw_truth(picture, keypoints, columns.skeleton, boxes_xywh=columns.boxes_xywh[rows])
    lines = list(dict.fromkeys(f"{f.code}: {f.line}" for f in found))[:EXAMPLES]
    caption = np.full((LINE_PX * len(lines), drawn.shape[1], 3), 255, np.uint8)
    for number, line in enumerate(lines):
        baseline = (2, LINE_PX * number + LINE_PX - 5)
        cv2.putText(caption, line, baseline, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (16, 16, 16), 1)
    return np.concatenate([caption, drawn])


if __name__ == "__main__":
    raise SystemExit(main())
