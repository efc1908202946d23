"""Alpaca-like rows with `function_call`, as in the article: `instruction`, `function_call`, `response`.

`input`, `system`, `history` and `tools` are read and written as well, as the wider Alpaca family has them.
`response` beside a call is what is said with it.
"""

from __future__ import annotations

from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import call_value, read_calls, read_tools, tool_value
from fcray.dataset.formats.conversations import examples_of, extra, instructions_of
from fcray.dataset.formats.values import Row, RowError, listed, loads, text_of
from fcray.tools import Example, Message


class Alpaca(Format):
    name = "alpaca"
    title = "Alpaca-like (instruction, function_call, response)"
    columns = frozenset({"instruction"})

    def _read(self, row: Row, source: Source) -> list[Example]:
        request = text_of(row.get("instruction"), "instruction")
        if beside := text_of(row.get("input"), "input"):
            request = f"{request}\n{beside}" if request else beside
        if not request.strip():
            raise RowError("instruction is empty")
        messages: list[Message] = []
        if system := text_of(row.get("system"), "system"):
            messages.append(Message(role="system", content=system))
        messages += _history(row.get("history") or [])
        messages.append(Message(role="user", content=request))
        response = text_of(row.get("response", row.get("output")), "response")
        calls = read_calls(loads(row.get("function_call") or None, "function_call"))
        if not calls and not response:
            raise RowError("there is neither a function_call nor a response")
        tools = read_tools(row.get("tools"), source.notes) or tuple(source.catalog.values())
        messages.append(Message(role="assistant", content=response or None, tool_calls=calls))
        return examples_of(row, messages, tools, source)[-1:]

    def write(self, example: Example) -> Row:
        turns = [m for m in example.messages if m.role != "system"]
        if turns[-1].role != "user" or any(m.tool_calls or m.role == "tool" for m in turns):
            raise RowError("the format holds no earlier calls or results, this row has some")
        row: Row = {"instruction": example.request}
        if system := instructions_of(example):
            row["system"] = system
        if turns[:-1]:
            said = [m.content or "" for m in turns[:-1]]
            if [m.role for m in turns[:-1]] != ["user", "assistant"] * (len(said) // 2):
                raise RowError("the format holds turns in pairs, this row has others")
            row["history"] = [said[i : i + 2] for i in range(0, len(said), 2)]
        calls = [call_value(call) for call in example.calls]
        row["function_call"] = calls[0] if len(calls) == 1 else calls or None
        row["response"] = example.response
        row["tools"] = [tool_value(tool) for tool in example.tools]
        return row | extra(example)


def _history(value: Any) -> list[Message]:
    messages: list[Message] = []
    for one in listed(value, "history"):
        pair = listed(one, "a pair of history")
        if len(pair) != 2:
            raise RowError("a pair of history is a request and an answer")
        messages.append(Message(role="user", content=text_of(pair[0], "history")))
        messages.append(Message(role="assistant", content=text_of(pair[1], "history")))
    return messages
