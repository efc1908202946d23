"""Requests of one adapter: as one is answered, the next begins.

Knows nothing of adapters or of where prefixes are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

from fcray.inference.batch import READ, Batch, Turn
from fcray.inference.cache import Prefix
from fcray.inference.row import Row

GUESSED, GUESS = 128, 8
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
    key: Equal for those that have the same prefix.
    prefix: Reads that, when it is to begin; says whether it was known before.
    row: Makes its row.
    """

    index: int
    prompt: int
    answer: int
    key: Hashable
    prefix: Callable[[], tuple[Prefix, bool]]
    row: Callable[[], Row]

    @property
    def room(self) -> int:
        """How many tokens of its own to make room for."""
        return self.prompt + min(self.answer, ANSWER)


@dataclass(frozen=True)
class _Running:
    """An answer under way."""

    index: int
    key: Hashable
    row: Row


class Group:
    """Requests that share an adapter.

    Parameters
    ----------
    asked: The requests; those under the same prefix side by side, and all of about the same length.
    begin: Makes a batch for at most so many answers, with so much room each.
    prefix_bytes: None begins while the prefixes of those under way are larger.
    guess: Whether to guess how answers go on.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        begin: Callable[[int, int], Batch],
        *,
        prefix_bytes: int,
        guess: bool,
    ) -> None:
        self._waiting = deque(asked)
        self._prefix_bytes = prefix_bytes
        self._guess = guess
        self._batch = begin(len(asked), max(one.room for one in asked))
        self._prefixes: dict[Hashable, Prefix] = {}
        self._alive: dict[int, _Running] = {}

    @property
    def over(self) -> bool:
        """Whether all were answered."""
        return not self._waiting and not self._alive

    def step(self, cancelled: Callable[[int], bool]) -> Grown:
        """Go on by one step."""
        gone = self._drop(cancelled)
        if self.over:
            return gone
        self._admit()
        alive = list(self._alive.items())
        if self._guess:
            most = min(GUESS, GUESSED // len(alive))
            for _, one in alive:
                one.row.guess_on(most)
        scores = self._batch.read(
            [
                Turn(number, [*one.row.turn, *one.row.guess], 1 + len(one.row.guess))
                for number, one in alive
            ]
        )
        for (number, one), found in zip(alive, scores, strict=True):
            self._batch.take_back(number, one.row.advance(found.float()))
        self._end([number for number, one in alive if one.row.reason])
        return gone + [(one.index, one.row) for _, one in alive]

    def _admit(self) -> None:
        """Begin as many as there is room for."""
        begun, read, fresh = time.perf_counter(), 0, set()
        while self._waiting and not self._batch.full:
            one = self._waiting[0]
            read += one.prompt
            if read > max(READ, one.prompt):
                return
            if one.key not in self._prefixes:
                held = sum(prefix.bytes for prefix in self._prefixes.values())
                if self._alive and held > self._prefix_bytes:
                    return
                self._prefixes[one.key], known = one.prefix()
                if not known:
                    fresh.add(one.key)
            self._waiting.popleft()
            prefix, row = self._prefixes[one.key], one.row()
            row.begun, row.cached = begun, 0 if one.key in fresh else prefix.length
            self._alive[self._batch.join(prefix)] = _Running(one.index, one.key, row)

    def _drop(self, cancelled: Callable[[int], bool]) -> Grown:
        """End those that are no longer wanted."""
        unwanted = [one for one in self._waiting if cancelled(one.index)]
        if unwanted:
            self._waiting = deque(one for one in self._waiting if one not in unwanted)
        gone = [(one.index, one.row()) for one in unwanted]
        ended = [number for number, one in self._alive.items() if cancelled(one.index)]
        gone += [(self._alive[number].index, self._alive[number].row) for number in ended]
        for _, row in gone:
            row.reason = "cancelled"
        if gone:
            self._end(ended)
        return gone

    def _end(self, numbers: Sequence[int]) -> None:
        """Let these answers go, and the prefixes that nobody is under or waits for next."""
        for number in numbers:
            del self._alive[number]
            self._batch.leave(number)
        needed = {one.key for one in self._alive.values()}
        needed |= {one.key for one in islice(self._waiting, 1)}
        for key in self._prefixes.keys() - needed:
            del self._prefixes[key]
