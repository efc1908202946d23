"""The gate: whether a candidate is promoted, and the numbers that decided. Pure.

Floors (the article: intent accuracy at least 92 %, argument F1 at least 88 %) and a margin over the
champion (the article: more than 2 points of accuracy), all measured on the same cases, as served.
"""

from __future__ import annotations

from dataclasses import dataclass

from fcray.metrics import Scores
from fcray.spec import PromotionSpec

_ROUNDING = 1e-9
"""Scores are shares of cases: 0.14 + 0.02 must not ask for more than 0.16."""


@dataclass(frozen=True)
class Condition:
    """One number against what it must reach; `value` must be at least `target`."""

    name: str
    value: float
    target: float

    @property
    def met(self) -> bool:
        return self.value >= self.target - _ROUNDING


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why."""

    conditions: tuple[Condition, ...]

    @property
    def promoted(self) -> bool:
        return all(condition.met for condition in self.conditions)

    @property
    def sentence(self) -> str:
        missed = [c for c in self.conditions if not c.met]
        if not missed:
            return "promoted: every condition holds"
        reasons = "; ".join(f"{c.name} is {c.value:.1%}, needs {c.target:.1%}" for c in missed)
        return f"not promoted: {reasons}"


def judge(candidate: Scores, champion: Scores | None, spec: PromotionSpec) -> Verdict:
    """Hold a candidate against the floors and, where there is one, the champion.

    Parameters
    ----------
    candidate, champion: Scores on the same cases by the same engine.
    """
    conditions = [
        Condition("intent accuracy", candidate.intent_accuracy, spec.intent_accuracy),
        Condition("argument F1", candidate.argument_f1, spec.argument_f1),
    ]
    if champion is not None:
        conditions.append(
            Condition(
                "frame accuracy against the champion's plus the margin",
                candidate.frame_accuracy,
                min(1.0, champion.frame_accuracy + spec.margin),
            )
        )
    return Verdict(tuple(conditions))
