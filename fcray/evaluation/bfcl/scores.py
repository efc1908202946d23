"""How many of BFCL's questions were answered rightly, by category and as the leaderboard's mean.

"Non-Live AST" is the unweighted mean of four: simple, itself the unweighted mean of Python, Java and
JavaScript; multiple; parallel; parallel multiple. Irrelevance stands apart (`bfcl-eval` 2026.3.23,
`eval_checker/eval_runner_helper.py`, `summary_ast_non_live` and `calculate_unweighted_accuracy`). Report the
mean as "BFCL non-live AST", never as "BFCL overall". Knows nothing of files or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fcray.evaluation.bfcl.cases import CATEGORIES, SIMPLE, Case, bfcl_version, case_problem
from fcray.metrics import Interval, Outcome
from fcray.metrics.intervals import LEVEL

_RESAMPLES = 1000


@dataclass(frozen=True)
class CategoryScore:
    """How one category fared: passed / cases, with its 95 % bootstrap interval."""

    cases: int
    passed: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class BfclScores:
    """What is reported of BFCL.

    Attributes
    ----------
    categories: Category → its score, in the order of `CATEGORIES`.
    non_live_ast: See the module; None while a category of it is missing.
    interval: Its 95 % bootstrap interval, questions drawn within each category.
    version: Of the package whose questions were asked.
    """

    categories: dict[str, CategoryScore]
    non_live_ast: float | None
    interval: Interval | None
    version: str

    def to_dict(self) -> dict[str, object]:
        """The scores as JSON holds them."""
        return asdict(self)


def bfcl_scores(cases: Mapping[str, Sequence[Case]], outcomes: Sequence[Outcome]) -> BfclScores:
    """Score the answers to `cases`.

    Parameters
    ----------
    cases: Category → its questions.
    outcomes: One for every question, in any order.

    Raises
    ------
    ValueError: A question has no outcome.
    """
    answered = {outcome.example.id: outcome for outcome in outcomes}
    asked = {category: cases[category] for category in CATEGORIES if cases.get(category)}
    for case in (case for some in asked.values() for case in some):
        if case.example.id not in answered:
            raise ValueError(f"there is no outcome for {case.example.id!r}")
    passed = {
        category: sum(not case_problem(case, answered[case.example.id]) for case in some)
        for category, some in asked.items()
    }
    shares = {category: count / len(asked[category]) for category, count in passed.items()}
    dice = np.random.default_rng(0)
    # To draw passed and failed questions anew, with replacement, is to draw from a binomial.
    drawn = {
        category: dice.binomial(len(asked[category]), share, _RESAMPLES) / len(asked[category])
        for category, share in shares.items()
    }
    means = _non_live_ast(drawn)
    return BfclScores(
        categories={
            category: CategoryScore(
                len(some), passed[category], shares[category], _interval(drawn[category])
            )
            for category, some in asked.items()
        },
        non_live_ast=_non_live_ast(shares),
        interval=None if means is None else _interval(means),
        version=bfcl_version(),
    )


def _non_live_ast(shares: Mapping[str, Any]) -> Any:
    """The mean that the module tells of, of numbers or of arrays of them; None where one is missing."""
    others = ("multiple", "parallel", "parallel_multiple")
    if any(part not in shares for part in (*SIMPLE, *others)):
        return None
    simple = sum(shares[part] for part in SIMPLE) / len(SIMPLE)
    return (simple + sum(shares[part] for part in others)) / (1 + len(others))


def _interval(drawn: Any) -> Interval:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(float(low), float(high))
