"""Download published weights by name to where train.py and test.py look."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from poseras.error_lines import one_line_errors

if TYPE_CHECKING:
    from poseras.downloading import Downloaded
    from poseras.weights_manifest import PublishedFile

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="download_weights.py",
        description="Download published weights by name, check their size and hash, and put them\n"
        "where train.py and test.py look. A download that broke off goes on where it stopped.\n"
        "Of files behind share links it says where to click. Exit code: 0 everything is in its\n"
        "place, 1 a file must be fetched by hand, 2 something is wrong.",
        epilog="examples:\n  python tool/download_weights.py --list\n"
        "  python tool/download_weights.py tf_slim_resnet50\n"
        "  python tool/download_weights.py hrnet_w32_256x192 rtmpose_m_256x192\n"
        "  python tool/download_weights.py vitpose_b_256x192 --to /where/weights/lie",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="of the manifest; --list prints them")
    add("--to", type=Path, metavar="DIR", help="another folder than the one of the manifest")
    add("--list", action="store_true", help="print the manifest, and end")
    add("--manifest", type=Path, metavar="FILE", help="another one than the project's own")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    if not chosen.names and not chosen.list:
        parser.error("NAME is missing. --list prints all names.")
    with one_line_errors("download_weights.py"):
        from poseras.weights_manifest import MANIFEST, find_files, read_manifest

        manifest = read_manifest(chosen.manifest or MANIFEST)
        if chosen.list:
            print_list(manifest)
            return 0
        files = [file for name in chosen.names for file in find_files(manifest, name)]
        try:
            in_place = [bring(file, chosen.to) for file in files]
        except KeyboardInterrupt:
            print("\nInterrupted. The same command goes on where it stopped.")
            raise SystemExit(130) from None
    return 0 if all(in_place) else 1


def bring(file: PublishedFile, to: Path | None) -> bool:
    """Bring one file to its place; False for one that must be fetched by hand.

    Raises:
        ValueError, OSError: see `downloading.download`.
    """
    from poseras.downloading import download
    from poseras.engine.progress import progress_bar

    folder = to or ROOT / file.folder
    if file.url is None:
        there = (folder / file.file).exists()
        if there:
            print(f"{folder / file.file}: already there, unverified.")
        else:
            print(f"{file.file} must be fetched by hand. {file.click}. Put it to {folder}/")
        print_command(file, folder)
        return there
    with progress_bar(desc=file.file, unit="B", unit_scale=True, leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        print(f"{file.url} (license: {file.license})")
        done = download(file, folder, progress=show)
    print(describe(file, done))
    print_command(file, folder)
    return True


def describe(file: PublishedFile, done: Downloaded) -> str:
    """One line: where a file lies, and what is known of it."""
    state = "already there" if done.was_there else "written"
    checked = f", {' and '.join(done.checked)} checked" if done.checked else ""
    line = f"{done.path}: {state}{checked}."
    missing = [word for word in ("size", "hash") if word not in done.checked]
    if missing:
        line += f" UNVERIFIED: its {' and '.join(missing)} could not be checked"
        line += f"; its SHA-256 is {done.sha256}." if done.sha256 else "."
    return line


def print_command(file: PublishedFile, folder: Path) -> None:
    """How to use a file that lies in its place."""
    if file.command and folder == ROOT / file.folder:
        print(f"  -> {file.command}")


def print_list(manifest: dict[str, list[PublishedFile]]) -> None:
    """The manifest by system: name, table row, size, what is known of it."""
    by_system: dict[str, list[PublishedFile]] = {}
    for files in manifest.values():
        by_system.setdefault(files[0].system, []).append(files[0])
    for system, files in by_system.items():
        print(system)
        for file in files:
            size = f"{file.bytes / 1e6:.3g} MB, " if file.bytes else ""
            state = "by hand" if file.url is None else f"{size}{describe_knowledge(file)}"
            print(f"  {file.name:40} {file.row} ({state}; {file.license})")


def describe_knowledge(file: PublishedFile) -> str:
    """What a download can be checked against."""
    if len(file.unverified) == 2:
        return "unverified"
    return f"{' and '.join(w for w in ('size', 'hash') if w not in file.unverified)} known"


if __name__ == "__main__":
    raise SystemExit(main())
