"""What a format cannot hold: found by reading back what was written, never by a list kept by hand.

Knows no format by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fcray.dataset.formats.base import Format, Source
from fcray.dataset.formats.conversations import instructions_of, query_of
from fcray.dataset.formats.values import Row, RowError
from fcray.tools import Example, canonical_json

MOVED = "system message, moved into the query"
"""What a format without a place for instructions loses of them."""

COMPARED: Mapping[str, Callable[[Example], Any]] = {
    "messages": lambda e: [m.model_dump() for m in e.messages],
    "tools": lambda e: [t.model_dump() for t in e.tools],
    "calls": lambda e: [c.model_dump() for c in e.calls],
    "response": lambda e: e.response,
    "id": lambda e: e.id,
    "origin": lambda e: e.origin.model_dump(),
}
"""What a format may lose, by the words that are said of it."""


def losses(form: Format, example: Example, row: Row, source: Source) -> list[str]:
    """Which parts of `example` do not come back when `row`, written from it, is read again."""
    try:
        back = form.read(row, source)
    except RowError as error:
        return [f"everything: {error}"]
    if len(back) != 1:
        return ["messages"]
    lost = [
        part
        for part, value in COMPARED.items()
        # Not `==`: an integer is not the number that equals it.
        if canonical_json(value(example)) != canonical_json(value(back[0]))
    ]
    if "messages" in lost and _is_moved(example, back[0]):
        lost[lost.index("messages")] = MOVED
    return lost


def _is_moved(example: Example, back: Example) -> bool:
    """Whether all that changed in the messages is that the instructions stand in the request."""
    if len(back.messages) != 1 or not instructions_of(example):
        return False
    try:
        return back.messages[0].content == query_of(example, "")
    except RowError:
        return False
