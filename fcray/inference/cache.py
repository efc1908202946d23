"""Keys and values of recently used tool lists, kept for reuse. Knows nothing of text or requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

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
        self.max_bytes = max_bytes
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
        if prefix.bytes <= self.max_bytes:
            self._entries[key] = prefix
            self.bytes += prefix.bytes
        while self.bytes > self.max_bytes:
            self.bytes -= self._entries.popitem(last=False)[1].bytes
        return prefix, False

    def latest(self, part: Callable[[Any], Any], most: int) -> list[Any]:
        """A part of the keys used last, each once, the latest last."""
        found = dict.fromkeys(part(key) for key in reversed(self._entries))
        return list(found)[:most][::-1]

    def forget(self, belongs: Callable[[Any], bool]) -> None:
        """Drop the entries whose key satisfies `belongs`."""
        for key in [key for key in self._entries if belongs(key)]:
            self.bytes -= self._entries.pop(key).bytes


def read_prefix(decoder: Any, tokens: Sequence[int], device: torch.device) -> Prefix:
    """Run `tokens` through the decoder once and keep what it remembers."""
    cache: Any = DynamicCache()
    decoder(
        input_ids=torch.tensor([list(tokens)], device=device), past_key_values=cache, use_cache=True
    )
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), len(tokens))
