"""Planted corruption: every kind of it is caught in every row that it can be planted in."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import pytest

from fcray.dataset.build import build_from
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.verify import Verifier
from fcray.spec import Kind
from fcray.tools import Example, Message, ToolCall
from tests.dataset.catalogs import DATA, plain

Corrupt = Callable[[Example, random.Random], Example | None]
"""The corrupted row, or None where this row cannot be corrupted in this way."""


@cache
def catalog() -> Catalog:
    return load_catalogs([DATA])


@cache
def rows() -> tuple[Example, ...]:
    kinds: dict[Kind, float] = dict.fromkeys(get_args(Kind), 0.05)
    spec = plain("x", train=1200, validation=60, test=200, kinds=kinds)
    return build_from(spec, catalog()).train


@cache
def verifier() -> Verifier:
    return Verifier(catalog())


def with_call(row: Example, call: ToolCall) -> Example:
    return row.model_copy(update={"calls": (call, *row.calls[1:])})


def with_arguments(row: Example, arguments: dict[str, Any]) -> Example:
    return with_call(row, ToolCall(name=row.calls[0].name, arguments=arguments))


def with_request(row: Example, text: str) -> Example:
    last = max(i for i, m in enumerate(row.messages) if m.role == "user")
    messages = list(row.messages)
    messages[last] = Message(role="user", content=text)
    return row.model_copy(update={"messages": tuple(messages)})


def schema(row: Example, argument: str) -> dict[str, Any]:
    tool = next(tool for tool in row.tools if tool.name == row.calls[0].name)
    found: dict[str, Any] = tool.properties[argument]
    return found


def another_tool(row: Example, rng: random.Random) -> Example | None:
    names = [tool.name for tool in row.tools if row.calls and tool.name != row.calls[0].name]
    if not names or not row.calls[0].arguments:
        return None
    return with_call(row, ToolCall(name=rng.choice(names), arguments=row.calls[0].arguments))


def a_tool_that_is_none(row: Example, rng: random.Random) -> Example | None:
    if not row.calls:
        return None
    return with_call(row, ToolCall(name="do_everything", arguments=row.calls[0].arguments))


def a_tool_that_is_not_offered(row: Example, rng: random.Random) -> Example | None:
    if not row.calls:
        return None
    kept = tuple(tool for tool in row.tools if tool.name != row.calls[0].name)
    return row.model_copy(update={"tools": kept})


def no_required_argument(row: Example, rng: random.Random) -> Example | None:
    if not row.calls:
        return None
    tool = next(tool for tool in row.tools if tool.name == row.calls[0].name)
    if not tool.required:
        return None
    arguments = dict(row.calls[0].arguments)
    del arguments[rng.choice(tool.required)]
    return with_arguments(row, arguments)


def an_argument_too_many(row: Example, rng: random.Random) -> Example | None:
    return with_arguments(row, {**row.calls[0].arguments, "note": "x"}) if row.calls else None


def another_type(row: Example, rng: random.Random) -> Example | None:
    if not row.calls or not row.calls[0].arguments:
        return None
    name = rng.choice(sorted(row.calls[0].arguments))
    return with_arguments(row, {**row.calls[0].arguments, name: [[None]]})


def beside_the_enum(row: Example, rng: random.Random) -> Example | None:
    names = [n for n in row.calls[0].arguments if "enum" in schema(row, n)] if row.calls else []
    if not names:
        return None
    return with_arguments(row, {**row.calls[0].arguments, rng.choice(names): "whatever"})


def another_of_the_enum(row: Example, rng: random.Random) -> Example | None:
    names = [n for n in row.calls[0].arguments if "enum" in schema(row, n)] if row.calls else []
    if not names:
        return None
    name = rng.choice(names)
    others = [v for v in schema(row, name)["enum"] if v != row.calls[0].arguments[name]]
    said = "\n".join(m.content or "" for m in row.messages if m.role == "user")
    spoken = catalog().about[row.calls[0].name].forms[name][row.origin.language]
    others = [v for v in others if not any(f.value == v and f.spoken in said for f in spoken)]
    if not others:
        return None
    return with_arguments(row, {**row.calls[0].arguments, name: rng.choice(others)})


def a_number_beside_it(row: Example, rng: random.Random) -> Example | None:
    if not row.calls:
        return None
    numbers = [n for n, v in row.calls[0].arguments.items() if type(v) is int]
    if not numbers:
        return None
    name = rng.choice(numbers)
    return with_arguments(
        row, {**row.calls[0].arguments, name: row.calls[0].arguments[name] + 1009}
    )


def a_text_of_somebody_else(row: Example, rng: random.Random) -> Example | None:
    texts = [
        n
        for n, v in (row.calls[0].arguments.items() if row.calls else ())
        if isinstance(v, str) and "enum" not in schema(row, n)
    ]
    if not texts:
        return None
    return with_arguments(row, {**row.calls[0].arguments, rng.choice(texts): "Zaphod"})


def part_of_a_text(row: Example, rng: random.Random) -> Example | None:
    for name, value in row.calls[0].arguments.items() if row.calls else ():
        if isinstance(value, str) and "enum" not in schema(row, name) and len(value) > 3:
            return with_arguments(row, {**row.calls[0].arguments, name: value[:-1]})
    return None


def another_day(row: Example, rng: random.Random) -> Example | None:
    system = row.messages[0].content or ""
    if row.messages[0].role != "system" or not row.calls:
        return None
    dated = [
        n
        for n, spoken in catalog().about[row.calls[0].name].forms.items()
        if n in row.calls[0].arguments and type(spoken["zh"][0].value).__name__ == "When"
    ]
    if not dated:
        return None
    shifted = row.calls[0].arguments[dated[0]]
    year = str(int(shifted[:4]) + 7)
    assert system
    return with_arguments(row, {**row.calls[0].arguments, dated[0]: year + shifted[4:]})


def no_call(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"calls": (), "response": "Done."}) if row.calls else None


def one_call_of_two(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"calls": row.calls[:1]}) if len(row.calls) > 1 else None


def the_same_call_twice(row: Example, rng: random.Random) -> Example | None:
    if len(row.calls) != 1:
        return None
    return row.model_copy(update={"calls": row.calls * 2})


def a_call_where_none_is_right(row: Example, rng: random.Random) -> Example | None:
    if row.calls:
        return None
    other = next(one for one in rows() if one.calls)
    return row.model_copy(update={"calls": other.calls, "tools": other.tools})


def no_answer(row: Example, rng: random.Random) -> Example | None:
    return None if row.calls else row.model_copy(update={"response": " "})


def no_request(row: Example, rng: random.Random) -> Example | None:
    return with_request(row, " ")


def the_other_language(row: Example, rng: random.Random) -> Example | None:
    language = "en" if row.origin.language == "zh" else "zh"
    return row.model_copy(update={"origin": row.origin.model_copy(update={"language": language})})


def words_of_another_row(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind not in ("call", "irrelevant"):
        return None
    others = [
        one
        for one in rows()
        if one.origin.language == row.origin.language and one.origin.template != row.origin.template
    ]
    return with_request(row, rng.choice(others).request)


def the_call_before_the_correction(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind not in ("correction", "follow_up"):
        return None
    before = next(message.tool_calls for message in row.messages if message.tool_calls)
    return row.model_copy(update={"calls": before})


def the_step_that_is_done(row: Example, rng: random.Random) -> Example | None:
    done = [message.tool_calls for message in row.messages if message.tool_calls]
    if row.origin.kind != "sequence" or not done:
        return None
    return row.model_copy(update={"calls": done[0]})


def the_tool_after_all(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "unknown_tool":
        return None
    withheld = catalog().tools[row.origin.template.partition("/")[0]]
    return row.model_copy(update={"tools": (*row.tools, withheld)})


def nothing_is_missing(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "missing":
        return None
    tool = row.origin.template.partition("/")[0]
    template = catalog().of(tool, row.origin.language)[0]
    return with_request(row, template.fill(rng.randrange(template.size)).request)


def done_instead_of_asked(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"response": "Done."}) if row.origin.kind == "missing" else None


def another_result_told(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "after_result":
        return None
    others = [one.response for one in rows() if one.origin.kind == "after_result"]
    wrong = [said for said in others if said != row.response]
    return row.model_copy(update={"response": rng.choice(wrong)})


def another_answer(row: Example, rng: random.Random) -> Example | None:
    if row.calls or row.origin.kind not in ("irrelevant", "contrast"):
        return None
    others = [one.response for one in rows() if one.origin.kind == row.origin.kind]
    wrong = [said for said in others if said and said != row.response]
    return row.model_copy(update={"response": rng.choice(wrong)})


def a_tool_that_nobody_offers(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "unknown_tool":
        return None
    return row.model_copy(update={"response": "Sorry. What I can use: do_everything."})


CORRUPTIONS: tuple[Corrupt, ...] = (
    another_tool,
    a_tool_that_is_none,
    a_tool_that_is_not_offered,
    no_required_argument,
    an_argument_too_many,
    another_type,
    beside_the_enum,
    another_of_the_enum,
    a_number_beside_it,
    a_text_of_somebody_else,
    part_of_a_text,
    another_day,
    no_call,
    one_call_of_two,
    the_same_call_twice,
    a_call_where_none_is_right,
    no_answer,
    no_request,
    the_other_language,
    words_of_another_row,
    the_call_before_the_correction,
    the_step_that_is_done,
    the_tool_after_all,
    nothing_is_missing,
    done_instead_of_asked,
    another_result_told,
    another_answer,
    a_tool_that_nobody_offers,
)


def test_no_clean_row_is_rejected() -> None:
    assert all(verifier().reasons(row) == [] for row in rows())


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda one: one.__name__)
def test_corruption_is_caught(corrupt: Corrupt) -> None:
    planted = 0
    for index, row in enumerate(rows()):
        spoiled = corrupt(row, random.Random(index))
        if spoiled is not None:
            planted += 1
            assert verifier().reasons(spoiled), (row, spoiled)
    assert planted > 10
