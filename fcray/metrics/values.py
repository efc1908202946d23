"""When two argument values are the same, and how arguments become comparable triples.

Knows nothing of functions, models or averages: it sees one call's arguments, which are JSON.
The comparison of strings follows BFCL's (github.com/ShishirPatil/gorilla, `ast_checker.py`),
widened to full-width and Chinese punctuation.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

Mode = Literal["strict", "normalised"]
"""`strict`: JSON equality. `normalised`: strings by what they say, all else as in `strict`."""

Path = tuple[str | int, ...]
"""Where a value is: object keys as `str`, array positions as `int`."""

Key = tuple[str, str | int | float | bool | None]
"""A hashable stand-in for a scalar value: two values are the same when their keys are equal."""

_DROPPED = str.maketrans("", "", ",./-_*^、。")


def check_mode(mode: str) -> None:
    """Raise ValueError for a comparison mode that does not exist."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")


def normalise(text: str) -> str:
    """`text` as it is compared in mode `normalised`.

    NFKC (so `１２，Ａ` reads as `12,A`), case folded, then without white space and without
    `, . / - _ * ^ 、 。`. A text of nothing else keeps them: the operators `*` and `/` differ.

    Notes
    -----
    Known weakness, inherited from BFCL: the strings "1.5" and "15", or "x-2" and "x/2", are equal.
    Use mode `strict` where strings hold numbers or formulas.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    spaceless = "".join(folded.split())
    return spaceless.translate(_DROPPED) or spaceless


def comparison_key(value: object, mode: Mode = "normalised") -> Key:
    """A key that is equal for values that are the same under `mode`.

    Numbers are compared by value in both modes, because JSON has one number type: 1 equals 1.0.
    A number never equals a string ("1") or a truth value (true). Empty containers are values of
    their own; others must be flattened first.

    Raises
    ------
    TypeError: `value` is not a JSON scalar or an empty container.
    """
    match value:
        case None:
            return ("null", None)
        case bool():
            return ("boolean", value)
        case float() if math.isnan(value):
            return ("number", "nan")
        case int() | float():
            return ("number", value)
        case str():
            return ("string", value if mode == "strict" else normalise(value))
        case Mapping() | list() | tuple() if not value:
            return ("empty", "object" if isinstance(value, Mapping) else "array")
        case _:
            raise TypeError(f"not a JSON scalar: {type(value).__name__}")


def flatten(arguments: Mapping[str, object]) -> tuple[tuple[Path, object], ...]:
    """The leaves of `arguments` as (path, value), in reading order.

    `{"to": ["a", "b"], "when": {"day": 1}}` has the paths `("to", 0)`, `("to", 1)` and
    `("when", "day")`.
    An empty object or array inside is a leaf; no arguments have no leaves.
    """
    return tuple(leaf for name, value in arguments.items() for leaf in _leaves((name,), value))


def _leaves(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, list | tuple):
        inner = list(enumerate(value))
    if not inner:
        yield path, value
    for step, child in inner:
        yield from _leaves((*path, step), child)


def argument_keys(arguments: Mapping[str, object], mode: Mode = "normalised") -> dict[Path, Key]:
    """Path → comparison key of every leaf; arguments are the same when these are equal."""
    return {path: comparison_key(value, mode) for path, value in flatten(arguments)}
