"""Which trials go on: asynchronous successive halving (ASHA, Li et al., arXiv 1810.05934) over global steps.

Ray's ASHA, made resumable: a new Tune run starts with the rungs of the old one. And made just to
trials that were compared with nobody: the first to reach a rung always goes on in ASHA, so its place on
the lower rungs is looked at again whenever it reports.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from fcray.spec import SchedulerSpec

TIME = "global_step"
METRIC = "score"


def rung_steps(total: int, scheduler: SchedulerSpec) -> list[int]:
    """The steps at which trials are scored and may be stopped; the last is `total`.

    The first is the grace period; each further one is `reduction` times the one before.
    """
    if scheduler.kind == "none":
        return [total]
    steps, at = [], max(1.0, total * scheduler.grace)
    while round(at) < total:
        steps.append(round(at))
        at *= scheduler.reduction
    return [*dict.fromkeys(steps), total]


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.time() > deadline


class ResumableAsha(AsyncHyperBandScheduler):
    """ASHA on the steps of `rung_steps`.

    Parameters
    ----------
    rungs: The steps of the rungs, ascending; the last is the whole run.
    reduction: One in this many goes on.
    known: (trial number, step, score) of earlier results, to begin with.
    deadline: `time.time()` after which every trial stops, once there is a whole one.
    """

    def __init__(
        self,
        rungs: list[int],
        reduction: float,
        known: Iterable[tuple[int, int, float]] = (),
        deadline: float | None = None,
    ) -> None:
        known = list(known)
        self._deadline = deadline
        self._last = rungs[-1]
        self._whole = any(step >= self._last for _, step, _ in known)
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
            max_t=rungs[-1] + 1,  # a whole trial ends by itself, its tracker closed
            grace_period=1,
            reduction_factor=reduction,
        )
        bracket = self._brackets[0]
        bracket._rungs = [(step, {}) for step in reversed(rungs[:-1])]
        for number, step, score in known:
            for milestone, recorded in bracket._rungs:
                if step == milestone:
                    recorded[f"earlier_{number}"] = score

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Forget the resumed trial's own earlier entries: it competes with the others, not itself."""
        super().on_trial_add(tune_controller, trial)
        number = trial.config.get("number")
        for _, recorded in self._brackets[0]._rungs:
            if f"earlier_{number}" in recorded:
                recorded[trial.trial_id] = recorded.pop(f"earlier_{number}")

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if METRIC not in result:  # a letter about a failure
            return TrialScheduler.STOP
        self._whole = self._whole or result[TIME] >= self._last
        if self._whole and result[TIME] < self._last and _is_past(self._deadline):
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
