"""Tests of the engine's replica without Ray: with an engine that obeys, and a real tiny one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fcray.errors import UserError
from fcray.inference import Completion, Request
from fcray.serving.backend import Refusal
from fcray.serving.engine_deployment import EngineConfig, EngineDeployment, load_engine
from fcray.spec import ModelSpec
from fcray.tools import Message

from .fakes import completion

CONTEXT = 32
PATIENCE = 20


class FakeEngine:
    """One token a character; answers with the last message, or with what `answer` says."""

    def __init__(self) -> None:
        text_config = SimpleNamespace(max_position_embeddings=CONTEXT)
        config = SimpleNamespace(get_text_config=lambda: text_config)
        self.base = SimpleNamespace(model=SimpleNamespace(config=config))
        self.renderer = SimpleNamespace(prompt=lambda messages, _: messages[-1].content)
        self.batches: list[list[Request]] = []
        self.answer: Callable[[Request], str] = lambda request: request.messages[-1].content or ""

    def generate(
        self, requests: Sequence[Request], *, cancelled: Callable[[int], bool]
    ) -> list[Completion]:
        self.batches.append(list(requests))
        self.cancelled = cancelled
        return [completion(self.answer(request)) for request in requests]


def ask(text: str, **fields: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **fields)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def replica(engine: FakeEngine) -> Iterator[EngineDeployment]:
    config = EngineConfig(ModelSpec(), batch=4, waiting=4)
    replica = EngineDeployment(config, engine)  # type: ignore[arg-type]
    yield replica
    replica.close()


def test_it_warms_up_and_answers(replica: EngineDeployment, engine: FakeEngine) -> None:
    assert [one.messages[0].content for one in engine.batches[0]] == ["hello"]
    answers = asyncio.run(replica.answer([ask("a"), ask("b")]))
    assert isinstance(answers, list)
    assert [one.text for one in answers] == ["a", "b"]


def test_an_answer_is_no_longer_than_the_context(
    replica: EngineDeployment, engine: FakeEngine
) -> None:
    asyncio.run(replica.answer([ask("x" * 30, max_tokens=100)]))
    assert engine.batches[-1][0].max_tokens == 2


def test_a_prompt_that_is_too_long(replica: EngineDeployment) -> None:
    refusal = asyncio.run(replica.answer([ask("x" * CONTEXT)]))
    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.code) == ("invalid", "context_length_exceeded")
    assert refusal.message == "messages and tools take 32 tokens; the model's context 32"


def test_what_the_engine_finds_wrong(replica: EngineDeployment, engine: FakeEngine) -> None:
    def answer(_: Request) -> str:
        raise UserError("cannot be enforced", field="tools")

    engine.answer = answer
    assert asyncio.run(replica.answer([ask("a")])) == Refusal(
        "invalid", "cannot be enforced", "tools"
    )


def test_a_failure_tells_nothing_of_the_message(
    replica: EngineDeployment, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: Request) -> str:
        raise RuntimeError(request.messages[-1].content)

    engine.answer = answer
    with caplog.at_level(logging.DEBUG):
        refusal = asyncio.run(replica.answer([ask("secret")]))
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "failed"
    assert "secret" not in refusal.message + caplog.text


def test_overload_and_cancellation(replica: EngineDeployment, engine: FakeEngine) -> None:
    begun, let = threading.Event(), threading.Event()

    def answer(request: Request) -> str:
        begun.set()
        assert let.wait(PATIENCE)
        return request.messages[-1].content or ""

    async def crowd() -> None:
        engine.answer = answer
        first = asyncio.create_task(replica.answer([ask("first")]))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        dropped = asyncio.create_task(replica.answer([ask("dropped")] * 3))
        await asyncio.sleep(0)
        refusal = await replica.answer([ask("too many")] * 2)
        assert isinstance(refusal, Refusal)
        assert refusal.kind == "overloaded"
        dropped.cancel()
        await asyncio.gather(dropped, return_exceptions=True)
        kept = asyncio.create_task(replica.answer([ask("kept")] * 4))
        await asyncio.sleep(0)
        let.set()
        assert len(await first) == len(await kept) / 4 == 1  # type: ignore[arg-type]

    asyncio.run(crowd())
    asked = [one.messages[0].content for batch in engine.batches for one in batch]
    assert asked == ["hello", "first", "kept", "kept", "kept", "kept"]


def test_health(replica: EngineDeployment) -> None:
    replica.check_health()
    assert asyncio.run(replica.ready())
    replica.close()
    assert not asyncio.run(replica.ready())
    with pytest.raises(RuntimeError, match="ended"):
        replica.check_health()


def test_the_base_lies_in_4_bit(tiny: tuple[Path, dict[str, str]]) -> None:
    base, adapters = tiny
    engine = load_engine(EngineConfig(ModelSpec(base=str(base)), adapters, storage="packed"))
    weights = dict(engine.base.model.named_parameters())
    packed = weights["model.layers.0.mlp.up_proj.base_layer.weight"]
    assert packed.dtype == torch.uint8
    assert packed.numel() == 64 * 128 / 2
    assert engine.adapters == set(adapters)
    requests = [ask("hello", adapter=name, max_tokens=8) for name in (None, *adapters)]
    assert len({one.text for one in engine.generate(requests)}) == 3
