"""Tests of the engine's replica without Ray: with an engine that obeys, and a real tiny one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fcray.errors import UserError
from fcray.inference import Completion, Delta, Request
from fcray.serving.backend import Refusal
from fcray.serving.engine_deployment import EngineConfig, EngineDeployment, load_engine
from fcray.spec import ModelSpec
from fcray.tools import Message, Tool

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
        self.adapters: frozenset[str] = frozenset()
        self.answer: Callable[[Request], str] = lambda request: request.messages[-1].content or ""

    def generate(
        self, requests: Sequence[Request], *, cancelled: Callable[[int], bool]
    ) -> list[Completion]:
        self.batches.append(list(requests))
        self.cancelled = cancelled
        return [completion(self.answer(request)) for request in requests]

    def stream(
        self, requests: Sequence[Request], *, cancelled: Callable[[int], bool]
    ) -> Iterator[Delta]:
        """A letter of each in turn."""
        answers = self.generate(requests, cancelled=cancelled)
        for at in range(max(len(one.text) for one in answers)):
            for index, one in enumerate(answers):
                if at < len(one.text) and not cancelled(index):
                    yield Delta(index, one.text[at])
        for index, one in enumerate(answers):
            yield Delta(index, "", one)


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


async def collected(replica: EngineDeployment, *requests: Request) -> list[Any]:
    return [part async for part in replica.stream(requests)]


def test_a_stream(replica: EngineDeployment) -> None:
    parts = asyncio.run(collected(replica, ask("abc"), ask("de")))
    deltas = [delta for part in parts for delta in part]
    for index, text in enumerate(("abc", "de")):
        own = [delta for delta in deltas if delta.index == index]
        assert "".join(delta.text for delta in own) == text
        assert [delta.completion is not None for delta in own] == [False] * len(text) + [True]
        assert own[-1].completion.text == text


def test_streams_and_whole_answers_share_a_batch(
    replica: EngineDeployment, engine: FakeEngine
) -> None:
    async def both() -> tuple[Any, Any]:
        return await asyncio.gather(collected(replica, ask("abc")), replica.answer([ask("de")]))

    streamed, (answer,) = asyncio.run(both())
    assert "".join(delta.text for part in streamed for delta in part) == "abc"
    assert answer.text == "de"


def test_a_stream_that_is_refused(replica: EngineDeployment, engine: FakeEngine) -> None:
    (refusal,) = asyncio.run(collected(replica, ask("x" * CONTEXT)))
    assert (refusal.kind, refusal.code) == ("invalid", "context_length_exceeded")


def test_a_stream_that_fails_under_way_does_not_begin_anew(
    replica: EngineDeployment, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    stream = engine.stream

    def breaking(requests: Sequence[Request], *, cancelled: Any) -> Iterator[Delta]:
        if any(request.messages[-1].content == "abc" for request in requests):
            yield Delta(0, "a")
            raise RuntimeError("secret")
        yield from stream(requests, cancelled=cancelled)

    engine.stream = breaking  # type: ignore[method-assign]

    async def both() -> tuple[Any, Any]:
        return await asyncio.gather(collected(replica, ask("abc")), collected(replica, ask("de")))

    first, _ = asyncio.run(both())
    assert [delta.text for delta in first[0]] == ["a"]
    assert first[-1] == Refusal("failed", "the engine failed on this request")
    assert "secret" not in caplog.text


def test_a_stream_that_is_closed_ends_its_answer(
    replica: EngineDeployment, engine: FakeEngine
) -> None:
    let = threading.Event()
    stream = engine.stream

    def slow(requests: Sequence[Request], *, cancelled: Any) -> Iterator[Delta]:
        for delta in stream(requests, cancelled=cancelled):
            yield delta
            assert let.wait(PATIENCE)

    engine.stream = slow  # type: ignore[method-assign]

    async def leave() -> None:
        source = replica.stream([ask("abcdef")])
        await anext(source)
        await source.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    assert engine.cancelled(0)
    let.set()


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


def test_an_answer_under_way_ends_when_it_is_cancelled(
    replica: EngineDeployment, engine: FakeEngine
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def answer(request: Request) -> str:
        if request.messages[-1].content == "dropped":
            begun.set()
            deadline = time.monotonic() + PATIENCE
            while not engine.cancelled(0):
                assert time.monotonic() < deadline
            ended.set()
        return request.messages[-1].content or ""

    async def leave() -> None:
        engine.answer = answer
        dropped = asyncio.create_task(replica.answer([ask("dropped")]))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        assert not engine.cancelled(0)
        dropped.cancel()
        await asyncio.gather(dropped, return_exceptions=True)
        assert await asyncio.to_thread(ended.wait, PATIENCE)
        (kept,) = await replica.answer([ask("kept")])  # type: ignore[misc]
        assert (kept.text, engine.cancelled(0)) == ("kept", False)

    asyncio.run(leave())


@pytest.mark.parametrize(("adapters", "batches"), [((None, None), 1), ((None, "one"), 2)])
def test_one_adapter_at_a_time(
    replica: EngineDeployment,
    engine: FakeEngine,
    adapters: tuple[str | None, ...],
    batches: int,
) -> None:
    tools = [Tool(name=name, parameters={"properties": {}}) for name in ("a", "b")]
    asked = [ask("x", adapter=a, tools=(t,)) for a, t in zip(adapters, tools, strict=True)]
    asyncio.run(replica.answer(asked))
    assert len(engine.batches[1:]) == batches


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
