"""A sweep on a real local Ray with a tiny random model: whole, failing, interrupted and resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.schedulers import TrialScheduler

from fcray.errors import UserError
from fcray.job import Job
from fcray.registry import CHAMPION
from fcray.spec import BudgetSpec, EvaluationSpec, LoraConfig, ResourcesSpec, SearchSpec
from fcray.sweep import scheduler
from fcray.sweep.run import find_folder, make_folder
from fcray.sweep.scheduler import ResumableAsha
from fcray.sweep.session import ray_session
from tests.sweeps import Silent, tiny_spec

pytestmark = pytest.mark.ray


def test_a_private_ray_ends_with_its_block() -> None:
    with ray_session():
        assert ray.is_initialized()
    assert not ray.is_initialized()


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
