"""The trackers: an offline run can be read back, and a broken tracker is only a warning."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

from fcray.spec import TrackingSpec
from fcray.tracking.record import RunRecord
from fcray.tracking.wandb_run import SweepTracker, TrialTracker

from .records import full

OFFLINE = TrackingSpec(wandb="offline", project="trials-of-fcray")
CONFIG = {"rank": 8, "shares": [0.3, 0.4, 0.3]}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps its settings and caches out of the user's folders, and sees no account."""
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    for name in ("MODE", "API_KEY", "RUN_ID", "RUN_GROUP", "PROJECT", "DIR", "DISABLED"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)


def offline_runs(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


def inspect(run: Path, *options: str) -> str:
    """What W&B's own reader says of an offline run; it asks no server."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(run)]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def summary(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(inspect(run, "--summary"))
    return read


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in inspect(run).splitlines()]
    return [line[kind] for line in lines if line["type"] == kind]


class Broken:
    """A W&B run of which every method fails, and which counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            self.asked += 1
            raise ConnectionResetError("W&B's process is gone")

        return fail


def test_a_trial_is_written_offline(tmp_path: Path) -> None:
    tracker = TrialTracker.open(OFFLINE, "demo", 3, CONFIG, tmp_path / "run")
    assert tracker.active
    for step, score in ((10, 0.4), (20, 0.9), (30, 0.7)):
        tracker.log({"intent_accuracy": score, "loss": 1 / score, "tokens_per_second": 5}, step)
    tracker.alert("loss", "it is not finite")
    tracker.finish()
    assert not tracker.active

    (folder,) = offline_runs(tmp_path / "run")
    read = summary(folder)
    assert (read["run_id"], read["project"]) == ("demo-0003", "trials-of-fcray")
    shares = {"share_intent": 0.3, "share_arguments": 0.4, "share_joint": 0.3}
    assert (read["state"], read["exit_code"]) == ("finished", 0)
    assert read["config"] == {**CONFIG, **shares}
    assert read["summary"]["intent_accuracy"] == {"max": 0.9}
    assert read["summary"]["loss"] == {"min": pytest.approx(1 / 0.9)}
    assert read["summary"]["global_step"] == 30
    (run,) = records(folder, "run")
    assert (run["run_group"], run["job_type"]) == ("demo", "trial")
    assert [alert["title"] for alert in records(folder, "alert")] == ["loss"]
    axes = {
        metric.get("name") or metric["glob_name"]: metric for metric in records(folder, "metric")
    }
    assert axes["frame_accuracy"]["step_metric"] == "global_step"
    assert axes["*"]["step_metric"] == "global_step"


def test_a_trials_losses_wrong_answers_and_adapter_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_DATA_DIR")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt"):
        (adapter / name).write_text(name)
    tracker = TrialTracker.open(OFFLINE, "demo", 3, CONFIG, tmp_path / "run")
    for step, stage in ((1, 1), (2, 2), (3, 3)):
        tracker.log_loss(1 / step, stage, 1e-3, step)
    wrong = full().mistakes
    tracker.log_mistakes(wrong, 3)
    tracker.log_mistakes([], 3)
    tracker.log_adapter(adapter, {"intent_accuracy": 0.9, "latency_p50": None})
    assert tracker.active
    tracker.finish()

    (folder,) = offline_runs(tmp_path / "run")
    read = summary(folder)
    assert read["config"]["share_intent"] == 0.3
    stages = {key: read["summary"][f"loss/{key}"] for key in ("intent", "arguments", "joint")}
    assert stages == {"intent": 1.0, "arguments": 0.5, "joint": pytest.approx(1 / 3)}
    table = json.loads((folder / "files" / read["summary"]["mistakes"]["path"]).read_text())
    assert [row[0] for row in table["data"]] == [one.request for one in wrong]
    (artifact,) = (one for one in records(folder, "artifact") if one["type"] == "model")
    assert artifact["name"] == "demo-0003"
    names = {entry["path"] for entry in artifact["manifest"]["contents"]}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}
    assert (tmp_path / "run" / "wandb" / "artifacts" / "staging").is_dir()


def test_a_trial_that_goes_on_keeps_its_id(tmp_path: Path) -> None:
    for step in (10, 20):
        tracker = TrialTracker.open(OFFLINE, "demo", 3, CONFIG, tmp_path / str(step))
        tracker.log({"loss": 1.0}, step)
        tracker.finish(exit_code=1 if step == 10 else 0)
    reads = [summary(offline_runs(tmp_path / str(step))[0]) for step in (10, 20)]
    assert [read["run_id"] for read in reads] == ["demo-0003", "demo-0003"]
    assert [read["exit_code"] for read in reads] == [1, 0]


def test_a_sweep_is_summed_up_beside_a_trial_that_runs(tmp_path: Path) -> None:
    trial = TrialTracker.open(OFFLINE, "demo", 0, CONFIG, tmp_path)
    sweep = SweepTracker.open(OFFLINE, "demo", {"trials": 5}, tmp_path)
    sweep.write(full())
    sweep.finish()
    trial.log({"loss": 1.0}, 1)
    trial.finish()

    folder = next(run for run in offline_runs(tmp_path) if run.name.endswith("demo-summary"))
    read = summary(folder)["summary"]
    assert read["after/intent_accuracy"] == pytest.approx(0.9687)
    assert (read["best_trial"], read["promoted"], read["trials_run"]) == (2, "function_call_v1", 5)
    table = json.loads((folder / "files" / read["trials"]["path"]).read_text(encoding="utf-8"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["trial"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[0]["target_modules"] == "q_proj, v_proj"
    assert rows[3]["reason"] == "below the median at rung 2 (ASHA)"


def test_a_sweep_without_trials_is_summed_up(tmp_path: Path) -> None:
    tracker = SweepTracker.open(OFFLINE, "demo", {}, tmp_path)
    tracker.write(RunRecord(name="demo"))
    assert tracker.active
    tracker.finish()
    assert summary(offline_runs(tmp_path)[0])["summary"]["trials_run"] == 0


def test_a_folder_that_cannot_be_made_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        tracker = TrialTracker.open(OFFLINE, "demo", 0, CONFIG, tmp_path / "file" / "run")
        tracker.log({"loss": 1.0}, 1)
        tracker.alert("a", "b")
        tracker.finish()
    assert not tracker.active
    assert len(caplog.records) == 1
    assert "cannot start" in caplog.text


def test_wandb_that_cannot_start_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise wandb.errors.CommError("no such host")

    monkeypatch.setattr(wandb, "init", refuse)
    online = TrackingSpec(wandb="online")
    with caplog.at_level(logging.WARNING):
        trackers = (
            TrialTracker.open(online, "demo", 0, CONFIG, tmp_path),
            SweepTracker.open(online, "demo", CONFIG, tmp_path),
        )
        trackers[0].log({"loss": 1.0}, 1)
        trackers[1].write(full())
        for tracker in trackers:
            tracker.finish()
    assert [record.message.endswith("no such host") for record in caplog.records] == [True, True]


@pytest.mark.parametrize("first", ["log", "alert", "finish"])
def test_the_first_failure_is_the_last(
    first: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Broken()
    monkeypatch.setattr(run, "define_metric", lambda *_, **__: None, raising=False)
    monkeypatch.setattr(wandb, "init", lambda **_: run)
    tracker = TrialTracker.open(OFFLINE, "demo", 0, CONFIG, tmp_path)
    calls = {"log": ({"loss": 1.0}, 1), "alert": ("title", "text"), "finish": (0,)}
    with caplog.at_level(logging.WARNING):
        getattr(tracker, first)(*calls[first])
        for name, arguments in calls.items():
            getattr(tracker, name)(*arguments)
    assert run.asked == 1
    assert len(caplog.records) == 1


def test_what_wandb_cannot_write_ends_no_trial(tmp_path: Path) -> None:
    tracker = TrialTracker.open(OFFLINE, "demo", 0, {"odd": object()}, tmp_path)
    tracker.log({"odd": object(), "loss": float("nan")}, 1)
    tracker.finish()
    assert len(offline_runs(tmp_path)) == 1


def test_a_disabled_tracker_does_not_even_load_wandb(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from fcray.spec import TrackingSpec
from fcray.tracking.record import RunRecord
from fcray.tracking.wandb_run import SweepTracker, TrialTracker

off = TrackingSpec(wandb="disabled")
trial = TrialTracker.open(off, "demo", 0, {}, Path(sys.argv[1]))
sweep = SweepTracker.open(off, "demo", {}, Path(sys.argv[1]))
trial.log({"loss": 1.0}, 1)
trial.alert("a", "b")
trial.finish()
sweep.write(RunRecord(name="demo"))
sweep.finish()
assert "wandb" not in sys.modules
"""
    folder = tmp_path / "run"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=60)
    assert not folder.exists()
