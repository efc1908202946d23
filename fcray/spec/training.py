"""How a trial trains where nothing is swept, and when its curves are an alarm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fcray.spec.base import Fraction, Spec

Weight = Annotated[float, Field(ge=0)]

SpanWeights = tuple[Weight, Weight, Weight, Weight]
"""Weights of the spans of an answer: decision, arguments, plain words, format."""

StageWeights = tuple[SpanWeights, SpanWeights, SpanWeights]
"""The same, stage by stage."""

STAGE_WEIGHTS: StageWeights = (
    (1.0, 0.0, 0.0, 0.1),
    (1.0, 1.0, 0.0, 0.1),
    (1.0, 1.0, 0.2, 0.1),
)
"""Format is learned from a few steps and forced by the grammar anyway; plain words are many
tokens that decide nothing, and would drown the arguments at full weight."""


class TrainingSpec(Spec):
    """How a trial trains; some of it may be swept (see `LoraConfig`)."""

    epochs: float = Field(1.0, gt=0)
    batch: int = Field(8, ge=1, description="examples an optimizer step")
    warmup: Fraction = Field(0.05, description="share of the steps that warm up")
    warmup_steps: int | None = Field(None, ge=0, description="so many steps instead of a share")
    stage_weights: StageWeights = Field(
        STAGE_WEIGHTS,
        description="stage by stage: weights of decision, arguments, plain words, format",
    )
    blend: Fraction = Field(
        0.0, description="how much of the earlier stages' weights a stage keeps"
    )
    optimizer: Literal["auto", "adamw", "paged_adamw_8bit"] = Field(
        "auto", description="`auto`: paged 8-bit AdamW where a 4-bit base is trained on a GPU"
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        "auto", description="`auto`: only where the memory estimate asks for it"
    )
    weight_decay: float = Field(0.0, ge=0)
    cutoff: int = Field(
        1024, ge=16, description="longest example in tokens; longer ones are left out"
    )
    tokens: int = Field(4096, ge=16, description="longest packed sequence in tokens")
    seed: int = 0


ARTICLE_TRAINING = TrainingSpec(epochs=3, batch=4, cutoff=512, warmup_steps=100)
"""The article's settings of a training run: 3 epochs, batches of 4, cutoff 512, 100 steps of warm-up."""


class HealthSpec(Spec):
    """When a trial's curves are an alarm; the article's thresholds."""

    intent_normal: Fraction = Field(0.92, description="intent accuracy from which all is well")
    intent_alarm: Fraction = Field(0.85, description="intent accuracy that must not last below")
    lasting: int = Field(3, ge=1, description="evaluations in a row that are lasting")
    f1_normal: Fraction = Field(0.88, description="argument F1 from which all is well")
    f1_swing: Fraction = Field(0.1, description="fall of argument F1 between two evaluations")
    loss_window: int = Field(15, ge=2, description="steps whose median is the loss's level")
    loss_jump: float = Field(1.5, gt=1, description="a level this many times the one before")
    divergence: float = Field(2.0, gt=1, description="a level this many times the stage's lowest")
    loss_noise: float = Field(
        0.3, ge=0, description="nats a label; smaller differences are never an alarm"
    )
