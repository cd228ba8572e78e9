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
from poseras.settings import list_settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "bench").glob("*.md")), ROOT / "data/README.md"]
CONFIGS = sorted((ROOT / "main" / "configs").glob("*.yaml"))
COMMAND = re.compile(r"python ((?:main|tool|bench)/\w+\.py)([^`)\n]*)")
#: A word that stands for a value: DIR, YAML, FILE.
PLACEHOLDER = re.compile(r"[A-Z_]+")
#: What stands for a number, and one that it may be.
NUMBERS = {"N": "1", "H,W": "384,288"}
#: The line goes on: in Markdown, and in the head of a config, where it is a comment.
CONTINUED = re.compile(r"\s*\\\n(?:#\s*)?")
#: What Markdown shows as code: a block of lines, or a piece of a line.
CODE_BLOCK = re.compile(r"^ *```.*?\n(.*?)```", re.MULTILINE | re.DOTALL)
CODE_PIECE = re.compile(r"`([^`\n]+)`")
#: A setting with its value, alone or after --set.
ASSIGNMENT = re.compile(r"(?:(?:data|train|test|options|view)(?:\.\w+)+|run|seed|system)=\S.*")
#: Not `demo`, which is an English word, too.
CONFIG_NAME = re.compile(r"\b(?:" + "|".join(p.stem for p in CONFIGS if "_" in p.stem) + r")\b")


class Command(NamedTuple):
    """A command as a document shows it."""

    document: str
    program: str
    words: tuple[str, ...]


class Change(NamedTuple):
    """Settings that a document changes together, and the configs that the same line names."""

    document: str
    assignments: tuple[str, ...]
    configs: tuple[str, ...]


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
    return [NUMBERS.get(word, word.split("|")[0])]


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


def split_code(code: str) -> list[str]:
    """The words of a piece of code as a shell would see them; as they stand where it would not."""
    try:
        return shlex.split(code, comments=True)
    except ValueError:
        return code.split()


def find_changes(path: Path) -> list[Change]:
    """The settings that a document changes in a piece of code, a config in a line of its head."""
    text = CONTINUED.sub(" ", path.read_text(encoding="utf-8"))
    if path.suffix == ".yaml":
        # Prose: a value ends at a blank, and the sentence's own punctuation is none of it.
        lines = [line for line in text.splitlines() if line.startswith("#")]
        pieces = [([w.rstrip(",;.:)") for w in line.split()], path.stem) for line in lines]
    else:
        blocks = [line for block in CODE_BLOCK.findall(text) for line in block.splitlines()]
        prose = CODE_BLOCK.sub("", text).replace("\\|", "|").splitlines()
        pieces = [(split_code(line), line) for line in blocks]
        pieces += [(split_code(code), line) for line in prose for code in CODE_PIECE.findall(line)]
    name = str(path.relative_to(ROOT))
    found = []
    for words, near in pieces:
        assignments = (word.partition("=") for word in words if ASSIGNMENT.fullmatch(word))
        told = tuple(f"{key}={NUMBERS.get(value, value)}" for key, _, value in assignments)
        if told:
            found.append(Change(name, told, tuple(CONFIG_NAME.findall(near))))
    return found


def representatives() -> tuple[str, ...]:
    """The default config, and one of each network that any config is of."""
    chosen = {}
    for name in (main_config.DEFAULT_CONFIG, *main_config.config_names()):
        config = main_config.load_config(name)
        network = [getattr(config.options, word, "") for word in ("backbone", "codec")]
        chosen.setdefault((config.system, *network), name)
    return tuple(chosen.values())


def try_change(name: str, change: Change) -> str:
    """What is wrong with the settings on top of a config; empty where nothing is."""
    try:
        config = main_config.load_config(name, change.assignments)
    except ValueError as error:
        return str(error)
    values = {setting.key: setting.value for setting in list_settings(config)}
    for assignment in change.assignments:
        key, _, text = assignment.partition("=")
        members = values[key] if isinstance(values[key], tuple) else (values[key],)
        words = [member for member in members if isinstance(member, str)]
        if words and not text.startswith("[") and ",".join(words) != text:
            return f"{assignment} becomes {values[key]!r}"
    return ""


def test_every_documented_setting_is_taken_as_it_is_written():
    changes = {change for path in DOCUMENTS + CONFIGS for change in find_changes(path)}
    shown = {text for change in changes for text in change.assignments}
    assert {"train.frozen=^(?!head)", "test.ensemble=FILE,FILE", "test.split=test"} <= shown
    others, faults = representatives(), []
    for change in sorted(changes):
        answers = []
        for name in change.configs or others:
            answers.append(try_change(name, change))
            if not answers[-1]:
                break
        else:
            faults.append(f"{change}: {answers[0]}")
    assert not faults, "\n".join(faults)
