"""Seal-Tools rows (fairyshine/Seal-Tools): `query` and `calling`, the tools in a file of their own.

A nested call uses an earlier one's result by its name, `API_call_0`; such a value stays as it is and is
noted. Rows offer the tools that they call; distractors are the build's matter. Instructions are written in
front of the query.
"""

from __future__ import annotations

import re
from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import make_tool, safe_name
from fcray.dataset.formats.conversations import examples_of, extra, query_of
from fcray.dataset.formats.python_types import name_of, property_of, told_of
from fcray.dataset.formats.values import Note, Row, RowError, listed, mapped, text_of
from fcray.tools import Example, Message, Tool, ToolCall

_RESULT = re.compile(r"API_call_\d+")


class SealTools(Format):
    name = "seal"
    title = "Seal-Tools (query, calling), with --tools its definitions"
    columns = frozenset({"query", "calling"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        query = text_of(row.get("query"), "query")
        if not query:
            raise RowError("query is empty")
        calls = tuple(
            _read_call(mapped(one, "a call")) for one in listed(row.get("calling"), "calling")
        )
        tools: dict[str, Tool] = {}
        own = {
            tool.name: tool
            for tool in (
                read_tool(one, source.notes) for one in listed(row.get("tools") or [], "tools")
            )
        }
        for call in calls:
            tool = own.get(call.name) or source.catalog.get(call.name)
            if tool is None:
                raise RowError(f"calls {call.name!r}, which the file of tools does not define")
            tools[call.name] = tool
        if any(_RESULT.search(str(value)) for call in calls for value in call.arguments.values()):
            source.notes.append(
                Note("nested call", "an argument is another call's result, so no request tells it")
            )
        tools = own or tools
        response = text_of(row.get("response"), "response")
        messages = [
            Message(role="user", content=query),
            Message(role="assistant", content=response or None, tool_calls=calls),
        ]
        return examples_of(row, messages, tuple(tools.values()), source)

    def write(self, example: Example) -> Row:
        query = query_of(example, self.name)
        offered = {tool.name for tool in example.tools}
        if absent := [call.name for call in example.calls if call.name not in offered]:
            raise RowError(
                f"the format defines every tool that is called, and {absent[0]!r} is not offered"
            )
        return extra(example) | {
            "query": query,
            "calling": [
                {"api": call.name, "parameters": call.arguments, "responses": []}
                for call in example.calls
            ],
            "tools": [write_tool(tool) for tool in example.tools],
        }


def _read_call(value: Row) -> ToolCall:
    name = value.get("api")
    if not isinstance(name, str):
        raise RowError("a call names no api")
    return ToolCall(
        name=safe_name(name), arguments=mapped(value.get("parameters") or {}, "parameters")
    )


def read_tool(value: Any, notes: list[Note]) -> Tool:
    """A line of Seal-Tools' file of tools."""
    value = mapped(value, "a tool")
    name = value.get("api_name")
    properties: dict[str, Any] = {}
    for argument, one in mapped(value.get("parameters") or {}, "parameters").items():
        about = mapped(one, f"{name}: {argument!r}")
        kind = text_of(about.get("type"), f"the type of {argument!r}")
        properties[argument] = property_of(f"{name}: {argument!r}", kind, about, notes)
    named = listed(value.get("required") or [], f"{name}: required")
    required = [one for one in named if isinstance(one, str) and one in properties]
    parameters: Row = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    return make_tool(name, value.get("api_description"), parameters, notes)


def write_tool(tool: Tool) -> Row:
    return {
        "api_name": tool.name,
        "api_description": tool.description,
        "parameters": {
            name: {"type": name_of(schema), "description": told_of(schema)}
            for name, schema in tool.properties.items()
        },
        "required": list(tool.required),
    }
