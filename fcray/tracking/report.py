"""Writes a run's report: one HTML page that needs no network and opens from a folder.

The page holds Plotly's library, its own style sheet and its data, and a policy that forbids it to
load anything. A section without data is left out. Knows nothing of how a run came about: all that
it shows is in the `RunRecord`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from plotly.offline.offline import get_plotlyjs

from fcray.tracking import fragments
from fcray.tracking.files import write_atomically
from fcray.tracking.markup import Html, element, join
from fcray.tracking.plots import clock, curves, space
from fcray.tracking.plots.style import Figure
from fcray.tracking.record import RunRecord
from fcray.tracking.wording import METRICS, objective_name

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
)

DENSE = "Settings and score, a line a trial"
"""The plot that needs more room than a phone has: there it scrolls."""


class Section(NamedTuple):
    """A titled part of the page; without body and plots it is left out."""

    title: str
    note: str = ""
    body: Html = Html()
    plots: tuple[tuple[str, Figure | None], ...] = ()


def write_report(path: Path, run: RunRecord) -> None:
    """Put the page about `run` at `path`; a reader sees the old page or the new one.

    Raises
    ------
    OSError: The folder cannot be written.
    """
    write_atomically(path, render(run))


def render(run: RunRecord) -> str:
    """The whole page."""
    run = RunRecord.model_validate_json(run.to_json())  # as it would be read from a file
    figures: list[Figure] = []
    shown = [(s, section(s, figures)) for s in sections(run)]
    parts = [(one.title, part) for one, part in shown if part]
    links = [element("a", title, href=f"#{_anchor(title)}") for title, _ in parts]
    body = join(
        fragments.header(run),
        element("nav", *links, aria_label="Sections") if links else Html(),
        element("main", *(part for _, part in parts))
        if parts
        else element("p", "Nothing has been measured yet.", class_="note"),
    )
    return page(f"{run.name} · fcray", body, scripts(figures))


def page(title: str, body: Html, scripts: Html, style: Html | None = None) -> str:
    """A page of this house: its style and its own, and a policy that forbids it to load anything."""
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element("title", title),
        element("style", asset("report.css"), style or Html()),
    )
    whole = element("html", element("head", head), element("body", body, scripts), lang="en")
    return f"<!doctype html>\n{whole}\n"


def sections(run: RunRecord) -> list[Section]:
    """All sections in the page's order, those without data among them."""
    return [*_results(run), *_search(run), *_answers(run)]


def _results(run: RunRecord) -> list[Section]:
    diamonds = "A diamond marks the step at which the next curriculum stage begins. "
    best = "The thick line is the best trial; beyond eight trials, the others are grey."
    learned = tuple((title, curves.learning_curve(run, name)) for name, title in METRICS.items())
    return [
        Section("Targets", "What the run was held against.", fragments.conditions(run.targets)),
        Section("Promotion", _promotion(run), fragments.conditions(run.conditions)),
        Section("Trials", "Scores on the validation examples.", fragments.trials(run)),
        Section(
            "Learning curves",
            diamonds + best,
            plots=(*learned, ("Training loss", curves.loss_curve(run))),
        ),
    ]


def _promotion(run: RunRecord) -> str:
    return f"{run.verdict}. {run.advice}".strip() if run.advice else run.verdict


def _search(run: RunRecord) -> list[Section]:
    score = f"Score: {objective_name(run.objective)}."
    return [
        Section(
            "Search space",
            f"{score} The bluer, the better.",
            plots=(
                (DENSE, space.parallel_coordinates(run)),
                ("Shares of the steps, a point a trial", space.simplex(run)),
                ("Importance of what is swept", space.importance(run)),
                ("Goals against each other, the front joined", space.front(run)),
            ),
        ),
        Section(
            "Time",
            score,
            plots=(
                ("Best score so far", clock.best_so_far(run)),
                ("Best score by steps", clock.best_by_steps(run)),
                ("Trials", clock.timeline(run)),
                ("Phases", clock.phases(run)),
            ),
        ),
    ]


def _answers(run: RunRecord) -> list[Section]:
    wrong = f"{len(run.mistakes)} of the test examples; what differs is marked."
    return [
        Section("Served requests", "", fragments.served(run.served)),
        Section("Wrong answers", wrong, fragments.mistakes(run.mistakes)),
        Section("How it was run", "", fragments.facts(run)),
    ]


def section(part: Section, figures: list[Figure]) -> Html:
    """The section's markup; its figures join `figures`, by whose index the page finds them."""
    shown = []
    for title, figure in part.plots:
        if figure is not None:
            kind = "plot dense" if title == DENSE else "plot"
            box = element("div", class_=kind, data_plot=str(len(figures)))
            shown.append(element("figure", element("figcaption", title), box))
            figures.append(figure)
    if not shown and not part.body:
        return Html()
    return element(
        "section",
        element("h2", part.title),
        element("p", part.note, class_="note") if part.note else Html(),
        part.body,
        element("div", *shown, class_="plots") if shown else Html(),
        id=_anchor(part.title),
    )


def scripts(figures: list[Figure]) -> Html:
    """The plots' data and what draws them; nothing where there is no plot."""
    if not figures:
        return Html()
    # Without a < no text can end the script element (html.spec.whatwg.org, scripting, 4.12.1.3).
    data = json.dumps(figures, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return join(
        element("script", Html(data), type="application/json", id="figures"),
        element("script", Html(get_plotlyjs())),
        element("script", asset("report.js")),
    )


def asset(name: str) -> Html:
    """A file of `assets/`."""
    return Html(files("fcray.tracking").joinpath("assets", name).read_text(encoding="utf-8"))


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
