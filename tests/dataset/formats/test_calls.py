"""Tools as rows hold them: one that stands in many rows is checked once, and is told from others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fcray.dataset.formats import Note, RowError
from fcray.dataset.formats.calls import read_tool, read_tools


def tool(name: str = "paint", **schema: Any) -> dict[str, Any]:
    return {"name": name, "parameters": {"type": "object", "properties": {"x": schema}}}


def test_rows_share_a_tool() -> None:
    first, second = (read_tools(json.dumps([tool(type="integer")]), []) for _ in range(2))
    assert first[0] is second[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tool(default=1), tool(default=1.0)),
        (tool(default=1), tool(default=True)),
        (tool(default={"a": 1, "b": 2}), tool(default={"b": 2, "a": 1})),
        (tool(default=""), tool(default=None)),
    ],
)
def test_tools_that_differ_stay_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    # As text: for Python an integer is the number that equals it, and no order is another.
    for value in (one, other, one):
        assert json.dumps(read_tool(value, []).parameters) == json.dumps(value["parameters"])


def test_a_tool_does_not_hang_together_with_its_row() -> None:
    value = tool(type="integer")
    read = read_tool(value, [])
    value["parameters"]["properties"]["x"]["type"] = "string"
    assert read.properties == {"x": {"type": "integer"}}


def test_every_row_is_told_what_is_wrong_with_its_tool() -> None:
    required = tool("paint it")
    required["parameters"]["required"] = ["y"]
    for _ in range(2):
        notes: list[Note] = []
        assert read_tool(required, notes).name == "paint_it"
        assert [note.kind for note in notes] == ["required, not described", "tool renamed"]
        with pytest.raises(RowError, match="the tool 'paint' is invalid: not a valid JSON Schema"):
            read_tool(tool(type="colour"), [])
