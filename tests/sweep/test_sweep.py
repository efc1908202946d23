"""A sweep on a real local Ray with a tiny random model: whole, failing, interrupted and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from ray.tune.schedulers import TrialScheduler

from fcray.errors import UserError
from fcray.job import Job
from fcray.registry import CHAMPION
from fcray.spec import BudgetSpec, EvaluationSpec, LoraConfig, ResourcesSpec, SearchSpec
from fcray.sweep import scheduler
from fcray.sweep.run import find_folder, make_folder
from fcray.sweep.scheduler import ResumableAsha
from fcray.sweep.search import open_study, trials_of
from fcray.sweep.session import ray_session
from tests.sweep.conftest import tiny_spec

pytestmark = pytest.mark.ray

TINY = tiny_spec(Path("base"), Path("storage"))
"""For its name and its goals."""


class Silent:
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def phase(self, name: str) -> None:
        self.events.append(("phase", name))

    def note(self, text: str) -> None:
        self.events.append(("note", text))

    def trial_started(self, number: int, config: dict[str, Any]) -> None:
        self.events.append(("started", number))

    def trial_scored(self, number: int, step: int, score: float, scores: dict[str, float]) -> None:
        self.events.append(("scored", number, step))

    def trial_ended(self, number: int) -> None:
        self.events.append(("ended", number))


@pytest.mark.timeout(400)
def test_a_sweep_from_data_to_registry(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = LoraConfig(rank=8, target_modules=("no_such_module",))
    first = (LoraConfig(rank=8, learning_rate=2e-3), broken)
    spec = tiny_spec(tiny_folder, tmp_path, search=SearchSpec(first=first))
    reporter = Silent()
    job = Job(spec, reporter)
    data = job.prepare()
    job.before(data)
    trials = job.sweep(data)
    by_number = {trial.number: trial for trial in trials}
    assert sorted(by_number) == [0, 1, 2]
    assert by_number[2].status == "failed"
    assert "no_such_module" in by_number[2].reason
    assert by_number[0].status == "completed"
    assert [r.step for r in by_number[0].results] == [2, 4, 8]
    verdict, manifest = job.promote(data, trials)
    assert verdict.promoted
    assert manifest is not None
    assert manifest.version == "function_call_v1"
    assert job.registry.aliases() == {CHAMPION: "function_call_v1"}
    job.finish()
    summary = json.loads(job.folder.summary.read_text(encoding="utf-8"))
    assert {t["status"] for t in summary["trials"]} >= {"completed", "failed"}
    assert summary["promoted"]["version"] == "function_call_v1"
    assert job.folder.report.stat().st_size > 100_000
    assert reporter.events[0] == ("phase", "data")

    again = Job(spec, Silent())  # a finished job is not run again, nor promoted twice
    same = again.sweep(again.prepare())
    assert [t.results for t in same] == [t.results for t in trials]
    assert again.promote(data, same)[1] == manifest


@pytest.mark.timeout(300)
def test_training_goes_on_while_a_checkpoint_is_scored_elsewhere(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path
) -> None:
    """The scores and checkpoints are those of a worker that waits."""
    found = []
    for name, cpus in (("waits", 0.0), ("goes-on", 0.5)):
        spec = tiny_spec(
            tiny_folder,
            tmp_path / name,
            budget=BudgetSpec(trials=1),
            evaluation=EvaluationSpec(max_tokens=16, cpus=cpus),
        )
        job = Job(spec, Silent())
        (trial,) = job.sweep(job.prepare())
        assert trial.status == "completed"
        assert all(Path(result.checkpoint).is_dir() for result in trial.results[-1:])
        found.append([(r.step, r.rung, r.score, r.losses) for r in trial.results])
    assert found[0] == found[1]
    assert len(found[0]) == 3


class StopsFirst(ResumableAsha):
    """Stops trial 0 at its first result, whatever it is."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.STOP if trial.config["number"] == 0 else decision


@pytest.mark.timeout(300)
def test_a_stopped_trial_gives_its_cpus_back(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "ResumableAsha", StopsFirst)
    everything = ResourcesSpec(cpus=os.cpu_count() or 1)
    budget = BudgetSpec(trials=2)
    job = Job(tiny_spec(tiny_folder, tmp_path, resources=everything, budget=budget), Silent())
    trials = job.sweep(job.prepare())
    assert [(t.number, t.status) for t in trials] == [(0, "stopped"), (1, "completed")]


def test_more_cpus_than_the_machine_has_are_refused(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path
) -> None:
    spec = tiny_spec(tiny_folder, tmp_path, resources=ResourcesSpec(cpus=10_000))
    job = Job(spec, Silent())
    with pytest.raises(UserError, match=r"resources\.cpus: 10000 CPUs are asked for"):
        job.check_room()
    assert not job.folder.path.exists()


def test_a_changed_spec_does_not_go_on(tiny_folder: Path, tmp_path: Path) -> None:
    spec = tiny_spec(tiny_folder, tmp_path)
    make_folder(spec, find_folder(spec))
    changed = spec.with_changes(training=spec.training.model_copy(update={"batch": 3}))
    with pytest.raises(UserError, match=r"training\.batch"):
        find_folder(changed)
    make_folder(changed, find_folder(changed, force=True))
    budget = spec.budget.model_copy(update={"trials": 9})
    find_folder(changed.with_changes(budget=budget))  # more trials are no other run


def test_a_folder_that_cannot_be_written_is_said(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="storage"):
        spec = tiny_spec(tiny_folder, tmp_path / "file")
        make_folder(spec, find_folder(spec))


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
def running(spec_file: Path, marker: str) -> Iterator[subprocess.Popen[bytes]]:
    """`fcray sweep` in a process of its own; nothing of it outlives the block."""
    # Tests that run in the background inherit a SIGINT that is ignored; a terminal's is not.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "fcray.cli"]
    command += ["sweep", str(spec_file), "--json"]
    environment = {**os.environ, "FCRAY_TEST_MARKER": marker}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        for left in descendants(marker):
            left.kill()
        process.wait()


def write_spec(folder: Path, model: Path) -> Path:
    spec = tiny_spec(model, folder / "runs")
    values = spec.model_dump(mode="json")
    values["budget"] = {"trials": 2}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def scored_steps(folder: Path) -> int:
    journal = folder / "runs" / "tiny" / "study.journal"
    if not journal.is_file():
        return 0
    return sum(len(t.results) for t in trials_of(open_study(journal, TINY)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_ended_sweep_leaves_nothing_and_goes_on(
    tiny_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    spec_file = write_spec(tmp_path, tiny_folder)
    with running(spec_file, f"{tmp_path}-first") as process:
        wait_for(lambda: scored_steps(tmp_path) >= 1 or process.poll() is not None, 240)
        assert process.poll() is None
        process.send_signal(number)
        process.wait(timeout=60)
        # After a SIGKILL nobody can clean up but Ray itself: its processes notice and end.
        wait_for(lambda: not descendants(f"{tmp_path}-first"), 90)
        said = process.stderr.read().decode() if process.stderr else ""
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("fcray: stopped; the same command goes on from here\n")
    before = trials_of(open_study(tmp_path / "runs/tiny/study.journal", TINY))
    kept = {(t.number, r.step): r.checkpoint for t in before for r in t.results}
    assert kept
    with running(spec_file, f"{tmp_path}-second") as process:
        process.wait(timeout=300)
        assert process.returncode == 0, process.stderr and process.stderr.read().decode()
        wait_for(lambda: not descendants(f"{tmp_path}-second"), 60)
    trials = trials_of(open_study(tmp_path / "runs/tiny/study.journal", TINY))
    assert sorted(t.number for t in trials) == [0, 1]
    assert all(t.status in ("completed", "stopped") for t in trials)
    after = {(t.number, r.step): r.checkpoint for t in trials for r in t.results}
    assert all(after[key] == checkpoint for key, checkpoint in kept.items())
    steps = [r.step for r in trials[0].results]
    assert steps == sorted(set(steps))


def test_a_private_ray_ends_with_its_block() -> None:
    import ray

    if ray.is_initialized():
        pytest.skip("this process has a Ray already")
    with ray_session():
        assert ray.is_initialized()
    assert not ray.is_initialized()
