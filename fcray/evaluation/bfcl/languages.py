"""The three languages of BFCL's functions: how a function is shown to a model, and how its call is judged.

Arguments of Python functions are JSON. A Java or JavaScript function takes every argument as source text,
and its parameters say so (`bfcl-eval` 2026.3.23, `utils.py`, `_func_doc_language_specific_pre_processing`);
`literals` reads that text back. Knows nothing of questions, answers or files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fcray.evaluation.bfcl.literals import java_value, javascript_value
from fcray.tools import Tool, ToolCall

Function = Mapping[str, Any]
"""A function as the leaderboard's files have it."""


@dataclass(frozen=True)
class Language:
    """How functions of one language are written.

    Attributes
    ----------
    name, syntax: As the descriptions say them.
    types: The leaderboard's type names → JSON Schema's, as its check takes them.
    lists: Types whose items have a declared type.
    read: Source text, its type and its items' type → the value; None where arguments are JSON.
    """

    name: str
    syntax: str
    types: Mapping[str, str]
    lists: tuple[str, ...]
    read: Callable[[str, str, str], Any] | None = None


PYTHON = Language(
    "Python",
    "Python 3",
    {
        "string": "string",
        "integer": "integer",
        "float": "number",
        "boolean": "boolean",
        "array": "array",
        "tuple": "array",
        "dict": "object",
        "any": "string",
    },
    ("array", "tuple"),
)
JAVA = Language(
    "Java",
    "Java 8 SDK",
    {
        **dict.fromkeys(("byte", "short", "integer", "long"), "integer"),
        **dict.fromkeys(("float", "double"), "number"),
        **dict.fromkeys(("char", "String", "any"), "string"),
        **dict.fromkeys(("Array", "ArrayList"), "array"),
        "boolean": "boolean",
        "HashMap": "object",
    },
    ("Array", "ArrayList"),
    java_value,
)
JAVASCRIPT = Language(
    "JavaScript",
    "JavaScript",
    {
        **dict.fromkeys(("integer", "Bigint"), "integer"),
        **dict.fromkeys(("String", "any"), "string"),
        "float": "number",
        "Boolean": "boolean",
        "array": "array",
        "dict": "object",
    },
    ("array",),
    javascript_value,
)


def language_of(category: str) -> Language:
    """The language of a category's functions."""
    return {"simple_java": JAVA, "simple_javascript": JAVASCRIPT}.get(category, PYTHON)


def shown(function: Function, language: Language) -> dict[str, Any]:
    """A function as the leaderboard shows it to a model.

    Raises
    ------
    KeyError: A part of it is missing.
    """
    hint = f" Note that the provided function is in {language.syntax} syntax."
    changed = {**function, "description": function["description"] + hint}
    if language.read is not None:
        parameters = function["parameters"]
        properties = {
            name: _as_text(one, language) for name, one in parameters["properties"].items()
        }
        changed["parameters"] = {**parameters, "properties": properties}
    return changed


def _as_text(schema: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """A parameter that takes source text, with what the leaderboard says of it."""
    kind = schema["type"]
    said = f"This is {language.name} {kind} type parameter in string representation."
    if kind == "any":
        said = (
            f"This parameter can be of any type of {language.name} object in string representation."
        )
    if kind in language.lists:
        inner = schema["items"]["type"]
        said += f" The list elements are of type {inner}; they are not in string representation."
    if kind == "dict" and "properties" in schema:
        fields = json.dumps(schema["properties"])
        said += (
            " The dictionary entries have the following schema; "
            f"they are not in string representation. {fields}"
        )
    kept = {key: value for key, value in schema.items() if key not in ("items", "properties")}
    return {**kept, "type": "string", "description": f"{schema['description']} {said}"}


def judged(name: str, function: Function, language: Language) -> Tool:
    """A function as the check sees it: the types of its parameters and of their items, and no more."""
    properties: dict[str, Any] = {}
    for parameter, schema in function["parameters"]["properties"].items():
        kind, inner = _kinds(schema, language)
        properties[parameter] = {"type": language.types.get(kind, "string")}
        if inner:
            properties[parameter]["items"] = {"type": language.types.get(inner, "string")}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(function["parameters"].get("required", ())),
    }
    # It is a schema by the way it is made, and checking that would take most of the time.
    return Tool.model_construct(name=name, description="", parameters=parameters)


def _kinds(schema: Mapping[str, Any], language: Language) -> tuple[str, str]:
    """The leaderboard's names of a parameter's type and of its items' type."""
    kind = str(schema["type"])
    items = schema.get("items") if kind in language.lists else None
    return kind, str((items or {}).get("type", ""))


def read_call(call: ToolCall, function: Function | None, language: Language) -> ToolCall | str:
    """The call with the values that its source texts say, or why they are none.

    Parameters
    ----------
    function: The function that is called; None where there is none of that name.
    """
    if language.read is None:
        return call
    properties = function["parameters"]["properties"] if function is not None else {}
    values = {}
    for name, text in call.arguments.items():
        if not isinstance(text, str):
            return f"{call.name} has {text!r} for {name!r}, which is not {language.name} as text"
        values[name] = text
        if name in properties:
            values[name] = language.read(text, *_kinds(properties[name], language))
    return ToolCall(name=call.name, arguments=values)
