"""A sweep whose largest trial has no room is refused before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.dataset.build import build
from fcray.errors import UserError
from fcray.spec import Choice, LoraConfig, SearchSpec, TrainingSpec
from fcray.sweep.memory import check_memory, largest_config
from fcray.training.memory import GIB, Room
from tests.sweeps import tiny_spec


def test_the_largest_config_is_as_large_as_any() -> None:
    search = SearchSpec(rank=Choice(choice=[8, 64, 16]), target_modules=["q_proj"], baseline=False)
    training = TrainingSpec(batch=8)
    assert largest_config(search, training).rank == 64
    assert largest_config(search, training).target_modules == ("q_proj",)
    first = (LoraConfig(rank=128, target_modules=("up_proj",), dora=True),)
    wide = largest_config(search.model_copy(update={"first": first}), training)
    assert (wide.rank, wide.dora) == (128, True)
    assert wide.target_modules == ("q_proj", "up_proj")
    assert largest_config(SearchSpec(), training).target_modules == "all-linear"


def test_the_largest_batch_may_be_the_usual_one() -> None:
    search = SearchSpec(batch=Choice(choice=(2, 4)))
    assert largest_config(search, TrainingSpec(batch=8)).batch == 8  # the baseline's
    assert largest_config(search, TrainingSpec(batch=1)).batch == 4


def test_room_is_shared_by_the_trials_that_run_at_a_time(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec(tiny_folder, tmp_path)
    rows = build(spec.data).train
    monkeypatch.setattr(Room, "here", lambda: Room("cpu", "machine", 4 * GIB, 4 * GIB))
    assert check_memory(spec, rows, 1) == ""
    with pytest.raises(UserError, match=r"a trial would need .* the machine has 0\.5 GiB for it"):
        check_memory(spec, rows, 8)
