"""Values inside a row, and how it is said what is wrong with them. Knows nothing of tools or formats."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

Row = dict[str, Any]

MOST_DEPTH = 100
"""How deep a row may be nested; what pydantic and the JSON writer can go through is not much more."""


class Note(NamedTuple):
    """What is wrong with a row that could be read: of what kind, for counting, and in words."""

    kind: str
    text: str


class RowError(ValueError):
    """A row cannot be read, or cannot be written; the message is the reason."""


def checked(value: Any, what: str) -> Any:
    """`value`, which JSON can hold as it is.

    Raises
    ------
    RowError: It cannot; the message names `what`.
    """
    _check(value, what, MOST_DEPTH)
    return value


def _check(value: Any, what: str, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise RowError(f"{what} holds half of a character (a lone surrogate), which is no text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise RowError(f"{what} holds {value}, which is no JSON number")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise RowError(f"{what} is nested more than {MOST_DEPTH} deep")
        inner = value if isinstance(value, list) else (*value, *value.values())
        for one in inner:
            _check(one, what, depth - 1)
    elif value is not None and not isinstance(value, int):
        raise RowError(f"{what} holds a {type(value).__name__}, which is no JSON value")


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def loads(text: Any, what: str) -> Any:
    """JSON inside a row.

    Raises
    ------
    RowError: `text` is not JSON; the message names `what`.
    """
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RowError(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise RowError(f"{what} is nested more than {MOST_DEPTH} deep") from None
    return checked(value, what)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def text_of(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowError(f"{what} is not a text")
    return value


def listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowError(f"{what} is not a list")
    return value


def mapped(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RowError(f"{what} is not an object")
    return value
