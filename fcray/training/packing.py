"""Shared-prefix packing: many short requests under one long list of tools, in one sequence.

A pack is `prefix, row 1, row 2, …`. A token attends causally to the prefix and to its own row; position
ids restart after the prefix for every row. The loss and its gradients are those of the rows one by one,
at the cost of one prefix. Knows nothing of optimizers or data sources.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from fcray.prompting import RenderedExample, Span


@dataclass(frozen=True)
class Pack:
    """Rows that share a prefix.

    Attributes
    ----------
    prefix: Token ids that stand once, at the head.
    rows: Each a rendered example with this prefix.
    """

    prefix: tuple[int, ...]
    rows: tuple[RenderedExample, ...]

    def __len__(self) -> int:
        return len(self.prefix) + sum(_row_tokens(row) for row in self.rows)


@dataclass(frozen=True)
class PackTensors:
    """A pack of T tokens, L of them followed by a label, ready for a model.

    Attributes
    ----------
    input_ids, position_ids: (1, T).
    mask: (1, 1, T, T) bool; True where a token may attend.
    sources: (L,) positions whose hidden state predicts a label.
    labels: (L,) the token ids to be predicted.
    spans: (L,) the `Span` of each label.
    declined: (L,) bool; True where the label is a token that must not come, instead of one that must.
    segments: (start, end) of the prefix and of every row: what `mask` says in other words.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    mask: torch.Tensor
    sources: torch.Tensor
    labels: torch.Tensor
    spans: torch.Tensor
    declined: torch.Tensor
    segments: tuple[tuple[int, int], ...]


def _row_tokens(row: RenderedExample) -> int:
    return len(row.prompt.body) + len(row.answer) - 1  # the last token predicts nothing


def plan_steps(
    rows: Sequence[RenderedExample], *, batch: int, epochs: float, token_budget: int, seed: int
) -> list[tuple[Pack, ...]]:
    """Which rows make up each optimizer step, as packs of at most `token_budget` tokens.

    Each epoch visits every row once, in an order drawn from `seed`; rows of one step are grouped by
    their prefix. The last, partial epoch stops after its share of the steps.

    Parameters
    ----------
    rows: The training rows; none may be longer than `token_budget`.
    batch: Rows of an optimizer step.

    Raises
    ------
    ValueError: There are no rows, or a row alone exceeds the budget.
    """
    if not rows:
        raise ValueError("there are no rows to train on")
    per_epoch = -(-len(rows) // batch)
    total = max(1, round(per_epoch * epochs))
    steps: list[tuple[Pack, ...]] = []
    epoch = 0
    while len(steps) < total:
        order = list(range(len(rows)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for start in range(0, len(order), batch):
            chosen = [rows[i] for i in order[start : start + batch]]
            steps.append(tuple(pack_rows(chosen, token_budget)))
        epoch += 1
    return steps[:total]


def pack_rows(rows: Sequence[RenderedExample], token_budget: int) -> list[Pack]:
    """Group rows by prefix, then fill packs in order up to the budget."""
    groups: dict[tuple[int, ...], list[RenderedExample]] = defaultdict(list)
    for row in rows:
        groups[row.prompt.prefix].append(row)
    packs = []
    for prefix, members in groups.items():
        filled: list[RenderedExample] = []
        used = len(prefix)
        for row in members:
            size = _row_tokens(row)
            if len(prefix) + size > token_budget:
                raise ValueError(f"a row of {len(prefix) + size} tokens exceeds {token_budget}")
            if filled and used + size > token_budget:
                packs.append(Pack(prefix, tuple(filled)))
                filled, used = [], len(prefix)
            filled.append(row)
            used += size
        packs.append(Pack(prefix, tuple(filled)))
    return packs


MULTIPLE = 64
"""Training rounds the length of a packed sequence up to a multiple of this.

Lengths that are all different fragment the heap, and oneDNN makes and keeps a program for each: on a CPU a
step of 1.3 s became one of 1.9 s within 400.
"""


def tensors(pack: Pack, device: torch.device | str = "cpu", multiple: int = 1) -> PackTensors:
    """Lay out a pack; see `PackTensors` for the shapes.

    Parameters
    ----------
    multiple: T is rounded up to it with tokens that nobody sees and that have no label.
    """
    ids, positions, segments = (
        list(pack.prefix),
        list(range(len(pack.prefix))),
        [0] * len(pack.prefix),
    )
    sources: list[int] = []
    labels: list[int] = []
    spans: list[int] = []
    declined: list[bool] = []
    ends = [len(pack.prefix)]
    for number, row in enumerate(pack.rows, 1):
        first_source = len(ids) + len(row.prompt.body) - 1
        sources += range(first_source, first_source + len(row.answer))
        labels += row.answer
        spans += row.spans
        declined += [False] * len(row.answer)
        if row.declined is not None:
            sources.append(first_source)
            labels.append(row.declined)
            spans.append(Span.DECISION)
            declined.append(True)
        tokens = (*row.prompt.body, *row.answer[:-1])
        ids += tokens
        positions += range(len(pack.prefix), len(pack.prefix) + len(tokens))
        segments += [number] * len(tokens)
        ends.append(len(ids))
    filler = -len(ids) % multiple
    ids += [0] * filler
    positions += [0] * filler
    # Each of them sees itself, so that no row of the attention is empty.
    segments += range(len(pack.rows) + 1, len(pack.rows) + 1 + filler)
    segment = torch.tensor(segments, device=device)
    index = torch.arange(len(ids), device=device)
    visible = (segment[None, :] == 0) | (segment[None, :] == segment[:, None])
    return PackTensors(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        mask=(visible & (index[None, :] <= index[:, None]))[None, None],
        sources=torch.tensor(sources, device=device),
        labels=torch.tensor(labels, device=device),
        spans=torch.tensor(spans, device=device),
        declined=torch.tensor(declined, device=device),
        segments=tuple(pairwise((0, *ends))),
    )


def largest(packs: Sequence[Pack]) -> tuple[int, int]:
    """Most tokens of any pack, and most labels."""
    labels = max(sum(len(row.answer) for row in pack.rows) for pack in packs)
    return max(map(len, packs)), labels


def weight_of(packs: Sequence[Pack], weights: dict[Span, float]) -> float:
    """The sum of the label weights in `packs`: what a step's loss is divided by."""
    rows = [row for pack in packs for row in pack.rows]
    declined = sum(row.declined is not None for row in rows)
    return weights[Span.DECISION] * declined + sum(weights[s] for row in rows for s in row.spans)
