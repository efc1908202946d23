"""Tools, calls and catalogs of tools."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fcray.tools import Message, Tool, ToolCall, ToolCatalog, canonical_json, referenced
from tests.examples import CONVERSATION, REMIND, TOOLS, WEATHER, example, weather

BAD_SCHEMAS: dict[str, tuple[dict[str, Any], str]] = {
    "no object": ({"type": "array"}, "must be a schema of type object, not 'array'"),
    "unknown type": (
        {"type": "object", "properties": {"a": {"type": "text"}}},
        "not a valid JSON Schema at properties/a/type: 'text' is not valid",
    ),
    "properties as a list": (
        {"type": "object", "properties": []},
        r"not a valid JSON Schema at properties: \[\] is not of type 'object'",
    ),
    "required as a word": (
        {"type": "object", "required": "a"},
        "not a valid JSON Schema at required: 'a' is not of type 'array'",
    ),
    "broken pattern": (
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        "not a valid JSON Schema at properties/a/pattern",
    ),
    "required but unknown": (
        {"type": "object", "properties": {"a": {}}, "required": ["a", "b"]},
        "required names 'b', which is not among the properties",
    ),
}


@pytest.mark.parametrize("case", BAD_SCHEMAS)
def test_a_bad_schema_is_refused(case: str) -> None:
    schema, message = BAD_SCHEMAS[case]
    with pytest.raises(ValidationError, match=message):
        Tool(name="t", parameters=schema)


@pytest.mark.parametrize("name", ["a", "get_weather", "A-1", "x" * 64])
def test_a_good_name(name: str) -> None:
    assert Tool(name=name).name == name


@pytest.mark.parametrize("name", ["", "get weather", "a.b", "天气", "x" * 65, "a\n", "a\nb", "{a}"])
def test_a_bad_name(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Tool(name=name)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Tool.model_validate({"name": "t", "descripton": "x"})


def test_a_tool_without_parameters_takes_none() -> None:
    tool = Tool(name="now")
    assert (tool.properties, tool.required, tool.problems({})) == ({}, (), [])
    assert Tool(name="now", parameters={}).properties == {}


def test_to_openai_and_back() -> None:
    entry = WEATHER.to_openai()
    assert entry["type"] == "function"
    assert Tool.model_validate(entry["function"]) == WEATHER


@given(st.permutations(["city", "days", "unit", "more", "other"]))
def test_arguments_are_put_in_the_schemas_order(names: list[str]) -> None:
    arguments = dict.fromkeys(names, 1)
    ordered = WEATHER.ordered(arguments)
    assert ordered == arguments
    assert list(ordered)[:3] == ["city", "days", "unit"]
    assert list(ordered)[3:] == [name for name in names if name in ("more", "other")]


def test_nested_arguments_are_put_in_the_schemas_order() -> None:
    ordered = REMIND.ordered({"at": {"minute": 30, "hour": 7}, "text": "x"})
    assert canonical_json(ordered) == canonical_json({"text": "x", "at": {"hour": 7, "minute": 30}})
    assert list(ordered["at"]) == ["hour", "minute"]


def test_problems_says_what_does_not_fit() -> None:
    assert WEATHER.problems({"city": "Rome", "days": 3}) == []
    assert WEATHER.problems({"days": 3}) == ["'city' is a required property"]
    assert len(WEATHER.problems({"city": 1, "days": 9, "unit": "kelvin"})) == 3


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize("reference", ["#/$defs/absent", "http://localhost:9/schema.json"])
def test_a_reference_to_nothing_is_refused(reference: str, keyword: str) -> None:
    with pytest.raises(ValidationError):
        Tool(name="t", parameters={"type": "object", "properties": {"a": {keyword: reference}}})


def test_a_reference_inside_the_schema_is_followed() -> None:
    tool = Tool(
        name="t",
        parameters={
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/day"}},
            "$defs": {"day": {"enum": ["today"]}},
        },
    )
    assert tool.problems({"a": "today"}) == []
    assert tool.problems({"a": "never"}) == ["'never' is not one of ['today']"]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/$defs/day", "a day"),
        ("#/$defs/a~1b~0c", "signs"),
        ("#/$defs/a%20b%7E1%E5%9F%8E", "in percent"),
        ("#/$defs/", "no name"),
        ("#/$defs/absent/day", {}),
        ("#anchor", {}),
        ("#/anyOf/0", None),
    ],
)
def test_what_a_reference_leads_to(reference: str, found: object) -> None:
    defs = {"day": "a day", "a/b~c": "signs", "a b/城": "in percent", "": "no name"}
    root = {"$defs": defs, "anyOf": ["first"]}
    assert referenced(reference, root) == found
    assert referenced("#", root) is root


def test_a_catalog_is_in_order_and_by_name() -> None:
    catalog = ToolCatalog(TOOLS)
    assert (catalog[0], catalog["set_reminder"], len(catalog)) == (WEATHER, REMIND, 2)
    assert catalog.names == ("get_weather", "set_reminder")
    assert WEATHER in catalog
    assert [name in catalog.names for name in ("get_weather", "other")] == [True, False]
    assert tuple(catalog) == TOOLS


def test_a_catalog_refuses_a_name_that_stands_twice() -> None:
    with pytest.raises(ValueError, match="two tools are named 'set_reminder'"):
        ToolCatalog([WEATHER, REMIND, REMIND])


def test_the_request_is_the_last_user_turn() -> None:
    assert example(CONVERSATION, weather(city="Rome")).request == "And in Rome?"
    assert example([Message(role="system", content="x")]).request == ""


def test_an_example_round_trips_through_json() -> None:
    row = example(CONVERSATION, weather(city="罗马"))
    assert type(row).model_validate_json(row.model_dump_json()) == row


def test_what_is_frozen_stays() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ToolCall(name="t").name = "u"  # type: ignore[misc]


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": "天"}) == canonical_json({"a": "天", "b": 1})
    assert canonical_json({"b": [1, 2], "a": "天"}) == '{"a":"天","b":[1,2]}'
