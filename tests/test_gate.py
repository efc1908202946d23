"""A trial at the gate, with answers made up: what is stored, under which alias, and when it is held again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fcray.dataset.build import Dataset, build
from fcray.errors import UserError
from fcray.gate import Answers, Gate
from fcray.metrics import Outcome
from fcray.registry import CANDIDATE, CHAMPION, Registry
from fcray.spec import LoraConfig, PromotionSpec, SweepSpec
from fcray.sweep.folder import RunFolder
from fcray.sweep.search import Result, StudyTrial
from fcray.tools import Example
from tests.sweeps import tiny_spec

TRIAL = 3


def answered(examples: Sequence[Example], right: int) -> tuple[Outcome, ...]:
    """The first `right` as they should be, the others with a word."""
    return tuple(
        Outcome(one, one.calls if at < right else (), "", valid=at < right, seconds=1.0)
        for at, one in enumerate(examples)
    )


class MadeUp(Gate):
    """A gate whose answers are made up: adapter's name → how many of each suite are right."""

    def __init__(self, *arguments: Any, right: Mapping[str, int]) -> None:
        super().__init__(*arguments)
        self.right = right
        self.asked: list[tuple[str, str]] = []

    def answers(
        self, name: str, adapter: Path | None, suites: Mapping[str, Sequence[Example]]
    ) -> Answers:
        assert adapter is not None
        assert adapter.is_dir()
        self.asked += [(name, suite) for suite in suites]
        return {suite: answered(some, self.right[name]) for suite, some in suites.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return build(_spec(tmp_path_factory.mktemp("spec")).data)


def _spec(folder: Path, **promotion: Any) -> SweepSpec:
    spec = tiny_spec(folder, folder)
    rows = spec.data.model_copy(update={"test": 24})
    settings = PromotionSpec(
        intent_accuracy=0, argument_f1=0, registry=str(folder / "registry"), **promotion
    )
    return spec.with_changes(data=rows, promotion=settings)


@pytest.fixture
def trial(tmp_path: Path) -> StudyTrial:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    now = time.time()
    result = Result(8, 3, 8, 0.5, {}, str(folder), [], now)
    return StudyTrial(
        number=TRIAL,
        config=LoraConfig(rank=8),
        status="completed",
        reason="",
        started=now,
        finished=now,
        seconds=1.0,
        results=(result,),
    )


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcray.gate.models.resolve", lambda model: (Path(), "revision"))


def gate_of(folder: Path, data: Dataset, right: Mapping[str, int], **promotion: Any) -> MadeUp:
    spec = _spec(folder, **promotion)
    registry = Registry(spec.promotion.registry)
    return MadeUp(spec, RunFolder(folder / "run"), registry, data, right=right)


OURS = f"trial_{TRIAL:04d}_8"
ALL = 24


@pytest.mark.usefixtures("base")
def test_the_first_is_champion(tmp_path: Path, data: Dataset, trial: StudyTrial) -> None:
    gate = gate_of(tmp_path, data, {OURS: ALL})
    passage = gate.pass_through(trial)
    assert passage.manifest is not None
    registry = Registry(tmp_path / "registry")
    assert registry.aliases() == {CHAMPION: passage.manifest.version}
    assert gate.asked == [(OURS, "test")]
    (event,) = registry.history(CHAMPION)
    assert event.reason == f"run tiny, trial {TRIAL}: promoted: every condition holds"
    assert registry.path(CHAMPION).name == "function_call_v1"
    # The same trial again is the same version.
    again = gate_of(tmp_path, data, {OURS: ALL}).pass_through(trial, known="function_call_v1")
    assert again.manifest == passage.manifest
    assert registry.versions() == ["function_call_v1"]


def with_champion(folder: Path, data: Dataset, trial: StudyTrial) -> Registry:
    gate_of(folder, data, {OURS: ALL}).pass_through(trial)
    return Registry(folder / "registry")


@pytest.mark.usefixtures("base")
def test_a_better_one_takes_over(tmp_path: Path, data: Dataset, trial: StudyTrial) -> None:
    registry = with_champion(tmp_path, data, trial)
    gate = gate_of(tmp_path, data, {OURS: ALL, "function_call_v1": 10}, faults=1)
    passage = gate.pass_through(trial)
    assert passage.manifest is not None
    assert registry.aliases() == {CHAMPION: "function_call_v2"}
    assert gate.asked == [
        (OURS, "test"),
        (OURS, "faults"),
        ("function_call_v1", "test"),
        ("function_call_v1", "faults"),
    ]
    assert "McNemar's p" in [condition.name for condition in passage.verdict.conditions]
    verdict = registry.manifest(CHAMPION).verdict
    assert [one["name"] for one in verdict] == [one.name for one in passage.verdict.conditions]
    assert registry.rollback().version == "function_call_v1"


@pytest.mark.usefixtures("base")
def test_a_worse_one_is_refused_or_forced(tmp_path: Path, data: Dataset, trial: StudyTrial) -> None:
    registry = with_champion(tmp_path, data, trial)
    right = {OURS: 10, "function_call_v1": ALL}
    passage = gate_of(tmp_path, data, right, faults=0).pass_through(trial)
    assert passage.manifest is None
    assert "-58.3 points" in passage.verdict.sentence
    assert registry.versions() == ["function_call_v1"]

    forced = gate_of(tmp_path, data, right, faults=0).pass_through(trial, forced="a customer")
    assert forced.manifest is not None
    assert registry.manifest(CHAMPION).forced == "a customer"
    assert registry.aliases() == {CHAMPION: "function_call_v2"}
    assert "promoted by force (a customer)" in registry.history(CHAMPION)[-1].reason


@pytest.mark.usefixtures("base")
def test_a_candidate_leaves_the_champion(tmp_path: Path, data: Dataset, trial: StudyTrial) -> None:
    registry = with_champion(tmp_path, data, trial)
    right = {OURS: ALL, "function_call_v1": 10}
    gate_of(tmp_path, data, right, faults=0, alias="candidate").pass_through(trial)
    assert registry.aliases() == {CHAMPION: "function_call_v1", CANDIDATE: "function_call_v2"}


@pytest.mark.usefixtures("base")
def test_a_champion_that_changed_meanwhile_is_the_one_to_beat(
    tmp_path: Path, data: Dataset, trial: StudyTrial
) -> None:
    registry = with_champion(tmp_path, data, trial)
    other = registry.add("function_call", registry.path("function_call_v1"), _facts(registry))

    class Overtaken(MadeUp):
        def answers(self, name: str, adapter: Path | None, suites: Any) -> Answers:
            if name == "function_call_v1":  # while it is measured
                registry.point(CHAMPION, other.version)
            return super().answers(name, adapter, suites)

    spec = _spec(tmp_path, faults=0)
    right = {OURS: 20, "function_call_v1": 10, other.version: ALL}
    gate = Overtaken(spec, RunFolder(tmp_path / "run"), registry, data, right=right)
    passage = gate.pass_through(trial)
    assert passage.manifest is None
    assert [name for name, _ in gate.asked] == [OURS, "function_call_v1", OURS, other.version]
    assert registry.aliases() == {CHAMPION: other.version}


@pytest.mark.usefixtures("base")
def test_a_champion_that_changes_for_ever_is_said(
    tmp_path: Path, data: Dataset, trial: StudyTrial
) -> None:
    registry = with_champion(tmp_path, data, trial)

    class Overtaken(MadeUp):
        def answers(self, name: str, adapter: Path | None, suites: Any) -> Answers:
            if name != OURS:
                path = registry.path("function_call_v1")
                registry.point(
                    CHAMPION, registry.add("function_call", path, _facts(registry)).version
                )
            return {suite: answered(s, ALL if name == OURS else 9) for suite, s in suites.items()}

    spec = _spec(tmp_path, faults=0)
    gate = Overtaken(spec, RunFolder(tmp_path / "run"), registry, data, right={})
    with pytest.raises(UserError, match="the champion was replaced again and again"):
        gate.pass_through(trial)


def _facts(registry: Registry) -> dict[str, Any]:
    facts = vars(registry.manifest("function_call_v1")).copy()
    del facts["version"], facts["files"]
    return facts


def test_answers_are_kept_and_read_again(tmp_path: Path, data: Dataset) -> None:
    gate = gate_of(tmp_path, data, {})
    from fcray.sweep import run

    outcomes = answered(data.test, 7)
    folder = tmp_path / "run" / "outcomes"
    folder.mkdir(parents=True)
    run.save_outcomes(folder / "before.jsonl", outcomes)
    run.save_outcomes(folder / "before.faults.jsonl", outcomes)
    found = Gate.answers(gate, "before", None, {"test": data.test, "faults": data.test})
    assert found == {"test": outcomes, "faults": outcomes}
    assert found["test"][0] == replace(outcomes[0])
