"""The report's text parts: its head, tables and lists, as HTML.

Every function is pure: a record in, markup out; empty markup where there is nothing to show. All
text goes through `markup.element`, which escapes it. Knows nothing of plots or of the page.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fcray.tools import ToolCall, canonical_json
from fcray.tracking.markup import Html, element, join
from fcray.tracking.record import (
    Condition,
    MistakeRecord,
    RunRecord,
    ScoreRecord,
    ServedRecord,
    TrialRecord,
    score_of,
)
from fcray.tracking.wording import (
    METRICS,
    NONE,
    STATUS,
    call_text,
    duration,
    figure,
    modules,
    number,
    percent,
    rate,
    shares,
)

MOST = 100
"""Served requests and wrong answers beyond this many are counted, not shown."""


def header(run: RunRecord) -> Html:
    """The run's name, its date, and its main figures as tiles."""
    date = run.date.strftime("%d %B %Y, %H:%M %Z").strip(" ,").lstrip("0") if run.date else ""
    title = join(element("p", "fcray sweep", class_="kicker"), element("h1", run.name))
    tiles = [_change(run, name) for name in ("intent_accuracy", "argument_f1")]
    tiles += [_promotion(run), _total(run)]
    shown = join(*(tile for tile in tiles if tile))
    return element(
        "header",
        title,
        element("p", date, class_="note") if date else Html(),
        element("div", shown, class_="tiles") if shown else Html(),
    )


def conditions(items: Sequence[Condition]) -> Html:
    """Figures against what they had to reach."""
    rows = [
        [
            element("td", METRICS.get(item.name, item.name)),
            number_cell(item.measured or figure(item.name, item.value)),
            number_cell(item.needed or figure(item.name, item.target)),
            element("td", _mark("met", "good") if item.met else _mark("not met", "bad")),
        ]
        for item in items
    ]
    return table(("Figure", "#Measured", "#Required", "Met"), rows)


def trials(run: RunRecord) -> Html:
    """One row a trial, the best first, those without a score last."""

    def rank(trial: TrialRecord) -> tuple[float, int]:
        score = score_of(trial.scores, run.objective)
        return (1.0 if score is None else -score, trial.number)

    best = run.best.number if run.best else None
    heads = (
        "#Trial",
        "Status",
        "#Rank",
        "#Learning rate",
        "Target modules",
        "#Shares, %",
        "#Steps",
    )
    scores = tuple(f"#{name}" for name in METRICS.values())
    rows = [_trial(trial, trial.number == best) for trial in sorted(run.trials, key=rank)]
    return table((*heads, *scores, "#Time", "Why it stopped, alarms"), rows)


def served(items: Sequence[ServedRecord]) -> Html:
    """Requests to the endpoint, what it answered, and the call in the answer."""
    rows = [
        [
            element("td", item.request, lang=_lang(item.language), class_="text"),
            element("td", element("code", item.answer), lang=_lang(item.language), class_="text"),
            element("td", element("code", call_text(item.call)), class_="text"),
            number_cell(duration(item.seconds)),
        ]
        for item in items[:MOST]
    ]
    return join(table(("Request", "Answer", "Parsed call", "#Time"), rows), _left_out(len(items)))


def mistakes(items: Sequence[MistakeRecord]) -> Html:
    """Wrong answers beside the right ones; what differs is marked."""
    cards = join(*(_mistake(item) for item in items[:MOST]))
    return join(element("ol", cards, class_="mistakes"), _left_out(len(items))) if items else Html()


def facts(run: RunRecord) -> Html:
    """What the run ran on, with which versions, and where its files are."""
    groups = (("Machine", run.machine), ("Versions", run.versions), ("Files", run.paths))
    lists = [_facts(title, values) for title, values in groups if values]
    return element("div", *lists, class_="facts") if lists else Html()


def _change(run: RunRecord, name: str) -> Html:
    """A tile with a metric before and after, each with its 95% interval on a line from 0 to 1."""
    pairs = (("before", run.before), ("after", run.after))
    known = [(when, s, value) for when, s in pairs if s and (value := getattr(s, name)) is not None]
    if not known:
        return Html()
    figures = [
        element("strong" if when == "after" else "span", percent(value), class_=when)
        for when, _, value in known
    ]
    goal = next((c.target for c in (*run.conditions, *run.targets) if c.name == name), None)
    bars = [
        interval_bar(when, value, *scores.intervals.get(name, (None, None)), goal)
        for when, scores, value in known
    ]
    spans = [_span_text(scores, name) for _, scores, _ in known]
    notes = [f"95% intervals: {' → '.join(spans)}"] if all(spans) else []
    notes += [f"{known[-1][1].examples} examples"] if known[-1][1].examples else []
    notes += [f"the upright line: {percent(goal)} required"] if goal is not None else []
    lines = [element("p", note, class_="note") for note in notes]
    return tile(METRICS[name], Html(" → ".join(figures)), join(*bars, *lines))


def interval_bar(
    when: str, value: float, low: float | None, high: float | None, goal: float | None = None
) -> Html:
    """A value and its interval on a line from 0 to 1, and what it has to reach."""
    span = Html()
    if low is not None and high is not None:
        style = f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"
        span = element("i", class_="span", style=style)
    dot = element("i", class_="dot", style=f"left:{100 * value:.1f}%")
    tick = Html() if goal is None else element("i", class_="goal", style=f"left:{100 * goal:.1f}%")
    return element("div", span, tick, dot, class_=f"bar {when}", aria_hidden="true")


def _span_text(scores: ScoreRecord, name: str) -> str:
    low, high = scores.intervals.get(name, (None, None))
    return "" if low is None or high is None else f"{100 * low:.0f}–{100 * high:.0f}%"


def _promotion(run: RunRecord) -> Html:
    if run.promoted is None and not run.verdict:
        return Html()
    version = run.promoted.version if run.promoted else "none"
    note = element("p", run.verdict, class_="note") if run.verdict else Html()
    return tile("Promoted", element("strong", version, class_="word"), note)


def _total(run: RunRecord) -> Html:
    ends = [trial.finished for trial in run.trials if trial.finished is not None]
    total = sum(seconds or 0.0 for seconds in run.phases.values()) or max(ends, default=0.0)
    if not total:
        return Html()
    count = len(run.trials)
    note = f"{count} {'trial' if count == 1 else 'trials'}" if count else ""
    ended = [f"{n} {STATUS[s]}" for s in STATUS if (n := [t.status for t in run.trials].count(s))]
    text = f"{note}: {', '.join(ended)}" if note else ""
    return tile("Total time", element("strong", duration(total)), element("p", text, class_="note"))


def tile(title: str, value: Html, rest: Html) -> Html:
    """A main figure, and what is to be said of it."""
    head = element("h2", title)
    return element("div", head, element("p", value, class_="figure"), rest, class_="tile")


def _trial(trial: TrialRecord, best: bool) -> list[Html]:
    config = trial.config
    spent = None
    if trial.started is not None and trial.finished is not None:
        spent = trial.finished - trial.started
    steps = f"{trial.steps} / {trial.total_steps}" if trial.total_steps else str(trial.steps)
    why = [text for text in (trial.reason, *trial.alarms) if text]
    return [
        element("td", str(trial.number), _mark("best", "good") if best else "", class_="number"),
        element("td", _mark(STATUS[trial.status], trial.status)),
        number_cell(number(config.get("rank"))),
        number_cell(rate(config.get("learning_rate"))),
        element("td", modules(config.get("target_modules"))),
        number_cell(shares(config.get("shares"))),
        number_cell(steps),
        *(number_cell(percent(trial.scores.get(name))) for name in METRICS),
        number_cell(duration(spent)),
        element("td", "; ".join(why) or NONE, class_="text"),
    ]


def _mistake(item: MistakeRecord) -> Html:
    gold = [marked_call(call, _at(item.predicted, i)) for i, call in enumerate(item.gold)]
    predicted = [marked_call(call, _at(item.gold, i)) for i, call in enumerate(item.predicted)]
    said = element("p", item.answer, class_="text", lang=_lang(item.language))
    places = ", ".join(part for part in (item.domain, item.language) if part)
    return element(
        "li",
        element("p", item.request, class_="request", lang=_lang(item.language)),
        element("p", places, class_="note") if places else Html(),
        element("div", side("Right", gold), side("Model", predicted), class_="sides"),
        element("div", element("h4", "The model's text"), said) if item.answer else Html(),
    )


def side(title: str, calls: Sequence[Html]) -> Html:
    """Calls under a title; that there is none is said."""
    shown = calls or [element("p", "no call", class_="note")]
    return element("div", element("h4", title), *shown)


def marked_call(
    call: ToolCall, other: ToolCall | None, equal: Callable[[Any, Any], bool] = operator.eq
) -> Html:
    """The call with what `other` has differently marked: the name, or single arguments."""
    same = other is not None and other.name == call.name
    name = call.name if same else element("mark", call.name)
    parts = [
        join(key, "=", canonical_json(value))
        if other is not None
        and same
        and key in other.arguments
        and equal(other.arguments[key], value)
        else element("mark", key, "=", canonical_json(value))
        for key, value in call.arguments.items()
    ]
    return element("p", element("code", name, "(", Html(", ".join(parts)), ")"))


def _at(calls: list[ToolCall], index: int) -> ToolCall | None:
    return calls[index] if index < len(calls) else None


def _facts(title: str, values: Mapping[str, Any]) -> Html:
    rows = [
        join(element("dt", name.replace("_", " ")), element("dd", number(value)))
        for name, value in values.items()
    ]
    return element("div", element("h3", title), element("dl", *rows))


def table(heads: Iterable[str], rows: list[list[Html]]) -> Html:
    """A table that scrolls on its own; a head that begins with # stands over numbers."""
    if not rows:
        return Html()
    cells = [
        element("th", head.lstrip("#"), scope="col", class_="number" if head[0] == "#" else None)
        for head in heads
    ]
    body = element("tbody", *(element("tr", *row) for row in rows))
    table = element("table", element("thead", element("tr", *cells)), body)
    return element("div", table, class_="scroll", tabindex="0")


def filters(choices: Mapping[str, Iterable[str]], *, search: bool = False) -> Html:
    """What rows are filtered by: a select for every name, a search field if wanted, the rows left.

    `assets/filter.js` does it to the children of the element with `data-filtered`; a row says its
    values of a name in `data-NAME`, one a line.
    """
    selects = [_select(name, sorted(set(values))) for name, values in choices.items()]
    field = "<input type=search id=search placeholder='search the text' aria-label=search>"
    count = element("span", "", id="left", class_="note", role="status")
    return element("p", *selects, Html(field if search else ""), count, class_="filters")


def _select(name: str, values: Sequence[str]) -> Html:
    """One of the values, or all, under the name."""
    options = (element("option", value, value=value) for value in values)
    every = element("option", "all", value="")
    return element("label", f"{name} ", element("select", every, *options, data_filter=name))


def number_cell(text: str) -> Html:
    return element("td", text, class_="number")


def _mark(text: str, kind: str) -> Html:
    return element("span", text, class_=f"mark {kind}")


def _left_out(count: int) -> Html:
    if count <= MOST:
        return Html()
    text = f"The first {MOST} of {count}; the rest is in summary.json."
    return element("p", text, class_="note")


def _lang(language: str) -> str | None:
    return language or None
