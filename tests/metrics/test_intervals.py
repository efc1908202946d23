"""Tests of the bootstrap."""

from __future__ import annotations

import pytest

from fcray.metrics.intervals import bootstrap_intervals

MEAN = {"mean": lambda sums: sums[1] / sums[0]}


def test_the_interval_of_a_share_is_close_to_the_binomial_one() -> None:
    counts = [(1,)] * 80 + [(0,)] * 20
    interval = bootstrap_intervals(counts, MEAN, resamples=4000, seed=1)["mean"]
    assert interval.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015)
    assert interval.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_the_seed_decides() -> None:
    counts = [(i % 3,) for i in range(50)]
    first = bootstrap_intervals(counts, MEAN, resamples=50, seed=1)
    assert first == bootstrap_intervals(counts, MEAN, resamples=50, seed=1)
    assert first != bootstrap_intervals(counts, MEAN, resamples=50, seed=2)


def test_nothing_to_resample_gives_no_interval() -> None:
    assert bootstrap_intervals([], MEAN, resamples=10, seed=0) == {}
    assert bootstrap_intervals([(1,)], MEAN, resamples=0, seed=0) == {}
