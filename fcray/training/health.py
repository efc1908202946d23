"""Watches a training run by the article's thresholds and says what is wrong with it. Pure.

Fed step by step; each thing that goes wrong is told once, when it begins. The loss is compared within one
curriculum stage only: the next stage weighs other labels, so its losses are others. Knows nothing of who
is told: the log, W&B and the trial's record are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from fcray.spec import HealthSpec

Kind = Literal["nan", "divergence", "jump", "low_intent", "f1_swing"]


@dataclass(frozen=True)
class Alarm:
    """Something that a person should look at.

    Attributes
    ----------
    step: The optimizer step, from 1, after which it was seen.
    """

    kind: Kind
    step: int
    message: str


class Health:
    """What has been seen of one run, and what is wrong with it.

    Parameters
    ----------
    spec: The thresholds.
    """

    def __init__(self, spec: HealthSpec) -> None:
        self._spec = spec
        self._stage = 0
        self._losses: list[float] = []
        self._best = math.inf
        self._diverging = self._jumped = self._low = False
        self._intents: list[float] = []
        self._f1: float | None = None

    def loss(self, step: int, stage: int, loss: float) -> Iterator[Alarm]:
        """What the loss of one optimizer step shows, in nats per weighted label."""
        if not math.isfinite(loss):
            yield Alarm("nan", step, f"the loss became {loss} at step {step}")
            return
        if stage != self._stage:
            self._stage, self._losses, self._best = stage, [], math.inf
            self._diverging = self._jumped = False
        window = self._spec.loss_window
        self._losses = [*self._losses, loss][-2 * window :]
        if len(self._losses) < 2 * window:
            return
        before, now = median(self._losses[:window]), median(self._losses[window:])
        self._best = min(self._best, before)
        yield from self._jump(step, before, now)
        yield from self._divergence(step, now)

    def _jump(self, step: int, before: float, now: float) -> Iterator[Alarm]:
        """A level that the loss steps up to and stays on, so that one bad batch is none."""
        jumped = now > before * self._spec.loss_jump and now - before > self._spec.loss_noise
        if jumped and not self._jumped:
            yield Alarm(
                "jump",
                step,
                f"the loss jumped from {before:.3g} to {now:.3g} within {self._spec.loss_window} "
                f"steps before step {step}",
            )
        self._jumped = jumped

    def _divergence(self, step: int, now: float) -> Iterator[Alarm]:
        diverging = (
            now > self._best * self._spec.divergence and now - self._best > self._spec.loss_noise
        )
        if diverging and not self._diverging:
            yield Alarm(
                "divergence",
                step,
                f"the loss is {now:.3g} at step {step}, {now / max(self._best, 1e-9):.1f} times the "
                f"lowest of this stage ({self._best:.3g})",
            )
        self._diverging = diverging

    def scores(self, step: int, intent_accuracy: float, argument_f1: float) -> Iterator[Alarm]:
        """What one evaluation shows; both are shares from 0 to 1."""
        spec = self._spec
        self._intents = [*self._intents, intent_accuracy][-spec.lasting :]
        low = len(self._intents) == spec.lasting and max(self._intents) < spec.intent_alarm
        if low and not self._low:
            yield Alarm(
                "low_intent",
                step,
                f"intent accuracy has been under {spec.intent_alarm:.0%} in {spec.lasting} "
                f"evaluations, {intent_accuracy:.1%} at step {step}",
            )
        self._low = low
        # A rise is what training is for; only a fall is a swing.
        if self._f1 is not None and self._f1 - argument_f1 > spec.f1_swing:
            yield Alarm(
                "f1_swing",
                step,
                f"argument F1 fell from {self._f1:.1%} to {argument_f1:.1%} at step {step}",
            )
        self._f1 = argument_f1


def is_normal(spec: HealthSpec, intent_accuracy: float, argument_f1: float) -> bool:
    """Whether both scores are where the article calls a model normal."""
    return intent_accuracy >= spec.intent_normal and argument_f1 >= spec.f1_normal


def replay(
    spec: HealthSpec,
    losses: Sequence[tuple[int, int, float]],
    scores: Sequence[tuple[int, float, float]] = (),
) -> list[Alarm]:
    """The alarms of a run that is over: (step, stage, loss) and (step, intent accuracy, argument F1)."""
    health = Health(spec)
    found = [alarm for record in losses for alarm in health.loss(*record)]
    found += [alarm for record in scores for alarm in health.scores(*record)]
    return sorted(found, key=lambda alarm: alarm.step)
