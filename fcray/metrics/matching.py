"""One-to-one matching of predicted calls to gold calls of the same function.

Knows nothing of averages. The matching is optimal for any number of calls: within a function name
it is the assignment problem, solved exactly by shortest augmenting paths (Kuhn 1955; Jonker and
Volgenant 1987), so no gold call can be counted twice and no order of calls is preferred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fcray.metrics.values import Key, Mode, Path, argument_keys
from fcray.tools import ToolCall


@dataclass(frozen=True, slots=True)
class CallPair:
    """A gold call and the predicted call matched to it; a call without a partner has None there.

    Attributes
    ----------
    shared: Leaves with equal path and value.
    gold_leaves, predicted_leaves: How many leaves each side's arguments have.
    missing: Paths that only the gold call has.
    hallucinated: Paths that only the predicted call has.
    """

    gold: ToolCall | None
    predicted: ToolCall | None
    shared: int = 0
    gold_leaves: int = 0
    predicted_leaves: int = 0
    missing: tuple[Path, ...] = ()
    hallucinated: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The function's name, which both sides share when both are there."""
        call = self.gold or self.predicted
        assert call is not None
        return call.name

    @property
    def matched(self) -> bool:
        return self.gold is not None and self.predicted is not None

    @property
    def exact(self) -> bool:
        """Function and every argument right."""
        return self.matched and self.shared == self.gold_leaves == self.predicted_leaves


@dataclass(frozen=True, slots=True)
class _Side:
    call: ToolCall
    keys: dict[Path, Key]


def match_calls(
    predicted: Sequence[ToolCall], gold: Sequence[ToolCall], mode: Mode = "normalised"
) -> tuple[CallPair, ...]:
    """Pair calls one to one; only calls of the same function may pair.

    The pairing has, in this order, the most leaves shared, the most pairs equal throughout, the
    fewest paths that only one side has, and the fewest that are missing. The sums of these are
    therefore independent of the order of the calls. Calls without a partner come as pairs with
    None on the other side.
    """
    pairs: list[CallPair] = []
    for name in dict.fromkeys(call.name for call in (*gold, *predicted)):
        golds = [_Side(c, argument_keys(c.arguments, mode)) for c in gold if c.name == name]
        ours = [_Side(c, argument_keys(c.arguments, mode)) for c in predicted if c.name == name]
        pairs += _match_one_function(ours, golds)
    return tuple(pairs)


def _match_one_function(predicted: list[_Side], gold: list[_Side]) -> list[CallPair]:
    if not predicted or not gold:
        return [_pair(None, g) for g in gold] + [_pair(p, None) for p in predicted]
    candidates = [[_pair(p, g) for p in predicted] for g in gold]
    unit = 1 + len(gold) + sum(len(side.keys) for side in (*gold, *predicted))
    columns = assign([[_weight(pair, unit) for pair in row] for row in candidates])
    pairs = [
        row[col] if col is not None else _pair(None, side)
        for row, col, side in zip(candidates, columns, gold, strict=True)
    ]
    taken = set(columns)
    return pairs + [_pair(side, None) for i, side in enumerate(predicted) if i not in taken]


def _weight(pair: CallPair, unit: int) -> int:
    """The criteria of `match_calls` in one number; `unit` is above every sum of a criterion."""
    missing, hallucinated = len(pair.missing), len(pair.hallucinated)
    return ((pair.shared * unit + pair.exact) * unit - missing - hallucinated) * unit - missing


def _pair(predicted: _Side | None, gold: _Side | None) -> CallPair:
    ours = predicted.keys if predicted else {}
    right = gold.keys if gold else {}
    return CallPair(
        gold=gold.call if gold else None,
        predicted=predicted.call if predicted else None,
        shared=sum(path in right and right[path] == key for path, key in ours.items()),
        gold_leaves=len(right),
        predicted_leaves=len(ours),
        missing=tuple(path for path in right if path not in ours),
        hallucinated=tuple(path for path in ours if path not in right),
    )


def assign(weights: Sequence[Sequence[int]]) -> list[int | None]:
    """The column given to each row so that the sum of `weights` is largest.

    Parameters
    ----------
    weights: Rows × columns of any sign, not empty. Every row gets a column of its own, or where
        rows outnumber columns, every column gets a row and the rows left over get None.
    """
    rows, columns = len(weights), len(weights[0])
    if rows == columns == 1:
        return [0]
    flipped = rows > columns
    cost = [[-w for w in line] for line in (zip(*weights, strict=True) if flipped else weights)]
    row_price, column_price = [0] * len(cost), [0] * len(cost[0])
    owner = [-1] * len(cost[0])
    for row in range(len(cost)):
        _place(row, cost, row_price, column_price, owner)
    if flipped:
        return [row if row >= 0 else None for row in owner]
    return [owner.index(row) for row in range(rows)]


def _place(
    row: int,
    cost: list[list[int]],
    row_price: list[int],
    column_price: list[int],
    owner: list[int],
) -> None:
    """Give `row` a column by the cheapest chain of moves of the rows placed before it.

    Dijkstra's search over reduced costs, which the prices keep from being negative; afterwards the
    prices are moved so that this still holds. `owner` maps column → row, -1 when it is free.
    """
    columns = range(len(owner))
    distance = [math.inf] * len(owner)
    came_from = [-1] * len(owner)
    settled: list[int] = []
    at, reached = row, -1
    base: float = 0
    while True:
        for col in columns:
            step = base + cost[at][col] - row_price[at] - column_price[col]
            if col not in settled and step < distance[col]:
                distance[col], came_from[col] = step, reached
        reached = min((c for c in columns if c not in settled), key=distance.__getitem__)
        base = distance[reached]
        if owner[reached] < 0:
            break
        settled.append(reached)
        at = owner[reached]
    row_price[row] += int(base)
    for col in settled:
        column_price[col] -= int(base - distance[col])
        row_price[owner[col]] += int(base - distance[col])
    while reached >= 0:
        before = came_from[reached]
        owner[reached] = owner[before] if before >= 0 else row
        reached = before
