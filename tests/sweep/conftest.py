"""One local Ray for the tests of this folder, and a tiny sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcray.spec import (
    BudgetSpec,
    EvaluationSpec,
    LogUniform,
    LoraConfig,
    ModelSpec,
    PromotionSpec,
    ResourcesSpec,
    SearchSpec,
    Simplex,
    SweepSpec,
    TrackingSpec,
    TrainingSpec,
)
from fcray.sweep.session import ray_session
from tests.dataset.catalogs import DATA, plain


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with ray_session():
        yield


def tiny_spec(model: Path, storage: Path, **changes: Any) -> SweepSpec:
    """A sweep of eight steps a trial on the tiny random model."""
    spec = SweepSpec(
        name="tiny",
        storage=str(storage),
        model=ModelSpec(base=str(model)),
        data=plain(DATA / "iot", DATA / "chat", train=48, validation=8, test=8),
        search=SearchSpec(
            learning_rate=LogUniform(log_uniform=(1e-4, 1e-2)),
            shares=Simplex(),
            first=(LoraConfig(rank=8, learning_rate=2e-3),),
        ),
        training=TrainingSpec(batch=6),
        budget=BudgetSpec(trials=3),
        resources=ResourcesSpec(cpus=1),
        evaluation=EvaluationSpec(max_tokens=16),
        promotion=PromotionSpec(
            intent_accuracy=0, argument_f1=0, registry=str(storage / "registry")
        ),
        tracking=TrackingSpec(wandb="disabled"),
    )
    return spec.with_changes(**changes)
