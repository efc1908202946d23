"""A page about a sweep that has not begun: what it would do, what would be refused, the space in pictures.

One HTML page that needs no network. Pure: facts and points in, the page's text out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fcray.tracking.fragments import table
from fcray.tracking.markup import Html, element, join
from fcray.tracking.plots import sampled
from fcray.tracking.plots.style import Figure
from fcray.tracking.report import Section, page, scripts, section

Facts = Sequence[tuple[str, str]]


def render(
    name: str,
    facts: Facts,
    space: Facts,
    refused: Sequence[str],
    samples: Sequence[Mapping[str, Any]],
    first: Sequence[Mapping[str, Any]],
) -> str:
    """The whole page.

    Parameters
    ----------
    facts: What the sweep would do: name and text.
    space: What is swept: field and domain.
    refused: Why it would not begin; empty where it would.
    samples, first: The fields of `LoraConfig`: points that were drawn, and those that are tried first.
    """
    figures: list[Figure] = []
    items = element("ul", *(element("li", reason) for reason in refused)) if refused else Html()
    parts = [
        Section("Refused", "Why it would not begin here.", items),
        Section(
            "What it would do",
            "Nothing was started to work this out.",
            _pairs(("what", "figure"), facts),
        ),
        Section("What is swept", "", _pairs(("field", "values"), space)),
        Section("Samples of the space", _note(samples), plots=_plots(samples, first)),
    ]
    body = join(
        element(
            "header",
            element("p", "fcray plan", class_="kicker"),
            element("h1", name),
        ),
        element("main", *(section(part, figures) for part in parts)),
    )
    return page(f"{name} · fcray plan", body, scripts(figures))


def _note(samples: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(samples)} points as they are drawn while no score is known."


def _pairs(heads: tuple[str, str], rows: Facts) -> Html:
    return table(
        heads, [[element("td", name), element("td", text, class_="text")] for name, text in rows]
    )


def _plots(
    samples: Sequence[Mapping[str, Any]], first: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, Figure | None], ...]:
    if not samples:
        return ()
    return (
        ("Shares of the steps", sampled.simplex(samples, first)),
        ("Settings, a line a point", sampled.parallel_coordinates(samples, first)),
    )
