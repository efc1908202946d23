"""Tests of the one-to-one matching of calls."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from fcray.metrics import match_calls
from fcray.metrics.matching import assign
from fcray.tools import ToolCall, canonical_json

from .builders import call, call_lists


def test_each_gold_call_finds_its_own_prediction() -> None:
    gold = [call(city="Rome", day=1), call(city="Oslo", day=2)]
    predicted = [call(city="Oslo", day=2), call(city="Rome", day=3)]
    pairs = match_calls(predicted, gold)
    assert [pair.predicted for pair in pairs] == [predicted[1], predicted[0]]
    assert [pair.exact for pair in pairs] == [False, True]


def test_a_tie_goes_to_the_pair_that_is_equal_throughout() -> None:
    gold = [call(), call(x=1)]
    for predicted in ([call(), call(y=1)], [call(y=1), call()]):
        assert sum(pair.exact for pair in match_calls(predicted, gold)) == 1


def test_other_functions_never_pair() -> None:
    pairs = match_calls([call("g", x=1)], [call("f", x=1)])
    assert [(p.gold is None, p.predicted is None) for p in pairs] == [(False, True), (True, False)]
    assert [pair.name for pair in pairs] == ["f", "g"]


def test_missing_and_hallucinated_paths_are_named() -> None:
    (pair,) = match_calls([call(a=1, to=["x", "y"])], [call(a=1, to=["x"], b=2)])
    assert pair.missing == (("b",),)
    assert pair.hallucinated == (("to", 1),)
    assert (pair.shared, pair.gold_leaves, pair.predicted_leaves) == (2, 3, 3)


matrices = st.integers(1, 5).flatmap(
    lambda columns: st.lists(
        st.lists(st.integers(0, 9), min_size=columns, max_size=columns), min_size=1, max_size=5
    )
)


@given(matrices)
def test_assignment_is_the_best_of_all(weights: list[list[int]]) -> None:
    columns = assign(weights)
    used = [col for col in columns if col is not None]
    assert len(used) == len(set(used)) == min(len(weights), len(weights[0]))
    total = sum(weights[row][col] for row, col in enumerate(columns) if col is not None)
    assert total == _best_by_trying_all(weights)


def test_assignment_is_the_best_of_all_for_many_tables() -> None:
    dice = random.Random(0)
    for _ in range(200):
        weights = [[dice.randrange(30) for _ in range(6)] for _ in range(6)]
        total = sum(weights[row][col] for row, col in enumerate(assign(weights)) if col is not None)
        assert total == _best_by_trying_all(weights)


def _best_by_trying_all(weights: list[list[int]]) -> int:
    if len(weights) > len(weights[0]):
        weights = [list(line) for line in zip(*weights, strict=True)]
    orders = permutations(range(len(weights[0])), len(weights))
    return max(sum(weights[r][c] for r, c in enumerate(order)) for order in orders)


def test_assignment_is_exact_for_many_calls() -> None:
    size = 40
    weights = [
        [3 if (row * 7 + 3) % size == col else 2 for col in range(size)] for row in range(size)
    ]
    assert assign(weights) == [(row * 7 + 3) % size for row in range(size)]


@given(call_lists, call_lists)
def test_every_call_is_in_exactly_one_pair(gold: list[ToolCall], ours: list[ToolCall]) -> None:
    pairs = match_calls(ours, gold)
    assert _counted(p.gold for p in pairs if p.gold) == _counted(gold)
    assert _counted(p.predicted for p in pairs if p.predicted) == _counted(ours)


@given(call_lists)
def test_repeating_a_prediction_cannot_count_a_gold_call_twice(gold: list[ToolCall]) -> None:
    pairs = match_calls([*gold, *gold], gold)
    assert sum(p.shared for p in pairs) == sum(p.gold_leaves for p in pairs)
    assert sum(p.exact for p in pairs) == len(gold)


def _counted(calls: Iterable[ToolCall]) -> Counter[str]:
    return Counter(canonical_json([call.name, call.arguments]) for call in calls)
