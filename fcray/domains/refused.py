"""How a reference tool says that a call makes no sense.

In a module of its own, since both the checks and the tools raise it. Knows no tool.
"""

from __future__ import annotations

import json
from typing import Any

_SHOWN = 80
"""A longer value is cut: the sentence is read in a list of them."""


class Refused(ValueError):
    """The arguments of a call make no sense; one sentence names the argument and its value."""


def refusal(argument: str, value: Any, reason: str) -> Refused:
    """The error that says `argument` and `value` as JSON, then `reason`, such as "is too far off"."""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    if len(shown) > _SHOWN:
        shown = shown[: _SHOWN - 1] + "…"
    return Refused(f"{argument} {shown} {reason}.")
