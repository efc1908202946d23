"""Which trials go on: by asynchronous successive halving (ASHA, Li et al., arXiv 1810.05934), or by the
median rule (Golovin et al., Google Vizier, 2017).

Trials are compared at rungs, shares of their own steps, so that those that train longer are compared at the
same place of their schedules. Both rules are resumable: a new Tune run begins with the rungs of the old one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from fcray.spec import SchedulerSpec

RUNG = "rung"
"""Of a result: the number of the rung that the trial has reached, from 1; what schedulers call time."""

STEP = "global_step"
METRIC = "score"

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


class _End:
    """When every trial stops, whatever it scores.

    Parameters
    ----------
    last: The number of the last rung, where a trial is whole.
    """

    def __init__(self, last: int, known: Known, over: Over) -> None:
        self._last = last
        self._over = over
        self._whole = any(rung >= last for _, rung, _ in known)

    def __call__(self, result: dict[str, Any]) -> bool:
        """Whether the trial of this result stops: it failed, or time is up and another trial is whole."""
        if METRIC not in result:  # a letter about a failure
            return True
        self._whole = self._whole or result[RUNG] >= self._last
        return self._whole and result[RUNG] < self._last and self._over()


def _never() -> bool:
    return False


class Whole(FIFOScheduler):  # type: ignore[misc]
    """Lets every trial run to its end while there is time; parameters as of `ResumableAsha`."""

    def __init__(self, last: int, known: Known = (), over: Over = _never) -> None:
        super().__init__()
        self._ends = _End(last, known, over)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return TrialScheduler.STOP if self._ends(result) else TrialScheduler.CONTINUE


class ResumableMedian(Whole):
    """The median rule: a trial stops whose best score is below the median of the others' averages so far.

    Parameters
    ----------
    last: The number of the last rung.
    others: So many others must have reached the rung.
    known: Earlier results, to begin with.
    over: Whether time is up: then every trial stops, once there is a whole one.
    """

    def __init__(self, last: int, others: int, known: Known = (), over: Over = _never) -> None:
        known = list(known)
        super().__init__(last, known, over)
        self._others = others
        self._scores: dict[int, dict[int, float]] = {}
        for number, rung, score in known:
            self._scores.setdefault(number, {})[rung] = score

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP or METRIC not in result:
            return decision
        number, rung = trial.config["number"], result[RUNG]
        own = self._scores.setdefault(number, {})
        own[rung] = result[METRIC]
        averages = [
            statistics.fmean(score for at, score in scores.items() if at <= rung)
            for other, scores in self._scores.items()
            if other != number and max(scores) >= rung
        ]
        behind = len(averages) >= self._others and max(own.values()) < statistics.median(averages)
        return TrialScheduler.STOP if behind and rung < self._ends._last else decision


class ResumableAsha(AsyncHyperBandScheduler):  # type: ignore[misc]
    """ASHA on numbered rungs, made resumable and just.

    A new Tune run starts with the rungs of the old one. And the first trial to reach a rung always goes on in
    ASHA, compared with nobody: its place on the lower rungs is looked at again whenever it reports.

    Parameters
    ----------
    last: The number of the last rung.
    reduction: One in this many goes on.
    known: Earlier results, to begin with.
    over: Whether time is up: then every trial stops, once there is a whole one.
    """

    def __init__(self, last: int, reduction: float, known: Known = (), over: Over = _never) -> None:
        known = list(known)
        self._ends = _End(last, known, over)
        super().__init__(
            time_attr=RUNG,
            metric=METRIC,
            mode="max",
            max_t=last + 1,  # a whole trial ends by itself, its tracker closed
            grace_period=1,
            reduction_factor=reduction,
        )
        bracket = self._brackets[0]
        bracket._rungs = [(rung, {}) for rung in range(last - 1, 0, -1)]
        for number, rung, score in known:
            for milestone, recorded in bracket._rungs:
                if rung == milestone:
                    recorded[f"earlier_{number}"] = score

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Forget the resumed trial's own earlier entries: it competes with the others, not itself."""
        super().on_trial_add(tune_controller, trial)
        number = trial.config.get("number")
        for _, recorded in self._brackets[0]._rungs:
            if f"earlier_{number}" in recorded:
                recorded[trial.trial_id] = recorded.pop(f"earlier_{number}")

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if self._ends(result):
            return TrialScheduler.STOP
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.CONTINUE and self._fell_behind(trial.trial_id):
            return TrialScheduler.STOP
        return decision

    def _fell_behind(self, trial_id: str) -> bool:
        """Whether later arrivals have pushed the trial below the cutoff of a rung that it passed."""
        bracket = self._brackets[0]
        for _, recorded in bracket._rungs:
            others = {key: value for key, value in recorded.items() if key != trial_id}
            cutoff = bracket.cutoff(others)
            if trial_id in recorded and cutoff is not None and recorded[trial_id] < cutoff:
                return True
        return False
