"""Tests of the way from the engine's completions to OpenAI's answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from fcray.inference import Completion, Likelihood, Request
from fcray.serving.openai_answers import to_answer
from fcray.serving.openai_types import ChatCompletion
from fcray.tools import Message, Tool, ToolCall

from .fakes import calling, completion

ASKED = Request(messages=(Message(role="user", content="x"),), tools=(Tool(name="f"),))
CALL = ToolCall(name="f", arguments={"city": "Zürich", "n": 1})


def answer(
    *made: Completion, stops: tuple[str, ...] = (), asked: Request = ASKED
) -> ChatCompletion:
    return to_answer([asked] * len(made), made, stops, "v1")


def dump(*made: Completion, **options: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(answer(*made, **options).model_dump_json())
    return whole


def test_words() -> None:
    whole = dump(completion())
    [choice] = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": "It is sunny.", "refusal": None}
    assert (choice["finish_reason"], choice["logprobs"], whole["model"]) == ("stop", None, "v1")
    assert whole["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_likelihoods() -> None:
    some = (Likelihood("It", -0.5, (Likelihood("It", -0.5), Likelihood("\ufffd", -1.0))),)
    asked = Request(messages=ASKED.messages, likely=2)
    [choice] = dump(completion(likelihoods=some), asked=asked)["choices"]
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "It",
                "logprob": -0.5,
                "bytes": [73, 116],
                "top_logprobs": [
                    {"token": "It", "logprob": -0.5, "bytes": [73, 116]},
                    {"token": "\ufffd", "logprob": -1.0, "bytes": None},
                ],
            }
        ],
        "refusal": None,
    }


def test_calls() -> None:
    [choice] = dump(calling(CALL, CALL))["choices"]
    message = choice["message"]
    assert message["content"] is None
    assert choice["finish_reason"] == "tool_calls"
    first, second = message["tool_calls"]
    assert first["id"].startswith("call_") and first["id"] != second["id"]
    assert (first["type"], first["function"]["name"]) == ("function", "f")
    assert json.loads(first["function"]["arguments"]) == CALL.arguments


def test_a_cut_answer_with_a_whole_call_says_length() -> None:
    made = completion("<tool_call>…", calls=(CALL,), content="", finish_reason="length")
    assert dump(made)["choices"][0]["finish_reason"] == "length"


def test_what_looks_like_a_call_inside_words_is_none() -> None:
    made = replace(calling(CALL), text="Sure <tool_call>…", content="Sure")
    [choice] = dump(made)["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "Sure"
    assert "tool_calls" not in choice["message"]


def test_no_calls_without_tools() -> None:
    asked = Request(messages=ASKED.messages)
    [choice] = dump(calling(CALL), asked=asked)["choices"]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_stop_sequences_cut_words_at_the_first() -> None:
    [choice] = dump(completion("one two three"), stops=("three", " two"))["choices"]
    assert choice["message"]["content"] == "one"


def test_stop_sequences_do_not_cut_calls() -> None:
    [choice] = dump(calling(CALL), stops=("}",))["choices"]
    assert choice["finish_reason"] == "tool_calls"


def test_several_choices_count_their_prompt_once() -> None:
    whole = dump(completion(), completion(), completion())
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert (whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]) == (10, 15)


def test_half_a_surrogate_pair_can_be_sent() -> None:
    call = ToolCall(name="f", arguments={"a": "\ud800"})
    [choice] = dump(calling(call))["choices"]
    sent = choice["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == call.arguments
