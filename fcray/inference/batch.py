"""A running batch: answers that grow by unequal steps, each under its prefix, computed as one row of tokens.

Only what answers remember is kept apart: the keys and values of a prefix lie there once for all answers
under it, and each answer's own in a place of its own. So an answer that reads thirty tokens costs those
thirty beside others that read one, a token that is taken back is merely written over, and answers join and
leave at any time. Knows nothing of text, grammars or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fcray.inference import attention
from fcray.inference.attention import Asking
from fcray.inference.cache import Prefix
from fcray.inference.store import Store

READ = 1024
"""The most tokens of an answer that are read at once: what a step computes grows with it."""

ROWS = 32
"""Steps of more tokens are padded to multiples of it: for every new shape a CPU's kernels make, and for a
while keep, another program."""


@dataclass(frozen=True)
class Turn:
    """What an answer reads in a step.

    Attributes
    ----------
    row: The answer's number.
    tokens: At least one.
    asked: After how many of its last tokens the scores of the next token are wanted.
    """

    row: int
    tokens: Sequence[int]
    asked: int = 1


@dataclass
class _Answer:
    """An answer's prefix, place and tokens of its own so far."""

    prefix: Prefix
    place: int
    length: int = 0


class Batch:
    """Answers that are computed together.

    Parameters
    ----------
    decoder: The transformer without its output head.
    head: The output head.
    most: How many answers there are at a time, at most.
    columns: Own tokens to make room for in each answer; more is made when it is needed.
    max_bytes: Bound on the keys and values that room is made for at first; one answer always has room.
    """

    def __init__(
        self, decoder: Any, head: Any, most: int, columns: int = 1, max_bytes: int = 1 << 62
    ) -> None:
        self._decoder = decoder
        self._head = head
        self._heads = int(decoder.config.num_attention_heads)
        self._most, self._columns, self._max_bytes = most, columns, max_bytes
        self._store: Store | None = None
        self._answers: dict[int, _Answer] = {}
        self._joined = 0

    @property
    def full(self) -> bool:
        """Whether no other answer has room."""
        return self._store is not None and len(self._answers) >= self._store.places

    def join(self, prefix: Prefix) -> int:
        """A new answer's number."""
        if self._store is None:
            answer_bytes = self._columns * -(-prefix.bytes // prefix.length)
            places = max(1, min(self._most, self._max_bytes // answer_bytes))
            self._store = Store(prefix.layers, places, self._columns)
        taken = {one.place for one in self._answers.values()}
        place = next(place for place in range(self._store.places) if place not in taken)
        self._joined += 1
        self._answers[self._joined] = _Answer(prefix, place)
        return self._joined

    def read(self, turns: Sequence[Turn]) -> list[torch.Tensor]:
        """Let answers read on; returns (asked, vocabulary) scores for each."""
        short = []
        for turn in turns:
            left = turn.tokens
            while len(left) > READ + turn.asked:
                self._read([Turn(turn.row, left[:READ], 0)])
                left = left[READ:]
            short.append(replace(turn, tokens=left))
        # Side by side are those under the same prefix.
        order = sorted(range(len(short)), key=lambda i: id(self._answers[short[i].row].prefix))
        found = dict(zip(order, self._read([short[i] for i in order]), strict=True))
        return [found[i] for i in range(len(short))]

    def _read(self, turns: Sequence[Turn]) -> list[torch.Tensor]:
        assert self._store is not None, "nobody has joined"
        tokens: list[int] = []
        positions: list[int] = []
        wanted: list[int] = []
        asking: list[Asking] = []
        under: list[tuple[Prefix, int]] = []
        for turn in turns:
            answer, count = self._answers[turn.row], len(turn.tokens)
            asking.append(Asking(answer.place, answer.length, count))
            begin = answer.prefix.length + answer.length
            answer.length += count
            tokens += turn.tokens
            positions += range(begin, begin + count)
            wanted += range(len(tokens) - turn.asked, len(tokens))
            if under and under[-1][0] is answer.prefix:
                count += under.pop()[1]
            under.append((answer.prefix, count))
        padding = _padding(len(tokens))
        under[-1] = (under[-1][0], under[-1][1] + padding)
        count = len(wanted)
        wanted += wanted[-1:] * _padding(count)
        device = self._decoder.device
        self._store.make_room(max(one.begin + one.count for one in asking))
        step = attention.Step(self._store, asking, under, self._heads, max(positions) + 1)
        hidden = self._decoder(
            input_ids=torch.tensor([tokens + [0] * padding], device=device),
            position_ids=torch.tensor([positions + [0] * padding], device=device),
            # Never looked at; without one transformers would make one for every step.
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
            use_cache=False,
            **{attention.OPTION: step},
        ).last_hidden_state
        if not wanted:
            return []
        scores: torch.Tensor = self._head(hidden[0, wanted])[:count]
        return list(scores.split([turn.asked for turn in turns]))

    def take_back(self, row: int, count: int) -> None:
        """Let the last `count` tokens of an answer be unread."""
        self._answers[row].length -= count

    def leave(self, row: int) -> None:
        """End an answer; its place is free."""
        del self._answers[row]


def _padding(rows: int) -> int:
    return -rows % ROWS if rows > ROWS else 0
