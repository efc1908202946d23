"""BFCL's questions, with the possible answers that stand in a file of their own (bfcl-eval's data/).

A gold argument there is a list of allowed values; the first one is taken, and an empty text first means
that the argument may stay away. Only what runs in one turn can be written. The answers of rows that are
exported go into `possible_answer/` beside the questions, as there.
"""

from __future__ import annotations

from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.calls import drop_undescribed, make_tool, safe_name
from fcray.dataset.formats.conversations import examples_of, extra, single_turn
from fcray.dataset.formats.python_types import schema_of
from fcray.dataset.formats.values import Note, Row, RowError, listed, mapped, text_of
from fcray.tools import Example, Message, Tool, ToolCall

ANSWER = "ground_truth"


class BFCL(Format):
    name = "bfcl"
    title = "BFCL questions, with --answers its possible answers"
    columns = frozenset({"question", "function"})
    apart = ANSWER

    def _read(self, row: Row, source: Source) -> list[Example]:
        identity = text_of(row.get("id"), "id")
        rounds = listed(row.get("question"), "question")
        if len(rounds) != 1:
            raise RowError(f"one round of turns is read, this row has {len(rounds)}")
        messages = [_message(mapped(one, "a turn")) for one in listed(rounds[0], "question")]
        functions = row.get("function") or []
        tools = [
            _read_tool(mapped(value, "a function"), source.notes)
            for value in (functions if isinstance(functions, list) else [functions])
        ]
        answers = row.get(ANSWER, source.answers.get(identity))
        if answers is None and "irrelevance" not in identity:
            source.notes.append(
                Note("no answer", "has no answer in the file of answers, so none is gold")
            )
        calls = tuple(_call(mapped(one, "an answer")) for one in listed(answers or [], ANSWER))
        response = text_of(row.get("response"), "response")
        messages.append(Message(role="assistant", content=response or None, tool_calls=calls))
        unique = tuple({tool.name: tool for tool in tools}.values())
        return examples_of(row, messages, unique, source)[-1:]

    def write(self, example: Example) -> Row:
        instructions, request = single_turn(example, self.name)
        turns = [{"role": "system", "content": instructions}] if instructions else []
        return extra(example) | {
            "question": [[*turns, {"role": "user", "content": request}]],
            "function": [_write_tool(tool) for tool in example.tools],
            ANSWER: [
                {call.name: {name: [_only(value)] for name, value in call.arguments.items()}}
                for call in example.calls
            ],
        }


def _message(value: Row) -> Message:
    role = value.get("role")
    if role not in ("system", "user", "assistant"):
        raise RowError(f"no role is named {role!r}")
    return Message(role=role, content=text_of(value.get("content"), "content"))


def _call(value: Row) -> ToolCall:
    if len(value) != 1:
        raise RowError("an answer is one function with its arguments")
    ((name, allowed),) = value.items()
    chosen = {}
    for argument, values in mapped(allowed, "an answer").items():
        if listed(values, f"the values of {argument!r}") and values[0] != "":
            chosen[argument] = _first(values[0])
    return ToolCall(name=safe_name(name), arguments=chosen)


def _first(value: Any) -> Any:
    """Inside an object each field is a list of allowed values too, and so on downwards."""
    if isinstance(value, dict):
        return {
            key: _first(one[0]) if isinstance(one, list) and one else one
            for key, one in value.items()
            if one != [""]
        }
    if isinstance(value, list):
        return [_first(one) for one in value]
    return value


def _only(value: Any) -> Any:
    """What `_first` reads as `value`: the one that is allowed."""
    if isinstance(value, dict):
        return {key: [_only(one)] for key, one in value.items()}
    if isinstance(value, list):
        return [_only(one) for one in value]
    return value


def _read_tool(value: Row, notes: list[Note]) -> Tool:
    name = value.get("name")
    parameters = _schema(mapped(value.get("parameters") or {}, "parameters"), f"{name}", notes)
    parameters["type"] = "object"
    parameters.setdefault("properties", {})
    drop_undescribed(name, parameters, notes)
    return make_tool(name, value.get("description"), parameters, notes)


def _schema(value: Any, where: str, notes: list[Note]) -> Any:
    """JSON Schema from BFCL's, which has Python's type names in it."""
    if not isinstance(value, dict):
        return value
    schema = {k: v for k, v in value.items() if k not in ("type", "optional")}
    kind = value.get("type")
    if isinstance(kind, str):
        read = schema_of(kind)
        if read is None:
            notes.append(Note("unknown type", f"{where} is of an unknown type, {kind!r}"))
        else:
            schema = read | schema
    elif kind is not None:
        schema["type"] = kind
    if isinstance(schema.get("properties"), dict):
        schema["properties"] = {
            name: _schema(one, f"{where}.{name}", notes)
            for name, one in schema["properties"].items()
        }
    if isinstance(schema.get("items"), dict):
        schema["items"] = _schema(schema["items"], where, notes)
    return schema


def _write_tool(tool: Tool) -> Row:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": _to_bfcl(tool.parameters),
    }


def _to_bfcl(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    schema = dict(value)
    if schema.get("type") in ("object", "number"):
        schema["type"] = {"object": "dict", "number": "float"}[schema["type"]]
    if isinstance(schema.get("properties"), dict):
        schema["properties"] = {n: _to_bfcl(one) for n, one in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        schema["items"] = _to_bfcl(schema["items"])
    return schema
