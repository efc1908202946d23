"""Tools from anywhere as a catalog: allowed names, sound schemas, each name once.

Knows no source: each says itself where a fault of its tools is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from fcray.dataset.formats.calls import safe_name
from fcray.errors import UserError, first_problem
from fcray.tools import TOOL_NAME, Tool, ToolCatalog
from fcray.yamlfile import Location


def allowed_name(name: str, what: str, notes: list[str]) -> str:
    """`name` by OpenAI's rule; noted where it differs."""
    if re.fullmatch(TOOL_NAME, name):
        return name
    allowed = safe_name(name).strip("_")
    if allowed:  # else the tool is refused
        notes.append(f"{what} is called {allowed!r} here")
    return allowed


def catalog_of(tools: Sequence[tuple[Tool, Callable[[str], UserError]]]) -> ToolCatalog:
    """The tools, each once; a second one of a name is an error at its own place."""
    seen: set[str] = set()
    for tool, fault in tools:
        if tool.name in seen:
            raise fault(f"a second tool is named {tool.name!r}")
        seen.add(tool.name)
    return ToolCatalog(tool for tool, _ in tools)


def tool_of(value: Mapping[str, Any], fault: Callable[[str, Location], UserError]) -> Tool:
    """The tool of this value.

    Raises
    ------
    UserError: It is none; `fault` makes it of what is wrong and where.
    """
    try:
        return Tool.model_validate(value)
    except ValidationError as error:
        message, where = first_problem(error)
        raise fault(message, where) from None
