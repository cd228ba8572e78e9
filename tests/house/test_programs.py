"""Every program answers --help at once, from anywhere, and ends wrong input with one line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    path
    for folder in ("main", "tool")
    for path in (ROOT / folder).glob("*.py")
    if path.name not in ("config.py", "command_line.py")
)
MAIN_PROGRAMS = [path for path in PROGRAMS if path.parent.name == "main"]
#: Their import takes seconds; --help must not wait for it.
HEAVY = re.compile(r"\b(tensorflow|keras|cv2|torch|jax|scipy|pycocotools)$", re.MULTILINE)
#: Arguments without which a program does not start.
NEEDED = {"test.py": ["--test_epoch", "1"], "demo.py": ["--input", "a.jpg", "--output", "out"]}


def run(program: Path, *arguments: str, cwd: Path = ROOT, python: tuple[str, ...] = ()):
    return subprocess.run(
        [sys.executable, *python, str(program), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_programs():
    assert {"main/test.py", "main/demo.py"} <= {name_of(path) for path in PROGRAMS}


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_help_works_from_the_root_from_inside_and_from_elsewhere(program, tmp_path):
    answers = {
        run(Path(given), "--help", cwd=cwd).stdout
        for given, cwd in (
            (program.relative_to(ROOT), ROOT),
            (program.name, program.parent),
            (program, tmp_path),
        )
    }
    assert len(answers) == 1
    answer = answers.pop()
    assert answer.startswith("usage: ")
    assert "example" in answer, "--help teaches by example"


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_help_imports_nothing_heavy(program):
    done = run(program, "--help", python=("-X", "importtime"))
    assert done.returncode == 0
    assert "argparse" in done.stderr, "the list of imports is missing"
    assert not HEAVY.findall(done.stderr)


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_an_unknown_argument_ends_with_code_2(program):
    done = run(program, "--no-such-argument")
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize("program", MAIN_PROGRAMS, ids=name_of)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "no_such_config"], "--config no_such_config is neither in main/configs/"),
        (["--set", "train.batchsize=3"], "Did you mean train.batch_size?"),
        (["--set", "train.batch_size=many"], "train.batch_size must be a whole number"),
    ],
)
def test_wrong_input_ends_with_one_line_and_code_2(program, arguments, message):
    done = run(program, *NEEDED.get(program.name, []), *arguments)
    assert done.returncode == 2, done.stderr[-1000:]
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr[-1000:]
    assert lines[0].startswith(f"{program.name}: error: ") and message in lines[0]


@pytest.mark.parametrize("program", MAIN_PROGRAMS, ids=name_of)
def test_list_settings_names_the_settings_of_config_options_and_view(program):
    done = run(program, "--list-settings")
    assert done.returncode == 0
    for key in ("train.batch_size", "options.input_shape", "view.augmentation.flip_probability"):
        assert re.search(rf"^{re.escape(key)} = .+\n    \S", done.stdout, re.MULTILINE), key
