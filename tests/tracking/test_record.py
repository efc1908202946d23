"""The record: what is written is read back, whatever a run has put into it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.tools import ToolCall
from fcray.tracking.record import (
    CurvePoint,
    RunRecord,
    ServedRecord,
    TrialRecord,
    score_of,
)

from .records import full


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = full()
    record.write(tmp_path / "runs" / "demo" / "summary.json")
    assert RunRecord.read(tmp_path / "runs" / "demo" / "summary.json") == record


def test_only_the_name_is_needed_and_unknown_fields_are_let_be(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"name": "a", "a field of tomorrow": [1]}', encoding="utf-8")
    assert RunRecord.read(path) == RunRecord(name="a")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_written_as_null(tmp_path: Path, bad: float) -> None:
    trial = TrialRecord(
        number=0,
        config={"learning_rate": bad},
        scores={"argument_f1": bad},
        curve=[CurvePoint(step=1, argument_f1=bad)],
    )
    trial.scores["set in place"] = bad
    path = tmp_path / "summary.json"
    RunRecord(name="a", trials=[trial], phases={"sweep": bad}).write(path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    written = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)["trials"][0]
    assert written["scores"] == {"argument_f1": None, "set in place": None}
    assert written["curve"] == [{"step": 1, "seconds": None, "argument_f1": None}]
    assert RunRecord.read(path).trials[0].curve[0].scores == {"argument_f1": None}


def test_half_an_emoji_from_a_model_is_written(tmp_path: Path) -> None:
    call = ToolCall(name="send", arguments=json.loads(r'{"text": "hi \ud83d"}'))
    RunRecord(name="a", served=[ServedRecord(request="?", call=call)]).write(tmp_path / "s.json")
    read = RunRecord.read(tmp_path / "s.json").served[0].call
    assert read == ToolCall(name="send", arguments={"text": "hi ?"})


def test_objects_of_other_libraries_are_written_as_values(tmp_path: Path) -> None:
    class Scalar:  # NumPy's scalars and torch's have `item`
        def item(self) -> float:
            return 0.5

    config = {"dropout": Scalar(), "path": Path("a/b"), 3: (1, 2)}
    RunRecord(name="a", trials=[TrialRecord(number=0, config={})], machine={"x": config}).write(
        tmp_path / "s.json"
    )
    machine = RunRecord.read(tmp_path / "s.json").machine
    assert machine == {"x": {"dropout": 0.5, "path": "a/b", "3": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"trials": []}', "name"),
        ('{"name": "a", "trials": [{"number": 0, "status": "lost"}]}', "trials.0.status"),
    ],
)
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said) as raised:
        RunRecord.read(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        RunRecord.read(tmp_path / "summary.json")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.json"
    RunRecord(name="old").write(path)

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        RunRecord(name="new").write(path)
    assert RunRecord.read(path).name == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_best_trial_is_the_one_with_the_highest_objective() -> None:
    trials = [
        TrialRecord(number=0, scores={"intent_accuracy": 0.9, "argument_f1": 0.2}),
        TrialRecord(number=1, scores={"intent_accuracy": 0.6, "argument_f1": 0.7}),
        TrialRecord(number=2, scores={"intent_accuracy": None, "argument_f1": 0.99}),
    ]
    best = {
        objective: RunRecord(name="a", objective=objective, trials=trials).best
        for objective in ("mean", "intent_accuracy", "argument_f1", "frame_accuracy")
    }
    assert [trial.number if trial else None for trial in best.values()] == [1, 0, 2, None]


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_mean_lies_between_its_parts(intent: float, arguments: float) -> None:
    score = score_of({"intent_accuracy": intent, "argument_f1": arguments}, "mean")
    assert score is not None
    assert min(intent, arguments) <= score <= max(intent, arguments)
