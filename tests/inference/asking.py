"""Requests that the engine's tests share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fcray.inference import Completion, Request
from fcray.tools import Tool
from tests.examples import CONVERSATION, REMIND, TOOLS, user

FREE = Request(messages=(), tools=TOOLS, constrained=False, max_tokens=24)
RAGGED = (
    replace(FREE, messages=(user("Hello."),)),
    replace(FREE, messages=CONVERSATION),
    replace(FREE, messages=(user("What is the weather in Paris, in Rome and in Oslo?"),)),
    replace(FREE, messages=(user("天气"),), max_tokens=7),
    replace(FREE, messages=(user("Hi there, what can you do for me?"),), tools=(REMIND,)),
    replace(FREE, messages=(user("Lima"),), max_tokens=1),
    replace(FREE, messages=(user("你好！"),), tools=()),
)
"""Requests of unequal length and under several lists of tools, to be answered freely."""


def asked(text: str, *tools: Tool, **options: Any) -> Request:
    return Request(messages=(user(text),), tools=tools or TOOLS, **{"max_tokens": 40, **options})


def texts(answers: Sequence[Completion]) -> list[str]:
    return [answer.text for answer in answers]
