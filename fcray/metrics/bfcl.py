"""Whether predicted calls pass the Berkeley Function-Calling Leaderboard's AST check.

Written from the check's rules (Patil et al. 2025, "The Berkeley Function Calling Leaderboard";
`bfcl-eval` 2026.3.23) and tested to agree with it. Knows nothing of how outputs become calls: it
takes calls whose arguments are JSON, so Python tuples are lists already. Covers the Python
categories and (ir)relevance; Java and JavaScript, whose values are source text to convert first,
are left out.

A gold call is `{function: {argument: [allowed value, ...]}}`; `""` among the allowed values means
that the argument may be left out. Report a share of passes as "BFCL non-live AST", never as
"BFCL overall".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from fcray.errors import UserError
from fcray.tools import Tool, ToolCall

Answer = Mapping[str, Mapping[str, Sequence[object]]]
"""A gold call: function name → argument name → allowed values."""

CATEGORIES = ("simple", "multiple", "parallel", "parallel_multiple", "irrelevance", "relevance")
"""What can be checked; with or without `live_` before and `_python` behind."""

_TYPES: dict[object, type] = {
    "string": str,
    "any": str,
    "integer": int,
    "number": float,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "object": dict,
    "dict": dict,
}
"""JSON Schema's type names and the leaderboard's own."""

_IGNORED = str.maketrans({**dict.fromkeys(" ,./-_*^", ""), "'": '"'})


def bfcl_match(
    tools: Sequence[Tool], calls: Sequence[ToolCall], answers: Sequence[Answer], category: str
) -> bool:
    """Whether `calls` pass; see `bfcl_problem`."""
    return not bfcl_problem(tools, calls, answers, category)


def bfcl_problem(
    tools: Sequence[Tool], calls: Sequence[ToolCall], answers: Sequence[Answer], category: str
) -> str:
    """The first reason why `calls` fail the check; empty when they pass.

    Parameters
    ----------
    tools: What was offered. Dots in the leaderboard's function names are underscores here, as
        OpenAI's rule for names demands and as `bfcl-eval` does for such models.
    calls: What was predicted; empty when nothing could be parsed.
    answers: Gold calls, as the leaderboard's `possible_answer` files have them.
    category: `simple`, `multiple`, `parallel`, `parallel_multiple`, `irrelevance` or `relevance`.

    Notes
    -----
    Parallel calls pass in any order. As in `bfcl-eval`, every gold call in turn takes the first
    free prediction that fits, so a set that only another pairing would pass does fail.

    Raises
    ------
    UserError: The category is unknown or not covered, or a gold function is not among the tools.
    """
    kind = category.removeprefix("live_").removesuffix("_python")
    if kind not in CATEGORIES:
        raise UserError(
            f"BFCL category {category!r} cannot be checked; known are {', '.join(CATEGORIES)}"
        )
    if kind == "irrelevance":
        return f"calls {calls[0].name!r} where no call is right" if calls else ""
    if kind == "relevance":
        return "" if calls else "calls nothing"
    if not kind.startswith("parallel") and len(answers) != 1:
        raise UserError(f"BFCL category {category!r} has one gold call, not {len(answers)}")
    if len(calls) != len(answers):
        return f"{len(calls)} calls instead of {len(answers)}"
    return _unordered_problem(tools, calls, answers)


def _unordered_problem(
    tools: Sequence[Tool], calls: Sequence[ToolCall], answers: Sequence[Answer]
) -> str:
    free = list(calls)
    for answer in answers:
        (gold_name, gold), *_ = answer.items()
        tool = _tool_named(tools, gold_name)
        problems = [_call_problem(tool, call, gold) for call in free]
        if all(problems):
            return problems[0]
        free.pop(problems.index(""))
    return ""


def _tool_named(tools: Sequence[Tool], gold_name: str) -> Tool:
    name = gold_name.replace(".", "_")
    for tool in tools:
        if tool.name == name:
            return tool
    raise UserError(f"the gold answer calls {gold_name!r}, which is not among the offered tools")


def _call_problem(tool: Tool, call: ToolCall, gold: Mapping[str, Sequence[object]]) -> str:
    if call.name != tool.name:
        return f"calls {call.name!r} instead of {tool.name!r}"
    needed = [*tool.required, *(name for name, allowed in gold.items() if "" not in allowed)]
    for name in needed:
        if name not in call.arguments:
            return f"{tool.name} lacks the argument {name!r}"
    properties = tool.properties
    for name, value in call.arguments.items():
        if name not in properties or name not in gold:
            return f"{tool.name} has the unexpected argument {name!r}"
        if not _value_fits(properties[name], value, gold[name]):
            return f"{tool.name} has the wrong value {value!r} for {name!r}"
    return ""


def _value_fits(schema: Mapping[str, object], value: object, allowed: Sequence[object]) -> bool:
    """Type and value of one argument.

    The type must be the declared one, or that of the gold values where these deviate from it (a
    variable's name in place of a number, or null): such values are compared as they stand. A schema
    without a type that the leaderboard knows is taken to have the gold values' type.
    """
    declared, gold_type = _type_of(schema), _first_type(allowed)
    if declared is float and type(value) is int:
        with suppress(OverflowError):
            value = float(value)
    if type(value) is not declared:
        return type(value) is gold_type and value in allowed
    items = schema.get("items")
    item_type = _type_of(items) if isinstance(items, Mapping) else None
    if isinstance(value, list) and item_type and not _items_fit(value, item_type, allowed):
        return False
    if gold_type not in (None, declared):
        return value in allowed
    return any(_equals(value, answer, item_type) for answer in allowed)


def _equals(value: object, answer: object, item_type: type | None) -> bool:
    """One allowed value against a value of the declared type."""
    if isinstance(value, dict):
        return _object_fits(value, answer)
    if isinstance(value, list):
        return _objects_fit(value, answer) if item_type is dict else _list_fits(value, answer)
    if isinstance(value, str):
        return isinstance(answer, str) and _spelling(value) == _spelling(answer)
    return value == answer


def _type_of(schema: Mapping[str, object]) -> type | None:
    named = schema.get("type")
    return _TYPES.get(named) if isinstance(named, str) else None


def _first_type(allowed: Sequence[object]) -> type | None:
    return next((type(answer) for answer in allowed if answer != ""), None)


def _items_fit(value: list[object], item_type: type, allowed: Sequence[object]) -> bool:
    """Items have the declared type or that of the first gold item, for one allowed list or more.

    An allowed value that is no list, such as the `""` of an optional argument, lets all items pass.
    """
    return any(
        not isinstance(answer, list)
        or all(type(item) in (item_type, _first_type(answer)) for item in value)
        for answer in allowed
    )


def _spelling(value: object) -> object:
    """Strings without space, punctuation and case, with one kind of quote; all else as it is."""
    return value.translate(_IGNORED).lower() if isinstance(value, str) else value


def _list_fits(value: list[object], answer: object) -> bool:
    """Equal item by item, in order. `""` stands for an empty list too."""
    if not isinstance(answer, list | str):
        return False
    return [_spelling(item) for item in value] == [_spelling(item) for item in answer]


def _objects_fit(value: list[object], answer: object) -> bool:
    """As many objects, each fitting its counterpart. `""` stands for an empty list too."""
    if not isinstance(answer, list | str) or len(value) != len(answer):
        return False
    return all(_object_fits(item, gold) for item, gold in zip(value, answer, strict=True))


def _object_fits(value: object, answer: object) -> bool:
    """Objects one level deep; `answer` has a list of allowed values for every key."""
    if not isinstance(value, dict) or not isinstance(answer, Mapping):
        return False
    return all(key in value or "" in allowed for key, allowed in answer.items()) and all(
        key in answer and _spelling(item) in [_spelling(allowed) for allowed in answer[key]]
        for key, item in value.items()
    )
