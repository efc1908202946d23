"""Who goes on: ASHA's and the median rule's rungs, their memory, and the end of time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from fcray.spec import SchedulerSpec
from fcray.sweep.scheduler import (
    METRIC,
    RUNG,
    ResumableAsha,
    ResumableMedian,
    Whole,
    rung_shares,
    rung_steps,
    scheduler_for,
)

STOP, GO = TrialScheduler.STOP, TrialScheduler.CONTINUE


@given(total=st.integers(1, 10_000), grace=st.floats(0.001, 1), reduction=st.floats(1.1, 8))
def test_rungs_ascend_to_the_whole_run(total: int, grace: float, reduction: float) -> None:
    scheduler = SchedulerSpec(grace=grace, reduction=reduction)
    rungs = rung_steps(total, scheduler)
    steps, numbers = list(rungs), list(rungs.values())
    assert steps == sorted(set(steps))
    assert numbers == sorted(set(numbers))
    assert steps[0] >= 1
    assert (steps[-1], numbers[-1]) == (total, len(rung_shares(scheduler)))


def test_without_a_scheduler_only_the_end_is_scored() -> None:
    assert rung_steps(80, SchedulerSpec(kind="none")) == {80: 1}
    assert rung_steps(80, SchedulerSpec(grace=0.25, reduction=2)) == {20: 1, 40: 2, 80: 3}


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=f"id{number}", config={"number": number}, stopping_criterion={})


class Race:
    """A scheduler and its trials."""

    def __init__(self, scheduler: Any = None, **options: Any) -> None:
        self.scheduler = scheduler or ResumableAsha(3, 2, **options)
        self._trials: dict[int, Any] = {}

    def report(self, number: int, rung: int, score: float) -> str:
        if number not in self._trials:
            self._trials[number] = trial(number)
            self.scheduler.on_trial_add(None, self._trials[number])
        result = {RUNG: rung, METRIC: score}
        return str(self.scheduler.on_trial_result(None, self._trials[number], result))


def test_a_worse_trial_stops_at_the_rung() -> None:
    race = Race()
    assert race.report(0, 1, 0.8) == GO
    assert race.report(1, 1, 0.3) == STOP
    assert race.report(2, 1, 0.9) == GO


def test_the_first_to_arrive_is_judged_again_when_others_have_come() -> None:
    race = Race()
    assert race.report(0, 1, 0.3) == GO
    assert race.report(1, 1, 0.8) == GO
    assert race.report(0, 2, 0.35) == STOP


def test_a_whole_trial_ends_by_itself() -> None:
    race = Race()
    assert [race.report(0, rung, 0.5) for rung in (1, 2, 3)] == [GO, GO, GO]


def test_a_resumed_run_begins_with_the_rungs_of_the_old_one() -> None:
    race = Race(known=[(0, 1, 0.8), (0, 2, 0.9)])
    assert race.report(1, 1, 0.3) == STOP
    assert race.report(0, 3, 0.95) == GO


def test_a_resumed_trial_does_not_compete_with_itself() -> None:
    race = Race(known=[(0, 1, 0.8)])
    assert race.report(0, 2, 0.7) == GO


def late(kind: str) -> Any:
    """A scheduler whose time is up."""
    return scheduler_for(SchedulerSpec(kind=kind, grace=0.25), [], lambda: True)


@pytest.mark.parametrize("kind", ["asha", "median", "none"])
def test_when_time_is_up_trials_stop_once_one_is_whole(kind: str) -> None:
    race = Race(late(kind))
    if kind == "none":  # its first rung is the last one
        race = Race(Whole(3, over=lambda: True))
    assert race.report(0, 1, 0.5) == GO
    assert race.report(0, 3, 0.6) == GO
    assert race.report(1, 1, 0.9) == STOP


@pytest.mark.parametrize("kind", ["asha", "median", "none"])
def test_a_letter_without_a_score_ends_the_trial(kind: Any) -> None:
    scheduler = scheduler_for(SchedulerSpec(kind=kind), [], lambda: False)
    one = trial(0)
    scheduler.on_trial_add(None, one)
    assert scheduler.on_trial_result(None, one, {"failed": "no memory"}) == STOP


def test_one_rung_alone_works() -> None:
    assert Race(ResumableAsha(1, 2)).report(0, 1, 0.1) == GO


def test_a_trial_that_passed_a_rung_unseen_is_not_compared_there() -> None:
    race = Race()
    assert race.report(0, 2, 0.4) == GO
    assert race.report(1, 1, 0.3) == GO
    assert race.report(1, 2, 0.35) == STOP


def test_what_is_whole_is_not_stopped() -> None:
    race = Race(known=[(1, 1, 0.9), (1, 2, 0.9), (1, 3, 0.9)])
    assert race.report(0, 3, 0.1) == GO


def test_the_median_rule_stops_what_is_below_the_others_averages() -> None:
    race = Race(ResumableMedian(4, 3))
    for number, score in enumerate((0.4, 0.6, 0.5)):
        assert race.report(number, 1, score) == GO
    assert race.report(3, 1, 0.45) == STOP
    assert race.report(4, 1, 0.55) == GO


def test_the_median_rule_counts_a_trials_best_and_the_others_up_to_the_rung() -> None:
    known = [(n, rung, 0.3 * rung) for n in range(3) for rung in (1, 2, 3)]
    race = Race(ResumableMedian(4, 3, known))
    assert race.report(9, 1, 0.4) == GO
    assert race.report(9, 2, 0.2) == STOP  # its best is 0.4, the others' averages 0.45
    assert race.report(8, 1, 0.7) == GO
    assert race.report(8, 3, 0.1) == GO


def test_the_median_rule_lets_a_whole_trial_end_by_itself() -> None:
    known = [(n, rung, 0.9) for n in range(3) for rung in (1, 2)]
    assert Race(ResumableMedian(2, 3, known)).report(9, 2, 0.1) == GO
