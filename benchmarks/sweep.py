"""What early stopping saves and what it costs. Run by `make bench-sweep`, which takes an hour on two cores.

A real sweep of twelve trials on the quickstart's space runs every trial to its end, scored at every rung;
then the scheduler is replayed over what was scored, in the order in which the trials ran and in a thousand
others. A run that was ended goes on where it stopped. The rows are fewer than the quickstart's: steps are
counted here, not minutes.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.result import Target, publish
from fcray.console_progress import Progress
from fcray.job import Job
from fcray.spec import SweepSpec
from fcray.sweep import run
from fcray.sweep.scheduler import METRIC, RUNG, Whole, rung_shares, scheduler_for
from fcray.sweep.search import StudyTrial
from fcray.sweep.session import ray_session

QUICKSTART = Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
TRIALS, ROWS, ORDERS = 12, 600, 1000
SHARE, POINTS = 0.45, 0.01
"""Steps that may be spent, of those of all trials run to their ends; and what the best may be worse by."""


@dataclass(frozen=True)
class Replayed:
    """What a scheduler made of the trials: its share of all steps, and how much worse its best one is."""

    share: float
    worse: float


@dataclass(frozen=True)
class _Trial:
    """As much of Tune's trial as schedulers look at."""

    config: dict[str, Any]


def replayed(spec: SweepSpec, trials: Sequence[StudyTrial]) -> Replayed:
    """Run `spec`'s scheduler over trials that ran to their ends, one after another in this order."""
    scheduler = scheduler_for(spec.scheduler, (), lambda: False)
    spent, found = 0, -1.0
    for trial in trials:
        for result in trial.results:
            letter = {METRIC: result.score, RUNG: result.rung}
            decision = scheduler.on_trial_result(None, _Trial({"number": trial.number}), letter)
            if decision == scheduler.STOP:
                break
        spent += result.step
        found = max(found, result.score)
    best = max(trial.results[-1].score for trial in trials)
    return Replayed(spent / sum(trial.results[-1].total for trial in trials), best - found)


def main(rows: int) -> None:
    spec = SweepSpec.read(QUICKSTART)
    spec = spec.with_changes(
        name=f"bench-sweep-{rows}",
        data=spec.data.model_copy(update={"train": rows}),
        budget=spec.budget.model_copy(update={"trials": TRIALS, "minutes": None}),
        tracking=spec.tracking.model_copy(update={"wandb": "disabled"}),
    )
    last = len(rung_shares(spec.scheduler))
    run.scheduler_for = lambda _, known, over: Whole(last, known, over)  # type: ignore[assignment]
    with Progress() as progress, ray_session():
        job = Job(spec, progress)
        trials = job.sweep(job.prepare())
    whole = [trial for trial in trials if trial.status == "completed"]
    own = replayed(spec, whole)
    dice = random.Random(0)
    others = [replayed(spec, dice.sample(whole, len(whole))) for _ in range(ORDERS)]
    figures = {
        "kind": "replayed over a real run",
        "rows": rows,
        "trials": len(whole),
        "steps of all trials": sum(trial.results[-1].total for trial in whole),
        "rungs, steps": [result.step for result in whole[0].results],
        "scores at the last rung": [round(trial.results[-1].score, 4) for trial in whole],
        "share of the steps, median of 1,000 orders": statistics.median(o.share for o in others),
        "share of the steps, most of 1,000 orders": max(o.share for o in others),
        "points worse, mean of 1,000 orders": statistics.fmean(100 * o.worse for o in others),
        "orders within a point": sum(o.worse <= POINTS for o in others) / ORDERS,
    }
    publish(
        "sweep",
        figures,
        [
            Target.at_most("share of the steps", own.share, SHARE),
            Target.at_most("worse than the best of all", own.worse, POINTS),
        ],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
