"""The verifier accepts what the builder makes and catches rows that were spoiled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fcray.dataset.build import build_from
from fcray.dataset.verify import Verifier
from fcray.tools import Example, Message, ToolCall
from tests.dataset.catalogs import plain, shipped

ROWS = build_from(plain(train=300), shipped()).train
VERIFIER = Verifier(shipped())


def first(tool: str, language: str = "zh") -> Example:
    return next(
        row
        for row in ROWS
        if row.origin.language == language and (row.calls[0].name if row.calls else "") == tool
    )


def with_arguments(row: Example, **changes: Any) -> Example:
    arguments = {**row.calls[0].arguments, **changes}
    kept = {name: value for name, value in arguments.items() if value is not None}
    return row.model_copy(update={"calls": (ToolCall(name=row.calls[0].name, arguments=kept),)})


def with_request(row: Example, request: str, generator: str = "import") -> Example:
    return row.model_copy(
        update={
            "messages": (Message(role="user", content=request),),
            "origin": row.origin.model_copy(update={"generator": generator}),
        }
    )


def test_built_rows_pass() -> None:
    assert all(VERIFIER.reasons(row) == [] for row in ROWS)


@given(st.sampled_from([row for row in ROWS if row.calls]), st.data())
@settings(max_examples=100, deadline=None)
def test_any_exchanged_argument_is_caught(row: Example, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(row.calls[0].arguments)))
    values = [
        other.calls[0].arguments[name]
        for other in ROWS
        if other.calls
        and other.calls[0].name == row.calls[0].name
        and other.calls[0].arguments.get(name, row.calls[0].arguments[name])
        != row.calls[0].arguments[name]
    ]
    assume(values)
    assert VERIFIER.reasons(with_arguments(row, **{name: data.draw(st.sampled_from(values))}))


@given(st.sampled_from([row for row in ROWS if row.calls]), st.data())
@settings(max_examples=50, deadline=None)
def test_a_lost_argument_is_caught(row: Example, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(row.calls[0].arguments)))
    assert VERIFIER.reasons(with_arguments(row, **{name: None}))


def test_swapped_numbers_are_caught() -> None:
    row = first("calculate_risk")
    swapped = with_arguments(
        row,
        age=row.calls[0].arguments["heart_rate"],
        heart_rate=row.calls[0].arguments["age"],
    )
    assert any("said with these arguments" in reason for reason in VERIFIER.reasons(swapped))


def test_a_text_for_a_number_is_caught() -> None:
    row = first("calculate_risk")
    spoiled = with_arguments(row, age=str(row.calls[0].arguments["age"]))
    assert any("is not of type 'integer'" in reason for reason in VERIFIER.reasons(spoiled))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calls": ()}, "neither a call nor an answer"),
        ({"calls": (), "response": "好的"}, "of kind 'call' has no call"),
        ({"tools": ()}, "not among the tools offered"),
        ({"messages": (Message(role="user", content=" "),)}, "the request is empty"),
    ],
)
def test_a_row_without_its_parts_is_caught(changes: dict[str, Any], reason: str) -> None:
    row = first("get_weather").model_copy(update=changes)
    assert any(reason in found for found in VERIFIER.reasons(row))


def test_a_row_under_a_wrong_origin_is_caught() -> None:
    row = first("get_weather")
    for field, value, reason in [
        ("language", "en", "not in en"),
        ("kind", "irrelevant", "an irrelevant request calls get_weather"),
        ("template", "get_weather/zh/99", "there is no template"),
        ("template", "send_email/zh/0", "does not call get_weather"),
    ]:
        origin = row.origin.model_copy(update={field: value})
        found = VERIFIER.reasons(row.model_copy(update={"origin": origin}))
        assert any(reason in each for each in found), (field, found)


def test_a_call_on_small_talk_is_caught() -> None:
    row = first("")
    spoiled = row.model_copy(update={"calls": first("get_weather").calls})
    assert any("irrelevant request calls" in reason for reason in VERIFIER.reasons(spoiled))


def test_free_wording_passes_when_its_values_can_be_read_off() -> None:
    row = with_arguments(first("set_reminder"), text="吃药", time="15:00")
    assert VERIFIER.reasons(with_request(row, "对了，下午三点我要吃药，你喊我")) == []


def test_a_value_that_is_only_part_of_another_is_caught() -> None:
    row = with_arguments(
        first("book_meeting_room"), day="tomorrow", start_time="15:00", duration_minutes=30
    )
    found = VERIFIER.reasons(with_request(row, "对了，明天下午三点要开会一个半小时"))
    assert [reason.split(":")[0] for reason in found] == ["book_meeting_room.duration_minutes"]
    both = with_request(row, "明天下午三点开会，不是一个半小时，是半小时")
    assert VERIFIER.reasons(both) == []
