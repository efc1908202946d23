"""A running batch: answers that grow by unequal steps under one prefix, computed as one row of tokens.

The prefix's keys and values lie there once for all answers, and the answers' own behind them in the order
in which they came. So an answer that reads thirty tokens costs those thirty beside others that read one, a
token that is taken back is merely not seen again, and answers join and leave at any time. The same layout
trains (`fcray/training/packing.py`). Knows nothing of text, grammars or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from fcray.inference import attention
from fcray.inference.cache import Prefix

SHARED, NOBODY = -1, -2
"""The owners of the prefix's tokens and of those that nobody sees again."""

COLUMNS = 64
"""Keys are taken in multiples of it: for every new shape a CPU's kernels may make and keep a program."""

GARBAGE = 512
"""Tokens that nobody sees are swept out when they are this many and half of all."""


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


class _Store(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in a buffer with room to grow: a step writes its own columns only.

    transformers' DynamicLayer copies everything at every step.
    """

    def __init__(self, prefix: tuple[torch.Tensor, torch.Tensor], room: int) -> None:
        super().__init__()
        keys, values = prefix
        self.lazy_initialization(keys, values)
        self.length = keys.shape[2]
        self._buffers = tuple(_widened(tensor, self.length + room) for tensor in prefix)
        self._show()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.length
        self.length += key_states.shape[2]
        if _rounded(self.length) > self._buffers[0].shape[2]:
            self._buffers = tuple(_widened(b[:, :, :start], 2 * self.length) for b in self._buffers)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start : self.length] = states
        return self._show()

    def keep(self, columns: torch.Tensor | int) -> None:
        """Keep these columns, or the first so many."""
        if isinstance(columns, int):
            self.length = columns
        else:
            self.length = len(columns)
            for buffer in self._buffers:
                buffer[:, :, : self.length] = buffer[:, :, columns]
        self._show()

    def _show(self) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = (buffer[:, :, : _rounded(self.length)] for buffer in self._buffers)
        self.keys, self.values = keys, values
        return keys, values


def _rounded(length: int) -> int:
    return -(-length // COLUMNS) * COLUMNS


def _widened(states: torch.Tensor, length: int) -> torch.Tensor:
    """A buffer of `length` columns or more that begins with `states`; what is not filled is finite."""
    buffer = states.new_zeros(1, states.shape[1], _rounded(length), states.shape[3])
    buffer[:, :, : states.shape[2]] = states
    return buffer


class Batch:
    """Answers under one prefix.

    Parameters
    ----------
    decoder: The transformer without its output head.
    head: The output head.
    prefix: What every answer's prompt begins with.
    room: Tokens to make room for beside the prefix; more is made when it is needed.

    Attributes
    ----------
    prefix: The prefix's tokens.
    """

    def __init__(self, decoder: Any, head: Any, prefix: Prefix, room: int = 0) -> None:
        self._decoder = decoder
        self._head = head
        self._stores = [_Store(pair, room) for pair in prefix.layers]
        self._cache = Cache(layers=[*self._stores])
        self._device = prefix.layers[0][0].device
        self._shared = attention.shared_heads(decoder.config)
        self.prefix = prefix.length
        self._owners = [SHARED] * prefix.length
        self._lengths: list[int] = []
        self._gone = 0

    def join(self) -> int:
        """A new answer's number."""
        self._lengths.append(self.prefix)
        return len(self._lengths) - 1

    def read(self, turns: Sequence[Turn]) -> list[torch.Tensor]:
        """Let answers read on; returns (asked, vocabulary) scores for each."""
        tokens: list[int] = []
        positions: list[int] = []
        owners: list[int] = []
        wanted: list[int] = []
        for turn in turns:
            begin = self._lengths[turn.row]
            self._lengths[turn.row] += len(turn.tokens)
            tokens += turn.tokens
            positions += range(begin, self._lengths[turn.row])
            owners += [turn.row] * len(turn.tokens)
            wanted += range(len(tokens) - turn.asked, len(tokens))
        sees = self._sees(owners)
        hidden = self._decoder(
            input_ids=torch.tensor([tokens], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            attention_mask=sees[None, None],
            past_key_values=self._cache,
            use_cache=True,
            **{attention.BIAS: attention.bias_of(sees, self._shared, self._decoder.dtype)},
        ).last_hidden_state
        scores: torch.Tensor = self._head(hidden[0, wanted])
        return list(scores.split([turn.asked for turn in turns]))

    def _sees(self, owners: Sequence[int]) -> torch.Tensor:
        """(new tokens, columns) bool: what the tokens that come now may see; makes them known."""
        before = len(self._owners)
        self._owners += owners
        room = [NOBODY] * (_rounded(len(self._owners)) - len(self._owners))
        owner = torch.tensor([*self._owners, *room], device=self._device)
        asking = owner[before : len(self._owners), None]
        column = torch.arange(len(owner), device=self._device)
        earlier = column <= column[before : len(self._owners), None]
        return ((owner == asking) & earlier) | (owner == SHARED)

    def take_back(self, row: int, count: int) -> None:
        """Let the last `count` tokens of an answer be unread."""
        self._lengths[row] -= count
        at = len(self._owners)
        while count:
            at -= 1
            if self._owners[at] == row:
                self._owners[at] = NOBODY
                self._gone += 1
                count -= 1
        self._sweep()

    def leave(self, row: int) -> None:
        """End an answer: its tokens are not seen again."""
        self.take_back(row, self._lengths[row] - self.prefix)

    def _sweep(self) -> None:
        """Drop what nobody sees: at the end always, elsewhere when it is much."""
        before = len(self._owners)
        while self._owners[-1:] == [NOBODY]:
            self._owners.pop()
        if len(self._owners) < before:
            self._gone -= before - len(self._owners)
            for store in self._stores:
                store.keep(len(self._owners))
        if self._gone >= GARBAGE and 2 * self._gone >= len(self._owners) - self.prefix:
            seen = [at for at, owner in enumerate(self._owners) if owner != NOBODY]
            columns = torch.tensor(seen, device=self._device)
            for store in self._stores:
                store.keep(columns)
            self._owners = [self._owners[at] for at in seen]
            self._gone = 0
