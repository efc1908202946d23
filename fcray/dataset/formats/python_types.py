"""Python type names, as xLAM, BFCL and Seal-Tools describe parameters with, and JSON Schema."""

from __future__ import annotations

import re
from typing import Any

from fcray.dataset.formats.values import MOST_DEPTH, Note

_PLAIN = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "double": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "tuple": "array",
    "set": "array",
    "dict": "object",
    "object": "object",
    "hashtable": "object",
    "hashmap": "object",
    "arraylist": "array",
    "char": "string",
    "long": "integer",
    "byte": "integer",
    "short": "integer",
}
_NAMES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}
_GENERIC = re.compile(r"^(\w+)\[(.*)\]$", re.DOTALL)


def schema_of(name: str) -> dict[str, Any] | None:
    """The JSON Schema of a type such as `int`, `List[str]` or `Dict[str, float]`.

    {} where anything may stand, None where the name is unknown.
    """
    name = name.strip()
    if name.lower() in ("any", ""):
        return {}
    if name.count("[") > MOST_DEPTH:
        return None
    if generic := _GENERIC.match(name):
        return _generic(generic.group(1).lower(), split(generic.group(2)))
    plain = _PLAIN.get(name.lower())
    return {"type": plain} if plain else None


def property_of(owner: str, kind: str, about: dict[str, Any], notes: list[Note]) -> dict[str, Any]:
    """The schema of a parameter of a Python type, with its description; an unknown type is noted."""
    schema = schema_of(kind)
    if schema is None:
        notes.append(Note("unknown type", f"{owner} is of an unknown type, {kind!r}"))
    told = {"description": about["description"]} if about.get("description") else {}
    return {**(schema or {}), **told}


def _generic(outer: str, inner: list[str]) -> dict[str, Any] | None:
    if outer in ("optional", "union"):
        found = [schema_of(part) for part in inner if part != "None"]
        if any(one is None for one in found):
            return None
        return found[0] if len(found) == 1 else {"anyOf": found}
    plain = _PLAIN.get(outer)
    if plain == "array" and (items := schema_of(inner[0])):
        return {"type": "array", "items": items}
    return {"type": plain} if plain in ("array", "object") else None


def split(text: str) -> list[str]:
    """The parts of `text` between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def told_of(schema: Any) -> str:
    """The description in a JSON Schema, which may also be a mere true."""
    return str(schema.get("description", "")) if isinstance(schema, dict) else ""


def name_of(schema: Any) -> str:
    """The Python type name of a JSON Schema; `Any` where there is none."""
    if not isinstance(schema, dict):
        return "Any"
    kind = schema.get("type")
    if kind is None and "enum" in schema:
        kinds = {type(one).__name__ for one in schema["enum"]}
        return kinds.pop() if len(kinds) == 1 else "Any"
    if kind == "array" and schema.get("items"):
        return f"List[{name_of(schema['items'])}]"
    return _NAMES.get(kind, "Any") if isinstance(kind, str) else "Any"
