"""Tests of streams: whatever the pieces, together they are the whole answer, and nothing comes too early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fcray.inference import Completion, Delta, Request
from fcray.prompting import CALL_CLOSE, CALL_OPEN, call_text, parse
from fcray.serving.openai_answers import to_answer
from fcray.serving.openai_stream import Writer, chunks, events
from fcray.serving.openai_types import ApiError
from fcray.tools import Message, Tool, ToolCall

from .fakes import completion

MESSAGES = (Message(role="user", content="x"),)
TOOLS = (Tool(name="f"),)
CALL = ToolCall(name="f", arguments={"city": "Zürich {[", "n": [1, {"a": "\\"}]})


def asked(**changes: Any) -> Request:
    return Request(messages=MESSAGES, **({"tools": TOOLS} | changes))


def made(text: str, cut: str = "", reason: str = "stop") -> Completion:
    """The completion of a constrained answer."""
    parsed = parse(text)
    ended = "tool_calls" if parsed.calls and reason == "stop" else reason
    return completion(text, calls=parsed.calls, content=parsed.text, cut=cut, finish_reason=ended)


def pieces(text: str, sizes: Sequence[int]) -> list[str]:
    found = []
    for size in sizes:
        found.append(text[:size])
        text = text[size:]
    return [*found, text]


def streamed(
    requests: Sequence[Request],
    answers: Sequence[Completion],
    sizes: Sequence[int] = (),
    stops: Sequence[str] = (),
    *,
    usage: bool = False,
) -> list[str]:
    """The events of answers that come in pieces, a piece of each in turn."""

    async def written() -> AsyncIterator[Sequence[Delta]]:
        parts = [pieces(one.text + one.cut, sizes) for one in answers]
        for turn in zip(*parts, strict=True):
            yield [Delta(index, piece) for index, piece in enumerate(turn)]
        yield [Delta(index, "", one) for index, one in enumerate(answers)]

    async def collect() -> list[str]:
        source = chunks(written(), requests, stops, "v1", include_usage=usage)
        return [event async for event in events(source, usage, lambda _: ApiError(500, "no"))]

    return asyncio.run(collect())


def loaded(lines: list[str]) -> list[dict[str, Any]]:
    assert lines[-1] == "data: [DONE]\n\n"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def assembled(parts: list[dict[str, Any]], index: int = 0) -> dict[str, Any]:
    """What a client makes of a choice's chunks."""
    content: str | None = None
    calls: list[dict[str, Any]] = []
    reasons = []
    for part in parts:
        for choice in part["choices"]:
            if choice["index"] != index:
                continue
            delta = choice["delta"]
            if delta.get("content") is not None:
                content = (content or "") + delta["content"]
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    assert call["index"] == len(calls)
                    assert call["type"] == "function"
                    calls.append({"name": call["function"]["name"], "arguments": ""})
                assert "name" not in call["function"] or "id" in call
                calls[call["index"]]["arguments"] += call["function"]["arguments"]
            reasons.append(choice["finish_reason"])
    assert [reason for reason in reasons[:-1] if reason] == []
    return {"content": content, "calls": calls, "reason": reasons[-1]}


def whole(request: Request, answer: Completion, stops: Sequence[str] = ()) -> dict[str, Any]:
    """The same answer, not streamed."""
    (choice,) = to_answer([request], [answer], stops, "v1").choices
    return {
        "content": choice.message.content,
        "calls": [
            {"name": call.function.name, "arguments": call.function.arguments}
            for call in choice.message.tool_calls or ()
        ],
        "reason": choice.finish_reason,
    }


LETTERS = st.text(st.sampled_from('ab <>\n好\ufffd{}"\\tool_call/'), max_size=40)
WORDS = st.one_of(LETTERS, LETTERS.map(lambda text: f"{text}{CALL_OPEN}{text}{CALL_CLOSE} b"))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
CALLS = st.lists(
    st.builds(
        lambda name, arguments: ToolCall(name=name, arguments=arguments),
        st.sampled_from(["f", 'a "b" \\ c']),
        st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    ),
    min_size=1,
    max_size=3,
)
SIZES = st.lists(st.integers(0, 9), max_size=40)
STOPS = st.lists(st.text(st.sampled_from("ab <\n好"), min_size=1, max_size=3), max_size=2)


@given(WORDS, SIZES, STOPS, st.sampled_from(["auto", "none"]), st.booleans())
def test_pieces_of_words_are_the_whole_words(
    text: str, sizes: list[int], stops: list[str], choice: str, tools: bool
) -> None:
    if text.startswith(CALL_OPEN):
        text = f"a{text}"  # what begins with a call is held to its grammar
    request = asked(tool_choice=choice, tools=TOOLS if tools else ())
    answer = made(text)
    parts = loaded(streamed([request], [answer], sizes, stops))
    expected = whole(request, answer, stops)
    assert assembled(parts) == expected | {"content": expected["content"] or ""}


@given(CALLS, SIZES)
def test_pieces_of_calls_are_the_whole_calls(calls: list[ToolCall], sizes: list[int]) -> None:
    answer = made("\n".join(map(call_text, calls)))
    found = assembled(loaded(streamed([asked()], [answer], sizes)))
    expected = whole(asked(), answer)
    assert found["reason"] == expected["reason"] == "tool_calls"
    assert found["content"] is None
    assert [(one["name"], json.loads(one["arguments"])) for one in found["calls"]] == [
        (call.name, call.arguments) for call in calls
    ]


@given(CALLS, SIZES, st.integers(1, 60))
def test_a_call_that_is_cut_is_told_as_far_as_it_goes(
    calls: list[ToolCall], sizes: list[int], missing: int
) -> None:
    text = "\n".join(map(call_text, calls))
    text = text[: max(len(CALL_OPEN), len(text) - missing)]
    unread = parse(text).unfinished
    answer = made(text.removesuffix(unread), unread, "length")
    found = assembled(loaded(streamed([asked()], [answer], sizes)))
    assert found["reason"] == "length"
    whole_calls = [json.loads(one["arguments"]) for one in found["calls"][: len(answer.calls)]]
    assert whole_calls == [call.arguments for call in answer.calls]
    assert len(found["calls"]) - len(answer.calls) in (0, 1)


def told(text: str, request: Request, stops: Sequence[str] = ()) -> str:
    """The words that are told before the answer is complete."""
    writer = Writer(0, request, stops)
    return "".join(delta.content or "" for delta in writer.feed(text))


def test_what_may_be_no_words_is_held_back() -> None:
    assert told("It is", asked()) == "It is"
    assert told("It is <tool", asked()) == "It is"
    assert told("<tool", asked()) == ""
    assert told("<tool", asked(tools=())) == "<tool"
    assert told("one tw", asked(), ["two"]) == "one "
    assert told("one two three", asked(), ["two"]) == "one "


def test_a_name_and_arguments_come_as_they_are_written() -> None:
    writer = Writer(0, asked(), ())
    text = call_text(CALL)
    at = text.index("Zürich")
    (role, begun, argued) = writer.feed(text[:at])
    assert role.role == "assistant"
    assert begun.tool_calls is not None
    assert begun.tool_calls[0].function.name == "f"
    assert argued.tool_calls is not None
    assert argued.tool_calls[0].function.arguments == '{"city": "'
    (rest,) = writer.feed(text[at:])
    assert rest.tool_calls is not None
    assert rest.tool_calls[0].function.arguments == json.dumps(
        CALL.arguments, ensure_ascii=False
    ).removeprefix('{"city": "')


def test_choices_take_turns_and_end_apart() -> None:
    answers = [made("one two"), made(call_text(CALL))]
    parts = loaded(streamed([asked(), asked()], answers, [3, 30], usage=True))
    assert len({(part["id"], part["created"], part["model"]) for part in parts}) == 1
    assert assembled(parts, 0) == {"content": "one two", "calls": [], "reason": "stop"}
    assert assembled(parts, 1)["reason"] == "tool_calls"
    *others, last = parts
    assert all(part["usage"] is None for part in others)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 20


def test_without_usage_no_chunk_has_the_field() -> None:
    assert all("usage" not in part for part in loaded(streamed([asked()], [made("one")])))


@given(st.text())
def test_every_event_is_one_line_and_loses_nothing(text: str) -> None:
    request, answer = asked(tools=()), completion(text)
    lines = streamed([request], [answer])
    assert all(len(line.removesuffix("\n\n").splitlines()) == 1 for line in lines)
    assert assembled(loaded(lines))["content"] == text


def test_an_error_under_way_ends_the_stream() -> None:
    async def written() -> AsyncIterator[Sequence[Delta]]:
        yield [Delta(0, "one")]
        raise RuntimeError("secret")

    async def collect() -> list[str]:
        source = chunks(written(), [asked()], (), "v1", include_usage=False)
        return [event async for event in events(source, False, lambda _: ApiError(503, "gone"))]

    *_, last = asyncio.run(collect())
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == "gone"
