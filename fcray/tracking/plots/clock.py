"""Draws where the time went: best score so far, the trials' timeline, the run's phases."""

from __future__ import annotations

import html
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

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
    last = max(events[-1].seconds, last_moment(run))
    unit, per = time_unit(last)
    return _rise([event.seconds / per for event in events], events, last / per, _moments(unit))


def best_by_steps(run: RunRecord) -> Figure | None:
    """The same against the optimizer steps of all trials until then."""
    events = _checkpoints(run)
    if len(events) < 2:
        return None
    done: dict[int, int] = {}
    spent = []
    for event in events:
        done[event.trial] = max(event.step, done.get(event.trial, 0))
        spent.append(float(sum(done.values())))
    axis = {"title": {"text": "optimizer steps of all trials"}, "rangemode": "tozero"}
    return _rise(spent, events, spent[-1], axis)


def _rise(
    places: list[float], events: list[Scored], last: float, axis: Mapping[str, object]
) -> Figure:
    scores = [event.score for event in events]
    best = list(accumulate(scores, max))
    checkpoints = trace(
        "scatter",
        x=places,
        y=scores,
        text=[f"trial {event.trial}, step {event.step}" for event in events],
        mode="markers",
        marker={"color": MUTED, "size": 7},
        name="checkpoint",
        showlegend=True,
        hovertemplate="%{text}: %{y:.1%}<extra></extra>",
    )
    line = trace(
        "scatter",
        x=[*places, last],
        y=[*best, best[-1]],
        mode="lines",
        name="best so far",
        showlegend=True,
        line={"color": PALETTE[0], "width": 2.5, "shape": "hv"},
        hovertemplate="best so far: %{y:.1%}<extra></extra>",
    )
    return figure([checkpoints, line], height=320, xaxis=axis, yaxis={"tickformat": ".0%"})


def timeline(run: RunRecord) -> Figure | None:
    """When each trial ran, a bar a trial, those of a node together, coloured by how it ended."""
    timed = sorted(
        (trial for trial in run.trials if trial.started is not None),
        key=lambda trial: (trial.node, trial.number),
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
        yaxis=_listed([_row(trial) for trial in timed]),
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


class Scored(NamedTuple):
    """A scored checkpoint; `seconds` since the sweep's start."""

    seconds: float
    score: float
    trial: int
    step: int


def _checkpoints(run: RunRecord) -> list[Scored]:
    """Every scored checkpoint, in time's order."""
    return sorted(
        Scored(point.seconds, score, trial.number, point.step)
        for trial in run.trials
        for point in trial.curve
        if point.seconds is not None
        and (score := score_of(point.scores, run.objective)) is not None
    )


def _row(trial: TrialRecord) -> str:
    """What stands before a trial's bar: its node too, where that is known."""
    return f"trial {trial.number}" + (f" · {html.escape(trial.node)}" if trial.node else "")


def _bars(status: Status, trials: list[TrialRecord], end: float, per: float) -> Trace:
    starts = [trial.started or 0.0 for trial in trials]
    ends = [end if trial.finished is None else trial.finished for trial in trials]
    lengths = [b - a for a, b in zip(starts, ends, strict=True)]
    return trace(
        "bar",
        y=[_row(trial) for trial in trials],
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
