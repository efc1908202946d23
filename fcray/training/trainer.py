"""One LoRA job: rows in, a PEFT adapter out, with checkpoints on the way. Runs and is tested without Ray.

transformers' Trainer does the optimizer, schedule, checkpoints and resume; ours are the packs, the loss
and the curriculum. What becomes of a checkpoint is the caller's: see `on_checkpoint`.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from fcray import lora_linear
from fcray.errors import FcrayError, UserError
from fcray.models import BaseModel
from fcray.prompting import RenderedExample, Renderer
from fcray.spec import LoraConfig, TrainingSpec
from fcray.tools import Example
from fcray.training import attention, memory, norm
from fcray.training.checkpoints import check_plan, plan_hash, seal
from fcray.training.curriculum import Curriculum
from fcray.training.lora import attach
from fcray.training.loss import packed_loss
from fcray.training.packing import MULTIPLE, Pack, largest, plan_steps, tensors, weight_of

logger = logging.getLogger(__name__)


class DivergedError(FcrayError):
    """The loss became NaN or infinite; going on would only burn hours."""


@dataclass(frozen=True)
class StepRecord:
    """One optimizer step: its loss in nats per weighted label and its stage."""

    step: int
    stage: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Checkpoint:
    """What a run tells at a checkpoint.

    Attributes
    ----------
    step, total_steps: Optimizer steps done and in all.
    steps: Every step since the last checkpoint.
    folder: Adapter and training state; gone after the callback returns.
    """

    step: int
    total_steps: int
    steps: tuple[StepRecord, ...]
    folder: Path


@dataclass(frozen=True)
class TrainResult:
    """The end of a run.

    Attributes
    ----------
    model: The `peft.PeftModel` with the trained adapter.
    left_out: Rows that were longer than the cutoff.
    memory: The estimate for the largest step.
    checkpointing: Whether activations were computed anew instead of kept.
    """

    model: Any
    steps: int
    left_out: int
    memory: memory.Estimate
    checkpointing: bool


def render_rows(
    renderer: Renderer, examples: Sequence[Example], cutoff: int
) -> tuple[list[RenderedExample], int]:
    """The rows that fit the cutoff, and how many did not. A row is never cut."""
    rows = [renderer.example(example) for example in examples]
    kept = [row for row in rows if len(row) <= cutoff]
    return kept, len(rows) - len(kept)


def trainable_rows(
    renderer: Renderer, examples: Sequence[Example], cutoff: int
) -> tuple[list[RenderedExample], int]:
    """As `render_rows`, where there must be some.

    Raises
    ------
    UserError: No row fits the cutoff.
    """
    rows, left_out = render_rows(renderer, examples, cutoff)
    if not rows:
        raise UserError(
            f"all {left_out} examples are longer than the cutoff of {cutoff} tokens",
            field="training.cutoff",
        )
    return rows, left_out


def total_steps(rows: int, training: TrainingSpec) -> int:
    """Optimizer steps of a whole run."""
    return max(1, round(math.ceil(rows / training.batch) * training.epochs))


def train(
    base: BaseModel,
    examples: Sequence[Example],
    lora: LoraConfig,
    training: TrainingSpec,
    *,
    folder: Path,
    checkpoint_steps: Sequence[int] = (),
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    on_step: Callable[[StepRecord], None] | None = None,
    resume_from: Path | None = None,
) -> TrainResult:
    """Train one adapter.

    Parameters
    ----------
    folder: Scratch space for checkpoints.
    checkpoint_steps: After which steps to save and call `on_checkpoint`; the last step always is one.
    resume_from: A checkpoint's folder, to go on from.

    Raises
    ------
    UserError: No row is short enough, `resume_from` is no whole checkpoint of this run, or there is no
        room in memory.
    DivergedError: The loss is NaN or infinite.
    """
    rows, left_out = trainable_rows(Renderer(base.tokenizer), examples, training.cutoff)
    result = train_rows(
        base,
        rows,
        lora,
        training,
        folder=folder,
        checkpoint_steps=checkpoint_steps,
        on_checkpoint=on_checkpoint,
        on_step=on_step,
        resume_from=resume_from,
    )
    return replace(result, left_out=left_out)


def train_rows(
    base: BaseModel,
    rows: Sequence[RenderedExample],
    lora: LoraConfig,
    training: TrainingSpec,
    *,
    folder: Path,
    checkpoint_steps: Sequence[int] = (),
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    on_step: Callable[[StepRecord], None] | None = None,
    resume_from: Path | None = None,
) -> TrainResult:
    """`train` on rows that are tokens already, none longer than the cutoff."""
    set_seed(training.seed)
    steps = plan_steps(
        rows,
        batch=training.batch,
        epochs=training.epochs,
        token_budget=max(training.tokens, training.cutoff),
        seed=training.seed,
    )
    need, checkpointing = _memory(base, lora, training, steps)
    logger.info("a step takes about %s", need)
    plan = plan_hash(steps)
    if resume_from:
        check_plan(resume_from, plan)
    model = attach(base, lora)
    fused = make_fast(base, model)
    curriculum = Curriculum(lora.shares, len(steps), training.stage_weights, training.blend)
    trainer = _PackedTrainer(
        model=model,
        args=_arguments(
            folder,
            lora,
            training,
            len(steps),
            base,
            autocast=not fused,
            checkpointing=checkpointing,
        ),
        train_dataset=_Steps(steps),
        data_collator=_only_item,
        callbacks=[
            _Watch(curriculum, plan, {*checkpoint_steps, len(steps)}, on_checkpoint, on_step)
        ],
    )
    trainer.curriculum = curriculum
    trainer.lora_plus = lora.lora_plus
    trainer.remove_callback(_printer())
    trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    return TrainResult(model, len(steps), 0, need, checkpointing)


def make_fast(base: BaseModel, model: Any) -> bool:
    """Replace what has a faster equal; whether every adapter is in its base's floats now."""
    norm.fuse(base.model)
    if base.device.type == "cpu":
        attention.use(base.model)
    return lora_linear.fuse(model)


def _memory(
    base: BaseModel, lora: LoraConfig, training: TrainingSpec, steps: Sequence[tuple[Pack, ...]]
) -> tuple[memory.Estimate, bool]:
    """What the largest step will take, and whether activations must be computed anew."""
    tokens, labels = largest([pack for step in steps for pack in step])
    quantized = getattr(base.model.config, "quantization_config", None)
    numerics = memory.Numerics(
        base.device.type,
        base.model.dtype.itemsize,
        base.storage == "packed",
        bool(getattr(quantized, "bnb_4bit_use_double_quant", False)),
    )
    return memory.plan(
        memory.shapes_of(base.model.config),
        lora,
        training,
        numerics,
        memory.Room.here(),
        tokens=tokens,
        labels=labels,
    )


class _Steps(torch.utils.data.Dataset[tuple[Pack, ...]]):
    """A dataset whose items are whole optimizer steps, so that a step's number is its position."""

    def __init__(self, steps: Sequence[tuple[Pack, ...]]) -> None:
        self._steps = steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> tuple[Pack, ...]:
        return self._steps[index]


def _only_item(items: list[tuple[Pack, ...]]) -> dict[str, Any]:
    return {"packs": items[0]}


class _PackedTrainer(Trainer):
    """transformers' Trainer with our loss; the plan fixes the order, so sampling is sequential."""

    curriculum: Curriculum
    lora_plus: float = 1.0

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's; with LoRA+ (Hayou et al., arXiv 2402.12354) the matrices B learn faster."""
        if self.lora_plus == 1.0:
            return super().create_optimizer(*args, **kwargs)
        if self.optimizer is None:
            from peft.optimizers import create_loraplus_optimizer

            model: Any = self.model
            kind, options = Trainer.get_optimizer_cls_and_kwargs(self.args, model)
            self.optimizer = create_loraplus_optimizer(
                model,
                optimizer_cls=kind,
                loraplus_lr_ratio=self.lora_plus,
                loraplus_weight_decay=self.args.weight_decay,
                **options,
            )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(dataset)

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        model.train()
        packs = inputs["packs"]
        weights = self.curriculum.span_weights(self.state.global_step)
        divisor = max(weight_of(packs, weights), 1e-9)
        total = torch.zeros((), device=self.args.device)
        for pack in packs:
            with self.compute_loss_context_manager():
                loss = (
                    packed_loss(model, tensors(pack, self.args.device, MULTIPLE), weights) / divisor
                )
            self.accelerator.backward(loss)
            total += loss.detach()
        if not torch.isfinite(total):
            raise DivergedError(
                f"the loss became {total.item()} at step {self.state.global_step + 1}"
            )
        self.step_loss = float(total)
        return total


class _Watch(TrainerCallback):
    """Turns the Trainer's events into ours."""

    def __init__(
        self,
        curriculum: Curriculum,
        plan: str,
        steps: set[int],
        on_checkpoint: Callable[[Checkpoint], None] | None,
        on_step: Callable[[StepRecord], None] | None,
    ) -> None:
        self._curriculum = curriculum
        self._plan = plan
        self._steps = steps
        self._on_checkpoint = on_checkpoint
        self._on_step = on_step
        self._since: list[StepRecord] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        record = StepRecord(
            step,
            self._curriculum.stage(step - 1),
            float(logs["loss"]),
            float(logs.get("learning_rate", 0.0)),
        )
        self._since.append(record)
        if self._on_step:
            self._on_step(record)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save = self._on_checkpoint is not None and state.global_step in self._steps

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        since, self._since = self._since, []
        seal(folder, state.global_step, self._plan)
        if self._on_checkpoint:
            step, total = state.global_step, self._curriculum.total_steps
            self._on_checkpoint(Checkpoint(step, total, tuple(since), folder))
        shutil.rmtree(folder, ignore_errors=True)


def warmup_steps(training: TrainingSpec, steps: int) -> int:
    """Optimizer steps in which the learning rate rises; never more than there are."""
    if training.warmup_steps is not None:
        return min(training.warmup_steps, steps)
    return round(training.warmup * steps)


def _optimizer(training: TrainingSpec, base: BaseModel) -> str:
    if training.optimizer != "auto":
        return "adamw_torch" if training.optimizer == "adamw" else training.optimizer
    on_gpu = base.device.type == "cuda"
    return "paged_adamw_8bit" if on_gpu and base.storage == "packed" else "adamw_torch"


def _arguments(
    folder: Path,
    lora: LoraConfig,
    training: TrainingSpec,
    steps: int,
    base: BaseModel,
    *,
    autocast: bool,
    checkpointing: bool,
) -> TrainingArguments:
    """The Trainer's settings.

    Parameters
    ----------
    checkpointing: Activations are computed anew in the backward pass.
    autocast: Some layer's adapter is in other floats than its base, so that torch must cast.
    """
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=lora.learning_rate,
        weight_decay=training.weight_decay,
        lr_scheduler_type="linear",
        warmup_steps=warmup_steps(training, steps),
        optim=_optimizer(training, base),
        max_grad_norm=1.0,
        seed=training.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
        remove_unused_columns=False,
        use_cpu=base.device.type == "cpu",
        gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=autocast and base.model.dtype == torch.bfloat16,
        dataloader_pin_memory=False,
    )


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback
