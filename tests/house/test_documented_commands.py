"""Every command that the documents show is one that its program takes."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import config as main_config

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "bench").glob("*.md")), ROOT / "data/README.md"]
CONFIGS = sorted((ROOT / "main" / "configs").glob("*.yaml"))
COMMAND = re.compile(r"python ((?:main|tool|bench)/\w+\.py)([^`)\n]*)")
#: A word that stands for a value: DIR, YAML, FILE.
PLACEHOLDER = re.compile(r"[A-Z_]+")
#: The line goes on: in Markdown, and in the head of a config, where it is a comment.
CONTINUED = re.compile(r"\s*\\\n(?:#\s*)?")


class Command(NamedTuple):
    """A command as a document shows it."""

    document: str
    program: str
    words: tuple[str, ...]


class Understood(Exception):
    """The program has read its command line; here it ends."""

    def __init__(self, chosen: argparse.Namespace):
        super().__init__()
        self.chosen = chosen


def find_commands(path: Path) -> list[Command]:
    text = CONTINUED.sub(" ", path.read_text(encoding="utf-8"))
    name = str(path.relative_to(ROOT))
    return [
        Command(name, program, tuple(shlex.split(words, comments=True)))
        for program, words in COMMAND.findall(text)
        if "..." not in words
    ]


def understand(
    command: Command, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> argparse.Namespace:
    """What the program reads from its command line, without doing it."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, arguments=None, namespace=None):
        raise Understood(parse(parser, arguments, namespace))

    program = ROOT / command.program
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [program.name, *words])
    monkeypatch.syspath_prepend(str(program.parent))
    with pytest.raises(Understood) as caught:
        runpy.run_path(str(program), run_name="__main__")
    monkeypatch.undo()
    return caught.value.chosen


def concrete(word: str) -> list[str]:
    """A word as a user types it: N is a number, a|b a choice, [--flip] may be left out."""
    if word.startswith("["):
        return []
    return ["1" if word == "N" else word.split("|")[0]]


def load_named_config(chosen: argparse.Namespace) -> None:
    """Load the config that a command names, with its settings.

    Raises:
        ValueError: there is no such config or setting, or a value is wrong.
    """
    name = chosen.config or main_config.DEFAULT_CONFIG
    if not PLACEHOLDER.fullmatch(name):
        main_config.load_config(name, chosen.set)


def distinct_commands(paths: list[Path]) -> list[Command]:
    """The commands of some documents; one that several show comes once."""
    found = {(c.program, c.words): c for path in paths for c in find_commands(path)}
    return list(found.values())


def test_the_documents_show_commands():
    programs = {command.program for command in distinct_commands(DOCUMENTS)}
    assert {"main/train.py", "main/test.py", "main/demo.py", "tool/mpii2coco.py"} <= programs
    assert all(find_commands(path) for path in CONFIGS), "a config's head says how it is run"


@pytest.mark.parametrize(
    "program", sorted({command.program for command in distinct_commands(DOCUMENTS + CONFIGS)})
)
def test_its_documented_commands_are_understood(program, monkeypatch, capsys):
    source = (ROOT / program).read_text(encoding="utf-8")
    if "ArgumentParser" not in source and "command_line" not in source:
        return  # it takes no arguments
    faults = []
    for command in distinct_commands(DOCUMENTS + CONFIGS):
        if command.program != program:
            continue
        words = [typed for word in command.words for typed in concrete(word)]
        try:
            chosen = understand(command, words, monkeypatch)
            if program.startswith("main/"):
                load_named_config(chosen)
        except SystemExit:
            faults.append(f"{command}: {capsys.readouterr().err.splitlines()[-1]}")
        except ValueError as error:
            faults.append(f"{command}: {error}")
    assert not faults, "\n".join(faults)
