"""The gate: floors, the margin and its significance, no loss elsewhere, latency; and what it says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.metrics import Outcome
from fcray.promotion import Condition, Measured, Verdict, cases_needed, discordant, gate, mcnemar
from fcray.spec import PromotionSpec
from tests.metrics.builders import call, outcome

SPEC = PromotionSpec()
LOW = PromotionSpec(intent_accuracy=0, argument_f1=0)
ANY = LOW.model_copy(update={"significance": None, "slower": None})
GOLD = [call(city="Rome")]


def right(seconds: float = 1.0, kind: str = "call") -> Outcome:
    origin = {"language": "en", "domain": "travel", "kind": kind}
    return outcome(GOLD, GOLD, seconds=seconds, origin=origin)


def wrong(seconds: float = 1.0, kind: str = "call") -> Outcome:
    """The right function with a wrong argument."""
    origin = {"language": "en", "domain": "travel", "kind": kind}
    return outcome(GOLD, [call(city="Oslo")], seconds=seconds, origin=origin)


def answers(good: int, bad: int, seconds: float = 1.0) -> list[Outcome]:
    return [right(seconds)] * good + [wrong(seconds)] * bad


def measured(good: int, bad: int, seconds: float = 1.0) -> Measured:
    return Measured(answers(good, bad, seconds))


def names(verdict: Verdict) -> list[str]:
    return [condition.name for condition in verdict.conditions]


def missed(verdict: Verdict) -> list[str]:
    return [condition.name for condition in verdict.conditions if not condition.met]


def test_the_articles_numbers_are_the_defaults() -> None:
    assert (SPEC.intent_accuracy, SPEC.argument_f1, SPEC.margin) == (0.92, 0.88, 0.02)


@pytest.mark.parametrize(
    ("bad", "silent", "promoted"),
    [(0, 0, True), (12, 0, True), (13, 0, False), (0, 8, True), (0, 9, False)],
)
def test_the_floors(bad: int, silent: int, promoted: bool) -> None:
    """Of a hundred: 88 of arguments and 92 of functions must be right."""
    mute = outcome(GOLD, [])
    some = [*answers(100 - bad - silent, bad), *[mute] * silent]
    verdict = gate(Measured(some), None, SPEC)
    assert verdict.promoted is promoted
    assert names(verdict) == ["intent accuracy", "argument F1"]


def test_no_answers_promote_nothing() -> None:
    assert not gate(Measured([]), None, SPEC).promoted


@pytest.mark.parametrize(
    ("candidate", "champion", "promoted"),
    [
        (93, 90, True),
        (92, 90, False),  # more than two points, not two
        (90, 90, False),
        (80, 90, False),
        (100, 99, True),  # there is no room for more than one
        (99, 98, False),
        (100, 98, True),
        (100, 100, False),
    ],
)
def test_the_margin_over_the_champion(candidate: int, champion: int, promoted: bool) -> None:
    verdict = gate(measured(candidate, 100 - candidate), measured(champion, 100 - champion), ANY)
    assert verdict.promoted is promoted


@given(st.integers(1, 500), st.data())
def test_a_gain_of_the_margin_alone_is_not_enough(cases: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, cases))
    more = data.draw(st.integers(0, cases - good))
    spec = ANY.model_copy(update={"margin": more / cases})
    champion = measured(good, cases - good)
    verdict = gate(measured(good + more, cases - good - more), champion, spec)
    assert verdict.promoted == (0 < more == cases - good)  # but where that leaves no mistake
    if good + more < cases:
        better = gate(measured(good + more + 1, cases - good - more - 1), champion, spec)
        assert better.promoted


def test_the_champions_floors_do_not_matter() -> None:
    assert gate(measured(95, 5), measured(10, 90), SPEC).promoted


def test_a_gain_that_may_be_chance_is_refused() -> None:
    """Five discordant requests, all for the candidate: p = 1/16."""
    verdict = gate(measured(100, 0), measured(95, 5), LOW)
    assert missed(verdict) == ["McNemar's p"]
    assert verdict.sentence == "not promoted: McNemar's p is 0.062, needs at most 0.05"
    assert gate(measured(100, 0), measured(94, 6), LOW).promoted


def test_the_test_is_paired() -> None:
    """Two equal scores: one differs from the champion in twelve requests, the other in 72."""
    champion = Measured(answers(60, 40))
    alike = Measured([*answers(58, 2), *answers(10, 30)])
    others = Measured([*answers(28, 32), *answers(40, 0)])
    assert [sum(map(_is_right, one.test)) for one in (alike, others)] == [68, 68]
    assert gate(alike, champion, LOW).promoted
    assert missed(gate(others, champion, LOW)) == ["McNemar's p"]
    assert discordant([(True, False), (True, True), (False, True), (True, False)]) == (2, 1)


def _is_right(one: Outcome) -> bool:
    return one.calls == one.example.calls


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    p = mcnemar(first, second)
    assert p == mcnemar(second, first)
    ways = [math.comb(first + second, k) for k in range(first + second + 1)]
    expected = sum(way for way in ways if way <= ways[first]) / 2 ** (first + second)
    assert math.isclose(p, expected, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("discordance", "margin", "least", "most"),
    [(0.1, 0.02, 1950, 1970), (0.02, 0.02, 380, 400), (0.0, 0.02, 380, 400), (0.2, 0.1, 150, 160)],
)
def test_how_many_requests_would_do(
    discordance: float, margin: float, least: int, most: int
) -> None:
    assert least <= cases_needed(discordance, margin, 0.05) <= most


def test_too_few_requests_are_said() -> None:
    verdict = gate(measured(96, 0), measured(86, 10), LOW)
    assert verdict.promoted
    assert verdict.advice == (
        "96 test requests are too few to tell a gain of 2 points from chance: "
        "about 2,042 would do (data.test)"
    )
    assert gate(measured(3000, 0), measured(2700, 300), LOW).advice == ""
    assert gate(measured(96, 0), None, LOW).advice == ""


def test_latency() -> None:
    assert missed(gate(measured(100, 0, 1.6), measured(50, 50), LOW)) == [
        "P99 latency against 1.5 times the champion's"
    ]
    assert gate(measured(100, 0, 1.5), measured(50, 50), LOW).promoted
    bound = LOW.model_copy(update={"latency_p99": 0.5})
    verdict = gate(measured(100, 0), None, bound)
    assert verdict.sentence == "not promoted: P99 latency is 1.00 s, needs at most 0.50 s"
    assert not gate(Measured([]), None, bound).promoted


def with_others(held_out: Sequence[Outcome], faults: Sequence[Outcome], good: int) -> Measured:
    return Measured(answers(good, 100 - good), held_out, faults)


def test_held_out_tools_and_faults_may_not_be_worse() -> None:
    noisy, clean = wrong(kind="noise"), right(kind="noise")
    champion = with_others([right(), wrong()], [noisy, clean], 80)
    same = with_others([wrong(), right()], [clean, noisy], 100)
    assert gate(same, champion, LOW).promoted
    worse = with_others([wrong(), wrong()], [noisy, noisy], 100)
    verdict = gate(worse, champion, LOW)
    assert missed(verdict) == ["frame accuracy on held-out tools", "recovery from faults"]


def test_other_requests_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different requests"):
        gate(measured(10, 0), measured(9, 0), LOW)


def test_force_is_said() -> None:
    verdict = gate(measured(50, 50), None, SPEC, forced="a demonstration")
    assert verdict.promoted
    assert not verdict.holds
    assert verdict.sentence == (
        "promoted by force (a demonstration), although argument F1 is 50.0%, needs 88.0%"
    )
    whole = gate(measured(100, 0), None, SPEC, forced="a demonstration")
    assert whole.sentence == "promoted: every condition holds"


def test_the_sentence_names_what_was_missed() -> None:
    verdict = gate(measured(50, 50), measured(60, 40), SPEC)
    assert verdict.sentence == (
        "not promoted: argument F1 is 50.0%, needs 88.0%; "
        "frame accuracy above the champion's is -10.0 points, needs more than 2.0 points"
    )


def test_what_the_record_holds() -> None:
    assert Condition("x", 0.5, 0.4, "at most", "seconds").to_dict() == {
        "name": "x",
        "value": 0.5,
        "target": 0.4,
        "met": False,
        "measured": "0.50 s",
        "needed": "at most 0.40 s",
    }
