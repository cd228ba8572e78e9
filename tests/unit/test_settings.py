import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from poseras.setting_values import Pattern
from poseras.settings import (
    apply_differences,
    flatten,
    list_settings,
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
    rules: tuple[Pattern, ...] = ()


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


@pytest.mark.parametrize(
    "pattern",
    ["^(?!head)", "conv{1,2}", "(a|b)", "(a)|(b)", "^basenet.*(kernel|gamma|beta)$", "1.50"],
)
def test_a_regular_expression_stays_as_it_is_written(pattern):
    told = parse_assignments([f"rules={pattern}"])
    assert apply_differences(Record(), told).rules == (pattern,)


def test_only_a_list_holds_several_regular_expressions():
    told = parse_assignments(["rules=[^a, 'b{1,2}']"])
    assert apply_differences(Record(), told).rules == ("^a", "b{1,2}")
    assert apply_differences(Record(rules=(Pattern("a"),)), {"rules": ""}).rules == ()


def test_parentheses_around_a_list_are_left_out_but_a_single_one_is_not():
    assert apply_differences(Record(), {"shape": "(384, 288)"}).shape == (384, 288)
    assert apply_differences(Record(), {"sets": "A,b (copy)"}).sets == ("A", "b (copy)")
    with pytest.raises(ValueError, match="shape must be a list in which each value is a whole"):
        apply_differences(Record(), {"shape": "(384,288"})


@pytest.mark.parametrize("text", ["1.50", "1e3", "2017.10", "+5", "-0", "1.", "7"])
def test_text_stays_as_it_is_written_where_yaml_sees_a_number(text, tmp_path):
    told = parse_assignments([f"name={text}", f"sets=[{text}, {text}]"])
    record = apply_differences(Record(), told)
    assert (record.name, record.sets) == (text, (text, text))
    assert apply_differences(Record(), parse_assignments([f"sets={text}"])).sets == (text,)
    file = read_differences(write(tmp_path, f"name: {text}  # a comment\n"))
    assert apply_differences(Record(), file).name == text


def test_numbers_of_files_are_plain_numbers_in_the_record():
    told = parse_assignments(["train.batch_size=16", "train.rate=5e-3", "limit=2", "shape=[4, 6]"])
    record = apply_differences(Record(), told)
    values = (record.train.batch_size, record.train.rate, record.limit, *record.shape)
    assert [type(value) for value in values] == [int, float, float, int, int]
    assert values == (16, 5e-3, 2.0, 4, 6)


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
        (["a=[1"], r"--set a=\[1, line 1 is not YAML: "),
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
        ("a.b: 1\na.b: 2\n", r"some.yaml, line 2 is not YAML: the key a.b stands twice"),
        ("a:\n  b: 1\n", "Settings are flat. Received a mapping under a; write `a.b: ...`."),
        ("- a\n- b\n", "some.yaml must be a list of settings such as .* Received a list."),
        ("a: [1\n", "some.yaml, line 2 is not YAML: "),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_names_itself_and_the_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_differences(write(tmp_path, text))


def test_a_missing_or_binary_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="No YAML file at .*absent.yaml"):
        read_differences(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ValueError, match="binary.yaml must be UTF-8 text. It is not at byte 3"):
        read_differences(tmp_path / "binary.yaml")
