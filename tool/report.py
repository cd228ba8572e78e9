"""A result folder as one web page: numbers, curves, errors of joints, pictures, poses in space."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="report.py",
        description="What a test found, as one web page that opens offline: numbers with their\n"
        "protocol, precision and recall, kinds of errors, size and crowding, pictures, and\n"
        "poses in space. Two runs stand beside each other if their protocols are the same.",
        epilog="examples:\n"
        "  python tool/report.py COCO/my_run\n"
        "  python tool/report.py COCO/my_run COCO/another_run --output comparison.html\n"
        "  python tool/report.py results/flip results/no_flip --anyway",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    named = "<dataset>/<run> of output/result/, or a folder that main/test.py wrote"
    add("run", metavar="RUN", help=named)
    add("other", metavar="RUN2", nargs="?", help="another one to stand beside it")
    add("--output", metavar="FILE", type=Path, help="default: report.html in the folder of RUN")
    add("--anyway", action="store_true", help="compare runs of different protocols, and say so")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    given = [name for name in (chosen.run, chosen.other) if name]
    with one_line_errors("report.py"):
        report(given, chosen.output, anyway=chosen.anyway)


def report(given: Sequence[str], output: Path | None, *, anyway: bool) -> None:
    """Write the page and say where it lies.

    Raises:
        FileNotFoundError: there is no such run, or it has no results.
        ValueError: the protocols of two runs differ, or a file is not what it should be.
    """
    from poseras.files import write_text_atomically
    from poseras.report.page import write_report
    from poseras.report.runs import find_run, read_run

    runs = [read_run(find_run(ROOT, name)) for name in given]
    page = write_report(runs, ROOT, anyway=anyway)
    name = "report.html" if len(runs) == 1 else f"report_{runs[1].folder.name}.html"
    path = output or runs[0].folder / name
    write_text_atomically(path, page)
    print(f"{path}: {len(page.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
