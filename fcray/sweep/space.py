"""The search space: how an Optuna trial becomes a `LoraConfig`. Pure but for Optuna's trial object.

The three curriculum shares are a point of the simplex, drawn uniformly and without permutation symmetry by
stick-breaking: w1 = 1 - sqrt(1 - u1), w2 = (1 - w1) u2, w3 = the rest, with u1, u2 uniform in [0, 1].
"""

from __future__ import annotations

import json
import math
from typing import Any

from fcray.spec import (
    ARTICLE_DEFAULTS,
    Choice,
    Domain,
    LogUniform,
    LoraConfig,
    SearchSpec,
    Shares,
    Simplex,
    SweepSpec,
    Uniform,
    holds,
    normal,
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


def count_points(search: SearchSpec, most: int) -> int | None:
    """How many different points the space has; None where they are `most` or more, or endless."""
    points: list[dict[str, Any]] = [{}]
    usual = _unswept(search)
    for name, domain in search.in_order():
        if not isinstance(domain, Choice):
            return None
        values = {json.dumps(normal(name, one)): one for one in domain.choice}.values()
        points = [
            {**point, name: value}
            for point in points
            for value in (values if holds(domain.when, usual | point) else (usual[name],))
        ]
        if len(points) >= most:
            return None
    return len(points)


def check_search(spec: SweepSpec) -> None:
    """Refuse a sweep that cannot be searched as it asks.

    Raises
    ------
    UserError: Some of the trials would be repetitions, the sampler cannot learn beside the points that are
        tried first, or hours of GPUs are counted where none are used.
    """
    if spec.budget.gpu_hours is not None and not spec.resources.gpus:
        raise spec.error(
            "a trial uses no GPUs, so these hours are never over; see budget.minutes",
            *("budget", "gpu_hours"),
        )
    trials, first = spec.budget.trials, seed_points(spec.search)
    if spec.sampler.kind == "nsga2":
        for point in first:
            if parameters_of(point, spec.search) is None:
                raise spec.error(
                    "nsga2 cannot learn beside points outside of the space, as "
                    f"{'the baseline' if point == ARTICLE_DEFAULTS else 'one of search.first'} is",
                    *("sampler", "kind"),
                )
    points = count_points(spec.search, trials)
    if points is None:
        return
    outside = sum(parameters_of(point, spec.search) is None for point in first)
    if trials > points + outside:
        swept = f"the space has {points} points" if points > 1 else "nothing is swept"
        more = f" and {outside} more are given" if outside else ""
        raise spec.error(
            f"{swept}{more}, so that some of {trials} trials would be repetitions; "
            f"ask for {points + outside} at most",
            *("budget", "trials"),
        )


def sample(trial: Any, search: SearchSpec) -> LoraConfig:
    """The config of an Optuna trial: the enqueued point if it has one, else the sampler's choice."""
    if _POINT in trial.user_attrs:
        point = LoraConfig.model_validate_json(trial.user_attrs[_POINT])
        if parameters_of(point, search) is not None:  # so that the sampler learns from it
            for name, domain in _swept(search, point.model_dump()):
                _suggest(trial, name, domain)
        return point
    values = _unswept(search)
    for name, domain in search.in_order():
        if holds(domain.when, values):
            values[name] = _suggest(trial, name, domain)
    config = LoraConfig.model_validate(values)
    trial.set_user_attr(_POINT, config.model_dump_json())
    return config


def _unswept(search: SearchSpec) -> dict[str, Any]:
    """Fields → their values where they are fixed, or where their conditions are not met."""
    return {
        name: field.default if isinstance(value := getattr(search, name), Domain) else value
        for name, field in LoraConfig.model_fields.items()
    }


def _swept(search: SearchSpec, values: dict[str, Any]) -> list[tuple[str, Domain]]:
    """The fields that are swept in a trial with these values."""
    return [(name, domain) for name, domain in search.in_order() if holds(domain.when, values)]


def parameters_of(point: LoraConfig, search: SearchSpec) -> dict[str, Any] | None:
    """The parameters by which Optuna would have come to `point`; None where it lies outside the space."""
    values, usual = point.model_dump(), _unswept(search)
    swept = dict(_swept(search, values))
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in swept:
            parameters = _parameters(name, swept[name], value)
            if parameters is None:
                return None
            found |= parameters
        elif normal(name, usual[name]) != value:
            return None
    return found


def _parameters(name: str, domain: Domain, value: Any) -> dict[str, Any] | None:
    if isinstance(domain, Uniform | LogUniform):
        low, high = domain.uniform if isinstance(domain, Uniform) else domain.log_uniform
        return {name: float(value)} if low <= value <= high else None
    if isinstance(domain, Simplex):
        if min(value) < domain.minimum - 1e-9:
            return None
        u1, u2 = unit_from_shares(value, domain.minimum)
        return {f"{name}_u1": u1, f"{name}_u2": u2}
    for one in domain.choice if isinstance(domain, Choice) else ():
        if normal(name, one) == value:
            return {name: json.dumps(one)}
    return None


def config_of(frozen: Any) -> LoraConfig:
    """The config of a stored Optuna trial."""
    return LoraConfig.model_validate_json(frozen.user_attrs[_POINT])


def enqueue(study: Any, point: LoraConfig, search: SearchSpec) -> None:
    """Ask `study` to try `point` next; it may lie outside the space."""
    parameters = parameters_of(point, search) or {}
    study.enqueue_trial(parameters, user_attrs={_POINT: point.model_dump_json()})


def _suggest(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Uniform):
        return trial.suggest_float(name, *domain.uniform)
    if isinstance(domain, LogUniform):
        return trial.suggest_float(name, *domain.log_uniform, log=True)
    if isinstance(domain, Simplex):
        u1 = trial.suggest_float(f"{name}_u1", 0.0, 1.0)
        u2 = trial.suggest_float(f"{name}_u2", 0.0, 1.0)
        return shares_from_unit(u1, u2, domain.minimum)
    assert isinstance(domain, Choice)
    # Optuna's categories are scalars: lists travel as JSON.
    texts = [json.dumps(value) for value in domain.choice]
    return json.loads(trial.suggest_categorical(name, texts))
