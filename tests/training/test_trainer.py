"""Whole runs on the tiny model: what is learned, told, saved and gone on with."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict

from fcray import models
from fcray.errors import FcrayError, UserError
from fcray.models import BaseModel
from fcray.prompting import Renderer
from fcray.spec import LoraConfig, ModelSpec, TrainingSpec
from fcray.training import memory, trainer
from fcray.training.loss import packed_loss
from fcray.training.packing import Pack, plan_steps, tensors
from fcray.training.trainer import (
    Checkpoint,
    DivergedError,
    StepRecord,
    TrainResult,
    render_rows,
    total_steps,
    train,
)
from tests.examples import EXAMPLES

LOAD = Callable[[], BaseModel]
LORA = LoraConfig(rank=4, learning_rate=0.02, dropout=0.1, shares=(0.25, 0.25, 0.5))
TRAINING = TrainingSpec(epochs=4, batch=2, warmup=0.1, seed=5)
STEPS = 20
"""Nine examples by twos are five steps, four times."""


class Told:
    """Collects what a run tells, and keeps copies of its checkpoints."""

    def __init__(self, folder: Path, fail_at: int | None = None) -> None:
        self.folder = folder
        self.fail_at = fail_at
        self.checkpoints: list[Checkpoint] = []
        self.steps: list[StepRecord] = []

    def on_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.checkpoints.append(checkpoint)
        shutil.copytree(checkpoint.folder, self.copy(checkpoint.step))
        if checkpoint.step == self.fail_at:
            raise ConnectionError("the power went out")

    def copy(self, step: int) -> Path:
        return self.folder / f"step-{step}"


def run(
    base: BaseModel,
    folder: Path,
    told: Told | None = None,
    *,
    steps: Sequence[int] = (7, 13),
    lora: LoraConfig = LORA,
    training: TrainingSpec = TRAINING,
    resume_from: Path | None = None,
) -> TrainResult:
    told = told or Told(folder / "kept")
    return train(
        base,
        EXAMPLES,
        lora,
        training,
        folder=folder / "scratch",
        checkpoint_steps=steps,
        on_checkpoint=told.on_checkpoint,
        on_step=told.steps.append,
        resume_from=resume_from,
    )


def weights_of(result: TrainResult) -> dict[str, torch.Tensor]:
    return {n: v.clone() for n, v in get_peft_model_state_dict(result.model).items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[n]) for n, v in one.items())


@pytest.fixture(scope="module")
def whole(load_tiny: LOAD, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, Told]:
    """A run from beginning to end."""
    folder = tmp_path_factory.mktemp("whole")
    told = Told(folder / "kept")
    return run(load_tiny(), folder, told), told


def test_the_loss_falls(load_tiny: LOAD, tmp_path: Path) -> None:
    base = load_tiny()
    base.model.get_input_embeddings().weight.data *= 20  # else no word can become likely
    told: list[StepRecord] = []
    lora = LORA.model_copy(update={"shares": (0.0, 0.0, 1.0), "dropout": 0.0})
    training = TRAINING.model_copy(update={"epochs": 30})
    train(base, EXAMPLES[:2], lora, training, folder=tmp_path, on_step=told.append)
    losses = [record.loss for record in told]
    assert losses[-1] < 0.5 * losses[0]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_every_step_is_told(whole: tuple[TrainResult, Told]) -> None:
    result, told = whole
    assert (result.steps, result.left_out) == (STEPS, 0)
    assert [record.step for record in told.steps] == list(range(1, STEPS + 1))
    assert [record.stage for record in told.steps] == [1] * 5 + [2] * 5 + [3] * 10
    rates = [record.learning_rate for record in told.steps]
    assert max(rates) == pytest.approx(LORA.learning_rate)
    assert rates.index(max(rates)) <= 3
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert all(math.isfinite(record.loss) for record in told.steps)


def test_the_plan_is_followed(
    load_tiny: LOAD, renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Pack] = []

    def watched(pack: Pack, *arguments: Any) -> Any:
        seen.append(pack)
        return tensors(pack, *arguments)

    monkeypatch.setattr("fcray.training.trainer.tensors", watched)
    told = Told(tmp_path / "kept")
    training = TRAINING.model_copy(update={"epochs": 2})
    run(load_tiny(), tmp_path / "whole", told, steps=(4,), training=training)
    rows, _ = render_rows(renderer, EXAMPLES, training.cutoff)
    plan = plan_steps(rows, batch=2, epochs=2, token_budget=training.tokens, seed=training.seed)
    assert seen == [pack for step in plan for pack in step]
    seen.clear()
    run(load_tiny(), tmp_path / "rest", training=training, resume_from=told.copy(4))
    assert seen == [pack for step in plan[4:] for pack in step]


def test_checkpoints_come_when_they_should(whole: tuple[TrainResult, Told]) -> None:
    _, told = whole
    assert [c.step for c in told.checkpoints] == [7, 13, STEPS]
    assert {c.total_steps for c in told.checkpoints} == {STEPS}
    assert [record for c in told.checkpoints for record in c.steps] == told.steps
    assert not any(c.folder.exists() for c in told.checkpoints)


def test_without_a_listener_nothing_is_saved(load_tiny: LOAD, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"epochs": 0.4})
    result = train(load_tiny(), EXAMPLES, LORA, training, folder=tmp_path, checkpoint_steps=(1,))
    assert result.steps == 2
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_base_stays_as_it_was(
    whole: tuple[TrainResult, Told], tiny_base: BaseModel, load_tiny: LOAD, tmp_path: Path
) -> None:
    base = load_tiny()
    run(base, tmp_path, training=TRAINING.model_copy(update={"epochs": 1}), steps=()).model.unload()
    before = tiny_base.model.state_dict()
    after = base.model.state_dict()
    assert equal(before, after)


def test_a_checkpoint_is_an_adapter_as_peft_reads_it(
    whole: tuple[TrainResult, Told], load_tiny: LOAD
) -> None:
    result, told = whole
    last, middle = (
        PeftModel.from_pretrained(load_tiny().model, str(told.copy(step))).eval()
        for step in (STEPS, 13)
    )
    ids = torch.arange(30, 60)[None]
    with torch.inference_mode():
        expected = result.model.eval()(ids).logits
        assert torch.equal(last(ids).logits, expected)
        assert not torch.equal(middle(ids).logits, expected)


def test_the_same_seed_gives_the_same_bits(
    whole: tuple[TrainResult, Told], load_tiny: LOAD, tmp_path: Path
) -> None:
    torch.manual_seed(1234)  # what came before does not matter
    told = Told(tmp_path / "kept")
    again = run(load_tiny(), tmp_path, told)
    assert equal(weights_of(again), weights_of(whole[0]))
    assert told.steps == whole[1].steps


def test_another_seed_gives_others(
    whole: tuple[TrainResult, Told], load_tiny: LOAD, tmp_path: Path
) -> None:
    other = run(load_tiny(), tmp_path, training=TRAINING.model_copy(update={"seed": 6}))
    assert not equal(weights_of(other), weights_of(whole[0]))


def test_checkpoints_change_nothing(
    whole: tuple[TrainResult, Told], load_tiny: LOAD, tmp_path: Path
) -> None:
    other = run(load_tiny(), tmp_path, steps=())
    assert equal(weights_of(other), weights_of(whole[0]))


@pytest.mark.parametrize("step", [7, 13])
def test_a_run_that_was_interrupted_ends_the_same(
    step: int, whole: tuple[TrainResult, Told], load_tiny: LOAD, tmp_path: Path
) -> None:
    told = Told(tmp_path / "kept", fail_at=step)
    with pytest.raises(ConnectionError, match="the power went out"):
        run(load_tiny(), tmp_path / "first", told)
    later = Told(tmp_path / "later")
    torch.manual_seed(99)
    resumed = run(load_tiny(), tmp_path / "second", later, resume_from=told.copy(step))
    assert equal(weights_of(resumed), weights_of(whole[0]))
    assert [c.step for c in later.checkpoints] == [s for s in (7, 13, STEPS) if s > step]
    assert [record.step for record in later.steps] == list(range(step + 1, STEPS + 1))
    assert later.steps == whole[1].steps[step:]
    assert resumed.steps == STEPS


def test_a_finished_run_that_is_resumed_stays_finished(
    whole: tuple[TrainResult, Told], load_tiny: LOAD, tmp_path: Path
) -> None:
    told = Told(tmp_path / "kept")
    resumed = run(load_tiny(), tmp_path, told, resume_from=whole[1].copy(STEPS))
    assert equal(weights_of(resumed), weights_of(whole[0]))
    assert (told.steps, told.checkpoints) == ([], [])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(
    value: float, load_tiny: LOAD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def spoiled(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return packed_loss(*arguments) * (value if calls > 4 else 1.0)

    monkeypatch.setattr("fcray.training.trainer.packed_loss", spoiled)
    told = Told(tmp_path / "kept")
    with pytest.raises(DivergedError, match=rf"the loss became {value}") as caught:
        run(load_tiny(), tmp_path, told)
    assert isinstance(caught.value, FcrayError) and not isinstance(caught.value, UserError)
    assert 0 < len(told.steps) < 5
    assert told.checkpoints == []


def test_a_learning_rate_that_is_far_too_high_is_told(
    load_tiny: LOAD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does to the weights, a run ends or raises; it does not go on with NaN."""
    monkeypatch.setattr(trainer, "_arguments", hot(trainer._arguments))
    told = Told(tmp_path / "kept")
    with contextlib.suppress(DivergedError):
        run(load_tiny(), tmp_path, told)
    assert all(math.isfinite(record.loss) for record in told.steps)


def hot(arguments: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*given: Any, **named: Any) -> Any:
        made = arguments(*given, **named)
        made.learning_rate = 1e18
        return made

    return changed


def test_rows_beyond_the_cutoff_are_counted_not_cut(renderer: Renderer) -> None:
    lengths = sorted(len(renderer.example(row)) for row in EXAMPLES)
    cutoff = lengths[5]
    kept, left_out = render_rows(renderer, EXAMPLES, cutoff)
    assert left_out == sum(length > cutoff for length in lengths) == len(EXAMPLES) - len(kept)
    whole = [renderer.example(row) for row in EXAMPLES]
    assert kept == [row for row in whole if len(row) <= cutoff]


def test_a_run_leaves_out_what_is_too_long(
    load_tiny: LOAD, renderer: Renderer, tmp_path: Path
) -> None:
    lengths = sorted(len(renderer.example(row)) for row in EXAMPLES)
    training = TRAINING.model_copy(update={"cutoff": lengths[5], "tokens": 16, "epochs": 1})
    result = run(load_tiny(), tmp_path, training=training, steps=())
    kept = sum(length <= lengths[5] for length in lengths)
    assert (result.left_out, result.steps) == (len(EXAMPLES) - kept, math.ceil(kept / 2))


def test_a_cutoff_that_leaves_nothing_is_the_users_mistake(load_tiny: LOAD, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"cutoff": 16, "tokens": 16})
    with pytest.raises(UserError, match="cutoff"):
        run(load_tiny(), tmp_path, training=training)


def test_a_base_in_bfloat16_trains_an_adapter_in_float32(tiny_folder: Path, tmp_path: Path) -> None:
    spec, told = ModelSpec(base=str(tiny_folder)), dict[torch.dtype, Told]()
    for dtype in (torch.bfloat16, torch.float32):
        base = models.load(spec, storage="rounded", device=torch.device("cpu"), dtype=dtype)
        told[dtype] = Told(tmp_path / str(dtype))
        adapter = run(base, tmp_path / f"run-{dtype}", told[dtype]).model
        kinds = {p.dtype for n, p in adapter.named_parameters() if "lora_" in n}
        assert kinds == {torch.float32}
    half, full = ([step.loss for step in told[dtype].steps] for dtype in told)
    assert half != full
    assert half == pytest.approx(full, rel=0.05)


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "expected"),
    [(9, 2, 4, 20), (9, 2, 0.4, 2), (1, 8, 0.1, 1), (16, 8, 1, 2), (17, 8, 1, 3)],
)
def test_the_number_of_steps(examples: int, batch: int, epochs: float, expected: int) -> None:
    training = TrainingSpec(batch=batch, epochs=epochs)
    assert total_steps(examples, training) == expected


def test_memory_and_time_are_spent_on_labels_only(
    load_tiny: LOAD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output head sees fewer positions than the packs have tokens."""
    base = load_tiny()
    seen: list[int] = []
    base.model.get_output_embeddings().register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].shape[0])
    )
    run(base, tmp_path, training=TRAINING.model_copy(update={"epochs": 1}), steps=())
    rendered = [Renderer(base.tokenizer).example(row) for row in EXAMPLES]
    labels = sum(len(row.answer) + 1 for row in rendered)
    assert sum(seen) < labels + 64 * len(seen) < sum(map(len, rendered))


VARIANTS = {
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "lora+": {"lora_plus": 8.0},
    "all of them": {"rslora": True, "dora": True, "lora_plus": 4.0},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_learns_is_loaded_by_peft_and_goes_on_after_an_end(
    name: str, load_tiny: LOAD, tmp_path: Path
) -> None:
    lora = LORA.model_copy(update=VARIANTS[name])
    whole = run(load_tiny(), tmp_path / "whole", lora=lora)
    told = Told(tmp_path / "kept", fail_at=7)
    with pytest.raises(ConnectionError):
        run(load_tiny(), tmp_path / "first", told, lora=lora)
    early = sum(record.loss for record in told.steps[:2]) / 2
    later = Told(tmp_path / "later")
    resumed = run(load_tiny(), tmp_path / "second", later, lora=lora, resume_from=told.copy(7))
    assert equal(weights_of(resumed), weights_of(whole))
    assert later.steps[-1].loss < early
    plain = PeftModel.from_pretrained(load_tiny().model, later.copy(STEPS)).eval()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        assert torch.allclose(plain(ids).logits, resumed.model.eval()(ids).logits, atol=1e-5)


def test_lora_plus_is_faster_in_b(load_tiny: LOAD, tmp_path: Path) -> None:
    moved = {}
    for ratio in (1.0, 16.0):
        lora = LORA.model_copy(update={"lora_plus": ratio, "learning_rate": 1e-4, "dropout": 0.0})
        result = run(load_tiny(), tmp_path / str(ratio), lora=lora, steps=())
        moved[ratio] = sum(
            float(value.abs().sum()) for n, value in weights_of(result).items() if "lora_B" in n
        )
    assert moved[16.0] > 5 * moved[1.0]


@pytest.mark.parametrize(
    ("training", "steps", "expected"),
    [
        (TrainingSpec(warmup=0.1), 200, 20),
        (TrainingSpec(warmup_steps=100), 1000, 100),
        (TrainingSpec(warmup_steps=100), 40, 40),
        (TrainingSpec(warmup_steps=0), 40, 0),
    ],
)
def test_the_steps_that_warm_up(training: TrainingSpec, steps: int, expected: int) -> None:
    assert trainer.warmup_steps(training, steps) == expected


def test_recomputed_activations_teach_the_same(load_tiny: LOAD, tmp_path: Path) -> None:
    lora = LORA.model_copy(update={"dropout": 0.0})
    results = {}
    for wanted in ("on", "off"):
        training = TRAINING.model_copy(update={"gradient_checkpointing": wanted, "epochs": 1.0})
        result = run(load_tiny(), tmp_path / wanted, lora=lora, training=training)
        assert result.checkpointing == (wanted == "on")
        results[wanted] = weights_of(result)
    for name, weight in results["off"].items():
        torch.testing.assert_close(results["on"][name], weight, rtol=1e-4, atol=1e-5)


def test_a_job_without_room_is_refused_before_it_starts(
    load_tiny: LOAD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = memory.Room("cpu", "machine", 1 << 20, 1 << 20)
    monkeypatch.setattr(memory.Room, "here", lambda: small)
    told = Told(tmp_path / "kept")
    with pytest.raises(UserError, match=r"training: a trial would need 0\.\d GiB .* has 0\.0 GiB"):
        run(load_tiny(), tmp_path, told)
    assert not told.steps
