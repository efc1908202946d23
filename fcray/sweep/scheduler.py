"""Which trials go on: by asynchronous successive halving (ASHA, Li et al., arXiv 1810.05934), or by the
median rule (Golovin et al., Google Vizier, 2017).

Trials are compared at rungs, shares of their own steps, so that those that train longer are compared at the
same place of their schedules. Both rules are resumable: a new Tune run begins with the rungs of the old one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from fcray.spec import SchedulerSpec

RUNG = "rung"
"""Of a result: the number of the rung that the trial has reached, from 1; what schedulers call time."""

STEP = "global_step"
BEGUN = "begun_at"
"""Of a result: the step that the trial's worker went on from; not 0 where a trial was taken up again."""

METRIC = "score"
HALTS = "halts"
"""Key of a letter that ends the sweep, for what is no trial's fault; it says why."""

Known = Iterable[tuple[int, int, float]]
"""(trial's number, rung, score) of earlier results."""

Over = Callable[[], bool]
"""Whether the sweep's time is up."""


def rung_shares(scheduler: SchedulerSpec) -> list[float]:
    """The shares of its steps at which a trial is scored and may be stopped; the last is 1.

    The first is the grace period; each further one is `reduction` times the one before.
    """
    if scheduler.kind == "none":
        return [1.0]
    shares, at = [], scheduler.grace
    while at < 1 - 1e-9:
        shares.append(at)
        at *= scheduler.reduction
    return [*shares, 1.0]


def rung_steps(total: int, scheduler: SchedulerSpec) -> dict[int, int]:
    """Step → the number of its rung, for a trial of `total` steps; the last step is `total`.

    A short trial may have two rungs at one step: it is the higher one then.
    """
    steps = {
        max(1, round(total * share)): number
        for number, share in enumerate(rung_shares(scheduler), start=1)
    }
    return dict(sorted(steps.items()))


def scheduler_for(spec: SchedulerSpec, known: Known, over: Over) -> TrialScheduler:
    """What decides, as `spec` says, which trials go on."""
    last = len(rung_shares(spec))
    if spec.kind == "asha":
        return ResumableAsha(last, spec.reduction, known, over)
    if spec.kind == "median":
        return ResumableMedian(last, spec.others, known, over)
    return Whole(last, known, over)


def _never() -> bool:
    return False


class Whole(FIFOScheduler):  # type: ignore[misc]
    """Lets every trial run to its end while there is time.

    Parameters
    ----------
    last: The number of the last rung, where a trial is whole.
    known: Earlier results, to begin with.
    over: Whether time is up: then every trial stops, once there is a whole one.
    """

    def __init__(self, last: int, known: Known = (), over: Over = _never) -> None:
        super().__init__()
        self._last = last
        self._over = over
        self._rungs: dict[int, dict[int, float]] = {}
        for number, rung, score in known:
            self._note(number, rung, score)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if METRIC not in result:  # a letter about a failure
            return TrialScheduler.STOP
        number, rung = trial.config["number"], result[RUNG]
        self._note(number, rung, result[METRIC])
        if rung >= self._last:  # it ends by itself, its tracker closed
            return TrialScheduler.CONTINUE
        stops = self._is_behind(number, rung) or (self._last in self._rungs and self._over())
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def _note(self, number: int, rung: int, score: float) -> None:
        self._rungs.setdefault(rung, {})[number] = score

    def _is_behind(self, number: int, rung: int) -> bool:
        """Whether a trial is to stop at a rung for what others have scored."""
        return False


class ResumableAsha(Whole):
    """ASHA: at a rung one in `reduction` goes on.

    The first trial to reach a rung goes on, compared with nobody: its place on the rungs that it has passed
    is looked at again whenever it reports.
    """

    def __init__(self, last: int, reduction: float, known: Known = (), over: Over = _never) -> None:
        self._percentile = 100 * (1 - 1 / reduction)
        super().__init__(last, known, over)

    def _is_behind(self, number: int, rung: int) -> bool:
        for scores in self._rungs.values():
            others = [score for other, score in scores.items() if other != number]
            if number in scores and others and scores[number] < self._cutoff(others):
                return True
        return False

    def _cutoff(self, scores: list[float]) -> float:
        return float(np.percentile(scores, self._percentile))


class ResumableMedian(Whole):
    """The median rule: a trial stops whose best score is below the median of the others' averages so far.

    Parameters
    ----------
    others: So many others must have reached the rung.
    """

    def __init__(self, last: int, others: int, known: Known = (), over: Over = _never) -> None:
        self._others = others
        super().__init__(last, known, over)

    def _is_behind(self, number: int, rung: int) -> bool:
        passed = [scores for at, scores in self._rungs.items() if at <= rung]
        averages = [
            statistics.fmean(scores[other] for scores in passed if other in scores)
            for other in self._rungs[rung]
            if other != number
        ]
        best = max(scores[number] for scores in passed if number in scores)
        return len(averages) >= self._others and best < statistics.median(averages)
