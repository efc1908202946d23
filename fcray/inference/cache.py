"""Keys and values: those of recently used tool lists, kept for reuse, and those of a running batch.

Knows nothing of text, grammars or requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]
"""Keys and values of each layer, each (batch, heads, length, head size)."""


@dataclass(frozen=True)
class Prefix:
    """The keys and values of one prefix, batch 1."""

    layers: Layers
    length: int

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for pair in self.layers for t in pair)


class PrefixCache:
    """Prefixes by key, bounded by bytes; the least recently used goes first.

    Parameters
    ----------
    max_bytes: The bound. One prefix alone may exceed it: it is then used and not kept.
    """

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, Prefix] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, compute: Callable[[], Prefix]) -> tuple[Prefix, bool]:
        """The prefix under `key`, computed when absent, and whether it was there."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return self._entries[key], True
        self.misses += 1
        prefix = compute()
        if prefix.bytes <= self._max_bytes:
            self._entries[key] = prefix
            self.bytes += prefix.bytes
        while self.bytes > self._max_bytes:
            self.bytes -= self._entries.popitem(last=False)[1].bytes
        return prefix, False

    def forget(self, belongs: Callable[[Any], bool]) -> None:
        """Drop the entries whose key satisfies `belongs`."""
        for key in [key for key in self._entries if belongs(key)]:
            self.bytes -= self._entries.pop(key).bytes


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in a buffer with room to grow: a step writes its own columns only.

    transformers' DynamicLayer copies everything at every step, which was half the time of a batch.
    """

    def __init__(self, prefix: tuple[torch.Tensor, torch.Tensor], rows: int, room: int) -> None:
        super().__init__()
        keys, values = prefix
        self.lazy_initialization(keys, values)
        self._buffers = tuple(_spread(tensor, rows, keys.shape[2] + room) for tensor in prefix)
        self._show(keys.shape[2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self._length
        end = start + key_states.shape[2]
        if end > self._buffers[0].shape[2]:
            self._buffers = tuple(_spread(b[:, :, :start], len(b), 2 * end) for b in self._buffers)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self._show(end)
        return self._buffers[0][:, :, :end], self._buffers[1][:, :, :end]

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self._buffers = tuple(buffer[indices] for buffer in self._buffers)
        self._show(self._length)

    def _show(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)
        self._length = length


def _spread(states: torch.Tensor, rows: int, length: int) -> torch.Tensor:
    """A buffer of `rows` by `length` that begins with `states`."""
    buffer = states.new_empty(rows, states.shape[1], length, states.shape[3])
    buffer[:, :, : states.shape[2]] = states
    return buffer


class Batch:
    """Sequences under one prefix that grow by unequal steps.

    Rows take turns of unequal length as columns with holes; a mask hides the holes, position ids count
    without them. The same primitive reads prompts, forced tokens and single steps.

    Parameters
    ----------
    decoder: The transformer without its output head.
    head: The output head.
    prefix: What every row begins with.
    rows: How many sequences.
    room: Columns to make room for beside the prefix; more are made when they are needed.
    """

    def __init__(self, decoder: Any, head: Any, prefix: Prefix, rows: int, room: int) -> None:
        self._decoder = decoder
        self._head = head
        self._cache = Cache(layers=[_GrowingLayer(pair, rows, room) for pair in prefix.layers])
        device = prefix.layers[0][0].device
        self._valid = torch.ones(rows, prefix.length, dtype=torch.bool, device=device)
        self._lengths = torch.full((rows,), prefix.length, device=device)

    def append(self, turns: Sequence[Sequence[int]]) -> torch.Tensor:
        """Feed each row its next tokens (at least one); returns (rows, vocab) logits after the last."""
        device = self._valid.device
        width = max(len(turn) for turn in turns)
        sizes = torch.tensor([len(turn) for turn in turns], device=device)
        ids = torch.tensor([[*t, *([0] * (width - len(t)))] for t in turns], device=device)
        column = torch.arange(width, device=device)
        fresh = column[None, :] < sizes[:, None]
        self._valid = torch.cat([self._valid, fresh], dim=1)
        before = self._valid.shape[1] - width
        seen = (
            torch.arange(self._valid.shape[1], device=device)[None, :] <= before + column[:, None]
        )
        hidden = self._decoder(
            input_ids=ids,
            position_ids=self._lengths[:, None] + column[None, :],
            attention_mask=self._valid[:, None, None, :] & seen[None, None],
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self._lengths = self._lengths + sizes
        logits: torch.Tensor = self._head(
            hidden[torch.arange(len(turns), device=device), sizes - 1]
        )
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        index = torch.tensor(rows, device=self._valid.device)
        self._cache.batch_select_indices(index)
        self._valid = self._valid[index]
        self._lengths = self._lengths[index]


def read_prefix(decoder: Any, tokens: Sequence[int], device: torch.device) -> Prefix:
    """Run `tokens` through the decoder once and keep what it remembers."""
    cache: Any = DynamicCache()
    decoder(
        input_ids=torch.tensor([list(tokens)], device=device), past_key_values=cache, use_cache=True
    )
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), len(tokens))
