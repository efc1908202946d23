"""Tools and calls as rows hold them: read, with what people leave out put right, and written.

Knows nothing of conversations or formats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from referencing.exceptions import Unresolvable

from fcray.dataset.formats.values import Note, RowError, dumps, listed, loads, mapped
from fcray.errors import first_problem
from fcray.tools import Tool, ToolCall


def safe_name(name: str) -> str:
    """`name` by OpenAI's rule: what may not stand in it is an underscore (as BFCL's runners do to dots)."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]


def read_call(value: Any, what: str = "a call") -> ToolCall:
    """`{"name": …, "arguments": {…} or its JSON text}`."""
    value = mapped(value, what)
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise RowError(f"{what} names no function")
    arguments = value.get("arguments", {})
    if arguments in (None, ""):
        arguments = {}
    return ToolCall(
        name=safe_name(name),
        arguments=mapped(loads(arguments, f"{what}'s arguments"), f"{what}'s arguments"),
    )


def read_calls(value: Any, what: str = "a call") -> tuple[ToolCall, ...]:
    """One call or a list of them."""
    if value is None:
        return ()
    return tuple(read_call(one, what) for one in (value if isinstance(value, list) else [value]))


def call_value(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def read_tool(value: Any, notes: list[Note]) -> Tool:
    """A tool in OpenAI's shape, wrapped (`type: function`) or bare, with what people leave out put right.

    Raises
    ------
    RowError: It stays invalid.
    """
    value = mapped(value, "a tool")
    if "function" in value:
        value = mapped(value["function"], "a tool")
    name = value.get("name")
    parameters = value.get("parameters") or {"type": "object", "properties": {}}
    parameters = dict(mapped(parameters, f"the parameters of {name!r}"))
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})
    drop_undescribed(name, parameters, notes)
    return make_tool(name, value.get("description"), parameters, notes)


def drop_undescribed(name: Any, parameters: dict[str, Any], notes: list[Note]) -> None:
    """Take arguments that are required but not described out of `parameters`, and note them."""
    properties, required = parameters.get("properties"), parameters.get("required", [])
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    # What is no name at all is left for the schema's own check to refuse.
    absent = [one for one in required if isinstance(one, str) and one not in properties]
    if absent:
        text = f"{name} requires {absent[0]!r}, which it does not describe"
        notes.append(Note("required, not described", text))
        parameters["required"] = [one for one in required if one not in absent]


def make_tool(name: Any, description: Any, parameters: dict[str, Any], notes: list[Note]) -> Tool:
    """A tool under a name that is allowed.

    Raises
    ------
    RowError: It has none, or its schema is invalid.
    """
    allowed = safe_name(name) if isinstance(name, str) else name
    if allowed != name:
        notes.append(Note("tool renamed", f"the tool {name!r} is called {allowed!r} here"))
    try:
        return _valid_tool(dumps([allowed, description or "", parameters]))
    except ValidationError as error:
        message, _ = first_problem(error)
        raise RowError(f"the tool {name!r} is invalid: {message}") from None


@lru_cache(maxsize=4096)
def _valid_tool(text: str) -> Tool:
    """The tool that the JSON text of its name, description and parameters makes.

    Rows offer the same tools again and again, and checking a schema takes milliseconds. The rows share what
    is kept here, since a tool is never changed.
    """
    name, description, parameters = json.loads(text)
    return Tool(name=name, description=description, parameters=parameters)


def read_tools(
    value: Any, notes: list[Note], catalog: Mapping[str, Tool] | None = None
) -> tuple[Tool, ...]:
    """A list of tools, or its JSON text; empty or absent for none. A repeated name counts once.

    Parameters
    ----------
    catalog: Tools that may stand by their names.
    """
    if value in (None, "", []):
        return ()
    tools: dict[str, Tool] = {}
    for one in listed(loads(value, "tools"), "tools"):
        tool = _named(one, catalog or {}) if isinstance(one, str) else read_tool(one, notes)
        if tool.name in tools:
            notes.append(Note("tool listed twice", f"the tool {tool.name!r} is listed twice"))
        tools.setdefault(tool.name, tool)
    return tuple(tools.values())


def _named(name: str, catalog: Mapping[str, Tool]) -> Tool:
    if name not in catalog:
        raise RowError(f"no manifest beside the rows holds the tool {name!r}")
    return catalog[name]


def tool_value(tool: Tool) -> dict[str, Any]:
    return tool.model_dump()


def problems(call: ToolCall, tools: Mapping[str, Tool]) -> Iterator[Note]:
    """What a gold call has wrong by the tools that its row offers."""
    if call.name not in tools:
        yield Note("tool not offered", f"calls {call.name!r}, which is not offered")
        return
    tool = tools[call.name]
    try:
        violations = tool.violations(call.arguments)
    except (RecursionError, ArithmeticError, Unresolvable):
        # It refers to itself without end, or nowhere, or divides what cannot be divided.
        raise RowError(f"{call.name}: its arguments cannot be checked by its schema") from None
    for error in violations:
        yield Note(f"against the schema: {error.validator}", f"{call.name}: {error.message}")
    if tool.parameters.get("additionalProperties") in (None, False):
        for name in call.arguments:
            if name not in tool.properties:
                yield Note("unknown argument", f"{call.name}: {name!r} is not among its parameters")
