"""A tiny sweep, in this process or in one of its own that can be killed, and what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from fcray.job import Job
from fcray.spec import (
    BudgetSpec,
    EvaluationSpec,
    LogUniform,
    LoraConfig,
    ModelSpec,
    PromotionSpec,
    ResourcesSpec,
    SearchSpec,
    Simplex,
    SweepSpec,
    TrackingSpec,
    TrainingSpec,
)
from fcray.sweep.search import StudyTrial, open_study, trials_of
from tests.dataset.catalogs import DATA, plain


def tiny_spec(model: Path, storage: Path, **changes: Any) -> SweepSpec:
    """A sweep of eight steps a trial on the tiny random model."""
    spec = SweepSpec(
        name="tiny",
        storage=str(storage),
        model=ModelSpec(base=str(model)),
        data=plain(DATA / "iot", DATA / "chat", train=48, validation=8, test=8),
        search=SearchSpec(
            learning_rate=LogUniform(log_uniform=(1e-4, 1e-2)),
            shares=Simplex(),
            first=(LoraConfig(rank=8, learning_rate=2e-3),),
        ),
        training=TrainingSpec(batch=6),
        budget=BudgetSpec(trials=3),
        resources=ResourcesSpec(cpus=1),
        evaluation=EvaluationSpec(max_tokens=16),
        promotion=PromotionSpec(
            intent_accuracy=0, argument_f1=0, registry=str(storage / "registry")
        ),
        tracking=TrackingSpec(wandb="disabled"),
    )
    return spec.with_changes(**changes)


class Silent:
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def phase(self, name: str) -> None:
        self.events.append(("phase", name))

    def note(self, text: str) -> None:
        self.events.append(("note", text))

    def sweep_started(self, trials: int, rungs: int, minutes: float | None) -> None:
        self.events.append(("sweep", trials, rungs))

    def trial_started(self, number: int, config: dict[str, Any]) -> None:
        self.events.append(("started", number))

    def trial_scored(
        self, number: int, step: int, rung: int, score: float, scores: dict[str, float]
    ) -> None:
        self.events.append(("scored", number, step))

    def trial_ended(self, number: int) -> None:
        self.events.append(("ended", number))


class Hooked(Silent):
    """Does something at the first score of the sweep, while everything is still there."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act
        self.result: Any = None

    def trial_scored(
        self, number: int, step: int, rung: int, score: float, scores: dict[str, float]
    ) -> None:
        super().trial_scored(number, step, rung, score, scores)
        if self.result is None:
            self.result = self._act()


def swept(model: Path, storage: Path, reporter: Silent, **changes: Any) -> list[StudyTrial]:
    job = Job(tiny_spec(model, storage, **changes), reporter)
    return job.sweep(job.prepare())


def scored(reporter: Silent) -> list[tuple[int, int]]:
    return [event[1:] for event in reporter.events if event[0] == "scored"]


def descendants(marker: str) -> list[psutil.Process]:
    """Every process that carries the marker in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FCRAY_TEST_MARKER") == marker:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition: Any, seconds: float) -> None:
    """Return when `condition()` holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about in time"
        time.sleep(0.1)


@contextmanager
def running(
    spec_file: Path, marker: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`fcray sweep` in a process of its own; nothing of it outlives the block."""
    # Tests that run in the background inherit a SIGINT that is ignored; a terminal's is not.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "fcray.cli"]
    command += ["sweep", str(spec_file), "--json"]
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {}), "FCRAY_TEST_MARKER": marker},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        for left in descendants(marker):
            left.kill()
        process.wait()


def said(process: subprocess.Popen[bytes]) -> str:
    """What an ended `fcray sweep` has put on standard error."""
    return process.stderr.read().decode() if process.stderr else ""


def write_spec(folder: Path, model: Path, **changes: Any) -> Path:
    """A file with a tiny sweep of two trials whose run lies in `folder/runs/tiny`."""
    values = tiny_spec(model, folder / "runs").model_dump(mode="json")
    values |= {"budget": {"trials": 2}, **changes}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def trials_in(folder: Path) -> list[StudyTrial]:
    """What is known of the trials of `write_spec`'s sweep, while it runs or after it."""
    journal = folder / "runs" / "tiny" / "study.journal"
    if not journal.is_file():
        return []
    return trials_of(open_study(journal, tiny_spec(Path("base"), Path("storage"))))


def results_in(folder: Path) -> int:
    """How many checkpoints it has scored."""
    return sum(len(trial.results) for trial in trials_in(folder))
