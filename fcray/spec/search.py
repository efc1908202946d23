"""What is swept, how it is searched, what is maximised, and when a trial or the sweep ends.

Knows nothing of Optuna or Ray: `sweep/space.py` turns the space into samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from fcray.spec.base import Fraction, Spec
from fcray.spec.training import StageWeights, TrainingSpec


class Domain(Spec):
    """Values of which a trial takes one.

    Attributes
    ----------
    when: Other fields of the search → the value, or the list of values, with which this field is swept; with
        others it has its default.
    """

    when: dict[str, Any] = Field({})


class Choice(Domain):
    """One of a list of values."""

    choice: tuple[Any, ...] = Field(min_length=1)


class Uniform(Domain):
    """A number between two bounds."""

    uniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.uniform
        if low >= high:
            raise ValueError(f"the lower bound {low:g} must be below the upper bound {high:g}")
        return self


class LogUniform(Domain):
    """A positive number between two bounds, uniform in its logarithm."""

    log_uniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.log_uniform
        if not 0 < low < high:
            raise ValueError(f"needs 0 < lower bound < upper bound, not {low:g} and {high:g}")
        return self


class Simplex(Domain):
    """Three shares that sum to one, each at least `minimum`, sampled uniformly."""

    simplex: Literal[True] = True
    minimum: float = Field(0.0, ge=0, le=0.33)


TargetModules = Literal["all-linear"] | tuple[str, ...]
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


class LoraConfig(Spec):
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
    epochs: float | None = Field(None, gt=0, description="default: that of `training`")
    batch: int | None = Field(None, ge=1, description="default: that of `training`")
    stage_weights: StageWeights | None = Field(None, description="default: those of `training`")

    @field_validator("target_modules", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("shares")
    @classmethod
    def _sum_to_one(cls, value: Shares) -> Shares:
        return check_shares(value)

    def training(self, shared: TrainingSpec) -> TrainingSpec:
        """How this trial trains: `shared`, but for what is its own."""
        own = {name: getattr(self, name) for name in ("epochs", "batch", "stage_weights")}
        return shared.model_copy(update={name: v for name, v in own.items() if v is not None})


ARTICLE_DEFAULTS = LoraConfig(
    rank=16,
    alpha_multiple=2.0,
    target_modules=("q_proj", "v_proj"),
    learning_rate=3e-5,
    shares=(0.3, 0.4, 0.3),
)
"""The article's settings (q and v, rank 16, lr 3e-5, stages 30/40/30): the baseline arm of a sweep."""


class SearchSpec(Spec):
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
    epochs: float | Choice | Uniform | None = None
    batch: int | Choice | None = None
    stage_weights: StageWeights | Choice | None = None
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

    @field_validator("*")
    @classmethod
    def _conditions_name_fields_and_values(cls, value: Any, info: ValidationInfo) -> Any:
        for other, wanted in value.when.items() if isinstance(value, Domain) else ():
            if other not in LoraConfig.model_fields or other == info.field_name:
                raise ValueError(f"when: there is no other field {other!r} to depend on")
            for one in _listed(wanted):
                try:
                    normal(other, one)
                except ValidationError:
                    raise ValueError(f"when: {other} is never {one!r}") from None
        return value

    @model_validator(mode="after")
    def _conditions_can_be_met(self) -> Self:
        self.in_order()
        for name, domain in self.domains():
            for other, wanted in domain.when.items():
                known = getattr(self, other)
                if isinstance(known, Choice):
                    values = [normal(other, one) for one in known.choice]
                elif isinstance(known, Domain):
                    continue
                else:
                    values = [normal(other, known)]
                for one in _listed(wanted):
                    if normal(other, one) not in values:
                        raise ValueError(f"{name}.when: {other} is never {one!r} in this search")
        return self

    def domains(self) -> Iterator[tuple[str, Domain]]:
        """Name and domain of every swept field, in the order of `LoraConfig`."""
        for name in LoraConfig.model_fields:
            domain = getattr(self, name)
            if isinstance(domain, Domain):
                yield name, domain

    def in_order(self) -> list[tuple[str, Domain]]:
        """The swept fields, each after those that it depends on.

        Raises
        ------
        ValueError: Two of them depend on each other.
        """
        left, ordered = dict(self.domains()), list[tuple[str, Domain]]()
        while left:
            ready = [name for name, domain in left.items() if not left.keys() & domain.when.keys()]
            if not ready:
                raise ValueError(f"{' and '.join(left)} are swept only when each other is")
            ordered += [(name, left.pop(name)) for name in ready]
        return ordered


def normal(name: str, value: Any) -> Any:
    """A field's value as a trial's config holds it: 8 for "8", a tuple for a list."""
    return LoraConfig.model_validate({name: value}).model_dump()[name]


def holds(when: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether a domain's condition is met by the fields' values so far."""
    return all(
        any(normal(other, values[other]) == normal(other, one) for one in _listed(wanted))
        for other, wanted in when.items()
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


class SamplerSpec(Spec):
    """Which of Optuna's samplers asks for the next trial."""

    kind: str = Field(
        "tpe",
        pattern=r"^(tpe|random|nsga2|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="`tpe`, `random`, `nsga2` (for several objectives), or `module:Class`",
    )
    options: dict[str, Any] = Field({}, description="arguments of the sampler's class")
    seed: int = 0


class SchedulerSpec(Spec):
    """Which trials are stopped early, on their scores at rungs: shares of their steps.

    `asha`: asynchronous successive halving; `median`: those below the median of the others' averages.
    """

    kind: Literal["asha", "median", "none"] = "asha"
    grace: float = Field(0.25, gt=0, le=1, description="the first rung, as a share of the steps")
    reduction: float = Field(
        2.0,
        gt=1,
        description="each rung is so many times the one before; ASHA lets one in so many go on",
    )
    others: int = Field(3, ge=1, description="median: with fewer other trials at a rung none stops")


class BudgetSpec(Spec):
    """When the sweep ends."""

    trials: int = Field(4, ge=1)
    minutes: float | None = Field(
        None,
        gt=0,
        description="no new trial starts after this, and once one is whole the others stop at their rungs",
    )
    gpu_hours: float | None = Field(
        None, gt=0, description="the same, when the trials have taken so many hours of GPUs"
    )


Metric = Literal["argument_f1", "intent_accuracy", "frame_accuracy", "mean"]
"""What is maximised; `mean`: of intent accuracy and argument F1."""

Cost = Literal["latency_p50", "latency_p95", "adapter_mebibytes"]
"""What is minimised: seconds of an answer while checkpoints are scored, and the adapter's size."""

COSTS: tuple[str, ...] = get_args(Cost)

Objective = (
    Metric
    | dict[Metric, Annotated[float, Field(gt=0)]]
    | Annotated[tuple[Metric | Cost, ...], Field(min_length=1)]
)
"""One metric; a weighted mean of metrics; or several, of which the first decides who is stopped and
promoted."""


def check_objective(objective: Objective) -> Objective:
    """`objective` unchanged.

    Raises
    ------
    ValueError: It is empty, or several that cannot be searched for together.
    """
    if isinstance(objective, dict) and not objective:
        raise ValueError("no metric is given")
    if isinstance(objective, tuple):
        if objective[0] in COSTS:
            raise ValueError(
                f"the first one decides which trials are stopped and promoted, so it cannot be {objective[0]}"
            )
        if len(set(objective)) < len(objective):
            raise ValueError("one stands twice")
    return objective
