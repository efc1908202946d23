"""The main job: data → before → sweep → gate → registry, and the record of what happened.

Each phase keeps its result in the run's folder, so a job that was ended goes on where it stopped. Knows
nothing of printing: progress goes to a `Reporter`.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from fcray import models
from fcray.dataset.build import Dataset, build
from fcray.errors import FcrayError
from fcray.evaluation.pool import EvaluationPool
from fcray.gate import Gate
from fcray.metrics import Scores, score
from fcray.promotion import Verdict
from fcray.registry import Manifest, Registry
from fcray.spec import SweepSpec
from fcray.sweep import run as sweep
from fcray.sweep.memory import check_memory
from fcray.sweep.search import StudyTrial, sampler_for
from fcray.sweep.space import check_search
from fcray.tracking.mistakes import mistakes
from fcray.tracking.record import (
    Condition,
    CurvePoint,
    LossPoint,
    PromotedRecord,
    RunRecord,
    ScoreRecord,
    TrialRecord,
)
from fcray.tracking.report import write_report
from fcray.tracking.wandb_run import SweepTracker
from fcray.tracking.wording import STAGES

_PACKAGES = ("fcray", "ray", "torch", "transformers", "peft", "bitsandbytes", "optuna", "wandb")


class Reporter(sweep.Observer, Protocol):
    """What is told of a job while it runs."""

    def phase(self, name: str) -> None: ...

    def note(self, text: str) -> None: ...


class Job:
    """One run of the main job in its folder.

    Parameters
    ----------
    spec: What to do.
    reporter: Who is told.
    force: Go on in a folder that was begun with another spec.

    Raises
    ------
    UserError: The spec cannot be searched (see `check_search`), the sampler cannot be made, or the folder
        holds a run with another spec.

    Attributes
    ----------
    resumed: Whether an earlier run of this job was ended before its end; of a killed one's last phase
        nobody knows how long it took.
    finished: Whether an earlier run came to its end.
    """

    def __init__(self, spec: SweepSpec, reporter: Reporter, *, force: bool = False) -> None:
        self.spec = spec
        check_search(spec)
        sampler_for(spec)  # one that cannot be made is refused now
        self.folder = sweep.find_folder(spec, force=force)
        self.registry = Registry(spec.promotion.registry)
        self._reporter = reporter
        self.record = self._begin()

    def _begin(self) -> RunRecord:
        self.finished = self.resumed = False
        record = RunRecord(name=self.spec.name, date=datetime.now(UTC))
        if self.folder.summary.is_file():
            record = RunRecord.read(self.folder.summary)
            self.finished = bool(record.phases.get("report"))
            self.resumed = not self.finished
        record.objective = self.spec.model_dump(mode="json")["objective"]
        return record

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase. A resumed job adds to what it took before; a finished one keeps the longer."""
        self._reporter.phase(name)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            with suppress(OSError):  # of a full disk; what ended the phase is said
                self._count(name, time.monotonic() - began)
            raise
        self._count(name, time.monotonic() - began)

    def _count(self, name: str, now: float) -> None:
        before = self.record.phases.get(name) or 0.0
        spent = max(now, before) if self.finished else now + before
        self.record.phases = self.record.phases | {name: round(spent, 2)}
        if self.folder.spec.is_file():
            self.save()

    def save(self) -> None:
        """Write summary and report."""
        self.record.machine = machine()
        self.record.versions = versions()
        self.record.paths = self.record.paths | {
            "run": str(self.folder.path),
            "report": str(self.folder.report),
            "wandb": str(self.folder.path / "wandb"),
        }
        self.record.write(self.folder.summary)
        self.folder.try_push()  # the last copy must succeed

    def prepare(self) -> Dataset:
        """The base model in the cache and the examples in the folder.

        Nothing is written to the run's folder before both are known to be good.
        """
        with self.phase("data"):
            models.resolve(self.spec.model)
            built = build(self.spec.data)
            if not self.finished:
                slots = sweep.trial_slots(self.spec, self.spec.budget.trials)
                if advice := check_memory(self.spec, built.train, slots):
                    self._reporter.note(advice)
            sweep.make_folder(self.spec, self.folder)
            return sweep.keep_dataset(self.spec, self.folder, built)

    def check_room(self) -> None:
        """Refuse at once what the current Ray can never start.

        Raises
        ------
        UserError: A trial or an evaluation actor asks for more than any node has.
        """
        sweep.trial_slots(self.spec, self.spec.budget.trials)

    def run(self) -> tuple[Dataset, Manifest | None]:
        """All phases up to promotion, on the current Ray; returns the data, and the version promoted.

        Raises
        ------
        UserError: The spec does not fit the cluster or the machine.
        FcrayError: The sweep has no result.
        """
        self.check_room()
        data = self.prepare()
        self.before(data)
        _, manifest = self.promote(data, self.sweep(data))
        return data, manifest

    def before(self, data: Dataset) -> None:
        """Score the base model without an adapter."""
        with self.phase("before"):
            outcomes = self._gate(data).answers("before", None, {"test": data.test})["test"]
            self.record.before = score_record(score(outcomes))

    def sweep(self, data: Dataset) -> list[StudyTrial]:
        """Run the trials that are left."""
        with self.phase("sweep"):
            started = time.time()
            pool = EvaluationPool(sweep.pool_config(self.spec), {"validation": data.validation})
            try:
                pool.wait_ready()
                trials = sweep.run_trials(
                    self.spec, self.folder, data, pool, self._reporter, started=started
                )
            finally:
                pool.close()
            first = min((t.started for t in trials if t.started), default=started)
            self.record.trials = [trial_record(t, first) for t in trials]
            self.record.importance = {**sweep.importance(self.spec, self.folder)}
            return trials

    def promote(
        self, data: Dataset, trials: list[StudyTrial], *, forced: str = ""
    ) -> tuple[Verdict, Manifest | None]:
        """Measure the best trial as served, hold it against the gate, and store it if it passes.

        Parameters
        ----------
        forced: Why it is to be promoted whatever the gate says; "" leaves it to the gate.
        """
        with self.phase("promote"):
            best = sweep.best_trial(trials)
            known = self.record.promoted.version if self.record.promoted else ""
            passage = self._gate(data).pass_through(best, known=known, forced=forced)
            self.record.after = score_record(passage.scores)
            self.record.mistakes = mistakes(passage.outcomes)
            self.record.verdict = passage.verdict.sentence
            self.record.advice = passage.verdict.advice
            self.record.conditions = [
                Condition(**condition.to_dict()) for condition in passage.verdict.conditions
            ]
            if manifest := passage.manifest:
                where = self.registry.where(manifest.version)
                self.record.promoted = PromotedRecord(version=manifest.version, path=where)
                self.record.paths = self.record.paths | {"adapter": where}
            return passage.verdict, passage.manifest

    def _gate(self, data: Dataset) -> Gate:
        return Gate(self.spec, self.folder, self.registry, data)

    def ended(self) -> list[StudyTrial]:
        """The trials of an earlier run of this job."""
        return sweep.ended(self.spec, self.folder)

    def finish(self) -> None:
        """Write the report and the sweep's own W&B run."""
        with self.phase("report"):
            self.save()
            write_report(self.folder.report, self.record)
            if problem := self.folder.try_push():
                raise FcrayError(f"{problem}; all is in {self.folder.path}")
            tracker = SweepTracker.open(
                self.spec.tracking,
                self.spec.name,
                self.spec.model_dump(mode="json"),
                self.folder.path,
            )
            tracker.write(self.record)
            tracker.finish()


def score_record(scores: Scores) -> ScoreRecord:
    """The part of `scores` that a run's record holds."""
    return ScoreRecord(
        intent_accuracy=scores.intent_accuracy,
        argument_f1=scores.argument_f1,
        frame_accuracy=scores.frame_accuracy,
        examples=scores.examples,
        intervals={name: (i.low, i.high) for name, i in scores.intervals.items()},
    )


def trial_record(trial: StudyTrial, started: float) -> TrialRecord:
    """A trial of the study as the run's record holds it; times count from `started`."""
    last = trial.results[-1] if trial.results else None
    return TrialRecord(
        number=trial.number,
        config=trial.config.model_dump(mode="json"),
        steps=last.step if last else 0,
        total_steps=last.total if last else 0,
        status=trial.status,
        scores=dict(last.scores) if last else {},
        curve=[
            CurvePoint.model_validate(
                {"step": r.step, "seconds": round(r.seconds - started, 1), **r.scores}
            )
            for r in trial.results
        ],
        losses=[
            LossPoint(step=step, loss=loss, stage=STAGES[stage - 1])
            for r in trial.results
            for step, stage, loss in r.losses
        ],
        started=trial.started - started if trial.started else None,
        finished=trial.finished - started if trial.finished else None,
        reason=trial.reason,
        node=last.node if last else "",
        alarms=[alarm for r in trial.results for alarm in r.alarms],
    )


def versions() -> dict[str, str]:
    """Of fcray and what its figures depend on."""
    return {name: version(name) for name in _PACKAGES}


def machine() -> dict[str, Any]:
    """What this machine is, as benchmarks and records state it."""
    import os

    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next(
            (x.partition(":")[2].strip() for x in lines if x.startswith("model name")), name
        )
    known = torch.cpu.get_capabilities()
    units = {"AMX": "amx_bf16", "AVX512-BF16": "avx512_bf16"}
    more = next((f" with {name}" for name, key in units.items() if known.get(key)), "")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability() + more,
        "gpus": gpus,
        "python": platform.python_version(),
        "system": platform.system(),
    }
