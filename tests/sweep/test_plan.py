"""The plan of a sweep: what it says, what it would refuse, and that it starts nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray import console_plan
from fcray.spec import (
    BudgetSpec,
    Choice,
    EvaluationSpec,
    LogUniform,
    ModelSpec,
    ResourcesSpec,
    SamplerSpec,
    SchedulerSpec,
    SearchSpec,
    Simplex,
    SweepSpec,
    TrainingSpec,
)
from fcray.sweep.plan import A100, Plan, expected_trials, make_plan
from fcray.sweep.run import find_folder, make_folder
from fcray.sweep.space import shares_from_unit
from fcray.training.trainer import total_steps
from tests.sweeps import tiny_spec


@pytest.fixture
def spec(tiny_folder: Path, tmp_path: Path) -> SweepSpec:
    return tiny_spec(tiny_folder, tmp_path / "runs")


def test_a_plan_says_what_a_trial_costs(spec: SweepSpec, tmp_path: Path) -> None:
    plan = make_plan(spec)
    assert plan.refused == []
    assert plan.steps is not None
    assert plan.memory is not None
    assert plan.hours is not None
    assert plan.steps.rows == 48
    assert plan.steps.least == plan.steps.most == total_steps(48, spec.training)
    assert list(plan.steps.rungs) == [2, 4, 8]
    assert 0 < plan.steps.labels < plan.steps.tokens
    assert plan.hours.all == pytest.approx(3 * plan.hours.trial)
    assert 0 < plan.hours.expected < plan.hours.all
    assert len(plan.samples) == 200
    assert not (tmp_path / "runs").exists()
    facts = dict(console_plan.facts(plan))
    assert facts["steps of a trial"] == "8"
    assert "GiB" in facts["memory of the largest trial"]


def test_trials_may_be_of_different_lengths(spec: SweepSpec) -> None:
    search = spec.search.model_copy(update={"batch": Choice(choice=(2, 12))})
    plan = make_plan(spec.with_changes(search=search))
    assert plan.steps is not None
    assert (plan.steps.least, plan.steps.most) == (4, 24)


def test_where_no_gpu_is_an_a100_is_taken_and_its_absence_refused(spec: SweepSpec) -> None:
    plan = make_plan(spec.with_changes(resources=ResourcesSpec(gpus=1)))
    assert plan.room == A100
    assert plan.hours is not None
    assert "resources.gpus: 1 GPUs are asked for, this machine has 0" in plan.refused[0]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": ModelSpec(base="no/such-model-anywhere")}, "model.base: "),
    "space": (
        {"search": SearchSpec(), "budget": BudgetSpec(trials=9)},
        "budget.trials: nothing is swept",
    ),
    "sampler": ({"sampler": SamplerSpec(kind="no.such:Thing")}, "sampler.kind: cannot be imported"),
    "cpus": (
        {"evaluation": EvaluationSpec(cpus=4000)},
        "evaluation.cpus: 4000 CPUs are asked for",
    ),
    "cutoff": ({"training": TrainingSpec(cutoff=16)}, "training.cutoff: all 48 examples"),
    "storage": ({"storage": __file__}, f"storage: {__file__}/tiny cannot be written"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_refused_is_said(
    case: str, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    changes, message = REFUSED[case]
    plan = make_plan(spec.with_changes(**changes))
    assert len(plan.refused) == 1
    assert message in plan.refused[0]


def test_a_run_of_another_spec_is_refused(spec: SweepSpec) -> None:
    make_folder(spec, find_folder(spec))
    assert make_plan(spec).refused == []
    (reason,) = make_plan(spec.with_changes(training=TrainingSpec(batch=3))).refused
    assert "was started with another training.batch" in reason


def test_several_refusals_are_all_said(spec: SweepSpec) -> None:
    changes = {"sampler": SamplerSpec(kind="no.such:Thing"), "resources": ResourcesSpec(gpus=9)}
    assert len(make_plan(spec.with_changes(**changes)).refused) == 2


@pytest.mark.parametrize(
    ("scheduler", "trials"),
    [
        (SchedulerSpec(kind="none"), 8),
        (SchedulerSpec(grace=0.25, reduction=2), 8 * 0.25 + 4 * 0.25 + 2 * 0.5),
        (SchedulerSpec(kind="median", grace=0.25, reduction=2), 8 * 0.25 + 4 * 0.25 + 2 * 0.5),
        (SchedulerSpec(grace=0.1, reduction=10), 8 * 0.1 + 0.9),
    ],
)
def test_what_early_stopping_saves(
    scheduler: SchedulerSpec, trials: float, spec: SweepSpec
) -> None:
    made = spec.with_changes(scheduler=scheduler, budget=BudgetSpec(trials=8))
    assert expected_trials(made) == pytest.approx(trials)


@given(points=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20))
def test_every_point_has_its_place_in_the_triangle(points: list[tuple[float, float]]) -> None:
    shares = [shares_from_unit(*point) for point in points]
    lines = console_plan.triangle(shares, shares[:1])
    assert len(lines) == console_plan.HEIGHT + 4
    assert max(map(len, lines)) <= 4 * console_plan.HEIGHT + 1
    if points:
        assert any("*" in line for line in lines[1:-2])


def test_the_corners_of_the_triangle() -> None:
    lines = console_plan.triangle([], [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    assert lines[1].strip() == "*"
    assert lines[-3] == "*" + "_" * (4 * console_plan.HEIGHT - 1) + "*"


def test_the_space_in_words(spec: SweepSpec) -> None:
    search = SearchSpec(
        rank=Choice(choice=(8, 16)),
        learning_rate=LogUniform(log_uniform=(1e-4, 1e-2)),
        target_modules=Choice(choice=("all-linear", ["q_proj", "v_proj"])),
        shares=Simplex(minimum=0.1, when={"rank": 8}),
    )
    said = dict(console_plan.space(spec.with_changes(search=search)))
    assert said["rank"] == "8 | 16"
    assert said["learning_rate"] == "0.0001 to 0.01, in its logarithm"
    assert said["target_modules"] == "all-linear | [q_proj, v_proj]"
    assert said["shares"] == "shares of the three stages, each 10.0% or more, when rank is 8"
    assert said["alpha_multiple"] == "2, fixed"
    assert "epochs" not in said


def test_a_plan_starts_no_ray(spec: SweepSpec) -> None:
    import ray

    make_plan(spec)
    assert not ray.is_initialized()


def test_an_empty_plan_can_be_shown(spec: SweepSpec, capsys: pytest.CaptureFixture[str]) -> None:
    console_plan.show_plan(Plan(spec, []))
    assert "Plan of tiny" in capsys.readouterr().out


def test_the_shipped_schema_is_that_of_the_spec(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    made = subprocess.run(
        [sys.executable, "-m", "fcray.cli", "schema"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (root / "sweeps" / "schema.json").read_text(encoding="utf-8")
