"""The study as the one record of a sweep: states, results, and taking up what was interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from fcray.errors import UserError
from fcray.spec import (
    BudgetSpec,
    Choice,
    DataSpec,
    LogUniform,
    LoraConfig,
    SamplerSpec,
    SearchSpec,
    Simplex,
    SweepSpec,
)
from fcray.sweep.scheduler import METRIC, RUNG, STEP
from fcray.sweep.search import StudySearch, importances, open_study, sampler_for, trials_of

SPEC = SweepSpec(
    name="s",
    data=DataSpec(catalogs=("data",)),
    search=SearchSpec(first=(LoraConfig(rank=8),)),
    budget=BudgetSpec(trials=4),
)
RUNGS = {10: 1, 20: 1, 80: 2}


def study_at(folder: Path, spec: SweepSpec = SPEC) -> optuna.Study:
    return open_study(folder / "study.journal", spec)


def searcher(
    study: optuna.Study, budget: int = 4, over: bool = False, spec: SweepSpec = SPEC
) -> StudySearch:
    spec = spec.with_changes(budget=BudgetSpec(trials=budget))
    return StudySearch(study, spec, last=2, over=lambda: over)


def letter(step: int, score: float, **scores: float) -> dict[str, Any]:
    return {
        STEP: step,
        RUNG: RUNGS[step],
        METRIC: score,
        "total_steps": 80,
        "scores": json.dumps({"intent_accuracy": score, "argument_f1": score, **scores}),
        "losses": json.dumps([[step, 3, 0.5]]),
        "checkpoint_path": f"/checkpoints/{step}",
    }


def test_how_a_trial_ended_is_told_to_optuna(tmp_path: Path) -> None:
    study = study_at(tmp_path)
    search = searcher(study)
    numbers = [search.suggest(f"t{i}")["number"] for i in range(4)]
    assert numbers == [0, 1, 2, 3]
    for step in (20, 80):
        search.on_trial_result("t0", letter(step, 0.9))
    search.on_trial_complete("t0", letter(80, 0.9))
    search.on_trial_result("t1", letter(20, 0.2))
    search.on_trial_complete("t1", letter(20, 0.2))
    search.on_trial_complete("t2", {"failed": "DivergedError: the loss became nan"})
    search.on_trial_complete("t3", None, error=True)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL]
    found = trials_of(study)
    assert [t.status for t in found] == ["completed", "stopped", "failed", "failed"]
    assert [r.step for r in found[0].results] == [20, 80]
    assert "others were better" in found[1].reason
    assert "loss became nan" in found[2].reason


def test_a_result_is_stored_once(tmp_path: Path) -> None:
    study = study_at(tmp_path)
    search = searcher(study)
    search.suggest("t")
    for _ in range(2):
        search.on_trial_result("t", letter(20, 0.5))
    search.on_trial_result("t", letter(10, 0.4))
    assert [r.step for r in trials_of(study)[0].results] == [20]


def test_nan_is_no_result(tmp_path: Path) -> None:
    study = study_at(tmp_path)
    search = searcher(study)
    search.suggest("t")
    search.on_trial_result("t", letter(20, float("nan")))
    search.on_trial_complete("t", letter(20, float("nan")))
    assert study.trials[0].state == TrialState.FAIL


def test_an_interrupted_trial_is_taken_up_under_its_number(tmp_path: Path) -> None:
    first = searcher(study_at(tmp_path))
    config = first.suggest("a")
    first.on_trial_result("a", letter(20, 0.5))
    again = searcher(study_at(tmp_path))  # as after a kill: nothing was told
    assert again.suggest("b") == config
    again.on_trial_result("b", letter(20, 0.1))
    again.on_trial_result("b", letter(80, 0.8))
    again.on_trial_complete("b", letter(80, 0.8))
    study = study_at(tmp_path)
    found = trials_of(study)
    assert [(r.step, r.score) for r in found[0].results] == [(20, 0.5), (80, 0.8)]
    assert [t.state for t in study.trials if t.state == TrialState.RUNNING] == []


def test_seed_points_are_enqueued_once(tmp_path: Path) -> None:
    for _ in range(3):
        searcher(study_at(tmp_path))
    assert len(study_at(tmp_path).trials) == 2


def test_the_budget_counts_all_runs(tmp_path: Path) -> None:
    first = searcher(study_at(tmp_path), budget=2)
    first.suggest("a")
    first.on_trial_complete("a", {"failed": "x"})
    again = searcher(study_at(tmp_path), budget=2)
    assert again.suggest("b")["number"] == 1
    assert again.suggest("c") == Searcher.FINISHED


def test_no_trial_starts_when_time_is_up(tmp_path: Path) -> None:
    search = searcher(study_at(tmp_path), over=True)
    assert search.suggest("a") == Searcher.FINISHED


def test_of_several_goals_each_is_told(tmp_path: Path) -> None:
    spec = SPEC.with_changes(objective=("mean", "latency_p50"))
    study = study_at(tmp_path, spec)
    search = searcher(study, spec=spec)
    for name, step in (("whole", 80), ("stopped", 20), ("unmeasured", 80)):
        search.suggest(name)
        scores = {} if name == "unmeasured" else {"latency_p50": 0.25}
        search.on_trial_complete(name, letter(step, 0.5, **scores))
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == [0.5, 0.25]
    states = [trial.state for trial in study.trials[:3]]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert "was not measured" in trials_of(study)[2].reason
    assert [trial.number for trial in study.best_trials] == [0]


def test_a_weighted_mean_is_one_goal(tmp_path: Path) -> None:
    spec = SPEC.with_changes(objective={"argument_f1": 3.0, "frame_accuracy": 1.0})
    study = study_at(tmp_path, spec)
    search = searcher(study, spec=spec)
    search.suggest("a")
    search.on_trial_complete("a", letter(80, 0.8, frame_accuracy=0.4))
    assert study.trials[0].value == pytest.approx(0.7)


SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "optuna.samplers:QMCSampler": optuna.samplers.QMCSampler,
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_samplers_by_name_and_by_import_path(kind: str) -> None:
    spec = SPEC.with_changes(sampler=SamplerSpec(kind=kind))
    assert type(sampler_for(spec)) is SAMPLERS[kind]


BAD_SAMPLERS: dict[str, tuple[dict[str, Any], str]] = {
    "no module": ({"kind": "nowhere.at.all:Sampler"}, r"sampler\.kind: cannot be imported"),
    "no class": ({"kind": "optuna.samplers:Sampler"}, r"sampler\.kind: cannot be imported"),
    "no sampler": ({"kind": "builtins:dict"}, r"sampler\.kind: this is none of Optuna's"),
    "bad option": ({"options": {"depth": 3}}, r"sampler\.options: the sampler refuses them"),
}


@pytest.mark.parametrize("case", BAD_SAMPLERS)
def test_a_bad_sampler_is_pointed_at(case: str) -> None:
    fields, message = BAD_SAMPLERS[case]
    with pytest.raises(UserError, match=message):
        sampler_for(SPEC.with_changes(sampler=SamplerSpec.model_validate(fields)))


def test_the_study_opens_by_optunas_own_means(tmp_path: Path) -> None:
    search = searcher(study_at(tmp_path))
    search.suggest("a")
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.journal"))
    loaded = optuna.load_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    assert LoraConfig.model_validate_json(loaded.trials[0].user_attrs["config"]).rank == 8


@pytest.mark.parametrize("result", [None, {}])
def test_an_unknown_trial_is_nobodys(tmp_path: Path, result: dict[str, Any] | None) -> None:
    study = study_at(tmp_path)
    searcher(study).on_trial_complete("ghost", result)
    assert trials_of(study) == []


def test_importances_are_of_the_fields_and_of_whole_trials(tmp_path: Path) -> None:
    search = SearchSpec(
        rank=Choice(choice=(4, 8, 16, 32)),
        learning_rate=LogUniform(log_uniform=(1e-4, 1e-2)),
        shares=Simplex(),
        baseline=False,
    )
    spec = SPEC.with_changes(search=search, sampler=SamplerSpec(kind="random"))
    study = study_at(tmp_path, spec)
    searched = searcher(study, budget=40, spec=spec)
    assert importances(study) == {}
    for number in range(40):
        rate = searched.suggest(str(number))["config"]["learning_rate"]
        searched.on_trial_complete(str(number), letter(80, rate))
    found = importances(study)
    assert found.keys() == {"rank", "learning_rate", "shares"}
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=lambda name: found[name]) == "learning_rate"


def test_a_sweep_that_goes_on_draws_other_points(tmp_path: Path) -> None:
    search = SearchSpec(learning_rate=LogUniform(log_uniform=(1e-4, 1e-2)), baseline=False)
    spec = SPEC.with_changes(search=search, sampler=SamplerSpec(kind="random"))
    drawn = []
    for run in range(3):  # each as another process would do it
        searched = searcher(study_at(tmp_path, spec), budget=9, spec=spec)
        for number in range(2):
            name = f"{run}-{number}"
            drawn.append(searched.suggest(name)["config"]["learning_rate"])
            searched.on_trial_complete(name, letter(80, 0.5))
    assert len(set(drawn)) == 6


def test_a_trials_seconds_are_those_that_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("fcray.sweep.search.time.time", lambda: clock[0])
    first = searcher(study_at(tmp_path))
    first.suggest("a")
    clock[0] += 20
    first.on_trial_result("a", letter(20, 0.5))
    clock[0] += 50_000  # the sweep was dead
    again = searcher(study_at(tmp_path))
    again.suggest("b")
    clock[0] += 30
    again.on_trial_complete("b", letter(80, 0.8))
    assert trials_of(study_at(tmp_path))[0].seconds == pytest.approx(50)


def test_a_run_with_other_goals_is_refused(tmp_path: Path) -> None:
    study_at(tmp_path)
    with pytest.raises(UserError, match="objective: this run was begun with other goals"):
        study_at(tmp_path, SPEC.with_changes(objective=("mean", "latency_p50")))


def test_a_first_point_waits_until_there_is_a_trial_for_it(tmp_path: Path) -> None:
    first = searcher(study_at(tmp_path), budget=1)
    first.suggest("a")
    first.on_trial_complete("a", letter(80, 0.5))
    assert first.suggest("b") == Searcher.FINISHED
    again = searcher(study_at(tmp_path), budget=2)
    assert again.suggest("c")["config"]["learning_rate"] == 3e-5  # the article's
