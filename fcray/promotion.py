"""The gate: whether a candidate is promoted, and the numbers that decided. Pure.

Floors (the article: intent accuracy at least 92 %, argument F1 at least 88 %), a margin over the champion
(the article: more than 2 points of accuracy) that is no accident (McNemar's exact test on the same cases), no
loss on tools that training lacked and on faulty requests, and bounds on latency; all measured as served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from fcray.metrics import Outcome, Scores, judge, recovered, score
from fcray.spec import PromotionSpec

Sense = Literal["at least", "more than", "at most"]
Unit = Literal["share", "points", "seconds", "p"]

_ROUNDING = 1e-9
"""Scores are shares of cases: 0.14 + 0.02 must not ask for more than 0.16."""

POWER = 0.8
"""How often a candidate that is better by the margin is to be found so, where a number of cases is named."""


@dataclass(frozen=True)
class Condition:
    """One number against what it must reach."""

    name: str
    value: float
    target: float
    sense: Sense = "at least"
    unit: Unit = "share"

    @property
    def met(self) -> bool:
        if self.sense == "at most":
            return self.value <= self.target + _ROUNDING
        if self.sense == "more than":
            return self.value > self.target + _ROUNDING
        return self.value >= self.target - _ROUNDING

    @property
    def sentence(self) -> str:
        return f"{self.name} is {_said(self.value, self.unit)}, needs {self.needs}"

    def to_dict(self) -> dict[str, Any]:
        """The condition as a run's record holds it."""
        return {
            "name": self.name,
            "value": self.value,
            "target": self.target,
            "met": self.met,
            "measured": _said(self.value, self.unit),
            "needed": self.needs,
        }

    @property
    def needs(self) -> str:
        """What was asked for, such as `at most 1.50 s`."""
        sense = "" if self.sense == "at least" else f"{self.sense} "
        return sense + _said(self.target, self.unit)


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why.

    Attributes
    ----------
    advice: What would make the answer surer; "" for nothing.
    forced: Why it is promoted whatever the conditions say; "" where they decide.
    """

    conditions: tuple[Condition, ...]
    advice: str = ""
    forced: str = ""

    @property
    def holds(self) -> bool:
        return all(condition.met for condition in self.conditions)

    @property
    def promoted(self) -> bool:
        return self.holds or bool(self.forced)

    @property
    def sentence(self) -> str:
        if self.holds:
            return "promoted: every condition holds"
        reasons = "; ".join(c.sentence for c in self.conditions if not c.met)
        if self.forced:
            return f"promoted by force ({self.forced}), although {reasons}"
        return f"not promoted: {reasons}"


@dataclass(frozen=True)
class Measured:
    """An adapter's answers, as served.

    Attributes
    ----------
    test: To the test split.
    held_out: To requests for tools that training lacked; none where the data has none.
    faults: To faulty requests; none where they were not asked.
    """

    test: Sequence[Outcome]
    held_out: Sequence[Outcome] = ()
    faults: Sequence[Outcome] = ()


def gate(
    candidate: Measured,
    champion: Measured | None,
    spec: PromotionSpec,
    *,
    forced: str = "",
) -> Verdict:
    """Hold a candidate against the floors and, where there is one, the champion.

    Parameters
    ----------
    candidate, champion: Answers to the same requests by the same engine.
    forced: Why it is to be promoted all the same.

    Raises
    ------
    ValueError: The two answered different requests.
    """
    own = score(candidate.test, bootstrap=0)
    conditions = [
        Condition("intent accuracy", own.intent_accuracy, spec.intent_accuracy),
        Condition("argument F1", own.argument_f1, spec.argument_f1),
    ]
    p99 = own.latency.p99 if own.latency else math.inf
    if spec.latency_p99 is not None:
        conditions.append(Condition("P99 latency", p99, spec.latency_p99, "at most", "seconds"))
    advice = ""
    if champion is not None:
        pairs = _pairs(candidate.test, champion.test)
        conditions += _against(pairs, own, score(champion.test, bootstrap=0), spec)
        conditions += _no_loss(candidate, champion)
        advice = _advice(pairs, spec)
    return Verdict(tuple(conditions), advice, forced)


def _against(
    pairs: Sequence[tuple[bool, bool]], own: Scores, other: Scores, spec: PromotionSpec
) -> list[Condition]:
    """What is asked of a candidate with a champion before it."""
    gain = own.frame_accuracy - other.frame_accuracy
    # Where the champion leaves less room than the margin, no mistake at all is all that can be asked.
    room = 1 - other.frame_accuracy
    tight = 0 < room <= spec.margin + _ROUNDING
    found = [
        Condition(
            "frame accuracy above the champion's",
            gain,
            room if tight else spec.margin,
            "at least" if tight else "more than",
            "points",
        )
    ]
    if spec.significance is not None:
        p = mcnemar(*discordant(pairs))
        found.append(Condition("McNemar's p", p, spec.significance, "at most", "p"))
    if spec.slower is not None and own.latency and other.latency:
        bound = spec.slower * other.latency.p99
        name = f"P99 latency against {spec.slower:g} times the champion's"
        found.append(Condition(name, own.latency.p99, bound, "at most", "seconds"))
    return found


def _no_loss(candidate: Measured, champion: Measured) -> list[Condition]:
    found = []
    if candidate.held_out and champion.held_out:
        pairs = _pairs(candidate.held_out, champion.held_out)
        own, other = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        found.append(Condition("frame accuracy on held-out tools", own, other))
    if candidate.faults and champion.faults:
        own, other = (
            sum(map(recovered, some)) / len(some) for some in (candidate.faults, champion.faults)
        )
        found.append(Condition("recovery from faults", own, other))
    return found


def _pairs(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[tuple[bool, bool]]:
    """Whether each of two adapters got a request right, a request at a time."""
    if [one.example.id for one in ours] != [one.example.id for one in theirs]:
        raise ValueError("the candidate and the champion answered different requests")
    return [(judge(a).frame, judge(b).frame) for a, b in zip(ours, theirs, strict=True)]


def discordant(pairs: Sequence[tuple[bool, bool]]) -> tuple[int, int]:
    """How many requests only the first got right, and only the second."""
    return sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test (1947), two-sided: how likely chance splits the discordant pairs so unevenly.

    Returns
    -------
    The p value; 1.0 where the two never differ.
    """
    both = only_first + only_second
    tail = sum(math.comb(both, k) for k in range(min(only_first, only_second) + 1))
    return float(min(1.0, 2 * tail / 2**both))


def cases_needed(discordance: float, margin: float, significance: float) -> int:
    """How many requests show a gain of `margin` in `POWER` of all tries (Connor 1987, Biometrics 43).

    Parameters
    ----------
    discordance: The share of requests that exactly one of the two gets right; at least the margin.
    """
    normal = NormalDist()
    alpha, beta = normal.inv_cdf(1 - significance / 2), normal.inv_cdf(POWER)
    share = max(discordance, margin)
    spread = alpha * math.sqrt(share) + beta * math.sqrt(max(0.0, share - margin**2))
    return math.ceil((spread / margin) ** 2)


def _advice(pairs: Sequence[tuple[bool, bool]], spec: PromotionSpec) -> str:
    if spec.significance is None or not spec.margin or not pairs:
        return ""
    share = sum(discordant(pairs)) / len(pairs)
    needed = cases_needed(share, spec.margin, spec.significance)
    if len(pairs) >= needed:
        return ""
    return (
        f"{len(pairs):,} test requests are too few to tell a gain of {100 * spec.margin:g} points "
        f"from chance: about {needed:,} would do (data.test)"
    )


def _said(value: float, unit: Unit) -> str:
    if unit == "seconds":
        return f"{value:.2f} s"
    if unit == "points":
        return f"{100 * value:.1f} points"
    return f"{value:.2g}" if unit == "p" else f"{value:.1%}"
