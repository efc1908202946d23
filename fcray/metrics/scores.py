"""Scores of a set of predictions: intent, arguments, frames, schema, speed, and their intervals.

Knows nothing of models or files. Argument F1 is micro F1 over (function, argument, value) triples,
as in Hammer (arXiv:2410.04587) and Seal-Tools (arXiv:2405.08355), but with calls matched one to one
instead of each to the first gold call of its name, and with nested values compared leaf by leaf.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from fcray.metrics.intervals import Interval, bootstrap_intervals
from fcray.metrics.judging import NO_CALL, Judgement, Outcome, judge
from fcray.metrics.matching import CallPair
from fcray.metrics.values import Mode, check_mode

GroupKey = Literal["language", "domain", "kind", "tool"]


@dataclass(frozen=True)
class Latency:
    """Percentiles of `Outcome.seconds`, interpolated linearly."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class ToolScores:
    """How one function fared.

    Attributes
    ----------
    gold, predicted: How many calls of it there were on each side.
    matched: Predicted calls that were matched to a gold call of it.
    exact: Matched calls with every argument right.
    argument_precision, argument_recall, argument_f1: As in `Scores`, over this function's triples.
    """

    gold: int
    predicted: int
    matched: int
    exact: int
    argument_precision: float
    argument_recall: float
    argument_f1: float


@dataclass(frozen=True)
class Scores:
    """Scores of a set of outcomes; shares are between 0 and 1.

    With no examples the shares that every set has are 0.0, for nothing was shown. A score is None
    where the set has nothing that it measures, such as irrelevance without irrelevant requests.
    An output that was not parsed is never right, but calls read from it count for the arguments.

    Attributes
    ----------
    examples: How many outcomes were scored.
    intent_accuracy: Share with the right functions, as a multiset of names, or rightly none.
    frame_accuracy: Share with the right functions and every argument right (semantic frame).
    argument_precision: S / P, argument_recall: S / G, argument_f1: 2 S / (P + G), where of all
        (function, path, value) triples P are predicted, G are gold and S are both under the best
        one-to-one matching of calls. All are 1.0 when P = G = 0 and 0.0 when only one of them is.
    predicted_triples, gold_triples, shared_triples: P, G and S.
    irrelevance_accuracy: Of the requests that need no call, the share answered without one.
        An output that was not parsed does not pass, which is stricter than BFCL.
    parse_validity: Share of outputs that were parsed without an error.
    schema_validity: Of the predicted calls, the share that fit an offered tool's schema.
    hallucinated_arguments: Predicted argument paths that the gold call lacks, per matched call.
    missing_arguments: Gold argument paths that the predicted call lacks, per matched call.
    tool_coverage: Of the tools that are offered anywhere in the set, the share called rightly, arguments
        and all, once or more.
    per_tool: Function name → its scores, for every function that was gold or predicted.
    confusion: Gold name → predicted name → count; `none` is no call, `invalid` an unparsed output.
    latency: Percentiles of `Outcome.seconds`.
    tokens_per_second: Tokens written / seconds, both summed over outcomes: the speed of one answer among
        those that were written at the same time.
    intervals: 95 % bootstrap intervals of all that are shares or counts a call.
    """

    examples: int
    intent_accuracy: float
    argument_precision: float
    argument_recall: float
    argument_f1: float
    frame_accuracy: float
    predicted_triples: int
    gold_triples: int
    shared_triples: int
    irrelevance_accuracy: float | None
    parse_validity: float
    schema_validity: float | None
    hallucinated_arguments: float | None
    missing_arguments: float | None
    tool_coverage: float | None
    per_tool: dict[str, ToolScores]
    confusion: dict[str, dict[str, int]]
    latency: Latency | None
    tokens_per_second: float | None
    intervals: dict[str, Interval]

    def to_dict(self) -> dict[str, object]:
        """The scores as JSON holds them: nested objects, null for None."""
        return asdict(self)


def score(
    outcomes: Sequence[Outcome],
    *,
    mode: Mode = "normalised",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score a set of outcomes.

    Parameters
    ----------
    mode: How argument values are compared; see `values.comparison_key`.
    bootstrap: Resamples behind the intervals; 0 leaves them out.
    seed: Seed of the resampling.

    Raises
    ------
    ValueError: `mode` is unknown.
    """
    check_mode(mode)
    return _summarise([judge(outcome, mode) for outcome in outcomes], bootstrap, seed)


def _summarise(judged: Sequence[Judgement], bootstrap: int, seed: int) -> Scores:
    outcomes = [one.outcome for one in judged]
    pairs = [pair for one in judged for pair in one.pairs]
    matched = [pair for pair in pairs if pair.matched]
    tools = _per_tool(pairs)
    rightly = {name for name, tool in tools.items() if tool.exact}
    precision, recall, f1 = argument_scores(pairs) if judged else (0.0, 0.0, 0.0)
    return Scores(
        examples=len(judged),
        intent_accuracy=_share(one.intent for one in judged) or 0.0,
        argument_precision=precision,
        argument_recall=recall,
        argument_f1=f1,
        frame_accuracy=_share(one.frame for one in judged) or 0.0,
        predicted_triples=sum(pair.predicted_leaves for pair in pairs),
        gold_triples=sum(pair.gold_leaves for pair in pairs),
        shared_triples=sum(pair.shared for pair in pairs),
        irrelevance_accuracy=_share(one.intent for one in judged if not one.outcome.example.calls),
        parse_validity=_share(outcome.valid for outcome in outcomes) or 0.0,
        schema_validity=_share(ok for one in judged for ok in one.schema_valid()),
        hallucinated_arguments=_share(len(pair.hallucinated) for pair in matched),
        missing_arguments=_share(len(pair.missing) for pair in matched),
        tool_coverage=_share(name in rightly for name in _offered(judged)),
        per_tool=tools,
        confusion=_confusion(judged),
        latency=_latency(outcomes),
        tokens_per_second=_speed(outcomes),
        intervals=_intervals(judged, bootstrap, seed),
    )


def score_by(
    outcomes: Sequence[Outcome],
    key: GroupKey,
    *,
    mode: Mode = "normalised",
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Scores]:
    """Score the outcomes of every group apart; groups come in alphabetical order.

    By `tool`, an outcome belongs to the group of every function in its gold calls, or to `none`.

    Raises
    ------
    ValueError: `key` or `mode` is unknown.
    """
    if key not in get_args(GroupKey):
        raise ValueError(f"key must be one of {', '.join(get_args(GroupKey))}, not {key!r}")
    groups: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        for group in _groups(outcome, key):
            groups[group].append(outcome)
    return {
        name: score(groups[name], mode=mode, bootstrap=bootstrap, seed=seed)
        for name in sorted(groups)
    }


def _groups(outcome: Outcome, key: GroupKey) -> set[str]:
    if key == "tool":
        return {call.name for call in outcome.example.calls} or {NO_CALL}
    return {str(getattr(outcome.example.origin, key))}


def f1_score(shared: float, predicted: float, gold: float) -> float:
    """2 S / (P + G), the harmonic mean of precision and recall; 1.0 when P = G = 0."""
    return 2 * shared / (predicted + gold) if predicted + gold else 1.0


def argument_scores(pairs: Iterable[CallPair]) -> tuple[float, float, float]:
    """Micro precision, recall and F1 over the leaves of matched calls."""
    shared = predicted = gold = 0
    for pair in pairs:
        shared += pair.shared
        predicted += pair.predicted_leaves
        gold += pair.gold_leaves
    nothing = 0.0 if predicted or gold else 1.0
    precision = shared / predicted if predicted else nothing
    recall = shared / gold if gold else nothing
    return precision, recall, f1_score(shared, predicted, gold)


def _share(values: Iterable[float]) -> float | None:
    """The mean, or None of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _per_tool(pairs: Sequence[CallPair]) -> dict[str, ToolScores]:
    groups: defaultdict[str, list[CallPair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.name].append(pair)
    return {name: _tool_scores(groups[name]) for name in sorted(groups)}


def _tool_scores(pairs: Sequence[CallPair]) -> ToolScores:
    precision, recall, f1 = argument_scores(pairs)
    return ToolScores(
        gold=sum(pair.gold is not None for pair in pairs),
        predicted=sum(pair.predicted is not None for pair in pairs),
        matched=sum(pair.matched for pair in pairs),
        exact=sum(pair.exact for pair in pairs),
        argument_precision=precision,
        argument_recall=recall,
        argument_f1=f1,
    )


def _confusion(judged: Iterable[Judgement]) -> dict[str, dict[str, int]]:
    counts = Counter(cell for one in judged for cell in one.confusions())
    table: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (gold, predicted), count in sorted(counts.items()):
        table[gold][predicted] = count
    return dict(table)


def _latency(outcomes: Sequence[Outcome]) -> Latency | None:
    if not outcomes:
        return None
    p50, p95, p99 = np.percentile([outcome.seconds for outcome in outcomes], [50, 95, 99])
    return Latency(float(p50), float(p95), float(p99))


def _speed(outcomes: Sequence[Outcome]) -> float | None:
    seconds = sum(outcome.seconds for outcome in outcomes)
    tokens = sum(outcome.completion_tokens for outcome in outcomes)
    return tokens / seconds if seconds > 0 and tokens > 0 else None


def _offered(judged: Sequence[Judgement]) -> list[str]:
    """The names of the tools that are offered anywhere in the set."""
    return sorted({tool.name for one in judged for tool in one.outcome.example.tools})


class _Counts(NamedTuple):
    """What the intervals are made of: the counts of an outcome, or sums of them."""

    outcomes: float
    intent: float
    frame: float
    shared: float
    predicted: float
    gold: float
    declined: float
    irrelevant: float
    parsed: float
    fitting: float
    calls: float
    matched: float
    hallucinated: float
    missing: float

    @classmethod
    def of(cls, judged: Judgement) -> _Counts:
        irrelevant = not judged.outcome.example.calls
        matched = [pair for pair in judged.pairs if pair.matched]
        fitting = judged.schema_valid()
        return cls(
            1,
            judged.intent,
            judged.frame,
            judged.shared,
            judged.predicted_triples,
            judged.gold_triples,
            judged.intent and irrelevant,
            irrelevant,
            judged.outcome.valid,
            sum(fitting),
            len(fitting),
            len(matched),
            sum(len(pair.hallucinated) for pair in matched),
            sum(len(pair.missing) for pair in matched),
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _of_triples(shared: float, some: float, others: float) -> float:
    """Precision and recall: 1 where neither side has triples, 0 where only the other has."""
    return shared / some if some else float(not others)


_STATISTICS: dict[str, Callable[[_Counts], float]] = {
    "intent_accuracy": lambda c: c.intent / c.outcomes,
    "frame_accuracy": lambda c: c.frame / c.outcomes,
    "argument_f1": lambda c: f1_score(c.shared, c.predicted, c.gold),
    "argument_precision": lambda c: _of_triples(c.shared, c.predicted, c.gold),
    "argument_recall": lambda c: _of_triples(c.shared, c.gold, c.predicted),
    "irrelevance_accuracy": lambda c: _ratio(c.declined, c.irrelevant),
    "parse_validity": lambda c: c.parsed / c.outcomes,
    "schema_validity": lambda c: _ratio(c.fitting, c.calls),
    "hallucinated_arguments": lambda c: _ratio(c.hallucinated, c.matched),
    "missing_arguments": lambda c: _ratio(c.missing, c.matched),
}


def _intervals(judged: Sequence[Judgement], resamples: int, seed: int) -> dict[str, Interval]:
    """Of all shares; behind the counts of an outcome stand those of its right calls, a column a tool."""
    offered = _offered(judged)
    width = len(_Counts._fields)

    def right_calls(one: Judgement) -> list[int]:
        right = Counter(pair.name for pair in one.pairs if pair.exact)
        return [right[name] for name in offered]

    def of_counts(statistic: Callable[[_Counts], float]) -> Callable[[Sequence[float]], float]:
        return lambda sums: statistic(_Counts(*sums[:width]))

    def coverage(sums: Sequence[float]) -> float:
        return _ratio(sum(count > 0 for count in sums[width:]), len(offered))

    return bootstrap_intervals(
        [[*_Counts.of(one)[1:], *right_calls(one)] for one in judged] if resamples else [],
        {name: of_counts(one) for name, one in _STATISTICS.items()} | {"tool_coverage": coverage},
        resamples=resamples,
        seed=seed,
    )
