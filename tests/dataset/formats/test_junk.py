"""Whatever stands in a row, a reader makes examples of it or refuses it; it never breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.formats import FORMATS, RowError, Source
from fcray.tools import Example, Message, Origin, Tool, ToolCall
from tests.examples import WEATHER, user, weather

DEEP = "[" * 5_000 + "]" * 5_000
LOOP: dict[str, Any] = {"$ref": "#/properties/city"}

RICH = Example(
    id="r",
    messages=(
        Message(role="system", content="Be brief."),
        user("Oslo?"),
        Message(role="assistant", content="Well.", tool_calls=(weather(city="Oslo"),) * 2),
        Message(role="tool", content="one"),
        Message(role="tool", content="two"),
        Message(role="assistant", content="One."),
        user("And in Rome?"),
    ),
    tools=(WEATHER,),
    calls=(weather(city="Rome", days=2, at={"hour": [1, {"x": None}]}),),
    origin=Origin(generator="g", language="en", domain="d", kind="call"),
)
PLAIN = RICH.model_copy(update={"messages": RICH.messages[-1:]})


def rows_of(name: str) -> list[dict[str, Any]]:
    """Sound rows of a format: the richest that it can hold, and one whose nested JSON is spelled out."""
    written = []
    for example in (RICH, PLAIN):
        try:
            row = FORMATS[name].write(example)
        except RowError:
            continue
        written += [row, unfolded(row)]
    return written


def unfolded(value: Any) -> Any:
    """`value` with the JSON in its texts as values, so that junk can be put inside."""
    if isinstance(value, dict):
        return {key: unfolded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [unfolded(one) for one in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return unfolded(json.loads(value))
    return value


JUNK: tuple[Any, ...] = (
    None, True, 5, -1.5, "", "x", "{", "[]", "{}", "[5]", '["\\ud800"]', "[1e999]", DEEP, "\ud800",
    float("nan"), float("inf"), 10**400, [], {}, [None], [[]], {"": None}, [5, {"name": {}}],
    {"type": [[]]}, LOOP, {"type": "object", "properties": {"city": LOOP}}, b"bytes", {"a"},
    "List[" * 3_000 + "]" * 3_000, "Union[", "Optional[]", "list[int", "Dict[,]",
    {"$dynamicRef": "#nope"}, {"multipleOf": 0.5}, {"enum": [[]]}, {"required": [[], {}]},
)  # fmt: skip


STRIDE = 4
"""Of so many places one gets each junk; another one the next junk."""


def with_junk(value: Any, junk: Any) -> Iterator[Any]:
    """`value` with each part of it replaced by `junk`, taken away, or given `junk` beside it."""
    yield junk
    if isinstance(value, dict):
        yield {**value, "city": junk}
        for key in value:
            yield {name: one for name, one in value.items() if name != key}
            yield from ({**value, key: one} for one in with_junk(value[key], junk))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value[:index] + value[index + 1 :]
            for one in with_junk(value[index], junk):
                yield [*value[:index], one, *value[index + 1 :]]


def read(name: str, row: Any) -> list[Example]:
    source = Source("file", 3, catalog={WEATHER.name: WEATHER})
    try:
        found = FORMATS[name].read(row, source)
    except RowError as error:
        assert str(error).encode()  # it can be printed
        assert "\n" not in str(error)[:200]
        return []
    return found


def assert_sound(examples: list[Example]) -> None:
    """What was read can be written: as JSON in UTF-8, and as any format that does not refuse it."""
    for example in examples:
        for form in FORMATS.values():
            try:
                row = form.write(example)
            except RowError:
                continue
            json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        assert -(2**63) < example.origin.seed < 2**63


@pytest.mark.parametrize("name", FORMATS)
def test_junk_in_any_place_is_refused_or_read(name: str) -> None:
    folded, row = rows_of(name)[:2]
    assert read(name, folded)
    assert read(name, row)
    for start, junk in enumerate(JUNK):
        for number, spoiled in enumerate(with_junk(row, junk), start):
            if number % STRIDE == 0 and isinstance(spoiled, dict):
                read(name, spoiled)


KEYS = sorted(
    {"role", "from", "type", "properties", "required", "items", "$ref", "api", "tool_call_id"}
    | {"function_call", "system", "history", "input", "response", "functions", "answers", "seed"}
    | {"api_name", "parameters", "name", "arguments", "default", "last_turn_only", "weight"}
    | {key for name in FORMATS for row in rows_of(name) for key in row}
)
WORDS = [
    "user",
    "assistant",
    "human",
    "gpt",
    "tool",
    "object",
    "int, optional",
    "dict",
    "get_weather",
]
leaves = (
    st.sampled_from([one for one in JUNK if not isinstance(one, list | dict | set)])
    | st.sampled_from(WORDS)
    | st.text(max_size=4)
    | st.integers()
    | st.floats()
)
json_like: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        | st.builds(lambda value: json.dumps(value, default=str), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_random_rows_are_refused_or_read(name: str, data: st.DataObject) -> None:
    row = dict(data.draw(st.sampled_from(rows_of(name))))
    row |= data.draw(st.dictionaries(st.sampled_from([*row, *KEYS]), json_like, max_size=3))
    assert_sound(read(name, row))


def call_row(arguments: str, tools: str = "[]") -> dict[str, Any]:
    row = FORMATS["fcray"].write(PLAIN)
    return row | {"calls": [{"name": "f", "arguments": arguments}], "tools": tools}


REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "a deep text": (call_row("{}", DEEP), "tools is nested more than 100 deep"),
    "a deep value": (call_row("{}", "[" * 101 + "]" * 101), "tools is nested more than 100 deep"),
    "half a character": (
        call_row("{}") | {"response": "\ud800"},
        r"response holds half of a character",
    ),
    "half a character inside": (
        call_row('{"a": "\\ud800"}'),
        "a call's arguments holds half of a character",
    ),
    "no number": (call_row('{"a": NaN}'), "a call's arguments holds nan, which is no JSON number"),
    "a number too large": (call_row('{"a": [-1e999]}'), "holds -inf, which is no JSON number"),
    "a schema without end": (
        call_row(
            '{"a": 1}',
            '[{"name": "f", "parameters": {"properties": {"a": {"$ref": "#/properties/a"}}}}]',
        ),
        "f: its arguments cannot be checked by its schema",
    ),
    "a seed too large": (
        call_row("{}") | {"origin": RICH.origin.model_dump() | {"seed": 2**63}},
        "origin.seed has more than the 64 bits",
    ),
    "an id of another kind": (call_row("{}") | {"id": ["a"]}, "id is not a text"),
}


@pytest.mark.parametrize("case", REASONS)
def test_junk_is_told_by_its_column(case: str) -> None:
    row, message = REASONS[case]
    with pytest.raises(RowError, match=message):
        FORMATS["fcray"].read(row, Source("file"))


@pytest.mark.parametrize("name", ["xlam", "seal", "bfcl"])
def test_a_schema_may_be_a_mere_true(name: str) -> None:
    tool = Tool(
        name="f",
        parameters={
            "type": "object",
            "properties": {"a": True, "b": {"type": "array", "items": True}},
        },
    )
    example = PLAIN.model_copy(
        update={"tools": (tool,), "calls": (ToolCall(name="f", arguments={"a": 1}),)}
    )
    (back,) = FORMATS[name].read(FORMATS[name].write(example), Source("file"))
    assert back.calls == example.calls
