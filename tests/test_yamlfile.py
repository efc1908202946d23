"""What is said about YAML files that cannot be used, and where in them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from fcray.errors import UserError
from fcray.yamlfile import YamlFile, dotted


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1
    colour: str = "red"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    inner: Inner = Inner()
    items: list[Inner] = []


# The text of a file → the line, the field, and what must be said.
BAD = {
    "misspelt field": ("title: a\ninner:\n  szie: 3\n", 3, "inner.szie", "did you mean 'size'?"),
    "unknown field": ("title: a\ninner: {q: 1}\n", 2, "inner.q", "known here: colour, size"),
    "unknown field in a list": ("title: a\nitems:\n- {}\n- x: 1\n", 4, "items[1].x", "unknown"),
    "wrong type": ("title: a\ninner:\n  size: big\n", 3, "inner.size", "valid integer"),
    "wrong type in a list": (
        "title: a\nitems:\n- size: 1\n- size: {}\n",
        4,
        "items[1].size",
        "valid integer",
    ),
    "scalar for a mapping": ("title: a\ninner: 3\n", 2, "inner", "valid dictionary"),
    "missing": ("inner:\n  size: 3\n", 1, "title", "this field is required"),
    "number for a name": ("title: a\n1: b\n", 2, "1", "unknown field; known here"),
    "duplicate key": ("title: a\ntitle: b\n", 2, "title", "this key stands twice"),
    "duplicate key inside": (
        "title: a\nitems: [{size: 1,\n size: 2}]\n",
        3,
        "items[0].size",
        "this key stands twice",
    ),
    "broken YAML": ("title: a\ninner: [1, 2\n", 3, None, "not valid YAML"),
    "tab": ("title: a\n\tinner: 3\n", 2, None, "not valid YAML"),
    "two documents": ("title: a\n---\ntitle: b\n", 2, None, "not valid YAML"),
    "unknown tag": ("title: !!python/name:os.system a\n", 1, None, "not valid YAML"),
    "unhashable key": ("? [a]\n: 3\n", 1, None, "not valid YAML"),
    "impossible date": ("title: 2024-13-01\n", 1, None, "not valid YAML: month"),
    "a tag that does not fit": ("title: !!bool maybe\n", 1, None, "not valid YAML: this is no"),
    "nor a day": ("title: !!timestamp today\n", 1, None, "not valid YAML: this is no"),
    "list at the top": ("- title\n", 1, None, "expected a mapping of fields"),
    "nothing": ("", 1, None, "expected a mapping of fields"),
    "only a comment": ("# nothing\n", 1, None, "expected a mapping of fields"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", BAD)
def test_a_problem_is_pointed_at(case: str, tmp_path: Path) -> None:
    text, line, field, message = BAD[case]
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        YamlFile.read(path).validate(Outer)
    error = caught.value
    assert message in error.message
    assert (error.file, error.line) == (str(path), line)
    if field is not None:
        assert error.field == field
    where = f"{path}:{line}: " if line else f"{path}: "
    assert str(error).startswith(where)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml: there is no such file"):
        YamlFile.read(tmp_path / "absent.yaml")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is a folder, not a file"):
        YamlFile.read(tmp_path)


def test_a_path_through_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Not a directory"):
        YamlFile.read(written(tmp_path, "title: a") / "more.yaml")


@pytest.mark.parametrize("name", ["file.yaml", "file.json"])
def test_a_file_that_is_not_utf_8(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes("# a\ntitle: 天".encode("gbk"))
    with pytest.raises(UserError, match=rf"{name}:2: not UTF-8 text \(byte 11\)"):
        YamlFile.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b: 1\na: &x [*x]\n", "yaml:2: not valid YAML: an anchor holds itself"),
        ("a: " + "[\n" * 3000 + "]" * 3000, "yaml:100: not valid YAML: nested too deeply"),
        ("a: b\nc: \0\n", "yaml:2: not valid YAML: the character 0x0000 may not stand in it"),
    ],
)
def test_a_file_without_a_bottom_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        YamlFile.read(written(tmp_path, text))


def test_keys_are_names(tmp_path: Path) -> None:
    text = "on: 1\n200: &n 5\n? *n\n: on\n2024-01-01: 2024-01-01\n"
    data = YamlFile.read(written(tmp_path, text)).data
    assert data == {"on": 1, "200": 5, "5": True, "2024-01-01": date(2024, 1, 1)}


def test_a_good_file_is_read(tmp_path: Path) -> None:
    document = YamlFile.read(written(tmp_path, "title: 天气\nitems:\n- size: 2\n"))
    model = document.validate(Outer)
    assert (model.title, model.items) == ("天气", [Inner(size=2)])


def test_anchors_may_be_used_twice(tmp_path: Path) -> None:
    document = YamlFile.read(written(tmp_path, "title: a\ninner: &i {size: 2}\nitems: [*i, *i]\n"))
    assert document.validate(Outer).items == [Inner(size=2), Inner(size=2)]


def test_a_location_that_is_not_there_has_its_parents_line(tmp_path: Path) -> None:
    document = YamlFile.read(written(tmp_path, "title: a\nitems:\n- size: 2\n"))
    assert document.line(("items", 0, "colour", "shade")) == 3
    assert document.line(("absent",)) == 1


def test_dotted() -> None:
    assert dotted(("search", "rank", 0, "x")) == "search.rank[0].x"
    assert dotted(()) == ""


def json_written(folder: Path, text: str, name: str = "file.json") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["file.json", "file.yaml"])
def test_json_is_read_as_json(name: str, indent: int | None, tmp_path: Path) -> None:
    data = {
        "title": '\U0001f600 {[,:\\"',
        "most": 1e25,
        "items": [{}, [], {"on": None}, "2024-01-01"],
    }
    text = json.dumps(data, indent=indent).replace("1e+25", "1e25")
    document = YamlFile.read(json_written(tmp_path, text, name))
    assert document.data == data
    lines = [document.line(at) for at in [("most",), ("items", 2, "on"), ("items", 3)]]
    assert lines == ([3, 8, 10] if indent else [1, 1, 1])


BAD_JSON = {
    "nothing": ("", ":1: not valid JSON: expecting value"),
    "a comma": ('{"a": 1,\n}', ":2: not valid JSON: .*column 1"),
    "a quote": ('{"a":\n "x}', ":2: not valid JSON: unterminated string"),
    "YAML": ("a: 1", ":1: not valid JSON: expecting value"),
    "no number": ('{"a":\n [1, NaN]}', r":2: a\[1\]: not valid JSON: NaN is no number"),
    "too large": ('{"a":\n 1e999}', ":2: a: not valid JSON: 1e999"),
    "too long": ("9" * 5000, ": not valid JSON: "),
    "half an emoji": ('{"a":\n"\\ud83d"}', ":2: a: not valid JSON: half of a surrogate pair"),
    "half an emoji in a key": ('{\n"\\ude00": 1}', ":2: not valid JSON: half of a surrogate pair"),
    "a key twice": ('{"a": 1,\n"b": {"c": 1,\n"c": 2}}', r":3: b\.c: this key stands twice"),
    "too deep": ("[\n" * 200 + "]" * 200, ":102: not valid JSON: nested too deeply"),
    "much too deep": ("[" * 100_000, ":1: not valid JSON: nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_JSON)
def test_json_that_is_wrong_is_pointed_at(case: str, tmp_path: Path) -> None:
    text, message = BAD_JSON[case]
    with pytest.raises(UserError, match=rf"file\.json{message}") as caught:
        YamlFile.read(json_written(tmp_path, text))
    str(caught.value).encode()


def test_yaml_may_begin_like_json(tmp_path: Path) -> None:
    assert YamlFile.read(written(tmp_path, "{title: a, b: [1,]}\n")).data == {
        "title": "a",
        "b": [1],
    }
    with pytest.raises(UserError, match="yaml:2: not valid YAML"):
        YamlFile.read(written(tmp_path, "{title: a,\n b: ]}\n"))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    for name in ("file.json", "file.yaml"):
        assert YamlFile.read(json_written(tmp_path, '\ufeff{"a": 1}', name)).data == {"a": 1}
