"""What a Java or a JavaScript value says, written as source text, as far as BFCL reads it.

BFCL has a model write every argument of a Java or JavaScript function as text (`"new int[]{1, 2}"`), and
turns that into a value by the parameter's type before it compares. Which spellings count is the
leaderboard's own narrow choice (`bfcl-eval` 2026.3.23, `eval_checker/ast_eval/type_convertor/`): the
patterns here accept the same, and a test holds both against each other. Text that is no such spelling stays
text, as there, for it may be a variable's name. Knows nothing of functions or of what is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_WHOLE = r"-?\d+"
_DECIMAL = r"-?\d+(?:\.\d+)?"
_EXPONENT = r"(?:[eE][+-]?\d+)?"

_Reader = tuple[re.Pattern[str], Callable[[str], Any]]

_JAVA_SCALARS: dict[str, _Reader] = {
    **dict.fromkeys(("byte", "short", "integer"), (re.compile(_WHOLE), int)),
    "long": (re.compile(f"{_WHOLE}[lL]"), lambda text: int(text[:-1])),
    "float": (re.compile(f"{_DECIMAL}{_EXPONENT}[fF]"), lambda text: float(text[:-1])),
    "double": (re.compile(f"{_DECIMAL}{_EXPONENT}"), float),
    "boolean": (re.compile("true|false"), lambda text: text == "true"),
}
_JAVASCRIPT_SCALARS: dict[str, _Reader] = {
    "integer": (re.compile(_WHOLE), int),
    "float": (re.compile(_DECIMAL), float),
    "Bigint": (re.compile(f"{_WHOLE}n"), lambda text: int(text[:-1])),
    "Boolean": (re.compile("true|false"), lambda text: text == "true"),
}

_NEW_ARRAY = re.compile(r"new\s+\w+\[\]\s*\{(.*?)\}")
_NEW_LIST = r"new\s+ArrayList<\w*>\("
_LIST_OF = re.compile(_NEW_LIST + r"Arrays\.asList\((.+?)\)\)")
_LIST_ADDED = re.compile(_NEW_LIST + r"\)\s*\{\{\s*(.+?)\s*\}\}", re.DOTALL)
_ADDED = re.compile(r"add\((.+?)\)")
_EMPTY_LIST = re.compile(_NEW_LIST + r"\)")
_NEW_MAP = r"new\s+HashMap<.*?>\s*\(\)"
_MAP_PUT = re.compile(_NEW_MAP + r"\s*\{(.*?)\}", re.DOTALL)
_PUT = re.compile(r"put\(\"(.*?)\",\s*(.*?)\)")
_EMPTY_MAP = re.compile(_NEW_MAP)


def _rows(end: str) -> str:
    """The pattern of an array's rows, up to the `end` of the array.

    A row ends at the first bracket after which another row or the end comes. Were it free to end later, an
    array that is cut off would be tried in as many ways as there are subsets of its rows.
    """
    row = rf"\[(?:(?!\]\s*(?:,\s*\[|\{end})).)*\]"
    return rf"\s*{row}\s*(?:,\s*{row}\s*)*\{end}"


_ARRAY_OF_ARRAYS = re.compile(rf"\[{_rows(']')}|\bnew\s+Array\({_rows(')')}")
_BRACKETED = re.compile(r"\[(.*?)\]")
_ARRAY = re.compile(r"\[(?P<short>.*?)\]|\bnew\s+Array\((?P<long>.*?)\)")
_OBJECT = re.compile(r"\{(.*?)\}")
_FIELD = re.compile(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)")


def java_value(text: str, kind: str, inner: str = "") -> Any:
    """The value of Java source text.

    Parameters
    ----------
    kind: The declared type: `integer`, `String`, `ArrayList`, …
    inner: The declared type of what an `Array` or `ArrayList` holds.
    """
    if kind in _JAVA_SCALARS:
        return _scalar(text, _JAVA_SCALARS[kind])
    if kind == "Array":
        return _java_array(text, inner)
    if kind == "ArrayList":
        return _java_list(text, inner)
    if kind == "HashMap":
        return _java_map(text)
    return text


def javascript_value(text: str, kind: str, inner: str = "") -> Any:
    """The value of JavaScript source text.

    Parameters
    ----------
    kind: The declared type: `integer`, `String`, `array`, …
    inner: The declared type of what an `array` holds; empty: each item is what it looks like.
    """
    if kind in _JAVASCRIPT_SCALARS:
        return _scalar(text, _JAVASCRIPT_SCALARS[kind])
    if kind == "String":
        return text[1:-1] if _is_quoted(text) else text
    if kind == "array":
        return _javascript_array(text.strip(), inner)
    if kind == "dict":
        return _javascript_object(text.strip())
    return text


def _scalar(text: str, reader: _Reader) -> Any:
    pattern, read = reader
    if pattern.fullmatch(text):
        with suppress(ValueError):  # Python reads no integer of thousands of digits
            return read(text)
    return text


def _java_array(text: str, inner: str) -> Any:
    found = _NEW_ARRAY.search(text)
    if found is None:
        return text
    return [java_value(one.strip(), inner) for one in found[1].split(",") if one.strip()]


def _java_list(text: str, inner: str) -> Any:
    if found := _LIST_OF.search(text):
        items = found[1].split(",")
    elif found := _LIST_ADDED.search(text):
        items = _ADDED.findall(found[1])
    else:
        return [] if _EMPTY_LIST.search(text) else text
    if inner in ("char", "String"):  # their quotes are taken off unseen
        return [one.strip()[1:-1] for one in items]
    return [java_value(one.strip(), inner) for one in items]


def _java_map(text: str) -> Any:
    if found := _MAP_PUT.search(text):
        return {key: _java_guess(value.strip()) for key, value in _PUT.findall(found[1])}
    return {} if _EMPTY_MAP.search(text) else text


def _java_guess(text: str) -> Any:
    """A value of which no type is declared."""
    if len(text) > 0 and text[0] == text[-1] == '"':
        return text[1:-1]
    for kind in ("boolean", "long", "float"):
        value = java_value(text, kind)
        if value is not text:
            return value
    return _number(text)


def _javascript_array(text: str, inner: str) -> Any:
    if whole := _ARRAY_OF_ARRAYS.match(text):
        first, *others = _BRACKETED.findall(whole[0])
        rows = [first.strip().removeprefix("["), *others]  # it took the outer bracket with it
        return [[_javascript_guess(one) for one in row.split(",")] for row in rows]
    found = _ARRAY.match(text)
    if found is None:
        return text
    held = (found["short"] if found["short"] is not None else found["long"]).strip()
    items = [one.strip() for one in held.split(",")] if held else []
    if not inner:
        return [_javascript_guess(one) for one in items]
    return [
        javascript_value(one, inner, "String" if one[:1] in ("'", '"') else "") for one in items
    ]


def _javascript_object(text: str) -> Any:
    if text == "{}":
        return {}
    found = _OBJECT.match(text)
    if found is None:
        return text
    return {
        key.strip().strip("'\""): _javascript_field(value.strip())
        for key, value in _FIELD.findall(found[1])
    }


def _javascript_field(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return _javascript_array(text, "")
    if text.startswith("{") and text.endswith("}"):
        return _javascript_object(text)
    return _javascript_guess(text.strip("'\""))


def _javascript_guess(text: str) -> Any:
    """A value of which no type is declared."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    return text[1:-1] if _is_quoted(text) else _number(text)


def _is_quoted(text: str) -> bool:
    return text != "" and text[0] == text[-1] and text[0] in "'\""


def _number(text: str) -> Any:
    """An integer, else a decimal number, else the text."""
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return text
