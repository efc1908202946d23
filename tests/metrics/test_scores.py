"""Tests of the scores of a set."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.metrics import Interval, Latency, Outcome, Scores, score, score_by

from .builders import call, outcome, outcomes, tool


def plain(predictions: list[Outcome]) -> Scores:
    return score(predictions, bootstrap=0)


def origin(language: str, domain: str, kind: str) -> dict[str, str]:
    return {"language": language, "domain": domain, "kind": kind}


def swapped(one: Outcome) -> Outcome:
    """The same outcome with gold and predicted calls exchanged."""
    example = one.example.model_copy(update={"calls": one.calls})
    return replace(one, example=example, calls=one.example.calls)


def test_a_set_worked_out_by_hand() -> None:
    tools = [tool("f", x="integer", y="integer"), tool("g", z="string"), tool("h", z="string")]
    scores = plain(
        [
            outcome([call("f", x=1, y=2)], [call("f", x=1, y=2)], tools=tools),
            outcome([call("f", x=1, y=2)], [call("f", x=1, w=2)], tools=tools),
            outcome([call("g", z="a")], [call("f", x=9)], tools=tools),
            outcome([], [], tools=tools),
            outcome([], [call("h", z="a")], tools=tools),
        ]
    )
    assert scores.intent_accuracy == 3 / 5
    assert scores.frame_accuracy == 2 / 5
    assert (scores.shared_triples, scores.predicted_triples, scores.gold_triples) == (3, 6, 5)
    assert scores.argument_precision == 3 / 6
    assert scores.argument_recall == 3 / 5
    assert scores.argument_f1 == pytest.approx(6 / 11)
    assert scores.irrelevance_accuracy == 1 / 2
    assert scores.schema_validity == 3 / 4
    assert scores.hallucinated_arguments == scores.missing_arguments == 1 / 2
    assert scores.tool_coverage == 1 / 3  # of f, g and h: nobody asked for h
    assert scores.confusion == {"f": {"f": 2}, "g": {"f": 1}, "none": {"h": 1, "none": 1}}
    fared = scores.per_tool["f"]
    assert (fared.gold, fared.predicted, fared.matched, fared.exact) == (2, 3, 2, 1)
    assert (fared.argument_precision, fared.argument_recall) == (3 / 5, 3 / 4)


def test_the_mode_decides_about_strings() -> None:
    one = [outcome([call(to="New York")], [call(to="new york")])]
    assert score(one, mode="normalised", bootstrap=0).frame_accuracy == 1.0
    assert score(one, mode="strict", bootstrap=0).argument_f1 == 0.0


def test_every_share_has_an_interval_that_holds_it() -> None:
    tools = [tool("f", x="integer"), tool("g", z="string")]
    mixed = [
        outcome([call("f", x=1)], [call("f", x=1)], tools=tools),
        outcome([call("f", x=1)], [call("f", y=2)], tools=tools),
        outcome([call("g", z="a")], [], tools=tools),
        outcome([], [], tools=tools),
        outcome([], [call("g", z="a")], tools=tools),
    ] * 6
    scores = score(mixed, bootstrap=200)
    assert scores.intervals.keys() == {
        *("intent_accuracy", "frame_accuracy", "argument_f1", "argument_precision"),
        *("argument_recall", "irrelevance_accuracy", "parse_validity", "schema_validity"),
        *("hallucinated_arguments", "missing_arguments", "tool_coverage"),
    }
    for name, interval in scores.intervals.items():
        assert interval.low <= getattr(scores, name) <= interval.high
    only_calls = score(mixed[:1], bootstrap=20)
    assert "irrelevance_accuracy" not in only_calls.intervals


def test_no_outcomes() -> None:
    scores = score([])
    assert (scores.examples, scores.intent_accuracy, scores.argument_f1) == (0, 0.0, 0.0)
    assert scores.latency is scores.irrelevance_accuracy is scores.schema_validity is None
    assert scores.per_tool == scores.confusion == scores.intervals == {}
    assert score_by([], "tool") == {}


def test_no_triples_at_all() -> None:
    assert plain([outcome()]).argument_f1 == 1.0
    assert plain([outcome([call("f")], [call("f")])]).argument_f1 == 1.0
    assert plain([outcome([], [call("f", x=1)])]).argument_f1 == 0.0
    assert plain([outcome([call("f", x=1)])]).argument_precision == 0.0


def test_speed() -> None:
    timed = [outcome(seconds=second / 100, completion_tokens=10) for second in range(101)]
    scores = plain(timed)
    assert scores.latency == Latency(p50=0.5, p95=0.95, p99=pytest.approx(0.99))
    assert scores.tokens_per_second == pytest.approx(1010 / 50.5)
    assert plain([outcome(seconds=0.0)]).tokens_per_second is None


def test_parse_validity() -> None:
    assert plain([outcome(), outcome(valid=False)]).parse_validity == 0.5


def test_intervals_hold_the_scores_and_follow_the_seed() -> None:
    mixed = [outcome([call(x=1)], [call(x=i % 2)]) for i in range(60)]
    scores = score(mixed, bootstrap=200, seed=3)
    assert scores.intervals["intent_accuracy"] == Interval(1.0, 1.0)
    for name in ("argument_f1", "frame_accuracy"):
        interval = scores.intervals[name]
        assert 0.3 < interval.low < getattr(scores, name) < interval.high < 0.7
    assert scores.intervals == score(mixed, bootstrap=200, seed=3).intervals
    assert scores.intervals != score(mixed, bootstrap=200, seed=4).intervals


def test_score_by_groups() -> None:
    mixed = [
        outcome([call("f"), call("g")], [call("f")], origin=origin("zh", "iot", "parallel")),
        outcome([call("g")], [call("g")], origin=origin("en", "iot", "single")),
        outcome([], [], origin=origin("en", "office", "irrelevant")),
    ]
    sizes = {
        key: {name: group.examples for name, group in score_by(mixed, key, bootstrap=0).items()}
        for key in ("language", "domain", "kind", "tool")
    }
    assert sizes == {
        "language": {"en": 2, "zh": 1},
        "domain": {"iot": 2, "office": 1},
        "kind": {"irrelevant": 1, "parallel": 1, "single": 1},
        "tool": {"f": 1, "g": 2, "none": 1},
    }
    assert score_by(mixed, "tool", bootstrap=0)["g"].intent_accuracy == 0.5
    with pytest.raises(ValueError, match="key must be one of language, domain, kind, tool"):
        score_by(mixed, "colour")  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused_even_for_no_outcomes() -> None:
    with pytest.raises(ValueError, match="mode must be"):
        score([], mode="loose")  # type: ignore[arg-type]


@given(outcomes)
def test_scores_are_json_and_shares(predictions: list[Outcome]) -> None:
    scores = score(predictions, bootstrap=5)
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False)) == scores.to_dict()
    shares = [scores.intent_accuracy, scores.frame_accuracy, scores.argument_precision]
    shares += [scores.argument_recall, scores.argument_f1]
    shares += [s for s in (scores.irrelevance_accuracy, scores.tool_coverage) if s is not None]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert scores.frame_accuracy <= scores.intent_accuracy
    low, high = sorted((scores.argument_precision, scores.argument_recall))
    assert low - 1e-12 <= scores.argument_f1 <= high + 1e-12


@given(outcomes)
def test_exchanging_gold_and_predicted_exchanges_precision_and_recall(
    predictions: list[Outcome],
) -> None:
    scores, mirrored = plain(predictions), plain([swapped(one) for one in predictions])
    assert scores.argument_precision == mirrored.argument_recall
    assert scores.argument_recall == mirrored.argument_precision
    assert scores.argument_f1 == mirrored.argument_f1
    assert scores.frame_accuracy == mirrored.frame_accuracy


@given(outcomes.filter(bool), st.sampled_from(["strict", "normalised"]))
def test_perfect_predictions_score_one(predictions: list[Outcome], mode: str) -> None:
    perfect = [replace(one, calls=one.example.calls, valid=True) for one in predictions]
    scores = score(perfect, mode=mode, bootstrap=0)  # type: ignore[arg-type]
    assert scores.intent_accuracy == scores.frame_accuracy == scores.argument_f1 == 1.0
    asked = {c.name for one in perfect for c in one.example.calls}
    offered = {t.name for one in perfect for t in one.example.tools}
    coverage = len(asked & offered) / len(offered) if offered else None
    assert scores.tool_coverage == coverage
    assert scores.hallucinated_arguments in (None, 0.0)


@given(outcomes, st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_matter(
    predictions: list[Outcome], dice: random.Random
) -> None:
    shuffled = [
        replace(
            one,
            calls=tuple(dice.sample(one.calls, len(one.calls))),
            example=one.example.model_copy(
                update={"calls": tuple(dice.sample(one.example.calls, len(one.example.calls)))}
            ),
        )
        for one in predictions
    ]
    assert plain(shuffled) == plain(predictions)


@given(outcomes, outcomes)
def test_scores_of_two_sets_together(left: list[Outcome], right: list[Outcome]) -> None:
    one, two, both = plain(left), plain(right), plain(left + right)
    for name in ("intent_accuracy", "frame_accuracy"):
        weighted = getattr(one, name) * one.examples + getattr(two, name) * two.examples
        assert getattr(both, name) * both.examples == pytest.approx(weighted)
    for name in ("shared_triples", "predicted_triples", "gold_triples"):
        assert getattr(both, name) == getattr(one, name) + getattr(two, name)


@given(outcomes)
def test_no_triple_is_counted_twice(predictions: list[Outcome]) -> None:
    scores = plain(predictions)
    assert scores.shared_triples <= min(scores.predicted_triples, scores.gold_triples)
