import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from poseras.settings import (
    apply_differences,
    flatten,
    list_settings,
    one_line_errors,
    parse_assignments,
    read_attribute_docs,
    read_differences,
)


@dataclass(frozen=True)
class Inner:
    """A group.

    Attributes:
        batch_size: people
            per step.
        rate: per step.
        kind: of thing.
    """

    batch_size: int = 32
    rate: float = 5e-4
    kind: Literal["adam", "sgd"] = "adam"


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        name: what it is called.

    Raises:
        ValueError: not an attribute.
    """

    name: str = "first"
    flag: bool = False
    limit: float | None = None
    shape: tuple[int, int] = (256, 192)
    sets: tuple[str, ...] = ("COCO",)
    pairs: tuple[tuple[int, int], ...] = ()
    train: Inner = field(default_factory=Inner)


def test_text_is_read_by_the_declared_type():
    record = apply_differences(
        Record(),
        {
            "train.batch_size": "16",
            "train.rate": "5e-3",
            "train.kind": "sgd",
            "flag": "true",
            "limit": "0.5",
            "shape": "384,288",
            "sets": "COCO, MPII",
            "name": "second",
        },
    )
    assert record == Record(
        "second", True, 0.5, (384, 288), ("COCO", "MPII"), (), Inner(16, 5e-3, "sgd")
    )
    assert type(record.train.batch_size) is int


def test_json_values_are_read_by_the_declared_type():
    record = apply_differences(
        Record(limit=1.0),
        {"shape": [384, 288], "sets": "MPII", "pairs": [[0, 1], [2, 3]], "train.rate": 1}
        | {"train.batch_size": 16.0, "limit": None, "name": 7},
    )
    assert record == Record(
        "7", False, None, (384, 288), ("MPII",), ((0, 1), (2, 3)), Inner(16, 1.0)
    )
    assert type(record.train.rate) is float and type(record.train.batch_size) is int


def test_large_whole_numbers_stay_exact():
    for value in (2**60 + 1, str(2**60 + 1)):
        changed = apply_differences(Record(), {"train.batch_size": value})
        assert changed.train.batch_size == 2**60 + 1


def test_none_is_written_as_none_or_null():
    for text in ("none", "null", None):
        assert apply_differences(Record(limit=2.0), {"limit": text}).limit is None


def test_a_scalar_makes_a_list_of_one_but_not_a_pair():
    assert apply_differences(Record(), {"sets": "MPII"}).sets == ("MPII",)
    with pytest.raises(ValueError, match=r"shape must be a list of 2 values. Received '384'"):
        apply_differences(Record(), {"shape": "384"})


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("train.batch_size", "many", "a whole number"),
        ("train.batch_size", 1.5, "a whole number"),
        ("train.batch_size", True, "a whole number"),
        ("train.rate", "nan", "a number"),
        ("train.rate", float("inf"), "a number"),
        ("train.kind", "adamw", "one of adam, sgd"),
        ("flag", 1, "true or false"),
        ("flag", "maybe", "true or false"),
        ("limit", "high", "a number or none"),
        ("name", True, "text"),
        ("shape", [1, "x"], "a list in which each value is a whole number"),
    ],
)
def test_a_wrong_value_names_the_rule_the_value_and_an_example(key, value, rule):
    with pytest.raises(ValueError, match=f"{key} must be {rule}.*Received .*write for example"):
        apply_differences(Record(), {key: value})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train.batchsize", r"Unknown setting train.batchsize. Did you mean train.batch_size\?"),
        ("batch_size", r"Unknown setting batch_size. Did you mean train.batch_size\?"),
        ("train.wrong", "Unknown setting train.wrong. .*train has train.batch_size, train.rate"),
        ("zzz", "Unknown setting zzz. Settings begin with name, flag"),
        ("train", "train is a group of settings, not one. Set one of train.batch_size"),
    ],
)
def test_an_unknown_key_names_the_nearest_one(key, message):
    with pytest.raises(ValueError, match=message):
        apply_differences(Record(), {key: 1})


def test_a_flat_record_goes_through_json_and_back():
    record = Record(limit=0.1, pairs=((0, 1),), train=Inner(rate=1 / 3))
    flat = json.loads(json.dumps(flatten(record)))
    assert flat["train.rate"] == 1 / 3 and flat["pairs"] == [[0, 1]]
    assert apply_differences(Record(), flat) == record


def test_all_changes_reach_the_checks_of_a_record_at_once():
    @dataclass(frozen=True)
    class Ordered:
        low: int = 0
        high: int = 1

        def __post_init__(self):
            if self.low >= self.high:
                raise ValueError("low must be below high.")

    assert apply_differences(Ordered(), {"low": 5, "high": 6}) == Ordered(5, 6)


def test_meanings_come_from_the_docstring():
    assert read_attribute_docs(Inner) == {
        "batch_size": "people per step.",
        "rate": "per step.",
        "kind": "of thing.",
    }
    assert read_attribute_docs(Record) == {"name": "what it is called."}
    assert [s.meaning for s in list_settings(Record()) if s.key == "train.rate"] == ["per step."]


def test_assignments_are_read_as_yaml_without_its_surprises():
    texts = ["a.b=16", "c=5e-4", "d=off", "e=012", "f=12:30", "g=[1, x]", "h=x=y", "i=", "j=true"]
    assert parse_assignments(texts) == {
        "a.b": 16,
        "c": 5e-4,
        "d": "off",
        "e": "012",
        "f": "12:30",
        "g": [1, "x"],
        "h": "x=y",
        "i": None,
        "j": True,
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["train"], "--set takes NAME=VALUE.*Received 'train'"),
        (["=1"], "--set takes NAME=VALUE"),
        (["a=1", "a=2"], "--set a is given twice"),
        (["a=[1"], r"--set a=\[1, line 1 is not a list of settings"),
        (["a={b: 1}"], "Settings are flat. Received a mapping under a; write `a.b"),
        (["a=!!python/object/apply:os.getcwd []"], "could not determine a constructor"),
    ],
)
def test_a_wrong_assignment_says_how_to_write_it(texts, message):
    with pytest.raises(ValueError, match=message):
        parse_assignments(texts)


def write(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_holds_flat_differences(tmp_path: Path):
    path = write(tmp_path, "# head\ntrain.rate: 5e-4\nsets: [COCO, MPII]  # two\n")
    assert read_differences(path) == {"train.rate": 5e-4, "sets": ["COCO", "MPII"]}
    assert read_differences(write(tmp_path, "# nothing differs\n")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.b: 1\na.b: 2\n", r"some.yaml, line 2 is not a list of settings: the key a.b stands tw"),
        ("a:\n  b: 1\n", "Settings are flat. Received a mapping under a; write `a.b: ...`."),
        ("- a\n- b\n", "some.yaml must be a list of settings such as .* Received a list."),
        ("a: [1\n", "some.yaml, line 2 is not a list of settings"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_names_itself_and_the_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_differences(write(tmp_path, text))


def test_a_missing_or_binary_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="No settings file at .*absent.yaml"):
        read_differences(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ValueError, match="binary.yaml must be UTF-8 text. It is not at byte 3"):
        read_differences(tmp_path / "binary.yaml")


@pytest.mark.parametrize("error", [ValueError("two\nlines"), FileNotFoundError("two\nlines")])
def test_a_program_ends_in_one_line_and_exit_code_2(capsys, error):
    @one_line_errors("some.py")
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "some.py: error: two lines\n"


def test_a_fault_of_the_program_keeps_its_trace():
    with pytest.raises(KeyError), one_line_errors("some.py"):
        raise KeyError("fault")
