"""What is written in a format is read back, but for what the format is known not to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.formats import FORMATS, RowError, Source, losses
from fcray.dataset.formats.reading_back import MOVED
from fcray.tools import Example, Message, Origin, Tool, ToolCall
from tests.examples import TOOLS, user

# No surrogates: they are no text. No control characters at the ends, which some formats strip.
words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=12
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**12) | st.floats(-1e6, 1e6) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
calls = st.builds(
    ToolCall,
    name=st.sampled_from([tool.name for tool in TOOLS]),
    arguments=st.dictionaries(words, values, max_size=3),
)
some_calls = st.lists(calls, min_size=1, max_size=3).map(tuple)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Message, ...]:
    """A request, and what was done about it before the turn that counts."""
    messages = [user(draw(words))]
    if draw(st.booleans()):
        made = draw(some_calls)
        messages.append(Message(role="assistant", tool_calls=made))
        messages += [Message(role="tool", content=draw(words)) for _ in made]
    if draw(st.booleans()):
        messages += [Message(role="assistant", content=draw(words)), user(draw(words))]
    return tuple(messages)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    system = [Message(role="system", content=draw(words))] if draw(st.booleans()) else []
    gold = draw(some_calls) if draw(st.booleans()) else ()
    return Example(
        id=draw(words),
        messages=(*system, *draw(rounds())),
        tools=TOOLS if draw(st.booleans()) else (),
        calls=gold,
        response=draw(words) if not gold or draw(st.booleans()) else "",
        origin=Origin(
            generator="template",
            template="t/zh/1",
            seed=draw(st.integers(0, 99)),
            language=draw(st.sampled_from(["zh", "en"])),
            domain="office",
            kind="call",
        ),
    )


MAY_LOSE: dict[str, set[str]] = {
    "fcray": set(),
    "openai": {"id", "origin"},
    "sharegpt": set(),
    "alpaca": set(),
    "hermes": set(),
    "xlam": {"tools", "response", MOVED},
    "bfcl": {"response", "calls"},
    "seal": {"tools", "response", MOVED},
}
"""Parts that a format has no place for; whatever else it cannot hold, it refuses to write."""


@pytest.mark.parametrize("name", FORMATS)
@given(example=examples())
def test_what_is_written_is_read_back(name: str, example: Example) -> None:
    form = FORMATS[name]
    try:
        row = form.write(example)
    except RowError:
        return
    source = Source("back", catalog={tool.name: tool for tool in example.tools})
    assert set(losses(form, example, row, source)) <= MAY_LOSE[name]


@pytest.mark.parametrize("name", ["fcray", "openai"])
@given(example=examples())
def test_these_formats_refuse_nothing(name: str, example: Example) -> None:
    back = FORMATS[name].read(FORMATS[name].write(example), Source("back"))
    assert back[-1].calls == example.calls


@pytest.mark.parametrize("name", FORMATS)
def test_a_plain_call_goes_into_every_format(name: str) -> None:
    (back,) = read(name, FORMATS[name].write(one("Rome?", GOLD)))
    assert (back.request, back.calls) == ("Rome?", (GOLD,))


def one(request: str = "Hi", *gold: ToolCall, **changes: Any) -> Example:
    return Example(
        id="x",
        messages=(user(request),),
        tools=TOOLS,
        calls=gold,
        origin=Origin(generator="t", language="en", domain="d", kind="call"),
        **changes,
    )


GOLD = ToolCall(name="get_weather", arguments={"city": "Rome"})
ANSWERED = (
    user("Rome?"),
    Message(role="assistant", tool_calls=(GOLD,)),
    Message(role="tool", content="21"),
)
REFUSED: dict[str, tuple[str, Example, str]] = {
    "words beside a call": ("sharegpt", one("Hi", GOLD, response="Sure"), "has both"),
    "results before": (
        "alpaca",
        one(response="21").model_copy(update={"messages": ANSWERED}),
        "earlier calls",
    ),
    "marks in a value": (
        "hermes",
        one("Hi", ToolCall(name="get_weather", arguments={"city": "</tool_call>"})),
        "holds the mark",
    ),
    "several turns": ("xlam", one(response="21").model_copy(update={"messages": ANSWERED}), "one turn"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_wrong_is_not_written(case: str) -> None:
    name, example, message = REFUSED[case]
    with pytest.raises(RowError, match=message):
        FORMATS[name].write(example)


def read(name: str, row: dict[str, Any], **source: Any) -> list[Example]:
    return FORMATS[name].read(row, Source("file", 7, **source))


@pytest.mark.parametrize("name", ["xlam", "seal"])
def test_instructions_stand_before_the_query_where_there_is_no_other_place(name: str) -> None:
    told = Message(role="system", content="Today is 2026-03-02, Monday.")
    example = one("Rome?", GOLD).model_copy(update={"messages": (told, user("Rome?"))})
    row = FORMATS[name].write(example)
    assert row["query"] == "Today is 2026-03-02, Monday.\nRome?"
    lost = losses(FORMATS[name], example, row, Source("back"))
    assert MOVED in lost
    assert "messages" not in lost


def test_bfcl_allows_one_value_at_every_depth() -> None:
    call = ToolCall(name="f", arguments={"at": {"hour": 7, "days": [1, 2], "by": [{"x": "y"}]}})
    row = FORMATS["bfcl"].write(one("Hi", call))
    assert row["ground_truth"] == [
        {"f": {"at": [{"hour": [7], "days": [[1, 2]], "by": [[{"x": ["y"]}]]}]}}
    ]
    assert read("bfcl", row)[0].calls == (call,)


OTHERS = {
    ("openai", "fcray"): FORMATS["fcray"].write(one("Rome?", GOLD)),
    ("xlam", "seal"): {"query": "Rome?", "calling": [{"api": "f", "parameters": {}}]},
    ("seal", "xlam"): FORMATS["xlam"].write(one("Rome?", GOLD)),
    ("alpaca", "bfcl"): {**FORMATS["bfcl"].write(one("Rome?", GOLD)), "input": "Rome?"},
    ("fcray", "openai"): FORMATS["openai"].write(one("Rome?", GOLD)),
    ("sharegpt", "hermes"): FORMATS["hermes"].write(one("Rome?", GOLD)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_row_of_another_format_is_refused_by_its_name(case: tuple[str, str]) -> None:
    name, other = case
    with pytest.raises(RowError, match=f"a row of the format {other}, not {name}"):
        read(name, OTHERS[case])


def test_each_turn_is_in_the_language_of_what_was_said_up_to_it() -> None:
    row = {
        "messages": [
            {"role": role, "content": text}
            for role, text in (
                ("user", "Hello"),
                ("assistant", "Hi"),
                ("user", "你好"),
                ("assistant", "你好！"),
            )
        ]
    }
    assert [found.origin.language for found in read("openai", row)] == ["en", "zh"]


def test_xlam_rows_without_answers_have_no_gold() -> None:
    with pytest.raises(RowError, match="answers is absent"):
        read("xlam", {"query": "Rome?", "tools": "[]"})


def test_earlier_turns_of_a_fine_tuning_row_are_not_gold() -> None:
    row = FORMATS["openai"].write(one(response="21").model_copy(update={"messages": ANSWERED}))
    assert [m.get("weight") for m in row["messages"]] == [None, 0, None, None]
    (back,) = read("openai", row)
    assert (back.messages, back.response) == (ANSWERED, "21")


def test_every_turn_of_a_foreign_conversation_is_gold() -> None:
    turns = [
        {"from": "human", "value": "罗马天气"},
        {
            "from": "function_call",
            "value": '{"name": "get_weather", "arguments": {"city": "罗马"}}',
        },
        {"from": "observation", "value": '{"t": 21}'},
        {"from": "gpt", "value": "21度"},
    ]
    first, second = read("sharegpt", {"conversations": turns, "tools": ""})
    assert (first.id, second.id) == ("file-000007-0", "file-000007-1")
    assert first.calls == (ToolCall(name="get_weather", arguments={"city": "罗马"}),)
    assert [m.role for m in second.messages] == ["user", "assistant", "tool"]
    assert (second.response, second.origin.kind, second.origin.language) == (
        "21度",
        "after_result",
        "zh",
    )


def test_results_come_back_in_the_order_of_their_calls() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in (1, 2)
    ]
    row = {
        "messages": [
            {"role": "user", "content": "both"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "assistant", "content": "done"},
        ]
    }
    done = read("openai", row)[-1]
    assert [m.content for m in done.messages if m.role == "tool"] == ["one", "two"]


def test_the_articles_row_is_read() -> None:
    row = {
        "instruction": "订明天下午三点的会议室，两小时",
        "function_call": {
            "name": "book_meeting_room",
            "arguments": {"start_time": "15:00", "duration": 120},
        },
        "response": "已经订好",
    }
    (found,) = read("alpaca", row)
    assert found.calls == (
        ToolCall(name="book_meeting_room", arguments={"start_time": "15:00", "duration": 120}),
    )
    assert (found.request, found.response) == (row["instruction"], "已经订好")


def test_hermes_calls_may_be_python_literals() -> None:
    text = "<tool_call>\n{'arguments': {'city': \"L'Aquila\"}, 'name': 'get_weather'}\n</tool_call>"
    turns = [{"from": "human", "value": "?"}, {"from": "gpt", "value": text}]
    (found,) = read("hermes", {"conversations": turns})
    assert found.calls == (ToolCall(name="get_weather", arguments={"city": "L'Aquila"}),)


def test_xlam_types_become_schemas() -> None:
    row = {
        "id": 3,
        "query": "q",
        "tools": '[{"name": "f", "description": "d", "parameters": {"a": {"type": "List[int]", '
        '"description": "x"}, "b": {"type": "str, optional", "description": "y", "default": "z"}}}]',
        "answers": '[{"name": "f", "arguments": {"a": [1]}}]',
    }
    (found,) = read("xlam", row)
    assert found.tools[0].parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": "integer"}, "description": "x"},
            "b": {"type": "string", "description": "y", "default": "z"},
        },
        "required": ["a"],
    }


def test_bfcl_takes_the_first_allowed_value() -> None:
    row = {
        "id": "simple_0",
        "question": [[{"role": "user", "content": "area?"}]],
        "function": [
            {
                "name": "geo.area",
                "description": "",
                "parameters": {
                    "type": "dict",
                    "properties": {"b": {"type": "float"}},
                    "required": ["b"],
                },
            }
        ],
    }
    gold = [{"geo.area": {"b": [10.0, 10], "unit": ["", "cm"]}}]
    source = Source("file", 0, answers={"simple_0": gold})
    (found,) = FORMATS["bfcl"].read(row, source)
    assert found.calls == (ToolCall(name="geo_area", arguments={"b": 10.0}),)
    assert found.tools[0].parameters["properties"] == {"b": {"type": "number"}}
    assert [note.kind for note in source.notes] == ["tool renamed"]


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no messages": ("openai", {}, "messages is not a list"),
    "a role": ("openai", {"messages": [{"role": "robot", "content": "x"}]}, "no role is named 'robot'"),
    "no answer": ("openai", {"messages": [{"role": "user", "content": "x"}]}, "no turn of the assistant"),
    "a picture": (
        "openai",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "'image_url' is no text",
    ),
    "a result of nothing": (
        "openai",
        {"messages": [{"role": "tool", "tool_call_id": "z", "content": "x"}]},
        "belongs to no call",
    ),
    "broken tools": ("sharegpt", {"conversations": [], "tools": "[{"}, "tools is not JSON"),
    "a broken call": (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "x"}, {"from": "function_call", "value": "{"}]},
        "a function call is not JSON",
    ),
    "an invalid schema": (
        "sharegpt",
        {"conversations": [], "tools": [{"name": "f", "parameters": {"type": "object", "properties": 3}}]},
        "the tool 'f' is invalid",
    ),
    "nothing to learn": ("alpaca", {"instruction": "x"}, "neither a function_call nor a response"),
    "an empty query": ("xlam", {"query": "", "tools": "[]", "answers": "[]"}, "query is empty"),
    "an unknown api": ("seal", {"query": "x", "calling": [{"api": "f"}]}, "does not define"),
    "a call of no name": ("seal", {"query": "x", "calling": [{}]}, "names no api"),
    "no origin": ("fcray", {"id": "x", "messages": [{"role": "user"}], "calls": []}, "origin"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_row_that_is_wrong_says_why(case: str) -> None:
    name, row, message = WRONG[case]
    with pytest.raises(RowError, match=message):
        read(name, row)


NOTED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another tool": (lambda call: call.update(name="g"), "tool not offered"),
    "a missing argument": (lambda call: call.update(arguments={}), "against the schema: required"),
    "a wrong type": (lambda call: call.update(arguments={"a": "1"}), "against the schema: type"),
    "an argument too many": (lambda call: call.update(arguments={"a": 1, "b": 2}), "unknown argument"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTED)
def test_what_the_source_got_wrong_is_noted_and_kept(case: str) -> None:
    change, kind = NOTED[case]
    call = {"name": "f", "arguments": {"a": 1}}
    change(call)
    tool = Tool(
        name="f",
        parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    )
    row = {"instruction": "x", "function_call": call, "tools": [tool.model_dump()]}
    source = Source("file")
    (found,) = FORMATS["alpaca"].read(row, source)
    assert found.calls[0].model_dump() == call
    assert [note.kind for note in source.notes] == [kind]
