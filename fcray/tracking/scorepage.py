"""A page about an evaluation: scores with intervals, who is taken for whom, and the wrong answers to read.

One HTML page that needs no network; its wrong answers stand beside the right ones and can be filtered.
Pure: results in, the page's text out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fcray.evaluation.suites import Result, Wrong
from fcray.metrics import INVALID, NO_CALL, Interval, match_calls
from fcray.metrics.values import argument_keys
from fcray.tools import Message
from fcray.tracking.fragments import (
    filters,
    interval_bar,
    marked_call,
    number_cell,
    side,
    table,
    tile,
)
from fcray.tracking.markup import Html, element, join
from fcray.tracking.report import asset, page
from fcray.tracking.scoretables import AST, all_faults, tables
from fcray.tracking.wording import METRICS, percent

MOST_WRONG = 2000
"""Wrong answers beyond this many are counted, not shown."""

MOST_NAMES = 60
"""Rows and columns of a confusion matrix; with more functions, those that are confused most are shown."""

_TITLES = {"split": "Split", "faults": "Faults", "bfcl": "BFCL"}

FILTERS = ("suite", "language", "domain", "kind", "function")


def render(about: Mapping[str, Any], results: Sequence[Result]) -> str:
    """The whole page.

    Parameters
    ----------
    about: What was evaluated: `base` and, if there is one, `adapter`.
    """
    name = str(about.get("adapter") or about["base"])
    parts = [_section(result, len(results) > 1) for result in results]
    wrong = [one for result in results for one in result.wrong]
    body = join(
        _header(name, about, results),
        element("main", *parts, _wrong_section(wrong, sum(len(r.outcomes) for r in results))),
    )
    scripts = element("script", asset("filter.js"))
    return page(f"{name} · fcray", body, scripts, asset("scores.css"))


def _header(name: str, about: Mapping[str, Any], results: Sequence[Result]) -> Html:
    base = f"adapter of {about['base']}" if about.get("adapter") else "base model, no adapter"
    tiles = [one for result in results for one in _tiles(result, len(results) > 1)]
    return element(
        "header",
        element("p", "fcray evaluate", class_="kicker"),
        element("h1", name),
        element("p", base, class_="note"),
        *(element("p", result.suite.title, class_="note") for result in results),
        element("div", *tiles, class_="tiles"),
    )


def _tiles(result: Result, several: bool) -> list[Html]:
    of = f", {result.suite.name}" if several else ""
    if result.bfcl is not None:
        mean, interval = result.bfcl.non_live_ast, result.bfcl.interval
        return [_figure(AST, mean, interval, result)] if mean is not None else []
    if result.recovery:
        rate = all_faults(result)
        return [_figure(f"Recovery{of}", rate.rate, rate.interval, result)]
    scores = result.scores
    return [
        _figure(f"{label}{of}", getattr(scores, name), scores.intervals.get(name), result)
        for name, label in METRICS.items()
    ]


def _figure(label: str, value: float, interval: Interval | None, result: Result) -> Html:
    of = f" of {result.suite.whole:,}" if result.suite.is_part else ""
    notes = [f"{len(result.outcomes):,}{of} requests"]
    low = high = None
    if interval is not None:
        low, high = interval.low, interval.high
        notes.insert(0, f"95% interval: {100 * low:.0f}–{100 * high:.0f}%")
    lines = (element("p", note, class_="note") for note in notes)
    shown = element("strong", percent(value))
    return tile(label, shown, join(interval_bar("after", value, low, high), *lines))


def _section(result: Result, several: bool) -> Html:
    """Everything about one suite but its wrong answers."""
    shown = [
        element(
            "div",
            element("h3", one.title),
            table(one.heads, [_row(one.heads, row) for row in one.rows]),
            class_="narrow" if len(one.heads) < 4 else None,
        )
        for one in tables(result)
    ]
    if result.suite.name == "split":
        shown.append(_confusion(result.scores.confusion))
    title = _TITLES[result.suite.name] if several else "Scores"
    return element(
        "section",
        element("h2", title),
        element("p", result.suite.title, class_="note"),
        *shown,
    )


def _row(heads: Sequence[str], cells: Sequence[str]) -> list[Html]:
    return [
        number_cell(cell) if head.startswith("#") else element("td", cell)
        for head, cell in zip(heads, cells, strict=True)
    ]


def _confusion(confusion: Mapping[str, Mapping[str, int]]) -> Html:
    """Right functions down, the model's across, coloured by the counts' shares of their rows."""
    names, left = _names(confusion)
    columns = [one for one in names if any(one in row for row in confusion.values())]
    head = element(
        "tr",
        element("th", "right ↓ model →"),
        *(element("th", element("span", one), scope="col") for one in columns),
        element("th", element("span", "all"), scope="col"),
    )
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            *(_cell(name, column, confusion[name]) for column in columns),
            element("td", f"{sum(confusion[name].values()):,}", class_="total"),
        )
        for name in names
        if name in confusion
    ]
    if not rows:
        return Html()
    said = (
        "A row is what was right, a column what the model did; the colour is the share of the row."
    )
    if left:
        said += f" {left} functions are left out, those confused least."
    grid = element("table", element("thead", head), element("tbody", *rows), class_="matrix")
    return join(
        element("h3", "Confusion of functions"),
        element("p", said, class_="note"),
        element("div", grid, class_="scroll", tabindex="0"),
    )


def _names(confusion: Mapping[str, Mapping[str, int]]) -> tuple[list[str], int]:
    """The names that occur, `none` and `invalid` last, and how many of them there is no room for."""
    errors: dict[str, int] = {}
    for gold, row in confusion.items():
        for predicted, count in row.items():
            for name in (gold, predicted):
                errors[name] = errors.get(name, 0) + (count if gold != predicted else 0)
    last = [name for name in (NO_CALL, INVALID) if name in errors]
    tools = sorted((name for name in errors if name not in last), key=lambda name: -errors[name])
    return [*sorted(tools[:MOST_NAMES]), *last], len(tools[MOST_NAMES:])


def _cell(gold: str, predicted: str, row: Mapping[str, int]) -> Html:
    count = row.get(predicted, 0)
    if not count:
        return element("td")
    # Even one in a hundred has to be seen.
    share = max(10, round(60 * count / sum(row.values())))
    kind = "hit" if gold == predicted else "miss"
    return element("td", f"{count:,}", class_=kind, style=f"--share: {share}%")


def _wrong_section(wrong: Sequence[Wrong], asked: int) -> Html:
    if not wrong:
        none = element("p", f"None of {asked:,}.", class_="note")
        return element("section", element("h2", "Wrong answers"), none)
    shown = wrong[:MOST_WRONG]
    said = f"{len(wrong):,} of {asked:,} requests; what differs is marked."
    if len(shown) < len(wrong):
        said += f" The first {len(shown):,} are shown."
    return element(
        "section",
        element("h2", "Wrong answers"),
        element("p", said, class_="note"),
        _filters(shown),
        element("ol", *map(_card, shown), class_="mistakes", data_filtered=""),
        id="wrong-answers",
    )


def _places(one: Wrong) -> dict[str, tuple[str, ...]]:
    """By what a wrong answer can be found: filter → its values."""
    origin = one.outcome.example.origin
    called = [call.name for call in (*one.right, *one.outcome.calls)] or [NO_CALL]
    if not one.right:
        called.append(NO_CALL)
    return {
        "suite": (one.suite,),
        "language": (origin.language,),
        "domain": (origin.domain,),
        "kind": (origin.kind,),
        "function": tuple(dict.fromkeys(called)),
    }


def _filters(wrong: Sequence[Wrong]) -> Html:
    places = [_places(one) for one in wrong]
    choices = {name: {value for one in places for value in one[name]} for name in FILTERS}
    if len(choices["suite"]) == 1:
        del choices["suite"]
    return filters(choices, search=True)


def _card(one: Wrong) -> Html:
    example, outcome = one.outcome.example, one.outcome
    origin = example.origin
    partners = {}
    for pair in match_calls(outcome.calls, one.right):
        partners[id(pair.gold)], partners[id(pair.predicted)] = pair.predicted, pair.gold
    right, model = (
        [marked_call(call, partners[id(call)], _equal) for call in calls]
        for calls in (one.right, outcome.calls)
    )
    data = {f"data_{name}": "\n".join(values) for name, values in _places(one).items()}
    return element(
        "li",
        element("p", f"{origin.domain} · {origin.language} · {origin.kind}", class_="note"),
        element("p", example.request, class_="request", lang=origin.language),
        _turns(example.messages, origin.language),
        element("p", one.reason, class_="reason") if one.reason else Html(),
        element(
            "div",
            element("div", side("Right", right), _said(example.response, origin.language)),
            side("Model" if outcome.valid else "Model, not parsed", model),
            class_="sides",
        ),
        element("div", element("h4", "The model's text"), _said(outcome.text, origin.language))
        if outcome.text
        else Html(),
        **data,
    )


def _turns(messages: Sequence[Message], language: str) -> Html:
    """The conversation, where it is more than the request."""
    if len(messages) < 2:
        return Html()
    turns = [
        element(
            "p",
            element("b", f"{message.role} ", class_="note"),
            element("span", message.content or "", class_="text"),
            *(marked_call(call, call) for call in message.tool_calls),
            lang=language,
        )
        for message in messages
    ]
    return element("details", element("summary", f"all {len(turns)} turns"), *turns)


def _said(text: str, language: str) -> Html:
    return element("p", text, class_="text", lang=language) if text else Html()


def _equal(one: Any, other: Any) -> bool:
    """As scores compare values."""
    return argument_keys({"": one}) == argument_keys({"": other})
