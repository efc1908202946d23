"""The search: Optuna asked and told through Ray Tune, with the study as the one record of the sweep.

Everything that a resumed run needs stands in Optuna's storage: configs, results, states. A trial that was
running when a run died is taken up again under its number, so it goes on from its checkpoint.
Ray's own OptunaSearch tells stopped trials as complete and leaves NaN trials running; here stopped
trials are PRUNED, failed and NaN trials FAIL, and none stays RUNNING.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

from fcray.spec import LoraConfig, SearchSpec
from fcray.sweep.scheduler import METRIC, TIME
from fcray.sweep.space import config_of, enqueue, sample, seed_points

_RESULTS = "results"
_REASON = "reason"


@dataclass(frozen=True)
class Result:
    """One scored checkpoint of a trial.

    Attributes
    ----------
    score: The objective.
    scores: Metric → value.
    checkpoint: Where the adapter lies.
    losses: (step, stage, loss) of the steps before it, thinned.
    seconds: When it was scored, in seconds since the epoch.
    alarms: What the health checks said since the checkpoint before.
    """

    step: int
    score: float
    scores: dict[str, float]
    checkpoint: str
    losses: list[tuple[int, int, float]]
    seconds: float
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyTrial:
    """A trial as the study knows it."""

    number: int
    config: LoraConfig
    status: str
    reason: str
    started: float | None
    finished: float | None
    results: tuple[Result, ...] = field(default=())


def open_study(path: Path, name: str, seed: int, trials: int) -> optuna.Study:
    """The study in the journal file at `path`, made when absent. `optuna-dashboard` opens the file."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.TPESampler(
        seed=seed,
        multivariate=True,
        constant_liar=True,
        n_startup_trials=max(4, min(10, trials // 3)),
    )
    return optuna.create_study(
        study_name=name, storage=storage, sampler=sampler, direction="maximize", load_if_exists=True
    )


_STATUS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def trials_of(study: optuna.Study) -> list[StudyTrial]:
    """The trials of a study that have begun, by number."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.WAITING or "config" not in trial.user_attrs:
            continue
        found.append(
            StudyTrial(
                number=trial.number,
                config=config_of(trial),
                status=_STATUS[trial.state],
                reason=str(trial.user_attrs.get(_REASON, "")),
                started=trial.datetime_start.timestamp() if trial.datetime_start else None,
                finished=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
                results=tuple(
                    Result(**r) for r in json.loads(trial.user_attrs.get(_RESULTS, "[]"))
                ),
            )
        )
    return found


class StudySearch(Searcher):  # type: ignore[misc]
    """Ray Tune's view of an Optuna study.

    Parameters
    ----------
    study: From `open_study`.
    search: The space.
    total_steps: Optimizer steps of a whole trial; fewer at the end mean that it was stopped.
    budget: How many trials there shall be, counted over all runs of the sweep.
    deadline: Wall time (`time.time()`) after which no new trial starts.
    """

    def __init__(
        self,
        study: optuna.Study,
        search: SearchSpec,
        *,
        total_steps: int,
        budget: int,
        deadline: float | None = None,
    ) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._study = study
        self._search = search
        self._total_steps = total_steps
        self._budget = budget
        self._deadline = deadline
        self._trials: dict[str, Any] = {}
        self._results: dict[str, list[Result]] = {}
        self._resume = [
            t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING
        ]
        if not study.get_trials(deepcopy=False):
            for point in seed_points(search)[:budget]:
                enqueue(study, point)

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config: an interrupted one's first, then what Optuna asks for."""
        if self._resume:
            frozen = self._resume.pop(0)
            trial = optuna.trial.Trial(self._study, frozen._trial_id)
            results = [Result(**r) for r in json.loads(trial.user_attrs.get(_RESULTS, "[]"))]
        else:
            begun = [t for t in self._study.get_trials(deepcopy=False) if t.state.name != "WAITING"]
            if len(begun) >= self._budget or (self._deadline and time.time() > self._deadline):
                return Searcher.FINISHED
            trial = self._study.ask()
            results = []
        config = sample(trial, self._search)
        self._trials[trial_id], self._results[trial_id] = trial, results
        return {"number": trial.number, "config": config.model_dump(mode="json")}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Store a scored checkpoint; a step that is known already is not stored twice."""
        if METRIC not in result or math.isnan(result[METRIC]):
            return
        known = self._results[trial_id]
        if known and result[TIME] <= known[-1].step:
            return
        scored = Result(
            step=result[TIME],
            score=result[METRIC],
            scores=json.loads(result["scores"]),
            checkpoint=result["checkpoint_path"],
            losses=json.loads(result["losses"]),
            seconds=time.time(),
            alarms=tuple(json.loads(result.get("alarms", "[]"))),
        )
        known.append(scored)
        trial = self._trials[trial_id]
        trial.report(scored.score, scored.step)
        trial.set_user_attr(_RESULTS, json.dumps([asdict(r) for r in known]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna how the trial ended: whole, stopped early, or failed."""
        if trial_id not in self._trials:
            return
        if result:
            self.on_trial_result(trial_id, result)
        trial, known = self._trials.pop(trial_id), self._results.pop(trial_id)
        reason = str((result or {}).get("failed", "")) or (
            "the trial's process failed" if error else ""
        )
        if reason or not known:
            trial.set_user_attr(_REASON, reason or "it ended without a result")
            self._study.tell(trial, state=TrialState.FAIL)
        elif known[-1].step < self._total_steps:
            late = self._deadline is not None and time.time() > self._deadline
            why = "the sweep's time was up" if late else "others were better there"
            trial.set_user_attr(_REASON, f"stopped at step {known[-1].step}: {why}")
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, known[-1].score)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is its own record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: `__init__` reads the study."""
