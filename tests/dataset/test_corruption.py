"""Planted corruption: every kind of it is caught in every row that it can be planted in."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import pytest

from fcray.dataset.build import build_from, checks_against
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.speech import When, context
from fcray.dataset.verify import Verifier, today_of
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


def the_first_call_again(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "parallel":
        return None
    return row.model_copy(update={"calls": (row.calls[0], row.calls[0])})


def the_second_step_first(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "sequence" or row.messages[-1].role != "tool":
        return None
    asked = tuple(message for message in row.messages if message.role in ("system", "user"))
    return row.model_copy(update={"messages": asked})


def no_optional_argument(row: Example, rng: random.Random) -> Example | None:
    at = [
        (index, name)
        for index, call in enumerate(row.calls)
        for name in call.arguments
        if name not in catalog().tools[call.name].required
    ]
    if not at:
        return None
    index, name = rng.choice(at)
    calls, kept = list(row.calls), dict(row.calls[index].arguments)
    del kept[name]
    calls[index] = ToolCall(name=calls[index].name, arguments=kept)
    return row.model_copy(update={"calls": tuple(calls)})


def another_call_before(row: Example, rng: random.Random) -> Example | None:
    made = [index for index, message in enumerate(row.messages) if message.tool_calls]
    if not made:
        return None
    messages = list(row.messages)
    (call,) = messages[made[0]].tool_calls
    others = [
        one
        for other in rows()
        for one in other.calls
        if one.name == call.name and one.arguments != call.arguments
    ]
    messages[made[0]] = Message(role="assistant", tool_calls=(rng.choice(others),))
    return row.model_copy(update={"messages": tuple(messages)})


def done_instead_of_a_question(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "slot_filling":
        return None
    messages = [
        Message(role="assistant", content="It is done.") if m.role == "assistant" else m
        for m in row.messages
    ]
    return row.model_copy(update={"messages": tuple(messages)})


def words_beside_the_call(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"response": "I will not do that."}) if row.calls else None


def done_instead_of_refused(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "invalid":
        return None
    said = "好的，已经办好了。" if row.origin.language == "zh" else "Sure, all set!"
    return row.model_copy(update={"response": said})


def descriptions_swapped(row: Example, rng: random.Random) -> Example | None:
    if len(row.tools) < 2:
        return None
    one, two, *others = row.tools
    swapped = (
        one.model_copy(update={"description": two.description}),
        two.model_copy(update={"description": one.description}),
    )
    return row.model_copy(update={"tools": (*swapped, *others)})


def no_tools(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"tools": ()})


def another_kind(row: Example, rng: random.Random) -> Example | None:
    kind = {"call": "contrast", "contrast": "call", "irrelevant": "contrast"}.get(row.origin.kind)
    if kind is None:
        return None
    return row.model_copy(update={"origin": row.origin.model_copy(update={"kind": kind})})


def a_call_as_a_sequence(row: Example, rng: random.Random) -> Example | None:
    if row.origin.kind != "call":
        return None
    return row.model_copy(update={"origin": row.origin.model_copy(update={"kind": "sequence"})})


def another_domain(row: Example, rng: random.Random) -> Example | None:
    domain = "iot" if row.origin.domain != "iot" else "office"
    return row.model_copy(update={"origin": row.origin.model_copy(update={"domain": domain})})


def no_day_told(row: Example, rng: random.Random) -> Example | None:
    return row.model_copy(update={"messages": row.messages[1:]})


def a_day_that_is_none(row: Example, rng: random.Random) -> Example | None:
    told = Message(role="system", content="Today is 1999-01-01, Sunday.")  # it was a Friday
    return row.model_copy(update={"messages": (told, *row.messages[1:])})


def another_day_told(row: Example, rng: random.Random) -> Example | None:
    """Of a row whose gold follows from the day."""
    day = today_of(row)
    relative = [
        name
        for call in row.calls
        for name in call.arguments
        if isinstance(catalog().about[call.name].forms[name]["zh"][0].value, When)
        and not call.arguments[name].endswith(day.isoformat()[4:] if day else "")
    ]
    said = "".join(m.content or "" for m in row.messages if m.role == "user")
    if day is None or not relative or any(c.isdigit() for c in said):
        return None
    told = Message(role="system", content=context(day.replace(year=2033), row.origin.language))
    return row.model_copy(update={"messages": (told, *row.messages[1:])})


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
    the_first_call_again,
    the_second_step_first,
    no_optional_argument,
    another_call_before,
    done_instead_of_a_question,
    words_beside_the_call,
    done_instead_of_refused,
    descriptions_swapped,
    no_tools,
    another_kind,
    a_call_as_a_sequence,
    another_domain,
    no_day_told,
    a_day_that_is_none,
    another_day_told,
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


def test_parallel_calls_may_come_in_any_order() -> None:
    turned = [
        row.model_copy(update={"calls": row.calls[::-1]})
        for row in rows()
        if row.origin.kind == "parallel"
    ]
    assert turned
    assert all(verifier().reasons(row) == [] for row in turned)


def test_masked_tools_are_those_of_the_catalog() -> None:
    spec = plain("x", train=150, validation=1, test=1, masked=1)
    _, sharp, _ = checks_against(spec, catalog())
    planted = 0
    for row in build_from(spec, catalog()).train:
        assert list(sharp(row, "train")) == []
        # An id that was changed tells no longer which mask it was.
        assert list(sharp(row.model_copy(update={"id": f"mine-{row.id}"}), "train")) == []
        if spoiled := descriptions_swapped(row, random.Random()):
            planted += 1
            stage, reason = next(sharp(spoiled, "train"))
            assert (stage, reason) == ("schema", "its masked tools are not those of these catalogs")
    assert planted > 100
