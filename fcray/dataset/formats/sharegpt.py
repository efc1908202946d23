"""ShareGPT rows as LLaMA-Factory reads them: `conversations`, `tools` as JSON text, `system`.

Several results of one turn are one observation there: a JSON list of them. Text beside a call has no
place, so such a row is not written.
"""

from __future__ import annotations

from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import call_value, read_calls, read_tools, tool_value
from fcray.dataset.formats.conversations import examples_of, extra, instructions_of, turns_of
from fcray.dataset.formats.values import Row, RowError, dumps, listed, loads, mapped, text_of
from fcray.tools import Example, Message

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "function_call": "function_call",
    "observation": "observation",
    "tool": "observation",
}


class ShareGPT(Format):
    name = "sharegpt"
    title = "ShareGPT as LLaMA-Factory reads it (conversations, tools)"
    columns = frozenset({"conversations"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        messages: list[Message] = []
        if system := text_of(row.get("system"), "system"):
            messages.append(Message(role="system", content=system))
        for value in listed(row.get("conversations"), "conversations"):
            messages += _read_turn(mapped(value, "a turn"), messages)
        tools = read_tools(row.get("tools"), source.notes)
        return examples_of(row, messages, tools, source)

    def write(self, example: Example) -> Row:
        if example.calls and example.response:
            raise RowError("the format holds a call or words in a turn, this row has both")
        system = instructions_of(example)
        turns: list[Row] = []
        for turn in turns_of(example):
            if isinstance(turn, Message):
                turns.append(_write_turn(turn))
            else:
                value = turn[0] if len(turn) == 1 else dumps(turn)
                turns.append({"from": "observation", "value": value})
        row: Row = {"conversations": turns, "tools": ""}
        if example.tools:
            row["tools"] = dumps([tool_value(tool) for tool in example.tools])
        if system:
            row["system"] = system
        return row | extra(example)


def dataset_info(name: str, file: str) -> Row:
    """The entry of LLaMA-Factory's dataset_info.json for a file of these rows."""
    return {
        name: {
            "file_name": file,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "tools": "tools", "system": "system"},
        }
    }


def _write_turn(message: Message) -> Row:
    if message.role == "user":
        return {"from": "human", "value": message.content or ""}
    if not message.tool_calls:
        return {"from": "gpt", "value": message.content or ""}
    if message.content:
        raise RowError("the format holds a call or words in a turn, this row has both")
    calls = [call_value(call) for call in message.tool_calls]
    return {"from": "function_call", "value": dumps(calls[0] if len(calls) == 1 else calls)}


def _read_turn(value: Row, before: list[Message]) -> list[Message]:
    said = value.get("from")
    role = _ROLES.get(said) if isinstance(said, str) else None
    text = value.get("value")
    if role == "function_call":
        calls = read_calls(loads(text, "a function call"))
        if not calls:
            raise RowError("a function call is empty")
        return [Message(role="assistant", tool_calls=calls)]
    if role == "observation":
        made = len(before[-1].tool_calls) if before else 0
        return [Message(role="tool", content=one) for one in _results(text, made)]
    if role is None:
        raise RowError(f"no turn is from {said!r}")
    content = text_of(text, "a turn")
    if role == "assistant" and "<tool_call>" in content:  # its calls would be read as words
        raise RowError("this is a row of the format hermes, not sharegpt: it has <tool_call> marks")
    return [Message(role=role, content=content)]  # type: ignore[arg-type]


def _results(value: Any, calls: int) -> list[str]:
    """One result, or one for each of several calls."""
    if not isinstance(value, str):
        return [dumps(value)]
    if calls > 1:
        try:
            found = loads(value, "an observation")
        except RowError:
            return [value]
        if isinstance(found, list) and len(found) == calls:
            return [one if isinstance(one, str) else dumps(one) for one in found]
    return [value]
