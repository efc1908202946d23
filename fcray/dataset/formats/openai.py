"""OpenAI's fine-tuning rows: `messages`, `tools`, and weights that say which turns are gold.

Follows github.com/openai/openai-openapi (FineTuneChatRequestInput). Unknown keys are refused there, so
ids and origins are not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import call_value, read_call, read_tools
from fcray.dataset.formats.conversations import identity_of, targets
from fcray.dataset.formats.values import Row, RowError, dumps, listed, mapped, text_of
from fcray.tools import Example, Message, ToolCall

_ROLES = {"system": "system", "developer": "system", "user": "user"}


class OpenAI(Format):
    name = "openai"
    title = "OpenAI fine-tuning (messages, tools)"
    columns = frozenset({"messages"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        messages = listed(row.get("messages"), "messages")
        tools = row.get("tools")
        if tools is None and "functions" in row:  # the older spelling
            tools = row["functions"]
        read, trained = _read_messages(messages)
        return targets(
            read,
            read_tools(tools, source.notes),
            source,
            identity=identity_of(row),
            trained=trained,
        )

    def write(self, example: Example) -> Row:
        messages: list[Row] = []
        waiting: list[str] = []
        made = 0
        answer = Message(
            role="assistant", content=example.response or None, tool_calls=example.calls
        )
        for message in (*example.messages, answer):
            value: Row = {"role": message.role, "content": message.content}
            if message.role == "tool":
                if not waiting:
                    raise RowError("a tool's result follows no call")
                value["tool_call_id"] = waiting.pop(0)
            else:
                waiting = [f"call_{made + n}" for n in range(len(message.tool_calls))]
                made += len(waiting)
                if waiting:
                    value["tool_calls"] = _write_calls(message.tool_calls, waiting)
            if message.role == "assistant" and message is not answer:
                value["weight"] = 0
            messages.append(value)
        written: Row = {"messages": messages}
        if example.tools:
            written["tools"] = [tool.to_openai() for tool in example.tools]
        return written


def _write_calls(calls: Sequence[ToolCall], ids: Sequence[str]) -> list[Row]:
    return [
        {
            "id": identity,
            "type": "function",
            "function": call_value(call) | {"arguments": dumps(call.arguments)},
        }
        for call, identity in zip(calls, ids, strict=True)
    ]


def _read_messages(values: list[Any]) -> tuple[list[Message], list[bool]]:
    """The messages, results in the order of their calls; and which turns are gold."""
    messages: list[Message] = []
    trained: list[bool] = []
    ids: list[str] = []
    results: dict[str, Message] = {}

    def settle() -> None:
        for identity in [one for one in ids if one in results]:
            messages.append(results.pop(identity))
            trained.append(False)

    for one in values:
        value = mapped(one, "a message")
        role, content = value.get("role"), _content(value.get("content"))
        if role in ("tool", "function"):
            identity = str(
                value.get("tool_call_id") or (ids[len(results)] if len(results) < len(ids) else "")
            )
            if identity not in ids:
                raise RowError(f"a tool's result belongs to no call: {identity!r}")
            results[identity] = Message(role="tool", content=content)
            continue
        settle()
        if role == "assistant":
            calls = value.get("tool_calls") or []
            if value.get("function_call"):
                calls = [{"id": "call", "function": value["function_call"]}]
            read = tuple(
                read_call(mapped(call, "a call").get("function"))
                for call in listed(calls, "tool_calls")
            )
            ids = [str(call.get("id", n)) for n, call in enumerate(calls)]
            messages.append(Message(role="assistant", content=content or None, tool_calls=read))
            trained.append(value.get("weight", 1) != 0)
        elif isinstance(role, str) and role in _ROLES:
            messages.append(Message(role=_ROLES[role], content=content))  # type: ignore[arg-type]
            trained.append(False)
        else:
            raise RowError(f"no role is named {role!r}")
    settle()
    return messages, trained


def _content(value: Any) -> str:
    """A text, or the texts of content parts."""
    if isinstance(value, list):
        parts = [mapped(part, "a content part") for part in value]
        other = next((part.get("type") for part in parts if part.get("type") != "text"), None)
        if other is not None:
            raise RowError(f"a content part of type {other!r} is no text")
        return "".join(text_of(part.get("text"), "a content part") for part in parts)
    return text_of(value, "content")
