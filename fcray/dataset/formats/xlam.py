"""xLAM rows (Salesforce/xlam-function-calling-60k): `query`, `tools` and `answers` as JSON text.

Parameters are described by Python type names, `optional` among them; what JSON Schema says beyond that
is lost on the way out. Words beside or instead of a call are lost as well, and instructions move into the
query.
"""

from __future__ import annotations

from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import call_value, make_tool, read_calls
from fcray.dataset.formats.conversations import examples_of, extra, query_of
from fcray.dataset.formats.python_types import name_of, property_of, split, told_of
from fcray.dataset.formats.values import Note, Row, RowError, dumps, listed, loads, mapped, text_of
from fcray.tools import Example, Message, Tool


class XLAM(Format):
    name = "xlam"
    title = "xLAM (query, tools, answers)"
    columns = frozenset({"query", "answers"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        query = text_of(row.get("query"), "query")
        if not query:
            raise RowError("query is empty")
        if "answers" not in row:
            raise RowError("answers is absent, so nothing is gold")
        values = listed(loads(row.get("tools") or "[]", "tools"), "tools")
        tools = [_read_tool(mapped(value, "a tool"), source.notes) for value in values]
        calls = read_calls(listed(loads(row.get("answers") or "[]", "answers"), "answers"))
        unique = {tool.name: tool for tool in tools}
        answer = Message(role="assistant", tool_calls=calls)
        messages = [Message(role="user", content=query), answer]
        return examples_of(row, messages, tuple(unique.values()), source)

    def write(self, example: Example) -> Row:
        query = query_of(example, self.name)
        return extra(example) | {
            "query": query,
            "tools": dumps([_write_tool(tool) for tool in example.tools]),
            "answers": dumps([call_value(call) for call in example.calls]),
        }


def _read_tool(value: Row, notes: list[Note]) -> Tool:
    name = value.get("name")
    described = mapped(value.get("parameters") or {}, f"the parameters of {name!r}")
    if described.get("type") == "object" and isinstance(described.get("properties"), dict):
        return make_tool(name, value.get("description"), described, notes)
    properties: dict[str, Any] = {}
    required = []
    for argument, one in described.items():
        about = mapped(one, f"{name}: {argument!r}")
        kind, *marks = split(text_of(about.get("type"), f"the type of {argument!r}"))
        schema = property_of(f"{name}: {argument!r}", kind, about, notes)
        if "default" in about:
            schema["default"] = about["default"]
        properties[argument] = schema
        if not (kind.startswith("Optional[") or "optional" in marks or "default" in about):
            required.append(argument)
    parameters: Row = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    return make_tool(name, value.get("description"), parameters, notes)


def _write_tool(tool: Tool) -> Row:
    parameters = {}
    for name, schema in tool.properties.items():
        kind = name_of(schema)
        about = {"type": kind if name in tool.required else f"{kind}, optional"}
        about["description"] = told_of(schema)
        if isinstance(schema, dict) and "default" in schema:
            about["default"] = schema["default"]
        parameters[name] = about
    return {"name": tool.name, "description": tool.description, "parameters": parameters}
