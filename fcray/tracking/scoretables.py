"""The tables about an evaluation, as text: the terminal and the page show the same.

Pure: a suite's result in, rows out. Knows nothing of terminals or HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fcray.evaluation.bfcl import BfclScores
from fcray.evaluation.suites import Result
from fcray.metrics import Interval, Recovery, Scores
from fcray.tracking.wording import METRICS, NONE, percent

MEASURES = {
    **METRICS,
    "argument_precision": "Argument precision",
    "argument_recall": "Argument recall",
    "irrelevance_accuracy": "Irrelevance accuracy",
    "parse_validity": "Parse validity",
    "schema_validity": "Schema validity",
    "tool_coverage": "Tool coverage",
}
"""Shares in `Scores` → their names for people."""

COUNTS = {
    "hallucinated_arguments": "Arguments that no right call has, a call",
    "missing_arguments": "Arguments of right calls that are missing, a call",
}
"""The same of numbers a call."""

AST = "BFCL non-live AST"


class ScoreTable(NamedTuple):
    """A title, heads and rows; a head that begins with # stands over numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(result: Result) -> list[ScoreTable]:
    """All tables about a suite that have something to say."""
    if result.bfcl is not None:
        made = [_bfcl(result.bfcl)]
    elif result.recovery:
        made = [_recovery("fault", {**result.recovery, "all": all_faults(result)})]
        made += [_recovery(key, groups) for key, groups in result.recovery_by.items()]
    else:
        made = [_overall(result.scores)]
        made += [_groups(key, groups) for key, groups in result.groups.items()]
        made += [_tools(result.scores)]
    return [table for table in (*made, _speed(result.scores)) if table.rows]


def all_faults(result: Result) -> Recovery:
    """Recovery from the faults of all kinds together."""
    found = result.recovery.values()
    return Recovery.of(sum(one.recovered for one in found), sum(one.cases for one in found))


def span(interval: Interval | None) -> str:
    """`92.7% to 100.0%`; empty where there is none."""
    return f"{percent(interval.low)} to {percent(interval.high)}" if interval else ""


def _overall(scores: Scores) -> ScoreTable:
    rows = tuple(
        (label, percent(getattr(scores, name)), span(scores.intervals.get(name)))
        for name, label in MEASURES.items()
    )
    rows += tuple((label, *_a_call(scores, name)) for name, label in COUNTS.items())
    return ScoreTable("Scores", ("Measure", "#Value", "#95 % interval"), rows)


def _a_call(scores: Scores, name: str) -> tuple[str, str]:
    value, interval = getattr(scores, name), scores.intervals.get(name)
    text = NONE if value is None else f"{value:.2f}"
    return text, f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""


def _groups(key: str, groups: Mapping[str, Scores]) -> ScoreTable:
    rows = tuple(
        (name, f"{scores.examples:,}", *(_with_span(scores, metric) for metric in METRICS))
        for name, scores in groups.items()
    )
    heads = (key.capitalize(), "#Requests", *(f"#{name}" for name in METRICS.values()))
    return ScoreTable(f"By {key}", heads, rows)


def _with_span(scores: Scores, metric: str) -> str:
    """`96.9% (92.7% to 100.0%)`; nothing is said of arguments where no right call has any."""
    if metric == "argument_f1" and not scores.gold_triples:
        return NONE
    interval = span(scores.intervals.get(metric))
    return percent(getattr(scores, metric)) + (f" ({interval})" if interval else "")


def _tools(scores: Scores) -> ScoreTable:
    rows = tuple(
        (name, f"{one.gold:,}", f"{one.predicted:,}", f"{one.exact:,}", percent(one.argument_f1))
        for name, one in scores.per_tool.items()
    )
    heads = ("Tool", "#Right calls", "#Model's calls", "#Called rightly", "#Argument F1")
    return ScoreTable("By tool", heads, rows)


def _recovery(key: str, groups: Mapping[str, Recovery]) -> ScoreTable:
    rows = tuple(
        (name, f"{one.cases:,}", f"{one.recovered:,}", percent(one.rate), span(one.interval))
        for name, one in groups.items()
    )
    heads = (key.capitalize(), "#Requests", "#Recovered", "#Recovery rate", "#95 % interval")
    return ScoreTable(f"Recovery by {key}", heads, rows)


def _bfcl(scores: BfclScores) -> ScoreTable:
    rows = [
        (name, f"{one.cases:,}", f"{one.passed:,}", percent(one.accuracy), span(one.interval))
        for name, one in scores.categories.items()
    ]
    rows.append((AST, "", "", percent(scores.non_live_ast), span(scores.interval)))
    heads = ("Category", "#Questions", "#Passed", "#Accuracy", "#95 % interval")
    return ScoreTable("BFCL by category", heads, tuple(rows))


def _speed(scores: Scores) -> ScoreTable:
    rows: list[tuple[str, ...]] = []
    if scores.latency:
        rows += [
            (f"Latency P{name}", f"{value:.2f} s")
            for name, value in zip(
                (50, 95, 99),
                (scores.latency.p50, scores.latency.p95, scores.latency.p99),
                strict=True,
            )
        ]
    speed = scores.tokens_per_second
    rows.append(("Tokens per second", NONE if speed is None else f"{speed:.1f}"))
    return ScoreTable(
        "Speed of an answer among those of its batch", ("Measure", "#Value"), tuple(rows)
    )
