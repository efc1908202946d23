"""What is said about YAML files that cannot be used, and where in them."""

from __future__ import annotations

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
    "number for a name": ("title: a\n1: b\n", 1, None, "keys should be strings"),
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
    "impossible date": ("title: 2024-13-01\n", None, None, "not valid YAML"),
    "list at the top": ("- title\n", 1, None, "expected a mapping of fields"),
    "nothing": ("", None, None, "expected a mapping of fields"),
    "only a comment": ("# nothing\n", None, None, "expected a mapping of fields"),
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
    with pytest.raises(UserError, match="this is a folder, not a YAML file"):
        YamlFile.read(tmp_path)


def test_a_path_through_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Not a directory"):
        YamlFile.read(written(tmp_path, "title: a") / "more.yaml")


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes("title: 天".encode("gbk"))
    with pytest.raises(UserError, match=r"not UTF-8 text \(byte 7\)"):
        YamlFile.read(path)


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "a: " + "[" * 3000 + "]" * 3000])
def test_a_file_without_a_bottom_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not valid YAML"):
        YamlFile.read(written(tmp_path, text))


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
