"""Tests of the micro-batcher with an engine that waits to be told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.errors import FcrayError
from fcray.serving.batcher import MicroBatcher, Overloaded

PATIENCE = 20


class Engine:
    """Doubles numbers; begins a batch only when let. Fails on negative numbers."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.begun.release()
        assert self.let.acquire(timeout=PATIENCE)
        if any(number < 0 for number in numbers):
            raise ValueError("negative")
        return [2 * number for number in numbers]

    def free(self) -> None:
        """Never wait again."""
        self.let.release(10_000)

    def wait(self) -> None:
        """Until the next batch has begun."""
        assert self.begun.acquire(timeout=PATIENCE)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.free()


def batcher(engine: Engine, **options: int) -> MicroBatcher[int, int]:
    return MicroBatcher(engine, **({"batch": 4, "waiting": 8} | options))  # type: ignore[arg-type]


def test_a_lone_question_is_answered_alone(engine: Engine) -> None:
    engine.free()
    [future] = batcher(engine).submit([21])
    assert future.result(PATIENCE) == 42


def test_what_waits_is_answered_together(engine: Engine) -> None:
    batches = batcher(engine)
    first = batches.submit([0])
    engine.wait()
    rest = [future for number in range(1, 7) for future in batches.submit([number])]
    engine.free()
    assert [f.result(PATIENCE) for f in first + rest] == [0, 2, 4, 6, 8, 10, 12]
    assert engine.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_only_equal_keys_share_a_batch_and_the_oldest_goes_first(engine: Engine) -> None:
    batches = MicroBatcher(engine, batch=4, waiting=8, key=lambda number: number % 2)
    batches.submit([0])
    engine.wait()
    futures = batches.submit([1, 2, 3, 4])
    engine.free()
    assert [f.result(PATIENCE) for f in futures] == [2, 4, 6, 8]
    assert engine.batches == [[0], [1, 3], [2, 4]]


def test_chores_are_done_between_batches_by_the_same_thread(engine: Engine) -> None:
    batches = batcher(engine)
    done: list[tuple[int, threading.Thread]] = []
    first = batches.submit([0])
    engine.wait()
    chore = batches.run(lambda: done.append((len(engine.batches), threading.current_thread())))
    second = batches.submit([1])
    assert not done
    engine.free()
    chore.result(PATIENCE)
    assert [f.result(PATIENCE) for f in first + second] == [0, 2]
    ((after, thread),) = done
    assert after == 1
    assert thread.name == "micro-batcher"
    batches.run(lambda: None).result(PATIENCE)  # also where nobody asks


def test_a_chore_that_fails_fails_alone(engine: Engine) -> None:
    batches = batcher(engine)
    engine.free()

    def fail() -> None:
        raise FcrayError("torn")

    with pytest.raises(FcrayError, match="torn"):
        batches.run(fail).result(PATIENCE)
    assert batches.submit([1])[0].result(PATIENCE) == 2
    batches.close(PATIENCE)
    with pytest.raises(Overloaded):
        batches.run(lambda: None)


def test_a_failing_question_does_not_fail_its_neighbours(engine: Engine) -> None:
    batches = batcher(engine)
    batches.submit([0])
    engine.wait()
    good, bad, other = batches.submit([1, -1, 2])
    engine.free()
    assert good.result(PATIENCE) == 2
    assert other.result(PATIENCE) == 4
    with pytest.raises(ValueError, match="negative"):
        bad.result(PATIENCE)
    assert batches.alive


def test_a_cancelled_question_is_not_asked(engine: Engine) -> None:
    batches = batcher(engine)
    batches.submit([0])
    engine.wait()
    dropped, kept = batches.submit([1, 2])
    assert dropped.cancel()
    assert batches.depth == 1
    engine.free()
    assert kept.result(PATIENCE) == 4
    assert engine.batches == [[0], [2]]
    with pytest.raises(CancelledError):
        dropped.result(PATIENCE)


def test_too_many_are_refused_and_cancelled_ones_make_room(engine: Engine) -> None:
    batches = batcher(engine, waiting=2)
    batches.submit([0])
    engine.wait()
    first, _ = batches.submit([1, 2])
    with pytest.raises(Overloaded, match="2 requests wait"):
        batches.submit([3])
    first.cancel()
    [future] = batches.submit([3])
    engine.free()
    assert future.result(PATIENCE) == 6


def test_several_questions_are_queued_whole_or_not_at_all(engine: Engine) -> None:
    batches = batcher(engine, waiting=2)
    with pytest.raises(Overloaded):
        batches.submit([1, 2, 3])
    assert batches.depth == 0


def test_closing_answers_what_has_begun_and_refuses_the_rest(engine: Engine) -> None:
    batches = batcher(engine)
    [begun] = batches.submit([1])
    engine.wait()
    [waiting] = batches.submit([2])
    closing = threading.Thread(target=batches.close)
    closing.start()
    engine.free()
    assert begun.result(PATIENCE) == 2
    with pytest.raises(Overloaded, match="shutting down"):
        waiting.result(PATIENCE)
    closing.join(PATIENCE)
    assert not batches.alive
    with pytest.raises(Overloaded):
        batches.submit([3])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_died(engine: Engine) -> None:
    def dies(numbers: Sequence[int]) -> list[int]:
        engine(numbers)
        raise SystemExit

    batches = MicroBatcher(dies, batch=1, waiting=8)
    [begun] = batches.submit([1])
    engine.wait()
    [waiting] = batches.submit([2])
    engine.free()
    with pytest.raises(FcrayError, match="ended"):
        begun.result(PATIENCE)
    with pytest.raises(Overloaded):
        waiting.result(PATIENCE)
    batches.close(PATIENCE)
    assert not batches.alive


def test_an_engine_that_miscounts_fails_the_question() -> None:
    batches: MicroBatcher[int, int] = MicroBatcher(lambda _: [], batch=2, waiting=2)
    [future] = batches.submit([1])
    with pytest.raises(FcrayError, match="0 answers to 1"):
        future.result(PATIENCE)


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 50), min_size=1, max_size=40), st.integers(1, 8))
def test_every_question_gets_its_own_answer(numbers: list[int], batch: int) -> None:
    engine = Engine()
    engine.free()
    batches = MicroBatcher(engine, batch=batch, waiting=100, key=lambda number: number % 3)
    futures = batches.submit(numbers)
    for number, future in zip(numbers, futures, strict=True):
        if number < 0:
            assert isinstance(future.exception(PATIENCE), ValueError)
        else:
            assert future.result(PATIENCE) == 2 * number
    assert all(len(one) <= batch for one in engine.batches)
    batches.close(PATIENCE)
