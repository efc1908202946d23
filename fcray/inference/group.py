"""Requests of one adapter and one list of tools: as one is answered, the next begins.

Knows nothing of adapters or of where prefixes are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fcray.inference.batch import Batch, Turn
from fcray.inference.row import Row

READ = 512
"""Tokens of prompts that are read in a step; a longer prompt has a step of its own."""

GUESSED, GUESS = 64, 8
"""Guessed tokens of a step, shared by its answers, and the most for one of them."""

ANSWER = 128
"""Tokens of an answer that room is made for at once."""

Grown = list[tuple[int, Row]]
"""(index, row) of the requests whose answers grew or ended."""


@dataclass(frozen=True)
class Asked:
    """A request that waits.

    Attributes
    ----------
    index: Its number.
    prompt, answer: Tokens of its own part of the prompt, and the most of its answer.
    row: Makes its row, when it is to begin.
    """

    index: int
    prompt: int
    answer: int
    row: Callable[[], Row]


class Group:
    """Requests that share an adapter and a prefix.

    Parameters
    ----------
    asked: The requests.
    begin: Makes a batch with so much room, and tells how many of the prefix's tokens were known before.
    most: How many are answered at a time.
    guess: Whether to guess how answers go on.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        begin: Callable[[int], tuple[Batch, int]],
        *,
        most: int,
        guess: bool,
    ) -> None:
        self._waiting = deque(asked)
        self._begin = begin
        self._most = most
        self._guess = guess
        self._batch: Batch | None = None
        self._alive: dict[int, tuple[int, Row]] = {}

    @property
    def over(self) -> bool:
        """Whether all were answered."""
        return not self._waiting and not self._alive

    def step(self, cancelled: Callable[[int], bool]) -> Grown:
        """Go on by one step."""
        gone = self._drop(cancelled)
        if self.over:
            return gone
        begun = time.perf_counter()
        if self._batch is None:
            rooms = [one.prompt + min(one.answer, ANSWER) for one in self._waiting]
            rooms.sort(reverse=True)
            self._batch, cached = self._begin(sum(rooms[: self._most]))
        else:
            cached = self._batch.prefix
        batch = self._batch
        for index, row in self._admitted():
            row.begun, row.cached = begun, cached
            self._alive[batch.join()] = (index, row)
        if self._guess:
            for _, row in self._alive.values():
                row.guess_on(min(GUESS, GUESSED // len(self._alive)))
        scores = batch.read(
            [
                Turn(number, [*row.turn, *row.guess], 1 + len(row.guess))
                for number, (_, row) in self._alive.items()
            ]
        )
        grown = list(self._alive.values())
        for (number, (_, row)), found in zip(list(self._alive.items()), scores, strict=True):
            batch.take_back(number, row.advance(found.float()))
            if row.reason:
                self._end(number)
        return gone + grown

    def _admitted(self) -> Iterator[tuple[int, Row]]:
        """Those that begin now."""
        read = 0
        while self._waiting and len(self._alive) < self._most:
            read += self._waiting[0].prompt
            if read > READ and read > self._waiting[0].prompt:
                return
            one = self._waiting.popleft()
            yield one.index, one.row()

    def _drop(self, cancelled: Callable[[int], bool]) -> Grown:
        """End those that are no longer wanted."""
        unwanted = [one for one in self._waiting if cancelled(one.index)]
        if unwanted:
            self._waiting = deque(one for one in self._waiting if one not in unwanted)
        gone = [(one.index, one.row()) for one in unwanted]
        for number, (index, row) in list(self._alive.items()):
            if cancelled(index):
                gone.append((index, row))
                self._end(number)
        for _, row in gone:
            row.reason = "cancelled"
        return gone

    def _end(self, number: int) -> None:
        del self._alive[number]
        if self._batch is not None:
            self._batch.leave(number)
