"""ASHA over global steps: its rungs, its memory, and its deadline."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from fcray.spec import SchedulerSpec
from fcray.sweep.scheduler import METRIC, TIME, ResumableAsha, rung_steps

STOP, GO = TrialScheduler.STOP, TrialScheduler.CONTINUE


@given(total=st.integers(1, 10_000), grace=st.floats(0.001, 1), reduction=st.floats(1.1, 8))
def test_rungs_ascend_to_the_whole_run(total: int, grace: float, reduction: float) -> None:
    rungs = rung_steps(total, SchedulerSpec(grace=grace, reduction=reduction))
    assert rungs == sorted(set(rungs))
    assert rungs[0] >= 1
    assert rungs[-1] == total


def test_without_a_scheduler_only_the_end_is_scored() -> None:
    assert rung_steps(80, SchedulerSpec(kind="none")) == [80]
    assert rung_steps(80, SchedulerSpec(grace=0.25, reduction=2)) == [20, 40, 80]


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=f"id{number}", config={"number": number}, stopping_criterion={})


class Race:
    """A scheduler and its trials."""

    def __init__(self, **options: Any) -> None:
        self.asha = ResumableAsha([20, 40, 80], 2, **options)
        self._trials: dict[int, Any] = {}

    def report(self, number: int, step: int, score: float) -> str:
        if number not in self._trials:
            self._trials[number] = trial(number)
            self.asha.on_trial_add(None, self._trials[number])
        return self.asha.on_trial_result(None, self._trials[number], {TIME: step, METRIC: score})


def test_a_worse_trial_stops_at_the_rung() -> None:
    race = Race()
    assert race.report(0, 20, 0.8) == GO
    assert race.report(1, 20, 0.3) == STOP
    assert race.report(2, 20, 0.9) == GO


def test_the_first_to_arrive_is_judged_again_when_others_have_come() -> None:
    race = Race()
    assert race.report(0, 20, 0.3) == GO
    assert race.report(1, 20, 0.8) == GO
    assert race.report(0, 40, 0.35) == STOP


def test_a_whole_trial_ends_by_itself() -> None:
    race = Race()
    assert [race.report(0, step, 0.5) for step in (20, 40, 80)] == [GO, GO, GO]


def test_a_resumed_run_begins_with_the_rungs_of_the_old_one() -> None:
    race = Race(known=[(0, 20, 0.8), (0, 40, 0.9)])
    assert race.report(1, 20, 0.3) == STOP
    assert race.report(0, 80, 0.95) == GO


def test_a_resumed_trial_does_not_compete_with_itself() -> None:
    race = Race(known=[(0, 20, 0.8)])
    assert race.report(0, 40, 0.7) == GO


def test_after_the_deadline_trials_stop_once_one_is_whole() -> None:
    race = Race(deadline=time.time() - 1)
    assert race.report(0, 20, 0.5) == GO
    assert race.report(0, 80, 0.6) == GO
    assert race.report(1, 20, 0.9) == STOP


def test_a_letter_without_a_score_ends_the_trial() -> None:
    asha = ResumableAsha([20, 80], 2)
    one = trial(0)
    asha.on_trial_add(None, one)
    assert asha.on_trial_result(None, one, {"failed": "no memory"}) == STOP


@pytest.mark.parametrize("rungs", [[1], [80]])
def test_one_rung_alone_works(rungs: list[int]) -> None:
    asha = ResumableAsha(rungs, 2)
    one = trial(0)
    asha.on_trial_add(None, one)
    assert asha.on_trial_result(None, one, {TIME: rungs[0], METRIC: 0.1}) == GO
