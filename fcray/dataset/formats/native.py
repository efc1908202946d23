"""fcray's own rows: whatever an example holds comes back.

Arguments and tools are JSON text, so that every row has the same columns whatever the tools are: that is
what Parquet and the `datasets` library need. A tool may stand by its name where a manifest beside the rows
holds it. The columns are listed in data/README.md.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import problems, read_calls, read_tools, tool_value
from fcray.dataset.formats.conversations import read_origin
from fcray.dataset.formats.values import Row, RowError, dumps, listed, mapped, text_of
from fcray.errors import first_problem
from fcray.tools import Example, Message, ToolCall


class Native(Format):
    name = "fcray"
    title = "fcray's own rows; nothing is lost"
    columns = frozenset({"messages", "calls", "origin"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        messages = tuple(_message(one) for one in listed(row.get("messages"), "messages"))
        if not messages:
            raise RowError("messages is empty")
        tools = read_tools(row.get("tools"), source.notes, source.catalog)
        calls = read_calls(listed(row.get("calls"), "calls"))
        known = {tool.name: tool for tool in tools}
        for call in calls:
            source.notes.extend(problems(call, known))
        values = {
            "id": text_of(row.get("id"), "id"),
            "messages": messages,
            "tools": tools,
            "calls": calls,
            "response": text_of(row.get("response"), "response"),
            "origin": read_origin(row.get("origin")),
        }
        try:
            return [Example.model_validate(values)]
        except ValidationError as error:
            message, where = first_problem(error)
            raise RowError(f"{'.'.join(map(str, where))}: {message}") from None

    def write(self, example: Example) -> Row:
        return {
            "id": example.id,
            "messages": [
                {
                    "role": message.role,
                    "content": message.content,
                    "tool_calls": _calls(message.tool_calls),
                }
                for message in example.messages
            ],
            "tools": dumps([tool_value(tool) for tool in example.tools]),
            "calls": _calls(example.calls),
            "response": example.response,
            "origin": example.origin.model_dump(),
        }


def _calls(calls: tuple[ToolCall, ...]) -> list[Row]:
    return [{"name": call.name, "arguments": dumps(call.arguments)} for call in calls]


def _message(value: Any) -> Message:
    value = mapped(value, "a message")
    role = value.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise RowError(f"no role is named {role!r}")
    calls = read_calls(value.get("tool_calls") or [])
    content = value.get("content")
    if content is not None:
        content = text_of(content, "content")
    return Message(role=role, content=content, tool_calls=calls)
