"""Sizes, names and words of the project's own files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Files of main/ that the programs share.
NO_PROGRAMS = ("config.py", "command_line.py")
CODE = ("lib", "main", "tool", "bench", "tests")
VAGUE = {"utils", "util", "common", "misc", "helper", "helpers", "tools", "stuff"}
#: What tells of the place where the files were written, or of papers that no reader has.
BANNED = re.compile(
    r"(?<![\w.])/(?:work|root|tmp/poseras)/|\bBRIEF\.md\b|\bSTYLE\.md\b|\bFACTS\.md\b"
    r"|shared/spec|\bissue #?\d+\b|\b(?:TODO|FIXME|XXX)\b",
    re.IGNORECASE,
)
TEXT = {"", ".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".cfg", ".in", ".cc", ".h", ".sh"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def project_files() -> list[Path]:
    """The files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("the project is not a git checkout, so its own files cannot be told apart")
    return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_there_are_files_to_look_at():
    assert len(python_files(*CODE)) > 20


def test_no_file_is_longer_than_400_lines():
    long = {str(p.relative_to(ROOT)): length(p) for p in python_files(*CODE) if length(p) > 400}
    assert not long


def test_no_program_of_main_is_longer_than_80_lines():
    programs = [path for path in python_files("main") if path.name not in NO_PROGRAMS]
    assert programs
    assert not {path.name: length(path) for path in programs if length(path) > 80}


def test_no_function_is_longer_than_90_lines_but_build_model():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in python_files("lib", "main", "tool", "bench")
        for node in functions(path)
        if node.end_lineno - node.lineno >= 90 and node.name != "build_model"
    ]
    assert not long, "\n".join(long)


def test_more_than_five_parameters_are_given_by_name():
    wrong = []
    for path in python_files("lib", "main", "tool", "bench"):
        for node in functions(path):
            positional = [a.arg for a in node.args.posonlyargs + node.args.args]
            if len([name for name in positional if name not in ("self", "cls")]) > 5:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_named_by_what_is_in_it():
    vague = [
        str(path.relative_to(ROOT))
        for path in python_files(*CODE)
        if VAGUE & {part.removesuffix(".py").lower() for part in path.relative_to(ROOT).parts}
    ]
    assert not vague


def test_errors_are_neither_asserted_nor_swallowed():
    wrong = []
    for path in python_files("lib", "main", "tool", "bench"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} assert")
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                if re.search(r"\b(BaseException|Exception|everything)\b", caught):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} except {caught}")
    assert not wrong, "\n".join(wrong)


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("text", ["see /work/main", "as issue 3 says", "# TODO", "in shared/spec/"])
def test_the_word_list_finds_what_it_should(text):
    assert BANNED.search(text)


def test_no_file_tells_of_the_place_where_it_was_written():
    golden = ROOT / "tests" / "golden"
    found = []
    for path in project_files():
        if path.suffix not in TEXT or golden in path.parents or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if BANNED.search(line) or str(ROOT) in line:
                found.append(f"{path.relative_to(ROOT)}:{number} {line.strip()}")
    assert not found, "\n".join(found)
