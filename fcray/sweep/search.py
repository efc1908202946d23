"""The search: Optuna asked and told through Ray Tune, with the study as the one record of the sweep.

Everything that a resumed run needs stands in Optuna's storage: configs, results, states. A trial that was
running when a run died is taken up again under its number, so it goes on from its checkpoint.
Ray's own OptunaSearch tells stopped trials as complete and leaves NaN trials running; here stopped
trials are PRUNED, failed and NaN trials FAIL, and none stays RUNNING.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import time
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState
from ray.tune.search import Searcher

from fcray.spec import COSTS, LoraConfig, SamplerSpec, SweepSpec
from fcray.sweep.scheduler import BEGUN, HALTS, METRIC, RUNG, STEP, Over
from fcray.sweep.space import config_of, enqueue, sample, seed_points
from fcray.tracking.record import score_of

_RESULTS = "results"
_REASON = "reason"
_SECONDS = "seconds"


@dataclass(frozen=True)
class Result:
    """One scored checkpoint of a trial.

    Attributes
    ----------
    rung: The number of the rung that it reached.
    total: Steps of the whole trial.
    score: The objective, or the first of several.
    scores: Metric → value.
    checkpoint: Where the adapter lies.
    losses: (step, stage, loss) of the steps before it, thinned.
    node: Where the worker ran.
    seconds: When it was scored, in seconds since the epoch.
    alarms: What the health checks said since the checkpoint before.
    begun: The step that its worker went on from: 0, or a checkpoint of one that was killed.
    """

    step: int
    rung: int
    total: int
    score: float
    scores: dict[str, float]
    checkpoint: str
    losses: list[tuple[int, int, float]]
    seconds: float
    node: str = ""
    alarms: tuple[str, ...] = ()
    begun: int = 0


@dataclass(frozen=True)
class StudyTrial:
    """A trial as the study knows it.

    Attributes
    ----------
    started, finished: In seconds since the epoch.
    seconds: How long it has run, over all commands, up to its last result.
    """

    number: int
    config: LoraConfig
    status: str
    reason: str
    started: float | None
    finished: float | None
    seconds: float
    results: tuple[Result, ...] = field(default=())


class _Journal(JournalFileBackend):
    """Optuna's journal, whose lines are written whole or not at all: a full disk leaves half a line.

    Nothing can be read behind such a line. The sweep is the one that writes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        whole = self._path.stat().st_size
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(self._path, whole)
            raise


def mend_journal(path: Path) -> None:
    """Cut a line off a journal that was being written when its process or the machine died.

    For whoever is about to write; readers leave such a line alone.
    """
    if not path.is_file():
        return
    with path.open("r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def open_study(path: Path, spec: SweepSpec) -> optuna.Study:
    """The study in the journal file at `path`, made when absent. `optuna-dashboard` opens the file.

    Raises
    ------
    UserError: The spec's sampler cannot be made, or the study has other goals.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(_Journal(path))
    directions = [
        StudyDirection.MINIMIZE if goal in COSTS else StudyDirection.MAXIMIZE for goal in spec.goals
    ]
    study = optuna.create_study(
        study_name=spec.name, storage=storage, directions=directions, load_if_exists=True
    )
    if study.directions != directions:
        raise spec.error("this run was begun with other goals; give it a new name", "objective")
    study.sampler = sampler_for(spec, len(study.get_trials(deepcopy=False)))
    return study


def sampler_for(spec: SweepSpec, known: int = 0) -> optuna.samplers.BaseSampler:
    """The sampler that `spec` names.

    Parameters
    ----------
    known: Trials that there are already: one that goes on must not draw what was drawn before.

    Raises
    ------
    UserError: There is no such class, or its options are not its own.
    """
    sampler = spec.sampler
    try:
        with warnings.catch_warnings():  # `group` is called experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = _sampler_class(sampler)(**_usual_options(spec, known) | sampler.options)
    except (ImportError, AttributeError) as error:
        raise spec.error(f"cannot be imported: {error}", "sampler", "kind") from None
    except (TypeError, ValueError) as error:
        raise spec.error(f"the sampler refuses them: {error}", "sampler", "options") from None
    if not isinstance(made, optuna.samplers.BaseSampler):
        raise spec.error("this is none of Optuna's samplers", "sampler", "kind")
    return made


def _sampler_class(sampler: SamplerSpec) -> Any:
    known = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "nsga2": optuna.samplers.NSGAIISampler,
    }
    if sampler.kind in known:
        return known[sampler.kind]
    module, _, name = sampler.kind.partition(":")
    return getattr(importlib.import_module(module), name)


def _usual_options(spec: SweepSpec, known: int) -> dict[str, Any]:
    """What the sampler gets where the spec says nothing; one by import path gets its options alone."""
    if ":" in spec.sampler.kind:
        return {}
    options: dict[str, Any] = {"seed": spec.sampler.seed + known}
    if spec.sampler.kind == "nsga2":  # Optuna's 50 are more than most sweeps have
        options["population_size"] = max(4, min(50, spec.budget.trials // 4))
    if spec.sampler.kind == "tpe":
        options |= {
            "multivariate": True,
            "group": True,  # else one trial without a field keeps it out of every joint sample
            "constant_liar": True,
            "n_startup_trials": max(4, min(10, spec.budget.trials // 3)),
        }
    return options


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
                seconds=trial.user_attrs.get(_SECONDS, 0.0),
                results=tuple(
                    Result(**r) for r in json.loads(trial.user_attrs.get(_RESULTS, "[]"))
                ),
            )
        )
    return found


def importances(study: optuna.Study) -> dict[str, float]:
    """Swept field → how much of the first goal's differences it explains, summing to 1 (PED-ANOVA).

    Watanabe, Bansal and Hutter, arXiv 2304.10255. Of whole trials only; {} where they are too few to tell.
    """
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study,
                evaluator=evaluator,
                target=lambda trial: -trial.values[0],  # less is better
            )
    except (ValueError, RuntimeError, ZeroDivisionError):  # no whole trials, or all of one score
        return {}
    fields: dict[str, float] = {}
    for name, part in found.items():
        field = name.removesuffix("_u1").removesuffix("_u2")  # the simplex has two
        fields[field] = fields.get(field, 0.0) + part
    known = all(math.isfinite(part) for part in fields.values())
    return fields if known and any(fields.values()) else {}


class StudySearch(Searcher):  # type: ignore[misc]
    """Ray Tune's view of an Optuna study.

    Parameters
    ----------
    study: From `open_study`.
    spec: Its space, its goals, and how many trials there shall be, counted over all runs of the sweep.
    last: The number of the last rung; a trial that ends before it was stopped.
    over: Whether time is up, after which no new trial starts.

    Attributes
    ----------
    halted: Why the sweep has to end before its trials do, where a trial said so.
    """

    def __init__(
        self,
        study: optuna.Study,
        spec: SweepSpec,
        *,
        last: int,
        over: Over,
    ) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._study = study
        self._spec = spec
        self._last = last
        self._over = over
        self._trials: dict[str, Any] = {}
        self._results: dict[str, list[Result]] = {}
        self._since: dict[str, float] = {}
        self.halted = ""
        self._resume = [
            t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING
        ]
        if not study.get_trials(deepcopy=False):
            for point in seed_points(spec.search):
                enqueue(study, point, spec.search)

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config: an interrupted one's first, then what Optuna asks for."""
        if self._resume and not self.halted:
            frozen = self._resume.pop(0)
            trial = optuna.trial.Trial(self._study, frozen._trial_id)
            results = [Result(**r) for r in json.loads(trial.user_attrs.get(_RESULTS, "[]"))]
        else:
            begun = [t for t in self._study.get_trials(deepcopy=False) if t.state.name != "WAITING"]
            if len(begun) >= self._spec.budget.trials or self._over() or self.halted:
                return Searcher.FINISHED
            trial = self._study.ask()
            results = []
        config = sample(trial, self._spec.search)
        self._trials[trial_id], self._results[trial_id] = trial, results
        self._since[trial_id] = time.time()
        return {"number": trial.number, "config": config.model_dump(mode="json")}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Store a scored checkpoint; one of a step that is known replaces a checkpoint that was torn."""
        self.halted = self.halted or str(result.get(HALTS, ""))
        if trial_id not in self._trials or METRIC not in result or math.isnan(result[METRIC]):
            return
        known = self._results[trial_id]
        if known and result[STEP] <= known[-1].step:
            self._replace_checkpoint(trial_id, result)
            return
        scored = Result(
            step=result[STEP],
            rung=result[RUNG],
            total=result["total_steps"],
            score=result[METRIC],
            scores=json.loads(result["scores"]),
            checkpoint=result["checkpoint_path"],
            losses=json.loads(result["losses"]),
            seconds=time.time(),
            node=result.get("node", ""),
            alarms=tuple(json.loads(result.get("alarms", "[]"))),
            begun=result.get(BEGUN, 0),
        )
        known.append(scored)
        trial = self._trials[trial_id]
        if len(self._study.directions) == 1:  # Optuna keeps no curves of several
            trial.report(scored.score, scored.rung)  # steps of trials of unequal lengths say less
        self._keep_results(trial_id)
        self._count_time(trial_id)

    def _replace_checkpoint(self, trial_id: str, result: dict[str, Any]) -> None:
        known, path = self._results[trial_id], result["checkpoint_path"]
        for index, one in enumerate(known):
            if one.step == result[STEP] and one.checkpoint != path:
                known[index] = replace(one, checkpoint=path)
                self._keep_results(trial_id)

    def _keep_results(self, trial_id: str) -> None:
        results = json.dumps([asdict(one) for one in self._results[trial_id]])
        self._trials[trial_id].set_user_attr(_RESULTS, results)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna how the trial ended: whole, stopped early, or failed."""
        if trial_id not in self._trials:
            return
        if result:
            self.on_trial_result(trial_id, result)
        if self.halted:  # it stays open, for the same command to go on with
            return
        self._count_time(trial_id)
        trial, known = self._trials.pop(trial_id), self._results.pop(trial_id)
        reason = str((result or {}).get("failed", "")) or (
            "the trial's process failed" if error else ""
        )
        if reason or not known:
            trial.set_user_attr(_REASON, reason or "it ended without a result")
            self._study.tell(trial, state=TrialState.FAIL)
        elif known[-1].rung < self._last:
            why = "the sweep's time was up" if self._over() else "others were better there"
            trial.set_user_attr(_REASON, f"stopped at step {known[-1].step}: {why}")
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._tell(trial, known[-1])

    def _count_time(self, trial_id: str) -> None:
        """Keep how long the trial has run; the time between two commands is not in it."""
        trial, now = self._trials[trial_id], time.time()
        spent = trial.user_attrs.get(_SECONDS, 0.0) + now - self._since[trial_id]
        self._since[trial_id] = now
        trial.set_user_attr(_SECONDS, spent)

    def _tell(self, trial: Any, result: Result) -> None:
        """The figures of a whole trial, one for each goal."""
        values = [score_of(result.scores, goal) for goal in self._spec.goals]
        if any(value is None for value in values):
            trial.set_user_attr(_REASON, "a figure that the objective asks for was not measured")
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, [value for value in values if value is not None])

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is its own record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: `__init__` reads the study."""
