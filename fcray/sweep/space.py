"""The search space: how an Optuna trial becomes a `LoraConfig`. Pure but for Optuna's trial object.

The three curriculum shares are a point of the simplex, drawn uniformly and without permutation symmetry by
stick-breaking: w1 = 1 - sqrt(1 - u1), w2 = (1 - w1) u2, w3 = the rest, with u1, u2 uniform in [0, 1].
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from fcray.spec import (
    ARTICLE_DEFAULTS,
    Choice,
    LogUniform,
    LoraConfig,
    SearchSpec,
    Shares,
    Simplex,
    Uniform,
)

_POINT = "config"
"""The user attribute that holds a trial's config as JSON."""


def shares_from_unit(u1: float, u2: float, minimum: float = 0.0) -> Shares:
    """The point of the simplex at (u1, u2), each share at least `minimum`."""
    first = 1 - math.sqrt(1 - u1)
    second = (1 - first) * u2
    free = 1 - 3 * minimum
    shares = (minimum + free * first, minimum + free * second)
    return shares[0], shares[1], max(0.0, 1 - shares[0] - shares[1])


def unit_from_shares(shares: Shares, minimum: float = 0.0) -> tuple[float, float]:
    """The (u1, u2) of a point; the inverse of `shares_from_unit`."""
    free = 1 - 3 * minimum
    first = min(max((shares[0] - minimum) / free, 0.0), 1.0)
    second = min(max((shares[1] - minimum) / free, 0.0), 1.0)
    u1 = 1 - (1 - first) ** 2
    return u1, min(second / (1 - first), 1.0) if first < 1 else 0.0


def seed_points(search: SearchSpec) -> list[LoraConfig]:
    """The points that are tried first: the spec's own, and the article's defaults second."""
    points = list(search.first)
    if search.baseline and ARTICLE_DEFAULTS not in points:
        points.insert(1, ARTICLE_DEFAULTS)
    return points


def domains(search: SearchSpec) -> Iterator[tuple[str, Any]]:
    """Name and domain of every swept field, in the order of `LoraConfig`."""
    for name in LoraConfig.model_fields:
        domain = getattr(search, name)
        if isinstance(domain, Choice | Uniform | LogUniform | Simplex):
            yield name, domain


def sample(trial: Any, search: SearchSpec) -> LoraConfig:
    """The config of an Optuna trial: the enqueued point if it has one, else the sampler's choice."""
    if _POINT in trial.user_attrs:
        return LoraConfig.model_validate_json(trial.user_attrs[_POINT])
    values = {name: getattr(search, name) for name in LoraConfig.model_fields}
    for name, domain in domains(search):
        values[name] = _suggest(trial, name, domain)
    config = LoraConfig.model_validate(values)
    trial.set_user_attr(_POINT, config.model_dump_json())
    return config


def config_of(frozen: Any) -> LoraConfig:
    """The config of a stored Optuna trial."""
    return LoraConfig.model_validate_json(frozen.user_attrs[_POINT])


def enqueue(study: Any, point: LoraConfig) -> None:
    """Ask `study` to try `point` next; it may lie outside the space."""
    study.enqueue_trial({}, user_attrs={_POINT: point.model_dump_json()})


def _suggest(trial: Any, name: str, domain: Choice | Uniform | LogUniform | Simplex) -> Any:
    if isinstance(domain, Uniform):
        return trial.suggest_float(name, *domain.uniform)
    if isinstance(domain, LogUniform):
        return trial.suggest_float(name, *domain.log_uniform, log=True)
    if isinstance(domain, Simplex):
        u1 = trial.suggest_float(f"{name}_u1", 0.0, 1.0)
        u2 = trial.suggest_float(f"{name}_u2", 0.0, 1.0)
        return shares_from_unit(u1, u2, domain.minimum)
    # Optuna's categories are scalars: lists travel as JSON.
    texts = [json.dumps(value) for value in domain.choice]
    return json.loads(trial.suggest_categorical(name, texts))
