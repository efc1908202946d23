"""Checkpoints are whole or not used, and a run that is killed ends as one that was not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fcray.errors import UserError
from fcray.training.checkpoints import SEAL, CheckpointStore, check_plan, is_whole, seal
from tests.processes import heard, running

PROGRAM = """
import sys
from pathlib import Path
import torch
from fcray import models
from fcray.spec import LoraConfig, ModelSpec, TrainingSpec
from fcray.training.checkpoints import CheckpointStore
from fcray.training.trainer import train
from tests.examples import EXAMPLES

base, folder = sys.argv[1], Path(sys.argv[2])
torch.set_num_threads(1)
spec = ModelSpec(base=base)
store = CheckpointStore(folder / "kept")
lora = LoraConfig(rank=4, learning_rate=0.02, dropout=0.1, shares=(0.25, 0.25, 0.5))
result = train(
    models.load(spec, storage="rounded", dtype=torch.float32),
    EXAMPLES,
    lora,
    TrainingSpec(epochs=4, batch=2, warmup=0.1, seed=5),
    folder=folder / "scratch",
    checkpoint_steps=range(1, 20, 3),
    on_checkpoint=lambda found: store.add(found.folder, found.step),
    on_step=lambda record: print(record.step, flush=True),
    resume_from=store.latest(),
)
result.model.save_pretrained(str(folder / "end"))
print("end", flush=True)
"""


def ended(base: Path, folder: Path, *kills: int) -> dict[str, torch.Tensor]:
    """The adapter of a run that is killed, with SIGKILL, after each of these steps is said."""
    for kill in (*kills, None):
        with running(PROGRAM, str(base), str(folder)) as process:
            while (line := heard(process)) not in (str(kill), "end"):
                assert line, "the run ended without its end"
            if kill is not None:
                assert line != "end"
                process.send_signal(signal.SIGKILL)
                process.wait()
    return load_file(folder / "end" / "adapter_model.safetensors")


def test_a_run_that_was_killed_ends_as_one_that_was_not(tiny_folder: Path, tmp_path: Path) -> None:
    whole = ended(tiny_folder, tmp_path / "whole")
    # In the first step, right after a checkpoint, between two, and in the last step.
    killed = ended(tiny_folder, tmp_path / "killed", 1, 7, 12, 20)
    assert whole.keys() == killed.keys()
    for name, weight in whole.items():
        assert torch.equal(killed[name], weight), name


def checkpoint(folder: Path, step: int, plan: str = "a") -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "adapter.safetensors").write_bytes(b"x" * step)
    (folder / "deep" / "state.json").write_text(str(step))
    seal(folder, step, plan)
    return folder


@pytest.mark.parametrize("harm", ["cut", "gone", "seal cut", "seal gone", "seal empty"])
def test_a_torn_checkpoint_is_skipped(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path / "kept")
    assert store.latest() is None
    for step in (3, 12):
        store.add(checkpoint(tmp_path / str(step), step), step)
    last = store.latest()
    assert last is not None
    assert last.name == "step-0000012"
    files = {"cut": "deep/state.json", "gone": "adapter.safetensors"}
    file = last / files.get(harm, SEAL)
    if "gone" in harm:
        file.unlink()
    else:
        file.write_text("{}" if "empty" in harm else file.read_text()[: len(file.read_text()) // 2])
    assert not is_whole(last)
    found = store.latest()
    assert found is not None
    assert found.name == "step-0000003"
    assert "step-0000012 is torn and skipped" in caplog.text
    with pytest.raises(UserError, match="torn"):
        check_plan(last, "a")


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "kept")
    (tmp_path / "kept" / ".step-left").mkdir(parents=True)
    for step in (1, 2, 30):
        store.add(checkpoint(tmp_path / str(step), step), step)
    assert sorted(p.name for p in store.folder.iterdir()) == ["step-0000002", "step-0000030"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "one", 1)
    check_plan(folder, "a")
    with pytest.raises(UserError, match="belongs to other rows or other settings"):
        check_plan(folder, "b")
