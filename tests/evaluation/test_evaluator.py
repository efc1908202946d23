"""The evaluator: one outcome for each example, answered as the endpoint would answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fcray.errors import UserError
from fcray.evaluation.evaluator import evaluate
from fcray.inference import Completion, Engine, Request
from fcray.models import BaseModel
from fcray.prompting import call_text, parse
from tests.examples import EXAMPLES, weather

ANSWER = Completion(
    text="",
    calls=(),
    content="",
    problem=None,
    finish_reason="stop",
    prompt_tokens=11,
    completion_tokens=7,
    cached_tokens=3,
    steps=5,
    first_seconds=0.1,
    seconds=0.25,
)


class Scripted:
    """An engine that answers with the given texts, and keeps what it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[Request] = []

    def generate(
        self, requests: Sequence[Request], *, ended: Callable[[int], None] | None
    ) -> list[Completion]:
        self.asked += requests
        for number in range(len(requests)):
            if ended is not None:
                ended(number)
        parsed = [parse(text) for text in self.texts]
        return [
            replace(ANSWER, text=text, calls=one.calls, content=one.text, problem=one.problem)
            for text, one in zip(self.texts, parsed, strict=True)
        ]


def test_an_outcome_holds_the_example_and_its_answer() -> None:
    texts = (call_text(weather(city="Oslo")), "Hello.", "<tool_call>{")
    engine = Scripted(*texts)
    rows = EXAMPLES[:3]
    outcomes = evaluate(engine, rows, adapter="one", max_tokens=50)  # type: ignore[arg-type]
    assert [outcome.example for outcome in outcomes] == list(rows)
    assert [outcome.text for outcome in outcomes] == list(texts)
    assert [outcome.calls for outcome in outcomes] == [(weather(city="Oslo"),), (), ()]
    assert [outcome.valid for outcome in outcomes] == [True, True, False]
    assert {(o.seconds, o.prompt_tokens, o.completion_tokens) for o in outcomes} == {(0.25, 11, 7)}


def test_examples_are_asked_as_the_endpoint_would() -> None:
    engine = Scripted(*[""] * len(EXAMPLES))
    evaluate(engine, EXAMPLES, adapter="one", max_tokens=50)  # type: ignore[arg-type]
    assert engine.asked == [
        Request(messages=row.messages, tools=row.tools, adapter="one", max_tokens=50)
        for row in EXAMPLES
    ]
    first = engine.asked[0]
    assert (first.temperature, first.tool_choice, first.constrained) == (0.0, "auto", True)


def test_the_gold_answer_is_not_shown() -> None:
    engine = Scripted("")
    evaluate(engine, EXAMPLES[:1])  # type: ignore[arg-type]
    assert [message.role for message in engine.asked[0].messages] == ["user"]


def test_nothing_to_evaluate() -> None:
    assert evaluate(Scripted(), []) == []  # type: ignore[arg-type]


def test_an_adapter_is_evaluated_beside_the_base(
    load_tiny: Callable[[], BaseModel], adapter_folder: Path
) -> None:
    engine = Engine(load_tiny(), batch=4)
    base = evaluate(engine, EXAMPLES, max_tokens=12)
    engine.load_adapter("one", adapter_folder)
    adapted = evaluate(engine, EXAMPLES, adapter="one", max_tokens=12)
    assert [o.example for o in adapted] == list(EXAMPLES)
    assert [o.text for o in adapted] != [o.text for o in base]
    assert [o.text for o in evaluate(engine, EXAMPLES, max_tokens=12)] == [o.text for o in base]
    assert all(o.seconds > 0 and o.prompt_tokens > 0 for o in adapted)
    with pytest.raises(UserError, match="no adapter 'two' is loaded"):
        evaluate(engine, EXAMPLES, adapter="two")
