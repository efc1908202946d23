"""The gate: floors, the margin over the champion, and the sentence that says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.metrics import Scores, score
from fcray.promotion import judge
from fcray.spec import PromotionSpec

SPEC = PromotionSpec()


def scores(intent: float = 1.0, f1: float = 1.0, frame: float = 1.0) -> Scores:
    nothing = score([], bootstrap=0)
    return replace(nothing, intent_accuracy=intent, argument_f1=f1, frame_accuracy=frame)


def test_the_articles_floors_are_the_defaults() -> None:
    assert (SPEC.intent_accuracy, SPEC.argument_f1, SPEC.margin) == (0.92, 0.88, 0.02)


@pytest.mark.parametrize(
    ("intent", "f1", "promoted"),
    [(0.92, 0.88, True), (0.9199, 1.0, False), (1.0, 0.8799, False), (0.5, 0.5, False)],
)
def test_the_floors(intent: float, f1: float, promoted: bool) -> None:
    verdict = judge(scores(intent, f1, 0.0), None, SPEC)
    assert verdict.promoted is promoted
    assert [c.name for c in verdict.conditions] == ["intent accuracy", "argument F1"]


@pytest.mark.parametrize(
    ("candidate", "champion", "promoted"),
    [
        (0.93, 0.90, True),
        (0.92, 0.90, True),
        (0.91, 0.90, False),
        (0.90, 0.90, False),
        (0.80, 0.90, False),
        (1.00, 0.99, True),
    ],
)
def test_the_margin_over_the_champion(candidate: float, champion: float, promoted: bool) -> None:
    verdict = judge(scores(frame=candidate), scores(frame=champion), SPEC)
    assert verdict.promoted is promoted


@given(st.integers(1, 500), st.data())
def test_a_margin_that_is_just_reached_is_reached(cases: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, cases))
    more = data.draw(st.integers(0, cases - right))
    spec = PromotionSpec(margin=more / cases)
    champion = scores(frame=right / cases)
    assert judge(scores(frame=(right + more) / cases), champion, spec).promoted
    if more > 0:
        assert not judge(scores(frame=(right + more - 1) / cases), champion, spec).promoted


def test_the_champions_floors_do_not_matter() -> None:
    champion = scores(intent=0.0, f1=0.0, frame=0.1)
    assert judge(scores(frame=0.5), champion, SPEC).promoted


def test_no_examples_promote_nothing() -> None:
    verdict = judge(score([], bootstrap=0), None, SPEC)
    assert not verdict.promoted


def test_the_sentence_names_what_was_missed() -> None:
    verdict = judge(scores(0.9, 0.9, 0.5), scores(frame=0.6), SPEC)
    assert verdict.sentence == (
        "not promoted: intent accuracy is 90.0%, needs 92.0%; "
        "frame accuracy against the champion's plus the margin is 50.0%, needs 62.0%"
    )
    assert judge(scores(), None, SPEC).sentence == "promoted: every condition holds"
