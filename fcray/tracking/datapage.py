"""A page about a dataset: how many rows of what, what verification found, and rows to read.

One HTML page that needs no network. Pure: a summary in, the page's text out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fcray.dataset.audit import Audit
from fcray.dataset.summary import Cell, Counts, Summary
from fcray.tools import Example, Message, canonical_json
from fcray.tracking.fragments import filters, number_cell, table
from fcray.tracking.markup import Html, element, join
from fcray.tracking.report import asset, page

MOST_TOOLS = 60
"""Tools whose share is shown; the others are counted."""


def render(
    title: str,
    summary: Summary,
    *,
    audits: Mapping[str, Audit] | None = None,
    notes: Sequence[str] = (),
    sha256: str = "",
) -> str:
    """The whole page."""
    whole = _whole(summary)
    parts = [
        _header(title, summary, sha256),
        _section("Splits", _splits(summary), notes),
        _section("By domain", _bars(whole.by(lambda cell: cell.domain), summary.rows)),
        _section("By language", _bars(whole.by(lambda cell: cell.language), summary.rows)),
        _section("By kind", _bars(whole.by(lambda cell: cell.kind), summary.rows)),
        _section("By tools offered", _bars(_offered(whole), summary.rows)),
        _section("Calls by tool", _tools(whole)),
        _section("Verification", _verification(audits or {})),
        _section("Samples", join(_filters(summary), _samples(summary))),
    ]
    return page(f"{title} · fcray", join(*parts), element("script", asset("filter.js")))


def _whole(summary: Summary) -> Counts:
    whole = Counts()
    for counts in summary.splits.values():
        whole.rows += counts.rows
        whole.cells.update(counts.cells)
        whole.offered.update(counts.offered)
        whole.called.update(counts.called)
    return whole


def _header(title: str, summary: Summary, sha256: str) -> Html:
    return element(
        "header",
        element("p", "fcray data", class_="kicker"),
        element("h1", title),
        element("p", f"{summary.rows:,} rows", class_="note"),
        element("p", f"sha256 {sha256}", class_="note") if sha256 else Html(),
    )


def _section(title: str, body: Html, notes: Sequence[str] = ()) -> Html:
    if not body:
        return Html()
    said = join(*(element("p", note, class_="note") for note in notes))
    return element("section", element("h2", title), said, element("div", body))


def _splits(summary: Summary) -> Html:
    languages = sorted({c.language for s in summary.splits.values() for c in s.cells})
    rows = []
    for name, counts in summary.splits.items():
        spoken = counts.by(lambda cell: cell.language)
        kinds = counts.by(lambda cell: cell.kind)
        rows.append(
            [
                element("td", name),
                number_cell(f"{counts.rows:,}"),
                *(number_cell(f"{spoken.get(language, 0):,}") for language in languages),
                element("td", ", ".join(f"{k} {n:,}" for k, n in kinds.items()), class_="text"),
            ]
        )
    return table(("Split", "#Rows", *(f"#{language}" for language in languages), "Kinds"), rows)


def _bars(counts: Mapping[str, int], rows: int) -> Html:
    most = max(counts.values(), default=1)
    return element(
        "div",
        *(
            element(
                "div",
                element("span", name or "none"),
                element("i", style=f"width: {100 * count / most:.1f}%"),
                element("b", f"{count:,} · {100 * count / rows:.1f} %"),
            )
            for name, count in counts.items()
        ),
        class_="counts",
    )


def _offered(whole: Counts) -> dict[str, int]:
    return {str(number): count for number, count in sorted(whole.offered.items())}


def _tools(whole: Counts) -> Html:
    shown = dict(whole.called.most_common(MOST_TOOLS))
    bars = _bars(shown, max(1, sum(whole.called.values())))
    left = len(whole.called) - len(shown)
    return join(bars, element("p", f"and {left} others", class_="note")) if left else bars


def _verification(audits: Mapping[str, Audit]) -> Html:
    stages = sorted({stage for audit in audits.values() for stage in audit.stages})
    rows = [
        [
            element("td", name),
            number_cell(f"{audit.rows:,}"),
            number_cell(f"{audit.accepted:,}"),
            *(number_cell(f"{audit.stages[stage]:,}") for stage in stages),
        ]
        for name, audit in audits.items()
        if audit.rows
    ]
    found = table(("Split", "#Rows", "#Passed", *(f"#{stage}" for stage in stages)), rows)
    turned = [
        [element("td", one.id), element("td", one.stage), element("td", one.reason, class_="text")]
        for audit in audits.values()
        for one in audit.rejections[:20]
    ]
    return join(found, table(("Row", "Stage", "Why it was turned away"), turned))


def _filters(summary: Summary) -> Html:
    cells = [Cell(*key, "") for key in summary.samples]
    return filters(
        {
            "domain": [cell.domain for cell in cells],
            "language": [cell.language for cell in cells],
            "kind": [cell.kind for cell in cells],
        }
    )


def _samples(summary: Summary) -> Html:
    shown = [
        element(
            "li",
            element("p", f"{split} · {domain} · {language} · {kind}", class_="note"),
            *(_message(message) for message in example.messages),
            _gold(example),
            element("p", _offered_names(example), class_="note"),
            data_domain=domain,
            data_language=language,
            data_kind=kind,
            lang=language,
        )
        for (domain, language, kind), rows in sorted(summary.samples.items())
        for split, example in rows
    ]
    return element("ol", *shown, class_="mistakes", data_filtered="")


def _message(message: Message) -> Html:
    said = element("span", message.content or "", class_="text")
    calls = [_call(call.name, call.arguments) for call in message.tool_calls]
    return element("p", element("b", f"{message.role} ", class_="note"), said, *calls)


def _gold(example: Example) -> Html:
    calls = [_call(call.name, call.arguments) for call in example.calls]
    said = [element("span", example.response)] if example.response else []
    return element("p", element("b", "→ "), *calls, *said, class_="request")


def _call(name: str, arguments: Mapping[str, object]) -> Html:
    parts = ", ".join(f"{key}={canonical_json(value)}" for key, value in arguments.items())
    return element("code", f"{name}({parts}) ")


def _offered_names(example: Example) -> str:
    names = [tool.name for tool in example.tools]
    shown = ", ".join(names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    if not names:
        return "no tool offered"
    return f"{len(names)} tool{'s' if len(names) > 1 else ''} offered: {shown}{more}"
