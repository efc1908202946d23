"""The benchmark's replay of a scheduler over trials that ran to their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sweep import replayed
from fcray.spec import LoraConfig, SchedulerSpec, SweepSpec
from fcray.sweep.search import Result, StudyTrial

QUICKSTART = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"


def trial(number: int, *scores: float) -> StudyTrial:
    """A whole trial that was scored at steps 25, 50 and 100."""
    results = tuple(
        Result(step, rung, 100, score, {}, "", [], 0.0)
        for rung, (step, score) in enumerate(zip((25, 50, 100), scores, strict=True), start=1)
    )
    return StudyTrial(number, LoraConfig(), "completed", "", None, None, 0.0, results)


def test_what_a_scheduler_saves_and_what_it_costs() -> None:
    scheduler = SchedulerSpec(kind="asha", grace=0.25, reduction=2)
    spec = SweepSpec.read(QUICKSTART).with_changes(scheduler=scheduler)
    good, bad, late = trial(0, 0.5, 0.6, 0.8), trial(1, 0.1, 0.2, 0.3), trial(2, 0.4, 0.5, 0.9)
    found = replayed(spec, [good, bad])
    assert (found.share, found.worse) == (pytest.approx(125 / 200), 0.0)
    found = replayed(spec, [good, bad, late])
    assert found.worse == pytest.approx(0.1)  # it was behind at its second rung
    assert found.share == pytest.approx(175 / 300)


def test_without_a_scheduler_nothing_is_saved() -> None:
    spec = SweepSpec.read(QUICKSTART).with_changes(scheduler=SchedulerSpec(kind="none"))
    found = replayed(spec, [trial(0, 0.1, 0.1, 0.1), trial(1, 0.2, 0.2, 0.2)])
    assert (found.share, found.worse) == (1.0, 0.0)
