"""Reference tools: what the tools of the shipped catalogs do with a call, as plain functions.

A row's gold call is verified by executing it. A reference tool takes the arguments of the tool's JSON
Schema, refuses what a schema cannot know to be wrong (an end before its start, February 30), computes
what can be computed, and gives back what a real one would. What only a real backend knows, such as a
price, is made up from the arguments. No network, no clock, no state. Knows nothing of rows, catalogs
or models: the schema's own rules are for `fcray.tools.Tool.problems`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from fcray.domains import finance, iot, medical, office
from fcray.domains.refused import Refused, refusal

__all__ = ["REFERENCES", "Refused", "execute"]

REFERENCES: Mapping[str, Callable[..., Any]] = {
    **finance.TOOLS,
    **medical.TOOLS,
    **iot.TOOLS,
    **office.TOOLS,
}
"""Tool name → its reference."""


def execute(name: str, arguments: Mapping[str, Any], today: date | None) -> Any:
    """What the tool `name` gives back for `arguments`.

    Parameters
    ----------
    today: The row's day. Without one, what depends on it is neither checked nor computed.

    Returns
    -------
    A value of JSON.

    Raises
    ------
    Refused: The arguments make no sense, one is unknown, or a required one is missing.
    KeyError: There is no reference for this tool.
    """
    function = REFERENCES[name]
    parameters = inspect.signature(function).parameters
    # `today` is told by the row; a call that holds an argument of that name made it up.
    known = [one for one in parameters if one != "today"]
    for argument, value in arguments.items():
        if argument not in known:
            raise refusal(argument, value, f"is no argument of {name}")
    for one in known:
        if parameters[one].default is inspect.Parameter.empty and one not in arguments:
            raise Refused(f"{one} is missing, and {name} needs it.")
    if "today" in parameters:
        return function(**arguments, today=today)
    return function(**arguments)
