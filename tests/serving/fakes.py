"""Stand-ins for the engine, and bodies of requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fcray.inference import Completion, Delta, Request
from fcray.serving.backend import Refusal, Refused
from fcray.tools import ToolCall

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather forecast for a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
LIGHT = {
    "type": "function",
    "function": {
        "name": "set_light",
        "parameters": {
            "type": "object",
            "properties": {"on": {"type": "boolean"}, "room": {"enum": ["kitchen", "hall"]}},
            "required": ["on", "room"],
        },
    },
}
HEAT = {
    "type": "function",
    "function": {
        "name": "set_heat",
        "parameters": {
            "type": "object",
            "properties": {
                "degrees": {"type": "integer", "minimum": 5, "maximum": 30},
                "room": {"enum": ["kitchen", "hall"]},
            },
            "required": ["degrees"],
        },
    },
}
TOOLS = [WEATHER, LIGHT]
SHORT_TOOLS = [LIGHT, HEAT]
"""Tools whose calls end soon, also when a model with random weights makes them."""
HELLO = [{"role": "user", "content": "What is the weather in Bern?"}]


def body(**changes: Any) -> dict[str, Any]:
    """A small valid request, with `changes`."""
    return {"model": "champion", "messages": HELLO} | changes


def completion(text: str = "It is sunny.", **changes: Any) -> Completion:
    fields: dict[str, Any] = {
        "text": text,
        "calls": (),
        "content": text,
        "problem": None,
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cached_tokens": 4,
        "steps": 5,
        "first_seconds": 0.05,
        "seconds": 0.1,
    }
    return Completion(**(fields | changes))


def calling(*calls: ToolCall) -> Completion:
    """A completion that consists of calls."""
    return completion("<tool_call>…", calls=calls, content="", finish_reason="tool_calls")


class FakeBackend:
    """Answers every request with what `completion` holds, or refuses with what `refusal` holds."""

    def __init__(self) -> None:
        self.completion = completion()
        self.refusal: Refusal | None = None
        self.error: Exception | None = None
        self.asked: list[Request] = []
        self.loaded: list[list[str]] = []
        self.forgotten: list[list[str]] = []
        self.told = 0
        self.closed = 0

    async def answer(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        if self.error:
            raise self.error
        if self.refusal:
            raise Refused(self.refusal)
        return [self.completion for _ in requests]

    async def stream(self, requests: Sequence[Request]) -> AsyncIterator[Sequence[Delta]]:
        """The same answers, two letters at a time; what is to go wrong does so after `told` parts."""
        answers = [self.completion for _ in requests]
        parts = [
            [Delta(index, one.text[at : at + 2])]
            for index, one in enumerate(answers)
            for at in range(0, len(one.text), 2)
        ]
        self.asked += requests
        try:
            for part in parts[: self.told]:
                yield part
            if self.error:
                raise self.error
            if self.refusal:
                raise Refused(self.refusal)
            for part in parts[self.told :]:
                yield part
            yield [Delta(index, "", one) for index, one in enumerate(answers)]
        finally:
            self.closed += 1

    async def load(self, versions: Sequence[str]) -> None:
        if self.error:
            raise self.error
        self.loaded.append(list(versions))

    async def forget(self, versions: Sequence[str]) -> None:
        self.forgotten.append(list(versions))

    async def ready(self) -> None:
        if self.refusal:
            raise Refused(self.refusal)
