"""Right answers to BFCL requests, and what models make of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

Call = tuple[str, dict[str, Any]]
Mutation = Callable[[list[Call], random.Random], None]


def right_calls(answers: list[dict[str, dict[str, list[Any]]]], dice: random.Random) -> list[Call]:
    """A right answer, drawn from the allowed values; optional arguments are mostly given."""
    return [
        (
            name.replace(".", "_"),
            {key: concrete(value, dice) for key, value in _draw(gold, dice).items()},
        )
        for one in answers
        for name, gold in one.items()
    ]


def _draw(gold: dict[str, list[Any]], dice: random.Random) -> dict[str, Any]:
    drawn = {}
    for key, allowed in gold.items():
        given = [value for value in allowed if value != ""]
        if given and ("" not in allowed or dice.random() < 0.8):
            drawn[key] = dice.choice(given)
    return drawn


def concrete(value: Any, dice: random.Random) -> Any:
    """A gold value as a call has it: only the outermost objects list what is allowed."""
    if isinstance(value, list):
        return [concrete(item, dice) for item in value]
    return _draw(value, dice) if isinstance(value, dict) else value


def mutated(calls: list[Call], mutation: Mutation, dice: random.Random) -> list[Call]:
    """A changed copy of `calls`."""
    copy = [(name, arguments) for name, arguments in json.loads(json.dumps(calls))]
    mutation(copy, dice)
    return copy


def _change(calls: list[Call], dice: random.Random, change: Callable[[Any], Any]) -> None:
    """Change one argument among those that `change` does not leave as they are, if any."""
    places = [
        (arguments, key, new)
        for _, arguments in calls
        for key, value in arguments.items()
        if (new := change(value)) != value or type(new) is not type(value)
    ]
    if places:
        arguments, key, new = dice.choice(places)
        arguments[key] = new


def _deep(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`change`, carried into lists and objects."""

    def everywhere(value: Any) -> Any:
        if isinstance(value, list):
            return [everywhere(item) for item in value]
        if isinstance(value, dict):
            return {key: everywhere(item) for key, item in value.items()}
        return change(value)

    return everywhere


def _spell_otherwise(value: Any) -> Any:
    return value.swapcase().replace(" ", "-") + "." if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _other_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    return json.dumps(value)


def drop_argument(calls: list[Call], dice: random.Random) -> None:
    if full := [arguments for _, arguments in calls if arguments]:
        arguments = dice.choice(full)
        del arguments[dice.choice(list(arguments))]


def drop_inner_key(calls: list[Call], dice: random.Random) -> None:
    def drop(value: Any) -> Any:
        if isinstance(value, list):
            return [drop(item) for item in value]
        return dict(list(value.items())[1:]) if isinstance(value, dict) else value

    _change(calls, dice, drop)


def extra_inner_key(calls: list[Call], dice: random.Random) -> None:
    def add(value: Any) -> Any:
        if isinstance(value, list):
            return [add(item) for item in value]
        return {**value, "invented": 1} if isinstance(value, dict) else value

    _change(calls, dice, add)


def extra_argument(calls: list[Call], dice: random.Random) -> None:
    if calls:
        dice.choice(calls)[1]["invented"] = dice.choice([1, "x", None])


def rename(calls: list[Call], dice: random.Random) -> None:
    if calls:
        at = dice.randrange(len(calls))
        calls[at] = (calls[at][0] + "_", calls[at][1])


def drop_call(calls: list[Call], dice: random.Random) -> None:
    if calls:
        calls.pop(dice.randrange(len(calls)))


def repeat_call(calls: list[Call], dice: random.Random) -> None:
    if calls:
        calls.append(dice.choice(calls))


def swap_arguments(calls: list[Call], dice: random.Random) -> None:
    if calls and len(arguments := dice.choice(calls)[1]) > 1:
        left, right = dice.sample(list(arguments), 2)
        arguments[left], arguments[right] = arguments[right], arguments[left]


def _changing(change: Callable[[Any], Any]) -> Mutation:
    return lambda calls, dice: _change(calls, dice, change)


MUTATIONS: dict[str, Mutation] = {
    "right": lambda calls, dice: None,
    "shuffled calls": lambda calls, dice: dice.shuffle(calls),
    "dropped call": drop_call,
    "repeated call": repeat_call,
    "other name": rename,
    "dropped argument": drop_argument,
    "invented argument": extra_argument,
    "swapped arguments": swap_arguments,
    "dropped inner key": drop_inner_key,
    "invented inner key": extra_inner_key,
    "other spelling": _changing(_deep(_spell_otherwise)),
    "other text": _changing(_deep(lambda v: v + "x" if isinstance(v, str) else v)),
    "quotes": _changing(_deep(lambda v: v.replace("'", '"') if isinstance(v, str) else v)),
    "other number": _changing(_deep(lambda v: v + 1 if _is_number(v) else v)),
    "int to float": _changing(_deep(lambda v: float(v) if type(v) is int else v)),
    "float to int": _changing(_deep(lambda v: int(v) if type(v) is float else v)),
    "other truth": _changing(lambda v: not v if isinstance(v, bool) else v),
    "truth to number": _changing(lambda v: int(v) if isinstance(v, bool) else v),
    "other type": _changing(_other_type),
    "null": _changing(lambda v: None),
    "list order": _changing(lambda v: v[::-1] if isinstance(v, list) else v),
    "shorter list": _changing(lambda v: v[1:] if isinstance(v, list) else v),
    "longer list": _changing(lambda v: v + v[:1] if isinstance(v, list) else v),
    "empty": _changing(lambda v: type(v)()),
}
