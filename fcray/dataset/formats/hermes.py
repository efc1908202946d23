"""Hermes rows (NousResearch/hermes-function-calling-v1): ShareGPT turns with the calls marked in the text.

Tools stand in the system turn between `<tools>` and `</tools>`, and as JSON in a column of their own.
Calls may be Python literals instead of JSON, as in a part of the published rows.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import call_value, read_call, read_tools
from fcray.dataset.formats.conversations import examples_of, extra, instructions_of, turns_of
from fcray.dataset.formats.values import Row, RowError, dumps, listed, loads, mapped, text_of
from fcray.tools import Example, Message, Tool, ToolCall

_TOOLS = re.compile(r"<tools>\s*(.*?)\s*</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESULT = re.compile(r"<tool_response>\n?(.*?)\n?</tool_response>", re.DOTALL)
_INTRO = (
    "You are a function calling AI model. You are provided with function signatures within "
    "<tools></tools> XML tags. You may call one or more functions to assist with the user query."
)
_OUTRO = (
    "For each function call return a JSON object with the function name and its arguments within "
    "<tool_call></tool_call> XML tags."
)


class Hermes(Format):
    name = "hermes"
    title = "Hermes (calls between <tool_call> marks)"
    columns = frozenset({"conversations"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        tools: tuple[Tool, ...] | None = None
        if row.get("tools") not in (None, "", []):
            tools = read_tools(_value(row["tools"], "tools"), source.notes)
        messages: list[Message] = []
        for one in listed(row.get("conversations"), "conversations"):
            value = mapped(one, "a turn")
            said, text = value.get("from"), text_of(value.get("value"), "a turn")
            if said == "system":
                found = _TOOLS.search(text)
                if found and tools is None:
                    tools = read_tools(_value(found.group(1), "tools"), source.notes)
                instructions = _instructions(text, bool(found))
                if instructions:
                    messages.append(Message(role="system", content=instructions))
            elif said in ("human", "user"):
                messages.append(Message(role="user", content=text))
            elif said in ("gpt", "assistant"):
                calls = tuple(_call(body) for body in _CALL.findall(text))
                rest = _CALL.sub("", text).strip()
                messages.append(Message(role="assistant", content=rest or None, tool_calls=calls))
            elif said == "tool":
                results = _RESULT.findall(text) or [text]
                messages += [Message(role="tool", content=result) for result in results]
            else:
                raise RowError(f"no turn is from {said!r}")
        return examples_of(row, messages, tools or (), source)

    def write(self, example: Example) -> Row:
        system = instructions_of(example)
        text = "\n".join([_INTRO, f"<tools>\n{_tools(example)}\n</tools>", _OUTRO])
        if system:
            text += f"\n\n{system}"
        turns: list[Row] = [{"from": "system", "value": text}]
        for turn in turns_of(example):
            if isinstance(turn, Message):
                turns.append(_write_turn(turn))
                continue
            for result in turn:
                _refuse_marks(result)
            said = [f"<tool_response>\n{result}\n</tool_response>" for result in turn]
            turns.append({"from": "tool", "value": "\n".join(said)})
        return {"conversations": turns, "tools": _tools(example)} | extra(example)


def _tools(example: Example) -> str:
    return dumps([tool.to_openai() for tool in example.tools])


def _write_turn(message: Message) -> Row:
    if message.role == "user":
        return {"from": "human", "value": message.content or ""}
    said = [message.content] if message.content else []
    for call in message.tool_calls:
        body = dumps(call_value(call))
        _refuse_marks(body)
        said.append(f"<tool_call>\n{body}\n</tool_call>")
    return {"from": "gpt", "value": "\n".join(said)}


def _refuse_marks(text: str) -> None:
    for mark in ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"):
        if mark in text:
            raise RowError(f"a value holds the mark {mark}")


def _instructions(text: str, has_tools: bool) -> str:
    """What the system turn says beside the tools; ours stands behind the fixed words."""
    if not has_tools:
        return text.strip()
    if text.startswith(_INTRO) and _OUTRO in text:
        return text.split(_OUTRO, 1)[1].strip()
    return ""  # the publisher's own boilerplate, which differs from row to row


def _value(text: Any, what: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        try:  # through JSON, which has no tuples
            text = json.dumps(ast.literal_eval(text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise RowError(f"{what}: neither JSON nor a Python literal") from None
    return loads(text, what)


def _call(body: str) -> ToolCall:
    return read_call(_value(body, "a call"))
