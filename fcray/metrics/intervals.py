"""Percentile bootstrap intervals of scores that are functions of summed counts.

Knows nothing of function calling: it sees a table of counts, an example a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
"""The share of resamples that an interval holds."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def bootstrap_intervals(
    counts: Sequence[Sequence[float]],
    statistics: dict[str, Callable[[Sequence[float]], float]],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Interval]:
    """Percentile bootstrap (Efron 1979): examples are drawn with replacement, the sums are scored.

    Parameters
    ----------
    counts: Examples × counts. Whole examples are drawn, so counts of one example stay together.
    statistics: Name → function of the summed counts (the number of examples is put first); NaN where a
        draw has nothing that it measures, which is left out. One that is NaN in all draws has no interval.
    resamples: How many times to draw; 0 gives no intervals.
    seed: Seed of the draws; the same seed gives the same intervals.
    """
    if not counts or resamples <= 0:
        return {}
    table = np.asarray(counts, dtype=np.float64)
    size = len(table)
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(statistics)))
    for i in range(resamples):
        times = np.bincount(rng.integers(0, size, size), minlength=size)
        sums = [float(size), *(times @ table).tolist()]
        drawn[i] = [statistic(sums) for statistic in statistics.values()]
    tail = 100 * (1 - LEVEL) / 2
    found = {}
    for name, values in zip(statistics, drawn.T, strict=True):
        known = values[~np.isnan(values)]
        if len(known):
            low, high = np.percentile(known, [tail, 100 - tail])
            found[name] = Interval(float(low), float(high))
    return found
