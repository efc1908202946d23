"""Draws where the time went: best score so far, the trials' timeline, the run's phases."""

from __future__ import annotations

import html
from itertools import accumulate

from fcray.tracking.plots.style import (
    MUTED,
    PALETTE,
    STATUS_COLOURS,
    Figure,
    Trace,
    figure,
    time_unit,
    trace,
)
from fcray.tracking.record import RunRecord, Status, TrialRecord, score_of
from fcray.tracking.wording import STATUS, duration


def best_so_far(run: RunRecord) -> Figure | None:
    """Every checkpoint's score against time since the sweep's start, and the best until then."""
    events = _checkpoints(run)
    if len(events) < 2:
        return None
    last = max(events[-1][0], last_moment(run))
    unit, per = time_unit(last)
    times = [seconds / per for seconds, _, _ in events]
    scores = [score for _, score, _ in events]
    best = list(accumulate(scores, max))
    checkpoints = trace(
        "scatter",
        x=times,
        y=scores,
        text=[name for _, _, name in events],
        mode="markers",
        marker={"color": MUTED, "size": 7},
        name="checkpoint",
        showlegend=True,
        hovertemplate="%{text}: %{y:.1%}<extra></extra>",
    )
    line = trace(
        "scatter",
        x=[*times, last / per],
        y=[*best, best[-1]],
        mode="lines",
        name="best so far",
        showlegend=True,
        line={"color": PALETTE[0], "width": 2.5, "shape": "hv"},
        hovertemplate="best so far: %{y:.1%}<extra></extra>",
    )
    return figure(
        [checkpoints, line],
        height=320,
        xaxis=_moments(unit),
        yaxis={"tickformat": ".0%"},
    )


def timeline(run: RunRecord) -> Figure | None:
    """When each trial ran, a bar a trial, coloured by how it ended."""
    timed = sorted(
        (trial for trial in run.trials if trial.started is not None), key=lambda trial: trial.number
    )
    if not timed:
        return None
    end = last_moment(run)
    unit, per = time_unit(end)
    bars = [
        _bars(status, [trial for trial in timed if trial.status == status], end, per)
        for status in STATUS
    ]
    return figure(
        [bar for bar in bars if bar["y"]],
        height=100 + 26 * len(timed),
        barmode="overlay",
        bargap=0.35,
        xaxis=_moments(unit),
        yaxis=_listed([f"trial {trial.number}" for trial in timed]),
    )


def phases(run: RunRecord) -> Figure | None:
    """How long each phase of the run took."""
    timed = {name: seconds for name, seconds in run.phases.items() if seconds is not None}
    if not timed:
        return None
    names = [html.escape(name.replace("_", " ")) for name in timed]
    unit, per = time_unit(max(timed.values()))
    values = [seconds / per for seconds in timed.values()]
    bars = trace(
        "bar",
        y=names,
        x=values,
        orientation="h",
        marker={"color": PALETTE[0]},
        text=[duration(seconds) for seconds in timed.values()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    room = 1.4 * max(*values, 1e-9)
    return figure(
        [bars],
        height=70 + 30 * len(timed),
        bargap=0.35,
        xaxis={"title": {"text": unit}, "range": [0, room]},
        yaxis=_listed(names),
    )


def last_moment(run: RunRecord) -> float:
    """The last second, since the sweep's start, of which the trials know."""
    known = [0.0]
    for trial in run.trials:
        known += [moment for moment in (trial.started, trial.finished) if moment is not None]
        known += [point.seconds for point in trial.curve if point.seconds is not None]
    return max(known)


def _checkpoints(run: RunRecord) -> list[tuple[float, float, str]]:
    """(seconds since the start, score, name) of every scored checkpoint, in time's order."""
    return sorted(
        (point.seconds, score, f"trial {trial.number}, step {point.step}")
        for trial in run.trials
        for point in trial.curve
        if point.seconds is not None
        and (score := score_of(point.scores, run.objective)) is not None
    )


def _bars(status: Status, trials: list[TrialRecord], end: float, per: float) -> Trace:
    starts = [trial.started or 0.0 for trial in trials]
    ends = [end if trial.finished is None else trial.finished for trial in trials]
    lengths = [b - a for a, b in zip(starts, ends, strict=True)]
    return trace(
        "bar",
        y=[f"trial {trial.number}" for trial in trials],
        base=[start / per for start in starts],
        x=[length / per for length in lengths],
        orientation="h",
        marker={"color": STATUS_COLOURS[status]},
        name=STATUS[status],
        showlegend=True,
        customdata=[duration(length) for length in lengths],
        hovertemplate=f"%{{y}}, {STATUS[status]}: %{{customdata}}<extra></extra>",
    )


def _moments(unit: str) -> dict[str, object]:
    return {"title": {"text": f"{unit} since the sweep's start"}, "rangemode": "tozero"}


def _listed(names: list[str]) -> dict[str, object]:
    """An axis that lists `names` from top to bottom."""
    return {"categoryorder": "array", "categoryarray": names[::-1], "showgrid": False}
