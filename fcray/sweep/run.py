"""A whole sweep: data, evaluation pool, Tune with Optuna, and the record of it, resumable at any point.

The run's folder holds everything; running the same spec again goes on where it stopped. Knows nothing of
promotion, serving or printing: progress goes to an `Observer`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ray
import yaml
from ray import tune

from fcray.dataset import store
from fcray.dataset.build import Dataset
from fcray.errors import FcrayError, UserError, full_disk
from fcray.evaluation.pool import EvaluationPool, PoolConfig
from fcray.metrics import Outcome
from fcray.spec import SweepSpec
from fcray.sweep import groups
from fcray.sweep.folder import RunFolder, joined
from fcray.sweep.mailbox import Mailbox
from fcray.sweep.scheduler import HALTS, METRIC, RUNG, STEP, rung_shares, scheduler_for
from fcray.sweep.search import (
    StudySearch,
    StudyTrial,
    importances,
    mend_journal,
    open_study,
    trials_of,
)
from fcray.sweep.session import check_room
from fcray.sweep.trial import CRASHES, run_trial
from fcray.sweep.worker import TrialContext
from fcray.tracking.files import write_atomically

MOST_NAMED = 5
"""Differences between two specs that are named; the others are counted."""

DRIVER_MEMORY = 256 * 2**20
"""Bytes that a trial's driver process asks Ray for. It computes nothing, and a bundle may not be empty."""


PATIENCE = 60
"""Seconds that the last trials' processes have to end, before what they occupy is left to the job's end."""


class Observer(Protocol):
    """What is told of a sweep while it runs."""

    def sweep_started(self, trials: int, rungs: int, minutes: float | None) -> None: ...

    def trial_started(self, number: int, config: dict[str, Any]) -> None: ...

    def trial_scored(
        self, number: int, step: int, rung: int, score: float, scores: dict[str, float]
    ) -> None: ...

    def trial_ended(self, number: int) -> None: ...


def find_folder(spec: SweepSpec, *, force: bool = False) -> RunFolder:
    """The run's folder, whether it is there or not; a run that is resumed must have the same spec.

    Raises
    ------
    UserError: The folder holds a run with another spec, and `force` is not set; or a URL cannot be read.
    """
    try:
        folder = RunFolder.of(spec.storage, spec.name)
        folder.pull()
    except (OSError, ValueError, ImportError) as error:
        raise spec.error(f"cannot be read: {str(error).splitlines()[0]}", "storage") from None
    wanted = spec.model_dump(mode="json")
    if folder.spec.is_file() and not force:
        held = yaml.safe_load(folder.spec.read_text(encoding="utf-8"))
        different = sorted(_differences(held, wanted))
        if different:
            more = f" and {len(different) - MOST_NAMED} more" if len(different) > MOST_NAMED else ""
            raise spec.error(
                f"the run {folder.place} was started with another {', '.join(different[:MOST_NAMED])}{more}; "
                "give this one a new name, or use --force",
                *different[0].split("."),
            )
    return folder


def make_folder(spec: SweepSpec, folder: RunFolder) -> None:
    """Make the run's folder and put the spec there.

    Raises
    ------
    UserError: The folder cannot be written.
    """
    text = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.spec, text)
        folder.push()
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise spec.error(f"{folder.place} cannot be written: {reason}", "storage") from None


_MAY_CHANGE = ("budget", "serving", "tracking", "promotion")
"""Parts of a spec that a resumed run may change: they decide nothing about trials that have run."""


def _differences(held: Any, wanted: Any, at: str = "") -> list[str]:
    if at in _MAY_CHANGE:
        return []
    if isinstance(held, dict) and isinstance(wanted, dict):
        return [
            found
            for key in sorted({*held, *wanted})
            for found in _differences(held.get(key), wanted.get(key), f"{at}.{key}".lstrip("."))
        ]
    return [] if held == wanted else [at]


def keep_dataset(spec: SweepSpec, folder: RunFolder, built: Dataset) -> Dataset:
    """The run's examples: those in its folder, or `built`, which is then kept there.

    Raises
    ------
    UserError: The folder holds others, and trials have run on them.
    """
    mend_journal(folder.study)
    if folder.data.is_dir():
        held = store.read(folder.data)
        if held.sha256 == built.sha256:
            return held
        if trials_of(open_study(folder.study, spec)):
            raise UserError(
                "the catalogs changed since this run began; give the run a new name",
                file=folder.data,
            )
    store.write(built, folder.data)
    return built


def pool_config(spec: SweepSpec, *, threads: int | None = None) -> PoolConfig:
    """The pool that scores this sweep's checkpoints."""
    return PoolConfig(spec.model, spec.evaluation, threads=threads or _threads(spec))


def _threads(spec: SweepSpec) -> int:
    """Torch threads of an evaluation actor: while it scores, the trial that waits for it lends its own."""
    own = spec.evaluation.cpus or spec.resources.cpus
    return max(1, int(own))


def trial_slots(spec: SweepSpec, trials: int) -> int:
    """How many of `trials` run at a time on the current Ray.

    Raises
    ------
    UserError: The cluster has no room for a trial, or for an evaluation actor.
    """
    for part in ("evaluation", "resources"):
        asked = getattr(spec, part)
        slots = check_room(
            asked.cpus,
            asked.gpus,
            trials,
            lambda name, message, part=part: spec.error(message, part, name),
        )
    return slots


def run_trials(
    spec: SweepSpec,
    folder: RunFolder,
    data: Dataset,
    pool: EvaluationPool,
    observer: Observer,
    *,
    started: float,
) -> list[StudyTrial]:
    """Run the trials that the budget still allows; returns all trials of the run.

    Must be called inside `session.ray_session`.

    Raises
    ------
    UserError: The cluster has no room for a trial.
    FcrayError: No trial got a score, or the disk is full.
    """
    study = open_study(folder.study, spec)
    begun = trials_of(study)
    interrupted = sum(trial.status == "running" for trial in begun)
    unfinished = max(spec.budget.trials - len(begun) + interrupted, interrupted)
    if unfinished > 0:
        slots = trial_slots(spec, unfinished)
        mailbox = Mailbox()
        context = TrialContext(
            spec, str(folder.path), folder.place, ray.put(data.train), pool, mailbox
        )
        try:
            _tune(context, folder, study, slots, unfinished, observer, started)
        finally:
            mailbox.close()
    trials = trials_of(study)
    if not any(trial.results for trial in trials):
        reason = next((t.reason for t in trials if t.reason), "no trial was scored")
        raise FcrayError(f"the sweep has no result: {reason}")
    return trials


def ended(spec: SweepSpec, folder: RunFolder) -> list[StudyTrial]:
    """The trials of a run, none of which is run now.

    Raises
    ------
    UserError: There is no such run.
    """
    if not folder.study.is_file():
        raise spec.error(f"there is no run of this name in {spec.storage}", "name")
    mend_journal(folder.study)
    return trials_of(open_study(folder.study, spec))


@dataclass(frozen=True)
class _TimeIsUp:
    """Whether a sweep's minutes or GPU hours are over.

    Attributes
    ----------
    started: Of this command, in seconds since the epoch: a resumed sweep has its minutes anew.
    """

    study: Any
    spec: SweepSpec
    started: float

    def __call__(self) -> bool:
        budget = self.spec.budget
        if budget.minutes and time.time() > self.started + 60 * budget.minutes:
            return True
        if budget.gpu_hours is None:
            return False
        seconds = sum(trial.seconds for trial in trials_of(self.study))
        return seconds * self.spec.resources.gpus > 3600 * budget.gpu_hours


def _tune(
    context: TrialContext,
    folder: RunFolder,
    study: Any,
    slots: int,
    trials: int,
    observer: Observer,
    started: float,
) -> None:
    spec = context.spec
    known = [(t.number, r.rung, r.score) for t in trials_of(study) for r in t.results]
    over = _TimeIsUp(study, spec, started)
    observer.sweep_started(trials, len(rung_shares(spec.scheduler)), spec.budget.minutes)
    search = StudySearch(study, spec, last=len(rung_shares(spec.scheduler)), over=over)
    scheduler = scheduler_for(spec.scheduler, known, over)
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, context=context), {"memory": DRIVER_MEMORY}
    )
    callback = _Watch(observer, folder)
    tuner = tuner_for(trainable, folder, search, scheduler, callback, trials=trials, slots=slots)
    try:
        tuner.fit()
    except Exception as error:
        search.halted = search.halted or full_disk(error, [str(folder.path)])
        if not search.halted:
            raise
    groups.free_all(PATIENCE)  # what follows may need what the last trials occupied
    if search.halted:
        raise FcrayError(f"{search.halted}; make room, and the same command goes on from here")


def tuner_for(
    trainable: Any,
    folder: RunFolder,
    search: StudySearch,
    scheduler: Any,
    callback: tune.Callback,
    *,
    trials: int,
    slots: int,
) -> tune.Tuner:
    """Tune as a sweep uses it: `trials` more trials, `slots` at a time. Nobody needs what it keeps."""
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=scheduler,
            num_samples=trials,
            max_concurrent_trials=slots,
            reuse_actors=False,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=joined(folder.place, "tune"),
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=CRASHES),
            stop=_Halt(search),
            verbose=0,
        ),
    )


class _Halt(tune.Stopper):  # type: ignore[misc]
    """Ends the Tune run when a trial has said that the sweep cannot go on."""

    def __init__(self, search: StudySearch) -> None:
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(result.get(HALTS))

    def stop_all(self) -> bool:
        return bool(self._search.halted)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles it to restore a run; ours restores runs from the study instead."""
        return {}


class _Watch(tune.Callback):  # type: ignore[misc]
    """Tells the observer each result once, copies the study, and frees what ended trials occupied."""

    def __init__(self, observer: Observer, folder: RunFolder) -> None:
        self._observer = observer
        self._folder = folder
        self._keeper = groups.Keeper()
        self._steps: dict[int, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks to restore a run; ours restores runs from the study instead."""
        return {}

    def on_step_begin(self, iteration: int, trials: Any, **_: Any) -> None:
        """Tune's loop comes here many times a second, also while no trial finds a place."""
        self._keeper.look()

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        self._observer.trial_started(trial.config["number"], trial.config["config"])

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        number = trial.config["number"]
        self._folder.try_push()
        if "scores" in result and result[STEP] > self._steps.get(number, 0):
            self._steps[number] = result[STEP]
            scores = json.loads(result["scores"])
            step, rung, score = result[STEP], result[RUNG], result[METRIC]
            self._observer.trial_scored(number, step, rung, score, scores)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        self._folder.try_push()
        self._observer.trial_ended(trial.config["number"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        self._folder.try_push()
        self._observer.trial_ended(trial.config["number"])


def importance(spec: SweepSpec, folder: RunFolder) -> dict[str, float]:
    """Swept field → how much of the scores' differences it explains; {} where that cannot be told yet."""
    return importances(open_study(folder.study, spec))


def best_trial(trials: list[StudyTrial]) -> StudyTrial:
    """The trial with the highest score at its last checkpoint that is not failed.

    Raises
    ------
    FcrayError: No trial has a score.
    """
    scored = [t for t in trials if t.results and t.status != "failed"]
    if not scored:
        raise FcrayError("no trial has a score")
    return max(scored, key=lambda t: (t.results[-1].score, -t.number))


def save_outcomes(path: Path, outcomes: tuple[Outcome, ...]) -> None:
    """Keep outcomes as JSON lines, so that a resumed run need not measure them again."""
    rows = [
        {
            "id": o.example.id,
            "calls": [call.model_dump() for call in o.calls],
            "text": o.text,
            "valid": o.valid,
            "seconds": o.seconds,
            "prompt_tokens": o.prompt_tokens,
            "completion_tokens": o.completion_tokens,
        }
        for o in outcomes
    ]
    write_atomically(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def load_outcomes(path: Path, examples: tuple[Any, ...]) -> tuple[Outcome, ...] | None:
    """The outcomes kept at `path` for exactly these examples; None when there are none."""
    from fcray.tools import ToolCall

    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if [row.pop("id") for row in rows] != [example.id for example in examples]:
        return None
    return tuple(
        Outcome(example=example, **{**row, "calls": tuple(ToolCall(**c) for c in row["calls"])})
        for example, row in zip(examples, rows, strict=True)
    )
