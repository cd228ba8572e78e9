"""One reader for every YAML file: no key twice, numbers and words as YAML 1.2 has them."""

import pytest

from poseras.yaml_files import parse_yaml, read_yaml


def test_words_and_numbers_are_those_of_yaml_1_2():
    text = "{a: off, b: 012, c: 12:30, d: 5e-4, e: true, f: ~, g: +5}"
    expected = {"a": "off", "b": "012", "c": "12:30", "d": 5e-4, "e": True, "f": None, "g": 5}
    assert parse_yaml(text, "text") == expected


def test_a_mapping_may_begin_with_another_one_and_change_it():
    text = "one: &first {a: 1, b: 2}\ntwo: {<<: *first, b: 3}"
    assert parse_yaml(text, "text")["two"] == {"a": 1, "b": 3}


def test_numbers_are_plain_unless_asked_how_they_were_written():
    assert [type(number) for number in parse_yaml("[1, 1.50]", "text")] == [int, float]
    written = parse_yaml("[+1, 1.50]", "text", as_written=True)
    assert written == [1, 1.5] and [number.text for number in written] == ["+1", "1.50"]


@pytest.mark.parametrize("as_written", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 2,\n  c: 3}\n", "file.yaml, line 3 is not YAML: the key c stands twice"),
        ("? [a]\n: 1\n", "file.yaml, line 1 is not YAML: found unhashable key"),
        ("a: [1\n", "file.yaml, line 2 is not YAML"),
        ("a: \x07\n", "file.yaml is not YAML: unacceptable character"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_names_itself_and_the_line(tmp_path, text, message, as_written):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_yaml(path, as_written=as_written)
