"""Attention over a pack, block by block: most of what a mask hides is not computed at all.

A row's tokens see the prefix and their own row, so that of the T x T scores of a masked attention only a
part is made; the backward pass makes them once more instead of keeping them. For CPUs, where the masked
attention's backward pass is slow besides; a GPU has its own kernels. Gives way to SDPA with the pack's mask
wherever a model asks for something else. Knows nothing of models or losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from fcray import attention

NAME = "fcray_blocks"
"""Under which transformers knows it."""

BLOCKS = "pack_blocks"
"""The model's argument that carries a pack's `Blocks` to every layer."""

QUERIES = 128
"""How many queries are asked at a time: few large products are faster than many small ones."""

KEYS = 64
"""Keys are taken in multiples of it: for every new shape oneDNN makes, and keeps, another program."""

Segments = Sequence[tuple[int, int]]
"""(start, end) of the prefix and of every row, one after the other; what lies behind them sees itself."""


@dataclass(frozen=True)
class _Block:
    """Queries that are asked at a time.

    Attributes
    ----------
    first, end: The queries' tokens.
    own: The first of the keys that go up to `end`.
    seen: Keys from the pack's beginning that come before those, with the prefix among them.
    hidden: (queries, seen + end - own) bool; True where a query does not see a key.
    """

    first: int
    end: int
    own: int
    seen: int
    hidden: torch.Tensor

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The keys or values that are seen: (groups, seen + end - own, width)."""
        if not self.seen:
            return tensor[:, self.own : self.end]
        return torch.cat((tensor[:, : self.seen], tensor[:, self.own : self.end]), dim=1)


class Blocks:
    """How a pack is attended to, worked out once for all layers.

    Parameters
    ----------
    segments: The pack's.
    size: Its tokens.
    """

    def __init__(self, segments: Segments, size: int) -> None:
        self._blocks = tuple(_blocks(segments, size))
        self._biases: dict[tuple[int, torch.dtype], tuple[torch.Tensor, ...]] = {}

    def with_bias(self, shared: int, dtype: torch.dtype) -> Iterator[tuple[_Block, torch.Tensor]]:
        """Every block, and what is added to its scores where `shared` heads share their keys."""
        key = (shared, dtype)
        if key not in self._biases:
            self._biases[key] = tuple(
                torch.zeros(block.hidden.shape, dtype=dtype)
                .masked_fill_(block.hidden, -torch.inf)
                .repeat(shared, 1)
                for block in self._blocks
            )
        return zip(self._blocks, self._biases[key], strict=True)


def _blocks(segments: Segments, size: int) -> Iterator[_Block]:
    prefix = segments[0][1]
    tokens = torch.arange(size)
    # The number of each token's segment and where that begins; the rest are segments of one token.
    number, begin = tokens + len(segments), tokens.clone()
    for index, (start, end) in enumerate(segments):
        number[start:end], begin[start:end] = index, start
    for first in range(0, size, QUERIES):
        end = min(first + QUERIES, size)
        own, seen = int(begin[first]) // KEYS * KEYS, -(-prefix // KEYS) * KEYS
        if own <= seen:
            own, seen = 0, 0
        asked, keys = tokens[first:end, None], torch.cat((tokens[:seen], tokens[own:end]))
        sees = (number[keys] == 0) | (number[keys] == number[asked])
        yield _Block(first, end, own, seen, ~(sees & (keys <= asked)))


def use(model: Any) -> None:
    """Let `model` attend by blocks wherever it is given them."""
    attention.use(model, NAME, BLOCKS, _attend)


def is_used(model: Any) -> bool:
    """Whether `use` was called and `model` could follow."""
    return attention.is_used(model, NAME)


def _attend(
    _: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    blocks: Blocks,
    scale: float,
    options: dict[str, Any],
) -> torch.Tensor | None:
    if options.get("dropout") or query.shape[0] != 1:
        return None
    found: torch.Tensor = _Attention.apply(query[0], key[0], value[0], blocks, scale)
    return found.transpose(0, 1)[None]


class _Attention(torch.autograd.Function):
    """query: (heads, T, width); key, value: (groups, T, width), heads a multiple of groups."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        blocks: Blocks,
        scale: float,
    ) -> torch.Tensor:
        context.save_for_backward(query, key, value)
        context.blocks, context.scale = blocks, scale
        heads, groups = len(query), len(key)
        out = torch.zeros(*query.shape[:2], value.shape[-1], dtype=query.dtype)
        for block, bias in blocks.with_bias(heads // groups, query.dtype):
            asked = _grouped(query, block, groups)
            chances = _chances(asked, block.of(key), bias, scale)
            found = torch.bmm(chances, block.of(value))
            out[:, block.first : block.end] = found.view(heads, block.end - block.first, -1)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(
        context: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None, None]:
        query, key, value = context.saved_tensors
        heads, groups, scale = len(query), len(key), context.scale
        of_query = torch.zeros_like(query)
        # The prefix's keys gather from every row: in float32, or small rows would be rounded away.
        exact = torch.promote_types(key.dtype, torch.float32)
        of_key = torch.zeros(key.shape, dtype=exact)
        of_value = torch.zeros(value.shape, dtype=exact)
        for block, bias in context.blocks.with_bias(heads // groups, query.dtype):
            asked, given = (_grouped(tensor, block, groups) for tensor in (query, gradient))
            keys = block.of(key)
            chances = _chances(asked, keys, bias, scale)
            of_chances = torch.bmm(given, block.of(value).transpose(1, 2))
            scores = torch._softmax_backward_data(of_chances, chances, -1, chances.dtype)
            found = torch.bmm(scores, keys).mul_(scale)
            of_query[:, block.first : block.end] = found.view(heads, block.end - block.first, -1)
            of_keys = torch.bmm(scores.transpose(1, 2), asked)
            of_values = torch.bmm(chances.transpose(1, 2), given)
            for whole, part in ((of_key, of_keys), (of_value, of_values)):
                whole[:, : block.seen] += part[:, : block.seen]
                whole[:, block.own : block.end] += part[:, block.seen :]
        return of_query, of_key.mul_(scale).to(key.dtype), of_value.to(value.dtype), None, None


def _grouped(tensor: torch.Tensor, block: _Block, groups: int) -> torch.Tensor:
    """The heads that share keys as more queries of them: (groups, heads / groups * queries, width)."""
    return tensor[:, block.first : block.end].reshape(groups, -1, tensor.shape[-1])


def _chances(
    query: torch.Tensor, keys: torch.Tensor, bias: torch.Tensor, scale: float
) -> torch.Tensor:
    """The softmax of a block's scores."""
    scores = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=scale)
    return torch.softmax(scores, dim=-1)
