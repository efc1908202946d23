"""Keys and values: those of recently used tool lists, kept for reuse, and those of a running batch.

Knows nothing of text, grammars or requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

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
    """

    def __init__(self, decoder: Any, head: Any, prefix: Prefix, rows: int) -> None:
        from transformers import DynamicCache

        self._decoder = decoder
        self._head = head
        self._cache = DynamicCache()
        for index, (keys, values) in enumerate(prefix.layers):
            self._cache.update(
                keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index
            )
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
        seen = torch.arange(self._valid.shape[1], device=device)[None, :] <= before + column[:, None]
        hidden = self._decoder(
            input_ids=ids,
            position_ids=self._lengths[:, None] + column[None, :],
            attention_mask=self._valid[:, None, None, :] & seen[None, None],
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self._lengths = self._lengths + sizes
        return self._head(hidden[torch.arange(len(turns), device=device), sizes - 1])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        index = torch.tensor(rows, device=self._valid.device)
        self._cache.batch_select_indices(index)
        self._valid = self._valid[index]
        self._lengths = self._lengths[index]


def read_prefix(decoder: Any, tokens: Sequence[int], device: torch.device) -> Prefix:
    """Run `tokens` through the decoder once and keep what it remembers."""
    from transformers import DynamicCache

    cache = DynamicCache()
    decoder(
        input_ids=torch.tensor([list(tokens)], device=device), past_key_values=cache, use_cache=True
    )
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), len(tokens))
