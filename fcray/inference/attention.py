"""Attention of answers that lie in one row of tokens, each under its prefix and before its own tokens.

What the tokens say to the prefix and what they say to their own answer are computed apart and put together
by the sums of their exponentials, which is exact (Milakov and Gimelshein 2018, arXiv:1805.02867): the prefix
is asked once by all answers under it, and the answers, padded to blocks of like lengths, ask their own
tokens only. Knows nothing of text or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch

from fcray import attention
from fcray.errors import FcrayError
from fcray.inference.cache import Prefix
from fcray.inference.store import Store, rounded

NAME = "fcray_answers"
"""Under which transformers knows it."""

OPTION = "answers"
"""The model's argument that carries a step's `Step` to every layer."""

WIDTHS = (8, 64, 1 << 30)
"""Turns up to so many tokens share a block: many grow by a few tokens, and some read a prompt beside them."""


@dataclass(frozen=True)
class Asking:
    """What an answer reads in a step: `count` tokens behind the `begin` that it has in its place."""

    place: int
    begin: int
    count: int


@dataclass(frozen=True)
class _Block:
    """Answers that ask their own tokens together.

    Attributes
    ----------
    places: Theirs in the store.
    columns: How many columns of it are read.
    asked: Which of the step's (token, head) rows ask, padded: (places * heads * width), groups together.
    bias: (places, 1, shared * width, columns): 0 where a token is seen, else minus infinity.
    """

    places: slice | torch.Tensor
    columns: int
    asked: torch.Tensor
    bias: torch.Tensor


class Step:
    """How the tokens of a step attend, worked out once for all layers.

    Parameters
    ----------
    store: Where the answers' own keys and values lie; this step's are written there.
    asking: What each answer reads, in the order of the tokens.
    under: The prefixes, each with how many of the tokens lie under it, in the same order. Tokens behind
        those of `asking` are padding: what they say is finite, and means nothing.
    heads: How many heads ask; how many are asked the store tells.
    longest: The most tokens that one of them sees.
    """

    def __init__(
        self,
        store: Store,
        asking: Sequence[Asking],
        under: Sequence[tuple[Prefix, int]],
        heads: int,
        longest: int,
    ) -> None:
        self.longest = longest
        self._store, self._under, self._groups = store, under, store.groups
        where = [
            one.place * store.columns + at
            for one in asking
            for at in range(one.begin, one.begin + one.count)
        ]
        self._where = torch.tensor(where, device=store.device)
        firsts = [0, *accumulate(one.count for one in asking)]
        tokens = sum(count for _, count in under)
        back = torch.zeros(tokens * heads, dtype=torch.long)
        self._blocks: list[_Block] = []
        taken = 0
        for above, widest in pairwise((0, *WIDTHS)):
            chosen = [i for i, one in enumerate(asking) if above < one.count <= widest]
            if chosen:
                block, rows, found = _block_of(
                    [asking[i] for i in chosen], [firsts[i] for i in chosen], heads, store
                )
                back[rows] = taken + found
                taken += len(block.asked)
                self._blocks.append(block)
        self._back = back.to(store.device)
        self._alone = len(asking) == 1 and tokens == len(where)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """query: (1, heads, T, width); key, value: (1, groups, T, width). Returns (1, T, heads, width)."""
        self._store.write(layer, self._where, key, value)
        if self._alone:
            return self._attend_alone(layer, query, scale)
        own, own_weight = self._own(layer, query, scale)
        shared, shared_weight = self._shared(layer, query, scale)
        return _merged(own, own_weight, shared, shared_weight)[None]

    def _attend_alone(self, layer: int, query: torch.Tensor, scale: float) -> torch.Tensor:
        """What a single answer says: nothing has to be put in order, so that a step of it is short."""
        (block,), ((prefix, _),) = self._blocks, self._under
        _, heads, tokens, width = query.shape
        asked = query.reshape(1, self._groups, -1, width)
        keys, values = self._store.read(layer, block.places, block.columns)
        own, own_weight = attention_with_weight(asked, keys, values, scale, block.bias)
        shared, shared_weight = attention_with_weight(asked, *prefix.layers[layer], scale)
        found = _merged(own, own_weight, shared, shared_weight)
        return found.reshape(1, heads, tokens, -1).transpose(1, 2)

    def _own(
        self, layer: int, query: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the tokens' own answers say, (T, heads, width), and the weight's logarithm, (T, heads)."""
        _, heads, tokens, width = query.shape
        rows = query[0].transpose(0, 1).reshape(-1, width)
        found, weights = [], []
        for block in self._blocks:
            keys, values = self._store.read(layer, block.places, block.columns)
            asked = rows.index_select(0, block.asked).view(len(keys), self._groups, -1, width)
            said, weight = attention_with_weight(asked, keys, values, scale, block.bias)
            found.append(said.reshape(-1, said.shape[-1]))
            weights.append(weight.reshape(-1))
        return (
            _joined(found).index_select(0, self._back).view(tokens, heads, -1),
            _joined(weights).index_select(0, self._back).view(tokens, heads),
        )

    def _shared(
        self, layer: int, query: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of the prefixes."""
        _, heads, _, width = query.shape
        found, weights, first = [], [], 0
        for prefix, count in self._under:
            asked = query[:, :, first : first + count].reshape(1, self._groups, -1, width)
            said, weight = attention_with_weight(asked, *prefix.layers[layer], scale)
            found.append(said.reshape(heads, count, -1).transpose(0, 1))
            weights.append(weight.reshape(heads, count).T)
            first += count
        return _joined(found), _joined(weights)


def _block_of(
    asking: Sequence[Asking], firsts: Sequence[int], heads: int, store: Store
) -> tuple[_Block, torch.Tensor, torch.Tensor]:
    """A block of these answers, whose first tokens in the step are `firsts`.

    Returns
    -------
    The block, the (token, head) rows that ask in it, and where in it each of them does.
    """
    counts = torch.tensor([one.count for one in asking])
    begins = torch.tensor([one.begin for one in asking])
    width, columns = int(counts.max()), rounded(int((begins + counts).max()))
    taken = [one.place for one in asking]
    lowest = min(taken)
    span = 1 + max(taken) - lowest
    # Places side by side need not be copied together, even if some between them do not ask.
    dense = 2 * len(asking) >= span
    places = span if dense else len(asking)
    line = torch.tensor([place - lowest for place in taken] if dense else [*range(len(asking))])

    steps = torch.arange(width)
    within = torch.minimum(steps, counts[:, None] - 1)  # an answer's last token fills its line
    token = torch.zeros(places, width, dtype=torch.long)
    last = torch.zeros(places, width, dtype=torch.long)
    token[line] = torch.tensor(firsts)[:, None] + within
    last[line] = begins[:, None] + within
    bias = torch.zeros(places, 1, width, columns, dtype=store.dtype)
    bias.masked_fill_(torch.arange(columns) > last[:, None, :, None], -torch.inf)

    # In the order (place, head, width): a group's heads lie side by side.
    asked = token[:, None] * heads + torch.arange(heads)[:, None]
    number = torch.arange(asked.numel()).view(asked.shape)
    real = (steps < counts[:, None])[:, None].expand(-1, heads, -1)
    block = _Block(
        slice(lowest, lowest + span) if dense else torch.tensor(taken, device=store.device),
        columns,
        asked.flatten().to(store.device),
        bias.repeat(1, 1, heads // store.groups, 1).to(store.device),
    )
    return block, asked[line][real], number[line][real]


def _merged(
    own: torch.Tensor, own_weight: torch.Tensor, shared: torch.Tensor, shared_weight: torch.Tensor
) -> torch.Tensor:
    """What both parts say together: each counts as much as its exponentials do."""
    part = torch.sigmoid(shared_weight - own_weight).to(own.dtype)
    return torch.lerp(own, shared, part[..., None])


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def attention_with_weight(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention, and the logarithm of the sum of its exponentials in float32.

    Parameters
    ----------
    query: (B, H, T, width)
    key, value: (B, H, K, width)
    bias: (B or 1, H or 1, T, K), added to the scores.

    Returns
    -------
    (B, H, T, width) and (B, H, T)
    """
    if query.device.type == "cpu" and query.shape[-1] == value.shape[-1]:
        # What `scaled_dot_product_attention` calls; it throws the sums away.
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        found: tuple[torch.Tensor, torch.Tensor] = flash(
            query, key, value, 0.0, False, attn_mask=bias, scale=scale
        )
        return found
    scores = torch.matmul(query.float(), key.float().transpose(-1, -2)).mul_(scale)
    if bias is not None:
        scores += bias
    weight = torch.logsumexp(scores, dim=-1)
    chances = torch.exp_(scores.sub_(weight[..., None])).to(value.dtype)
    return torch.matmul(chances, value), weight


def use(model: Any) -> None:
    """Let `model` attend this way wherever it is given a `Step`.

    Raises
    ------
    FcrayError: It cannot.
    """
    attention.use(model, NAME, OPTION, _attend)
    if not attention.is_used(model, NAME):
        raise FcrayError(f"{type(model).__name__} computes its attention in a way of its own")


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    step: Step,
    scale: float,
    options: dict[str, Any],
) -> torch.Tensor:
    for name in ("softcap", "s_aux"):
        if options.get(name) is not None:
            raise FcrayError(f"this model's attention has a {name}, which the engine does not know")
    if (window := options.get("sliding_window")) and window < step.longest:
        raise FcrayError(f"this model's attention sees {window} tokens, fewer than {step.longest}")
    return step.attend(module.layer_idx, query, key, value, scale)
