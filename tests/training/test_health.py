"""The health checks: silent on sound curves, one alarm for each planted fault."""

from __future__ import annotations

import json
import math
import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.spec import HealthSpec
from fcray.training.health import Alarm, Health, is_normal, replay

SPEC = HealthSpec()
CURVES = Path(__file__).parent / "curves.json"

Losses = list[tuple[int, int, float]]
Scores = list[tuple[int, float, float]]


@cache
def real() -> tuple[tuple[Losses, Scores], ...]:
    """The curves of the trials of a quickstart sweep: (step, stage, loss), (step, intent, F1)."""
    held = json.loads(CURVES.read_text(encoding="utf-8"))
    return tuple(
        ([(s, g, v) for s, g, v in one["losses"]], [(s, i, f) for s, i, f in one["scores"]])
        for one in held["trials"]
    )


def kinds(alarms: list[Alarm]) -> list[str]:
    return [alarm.kind for alarm in alarms]


@pytest.mark.parametrize("trial", range(len(json.loads(CURVES.read_text())["trials"])))
def test_real_curves_are_sound(trial: int) -> None:
    losses, _ = real()[trial]
    assert replay(SPEC, losses) == []


def whole() -> Losses:
    return max((losses for losses, _ in real()), key=len)


@given(st.integers(60, 480), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_loss_that_is_no_number_is_told_at_once(at: int, value: float) -> None:
    losses = [(s, g, value if s == at else v) for s, g, v in whole()]
    found = replay(SPEC, losses)
    assert kinds(found) == ["nan"]
    assert found[0].step == at


@given(st.integers(120, 380), st.floats(1.2, 4))
def test_a_step_up_is_told_once(at: int, by: float) -> None:
    losses = [(s, g, v + by if s >= at else v) for s, g, v in whole()]
    found = [alarm for alarm in replay(SPEC, losses) if alarm.kind == "jump"]
    assert len(found) == 1
    assert at < found[0].step <= at + 2 * SPEC.loss_window
    assert "jumped from" in found[0].message


@given(st.integers(100, 300))
def test_a_slow_rise_is_a_divergence(at: int) -> None:
    losses = [(s, g, v + max(0, s - at) * 0.02) for s, g, v in whole()]
    assert "divergence" in kinds(replay(SPEC, losses))


@given(st.integers(100, 480), st.floats(1, 50))
def test_one_bad_batch_is_no_alarm(at: int, by: float) -> None:
    losses = [(s, g, v + by if s == at else v) for s, g, v in whole()]
    assert replay(SPEC, losses) == []


def test_the_next_stage_may_have_another_loss() -> None:
    rng = random.Random(0)
    losses = [
        (step, stage, level * rng.uniform(0.9, 1.1))
        for stage, level in ((1, 0.2), (2, 1.5), (3, 2.5))
        for step in range(stage * 100, stage * 100 + 100)
    ]
    assert replay(SPEC, losses) == []


def test_small_losses_are_not_weighed_by_their_ratio() -> None:
    losses = [(step, 3, 0.01 if step < 50 else 0.05) for step in range(1, 100)]
    assert replay(SPEC, losses) == []


def test_a_low_intent_accuracy_must_last() -> None:
    low: Scores = [(10, 0.5, 0.2), (20, 0.7, 0.4), (30, 0.9, 0.8), (40, 0.8, 0.8), (50, 0.8, 0.8)]
    assert replay(SPEC, [], low) == []
    found = replay(SPEC, [], [*low, (60, 0.8, 0.8), (70, 0.8, 0.8)])
    assert kinds(found) == ["low_intent"]
    assert found[0].step == 60
    again = [*low, (60, 0.8, 0.8), (70, 0.95, 0.9), *((n, 0.8, 0.9) for n in (80, 90, 100))]
    assert kinds(replay(SPEC, [], again)) == ["low_intent", "low_intent"]


def test_a_fall_of_argument_f1_is_a_swing_and_a_rise_is_not() -> None:
    assert replay(SPEC, [], [(1, 0.9, 0.2), (2, 0.9, 0.9)]) == []
    assert replay(SPEC, [], [(1, 0.9, 0.9), (2, 0.9, 0.8)]) == []
    found = replay(SPEC, [], [(1, 0.9, 0.9), (2, 0.9, 0.79)])
    assert kinds(found) == ["f1_swing"]
    assert "fell from 90.0% to 79.0% at step 2" in found[0].message


def test_thresholds_are_settings() -> None:
    strict = HealthSpec(f1_swing=0.01, lasting=1, intent_alarm=0.99)
    found = replay(strict, [], [(1, 0.95, 0.9), (2, 0.95, 0.88)])
    assert kinds(found) == ["low_intent", "f1_swing"]
    assert is_normal(SPEC, 0.92, 0.88)
    assert not is_normal(SPEC, 0.919, 0.99)


def test_what_is_fed_step_by_step_is_what_is_replayed() -> None:
    health = Health(SPEC)
    losses = [(s, g, v + 3 if s > 200 else v) for s, g, v in whole()]
    told = [alarm for record in losses for alarm in health.loss(*record)]
    assert told == replay(SPEC, losses)
