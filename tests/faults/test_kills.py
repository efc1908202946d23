"""Processes of a running sweep are killed for good: it goes on, from the last checkpoint."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from fcray.spec import BudgetSpec, ResourcesSpec
from tests.sweeps import Hooked, Silent, scored, swept

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(400)]

WORKER, DRIVER, EVALUATOR = "RayTrainWorker", "ImplicitFunc", "_Evaluator"
"""How Ray names the processes of a training worker, a trial's driver and an evaluation actor."""


def processes(name: str) -> list[psutil.Process]:
    """Those that this process has started, Ray's included."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(name: str) -> int:
    """SIGKILL to every process of that name; how many there were."""
    found = processes(name)
    for process in found:
        process.kill()
    return len(found)


@pytest.mark.parametrize("name", [WORKER, DRIVER])
def test_a_killed_trial_goes_on_from_its_checkpoint(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path, name: str
) -> None:
    reporter = Hooked(lambda: kill(name))
    (trial,) = swept(tiny_folder, tmp_path, reporter, budget=BudgetSpec(trials=1))
    assert reporter.result == 1
    assert trial.status == "completed"
    assert [result.step for result in trial.results] == [2, 4, 8]
    assert trial.results[0].begun == 0
    assert trial.results[-1].begun in (2, 4)
    assert scored(reporter) == [(0, 2), (0, 4), (0, 8)]
    assert all(Path(result.checkpoint).is_dir() for result in trial.results[-1:])


def test_killed_evaluation_actors_are_replaced(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path
) -> None:
    reporter = Hooked(lambda: kill(EVALUATOR))
    (trial,) = swept(tiny_folder, tmp_path, reporter, budget=BudgetSpec(trials=1))
    assert reporter.result >= 1
    assert trial.status == "completed"
    assert scored(reporter) == [(0, 2), (0, 4), (0, 8)]
    assert {result.begun for result in trial.results} == {0}


class Starved(Silent):
    """Kills every worker of trial 0, as a machine without memory does."""

    def __init__(self) -> None:
        super().__init__()
        self.killed = 0

    def trial_started(self, number: int, config: dict[str, Any]) -> None:
        super().trial_started(number, config)
        if number == 0:
            self._stop = threading.Event()
            threading.Thread(target=self._kill, daemon=True).start()

    def trial_ended(self, number: int) -> None:
        super().trial_ended(number)
        self._stop.set()

    def _kill(self) -> None:
        while not self._stop.wait(0.05):
            self.killed += kill(WORKER)


def test_a_trial_that_always_dies_is_marked_and_the_next_one_runs(
    ray_cluster: None, tiny_folder: Path, tmp_path: Path
) -> None:
    reporter = Starved()
    changes = {"budget": BudgetSpec(trials=2), "resources": ResourcesSpec(cpus=os.cpu_count() or 1)}
    trials = swept(tiny_folder, tmp_path, reporter, **changes)
    assert [trial.status for trial in trials] == ["failed", "completed"]
    assert re.match(
        r"(the training worker failed 3 times|Ray Train failed): \w+Error: ", trials[0].reason
    )
    assert 1 <= reporter.killed <= 12
    assert swept(tiny_folder, tmp_path, Silent(), **changes) == trials
