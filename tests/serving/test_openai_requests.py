"""Tests of the way from OpenAI's request to the engine's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.inference import Request
from fcray.serving.openai_requests import parse_body, to_requests
from fcray.serving.openai_types import ApiError
from fcray.tools import ToolCall

from .fakes import HELLO, LIGHT, TOOLS, WEATHER, body


def requests(**changes: Any) -> list[Request]:
    return to_requests(parse_body(json.dumps(body(**changes)).encode()), "v1", 64)


def request(**changes: Any) -> Request:
    [one] = requests(**changes)
    return one


def refused(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        requests(**changes)
    error = caught.value
    assert error.status == 400
    assert set(error.body()["error"]) == {"message", "type", "param", "code"}
    assert error.body()["error"]["type"] == "invalid_request_error"
    return error


def call_turn(*ids: str) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": '{"city": "Bern"}'}
    calls = [{"id": i, "type": "function", "function": function} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def test_a_small_request() -> None:
    one = request(tools=TOOLS)
    assert [tool.name for tool in one.tools] == ["get_weather", "set_light"]
    assert (one.adapter, one.tool_choice, one.temperature, one.max_tokens) == ("v1", "auto", 0, 64)
    assert one.parallel and one.constrained


def test_a_conversation_with_calls_and_results() -> None:
    one = request(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]},
            call_turn("c1", "c2"),
            {"role": "tool", "tool_call_id": "c2", "content": "second"},
            {"role": "tool", "tool_call_id": "c1", "content": "first"},
            {"role": "user", "content": "And now?"},
        ]
    )
    assert [m.role for m in one.messages] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert one.messages[1].content == "a\nb"
    call = ToolCall(name="get_weather", arguments={"city": "Bern"})
    assert one.messages[2].tool_calls == (call, call)
    assert [m.content for m in one.messages[3:5]] == ["first", "second"]


def test_n_repeats_the_request_with_other_seeds() -> None:
    assert [one.seed for one in requests(n=3, seed=7)] == [7, 8, 9]
    assert [one.seed for one in requests(n=2)] == [None, None]


@pytest.mark.parametrize(
    ("asked", "bound"),
    [({}, 64), ({"max_tokens": 5}, 5), ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
     ({"max_tokens": 100_000}, 64)],
)  # fmt: skip
def test_the_length_of_an_answer_is_bounded(asked: dict[str, int], bound: int) -> None:
    assert request(**asked).max_tokens == bound


def test_sampling() -> None:
    one = request(temperature=0.7, top_p=0.9, seed=1, parallel_tool_calls=False)
    assert (one.temperature, one.top_p, one.seed, one.parallel) == (0.7, 0.9, 1, False)
    assert request(temperature=1e-30).temperature == 0


def test_unknown_fields_are_ignored() -> None:
    more = {"user": "me", "store": True, "metadata": {"a": 1}, "whatever": [1]}
    assert request(**more, service_tier="auto") == request()


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (None, ("auto", ["get_weather", "set_light"])),
        ("none", ("none", ["get_weather", "set_light"])),
        ("required", ("required", ["get_weather", "set_light"])),
        ({"type": "function", "function": {"name": "set_light"}},
         ("set_light", ["get_weather", "set_light"])),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "set_light"}}]}},
         ("required", ["set_light"])),
    ],
)  # fmt: skip
def test_tool_choice(choice: Any, kept: tuple[str, list[str]]) -> None:
    one = request(tools=TOOLS, tool_choice=choice)
    assert (one.tool_choice, [tool.name for tool in one.tools]) == kept


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("always", "tool_choice"),
        ({"type": "function", "function": {"name": "x"}}, "tool_choice.function.name"),
        ({"type": "function"}, "tool_choice.function.name"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "no", "tools": []}},
         "tool_choice.allowed_tools.mode"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
         "tool_choice.allowed_tools.tools"),
        ({"type": "custom"}, "tool_choice.type"),
        (3, "tool_choice"),
    ],
)  # fmt: skip
def test_a_wrong_tool_choice(choice: Any, param: str) -> None:
    assert refused(tools=TOOLS, tool_choice=choice).param == param


def test_required_without_tools() -> None:
    assert refused(tool_choice="required").param == "tool_choice"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]},
         "messages[0].content[0].type"),
        ({"messages": [*HELLO, {"role": "tool", "tool_call_id": "c", "content": "x"}]},
         "messages[1].tool_call_id"),
        ({"messages": [call_turn("c") | {"role": "user", "content": "x"}]},
         "messages[0].tool_calls"),
        ({"messages": [*HELLO, {"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [*HELLO, {"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1]"}}]}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "8"}, "max_tokens"),
        ({"seed": 2**64}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"model": None}, "model"),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(changes: dict[str, Any], param: str) -> None:
    error = refused(**changes)
    assert error.param == param
    assert error.message.startswith(param)


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f"} | fields}


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([function(name="no spaces")], "tools[0].function.name"),
        ([function(name="x" * 65)], "tools[0].function.name"),
        ([function(name="auto")], "tools[0].function.name"),
        ([WEATHER, WEATHER], "tools[1].function.name"),
        ([WEATHER, function(parameters={"type": "array"})], "tools[1].function.parameters"),
        ([function(parameters={"properties": {"a": {"type": "strin"}}})],
         "tools[0].function.parameters"),
        ([function(parameters={"properties": {"a": {"$ref": "http://localhost/x"}}})],
         "tools[0].function.parameters"),
        ([{"type": "custom", "custom": {"name": "x"}}], "tools[0].type"),
        ([LIGHT] * 129, "tools"),
    ],
)  # fmt: skip
def test_wrong_tools_are_named(tools: list[dict[str, Any]], param: str) -> None:
    assert refused(tools=tools).param == param


def test_a_deeply_nested_schema_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}}
    assert refused(tools=[function(parameters=schema)]).param == "tools[0].function.parameters"


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_function_without_parameters(parameters: Any) -> None:
    [tool] = request(tools=[function(parameters=parameters, description=None)]).tools
    assert tool.properties == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("logit_bias", {"1": 2}), ("presence_penalty", 0.5),
     ("response_format", {"type": "json_object"}), ("functions", []), ("function_call", "auto"),
     ("audio", {}), ("modalities", ["text", "audio"])],
)  # fmt: skip
def test_what_is_not_supported_is_said(field: str, value: Any) -> None:
    error = refused(**{field: value})
    assert error.param == field
    assert "not supported" in error.message


def test_harmless_values_of_what_is_not_supported() -> None:
    harmless = {"logprobs": False, "presence_penalty": 0.0, "modalities": ["text"]}
    assert request(**harmless, response_format={"type": "text"}) == request()


def test_what_is_not_json() -> None:
    for text in (b"", b"{", b"\xff", b'{"model": "\\ud800"}', b"[" * 100_000):
        with pytest.raises(ApiError) as caught:
            parse_body(text)
        assert caught.value.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "function", "name", "arguments", "tool_calls",
             "id", "parameters", "properties", "required", "tool_call_id", "allowed_tools",
             "mode", "tools"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
FIELDS = st.sampled_from(
    ["model", "messages", "tools", "tool_choice", "stop", "n", "stream_options", "temperature"]
)


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        made = requests(**changes)
    except ApiError as error:
        assert error.status == 400
        assert error.message
    else:
        assert made
