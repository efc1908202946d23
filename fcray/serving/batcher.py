"""A micro-batcher: waiting requests are answered together by one thread.

There is no waiting time: the thread takes what is there, and what comes while it works is the next
batch. So a lone request is answered at once and load makes batches by itself. Knows nothing of
models, HTTP or Ray.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fcray.errors import FcrayError

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Overloaded(FcrayError):
    """No room: too many requests wait already, or the batcher is closing."""


@dataclass(eq=False)
class _Waiting(Generic[Question, Answer]):
    question: Question
    key: Hashable
    future: Future[Answer] = field(default_factory=Future)


class MicroBatcher(Generic[Question, Answer]):
    """Collects questions and answers them in batches on a thread of its own.

    Parameters
    ----------
    answer: Answers a batch, in its order; called by one thread only.
    batch: The most questions that are answered together.
    waiting: The most questions that wait; those being answered do not count.
    key: Only questions with equal keys share a batch. The oldest question always goes first, so no
        key starves.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Answer]],
        *,
        batch: int,
        waiting: int,
        key: Callable[[Question], Hashable] = lambda _: None,
    ) -> None:
        if batch < 1 or waiting < 1:
            raise ValueError("batch and waiting must be at least 1")
        self._answer = answer
        self._batch = batch
        self._bound = waiting
        self._key = key
        self._waiting: list[_Waiting[Question, Answer]] = []
        self._chores: list[tuple[Callable[[], None], Future[None]]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="micro-batcher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether questions are still answered."""
        return self._thread.is_alive() and not self._closed

    @property
    def depth(self) -> int:
        """How many questions wait."""
        with self._changed:
            return sum(not one.future.cancelled() for one in self._waiting)

    def submit(self, questions: Sequence[Question]) -> list[Future[Answer]]:
        """Queue all of `questions` or none. Cancelling a future drops a question not yet begun.

        Raises
        ------
        Overloaded: There is no room for them.
        """
        fresh = [_Waiting[Question, Answer](one, self._key(one)) for one in questions]
        with self._changed:
            self._waiting = [one for one in self._waiting if not one.future.cancelled()]
            if not self.alive:
                raise Overloaded("the engine is shutting down")
            if len(self._waiting) + len(fresh) > self._bound:
                raise Overloaded(f"{len(self._waiting)} requests wait already")
            self._waiting += fresh
            self._changed.notify()
        return [one.future for one in fresh]

    def run(self, chore: Callable[[], None]) -> Future[None]:
        """Have the thread do something between two batches.

        Raises
        ------
        Overloaded: The batcher is closing.
        """
        future: Future[None] = Future()
        with self._changed:
            if not self.alive:
                raise Overloaded("the engine is shutting down")
            self._chores.append((chore, future))
            self._changed.notify()
        return future

    def close(self, timeout: float | None = None) -> None:
        """Answer what has begun, refuse what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        taken: list[_Waiting[Question, Answer]] = []
        try:
            while self._wait():
                self._do_chores()
                if taken := self._take():
                    self._run(taken)
        finally:  # also when the thread dies: nobody may wait for it
            for one in taken:
                if not one.future.done():
                    one.future.set_exception(FcrayError("the engine's thread ended"))
            self._refuse_rest()

    def _wait(self) -> bool:
        """Return when there is something to do; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._chores or self._closed)
            return not self._closed

    def _do_chores(self) -> None:
        with self._changed:
            chores, self._chores = self._chores, []
        for chore, future in chores:
            if future.set_running_or_notify_cancel():
                try:
                    chore()
                except Exception as error:
                    future.set_exception(error)
                else:
                    future.set_result(None)

    def _take(self) -> list[_Waiting[Question, Answer]]:
        """The next batch, marked as begun; empty when nobody waits."""
        with self._changed:
            while self._waiting:
                key = self._waiting[0].key
                taken = [one for one in self._waiting if one.key == key][: self._batch]
                self._waiting = [one for one in self._waiting if one not in taken]
                begun = [one for one in taken if one.future.set_running_or_notify_cancel()]
                if begun:
                    return begun
            return []

    def _run(self, taken: list[_Waiting[Question, Answer]]) -> None:
        """Answer a batch; when it fails, each alone, so that a bad question fails itself only."""
        try:
            answers = self._answer([one.question for one in taken])
            if len(answers) != len(taken):
                raise FcrayError(f"{len(answers)} answers to {len(taken)} questions")
        except Exception as error:
            if len(taken) == 1:
                taken[0].future.set_exception(error)
                return
            for one in taken:
                self._run([one])
        else:
            for one, answer in zip(taken, answers, strict=True):
                one.future.set_result(answer)

    def _refuse_rest(self) -> None:
        with self._changed:
            self._closed = True
            futures: list[Future[Any]] = [one.future for one in self._waiting]
            futures += [future for _, future in self._chores]
            self._waiting, self._chores = [], []
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(Overloaded("the engine is shutting down"))
