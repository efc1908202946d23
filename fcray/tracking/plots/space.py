"""Draws what was searched: each trial's settings beside its score, and the simplex of shares.

The parallel coordinates are plain lines, not Plotly's `parcoords`: that trace needs WebGL, which
browsers without a GPU are giving up, and it does not print.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fcray.tracking.plots.style import MUTED, PALETTE, SCALE, Figure, Trace, figure, on_scale, trace
from fcray.tracking.record import RunRecord, TrialRecord, score_of
from fcray.tracking.wording import (
    COSTS,
    STAGES,
    number,
    objective_name,
    percent,
    rate,
    shares,
)

LABELLED = 15
"""With more trials than this, their numbers would hide the points."""


class Scored(NamedTuple):
    """A trial with its score."""

    trial: TrialRecord
    score: float


class Axis(NamedTuple):
    """One upright axis: where each trial meets it (0 to 1), and its ticks (place, text)."""

    title: str
    places: list[float]
    ticks: list[tuple[float, str]]


def scored_trials(run: RunRecord) -> list[Scored]:
    """The trials that have a score, the best last, so that it is drawn on top."""
    pairs = [(trial, score_of(trial.scores, run.objective)) for trial in run.trials]
    return sorted(
        (Scored(trial, score) for trial, score in pairs if score is not None), key=lambda s: s.score
    )


def parallel_coordinates(run: RunRecord) -> Figure | None:
    """A line a trial through its rank, learning rate (log), shares and score."""
    scored = [s for s in scored_trials(run) if _complete(s.trial)]
    if len(scored) < 2:
        return None
    axes = [
        *axes_of([s.trial.config for s in scored]),
        _axis("score", [s.score for s in scored], percent, None),
    ]
    low, high = scored[0].score, scored[-1].score
    traces = [
        line(axes, row, on_scale(s.score, low, high), _trial_text(s))
        for row, s in enumerate(scored)
    ]
    traces[-1]["line"]["width"] = 4
    return coordinates(traces, axes)


def axes_of(configs: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """Rank, learning rate (log) and shares of trials' settings."""
    return [
        _axis("rank", [float(config["rank"]) for config in configs], number, math.log2),
        _axis("learning rate", [config["learning_rate"] for config in configs], rate, math.log10),
        *(
            _axis(stage, [config["shares"][i] for config in configs], _share, None)
            for i, stage in enumerate(STAGES)
        ),
    ]


def coordinates(lines: list[Trace], axes: list[Axis]) -> Figure:
    """Lines through upright axes."""
    return figure(
        lines,
        height=360,
        hovermode="closest",
        shapes=[_rule(i) for i in range(len(axes))],
        annotations=[tick for i, axis in enumerate(axes) for tick in _ticks(i, axis)],
        margin={"l": 44, "r": 44, "t": 40, "b": 12},
        xaxis={"visible": False, "range": [0, len(axes) - 1]},
        yaxis={"visible": False, "range": [-0.04, 1.04]},
    )


def simplex(run: RunRecord) -> Figure | None:
    """The trials' shares of the steps in the triangle of the three stages, coloured by score."""
    scored = [s for s in scored_trials(run) if _has_shares(s.trial)]
    if len({tuple(s.trial.config["shares"]) for s in scored}) < 2:
        return None
    columns = list(zip(*(s.trial.config["shares"] for s in scored), strict=True))
    texts = [f"trial {s.trial.number}: {shares(s.trial.config['shares'])}" for s in scored]
    points = trace(
        "scatterternary",
        a=columns[0],
        b=columns[1],
        c=columns[2],
        mode="markers+text",
        text=[_label(s, scored) for s in scored],
        textposition="middle right",
        customdata=[f"{text}, {percent(s.score)}" for text, s in zip(texts, scored, strict=True)],
        cliponaxis=False,
        marker={
            "size": [11] * (len(scored) - 1) + [16],
            "color": [s.score for s in scored],
            "colorscale": [[i / (len(SCALE) - 1), colour] for i, colour in enumerate(SCALE)],
            "opacity": 1,
            "line": {"color": MUTED, "width": 1},
            "colorbar": {"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "len": 0.8},
        },
        hovertemplate="%{customdata}<extra></extra>",
    )
    return triangle([points])


def triangle(points: list[Trace]) -> Figure:
    """Points in the triangle of the three stages' shares."""
    corners = {
        f"{axis}axis": {
            "title": {"text": stage},
            "tickformat": ".0%",
            "tickvals": [0.25, 0.5, 0.75],
        }
        for axis, stage in zip("abc", STAGES, strict=True)
    }
    margin = {"l": 56, "r": 10, "t": 40, "b": 40}
    return figure(points, height=380, margin=margin, ternary=corners)


def importance(run: RunRecord) -> Figure | None:
    """How much of the scores' differences each swept field explains."""
    known = {name: part for name, part in run.importance.items() if part is not None}
    if not known:
        return None
    ordered = sorted(known.items(), key=lambda pair: pair[1])
    names = [html.escape(name.replace("_", " ")) for name, _ in ordered]
    bars = trace(
        "bar",
        y=names,
        x=[part for _, part in ordered],
        orientation="h",
        marker={"color": PALETTE[0]},
        text=[f"{part:.0%}" for _, part in ordered],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    room = 1.2 * max(part for _, part in ordered) or 1.0
    axis = {"tickformat": ".0%", "range": [0, room]}
    listed = {"categoryorder": "array", "categoryarray": names, "showgrid": False}
    height = 70 + 30 * len(names)
    return figure([bars], height=height, bargap=0.35, xaxis=axis, yaxis=listed)


def front(run: RunRecord) -> Figure | None:
    """Of several goals the first two, a point a trial; the trials that none betters in both are joined."""
    if not isinstance(run.objective, list) or len(run.objective) < 2:
        return None
    first, second = run.objective[:2]
    points = [
        (trial.number, x, y)
        for trial in run.trials
        if trial.status == "completed"
        and (y := score_of(trial.scores, first)) is not None
        and (x := score_of(trial.scores, second)) is not None
    ]
    if len(points) < 2:
        return None
    less = second in COSTS
    best: list[tuple[int, float, float]] = []
    for point in sorted(points, key=lambda p: (p[1] if less else -p[1], -p[2])):
        if not best or point[2] > best[-1][2]:
            best.append(point)
    others = [point for point in points if point not in best]
    return figure(
        [
            _goals(others, "markers", "trial", {"color": MUTED, "size": 8}),
            _goals(best, "lines+markers", "on the front", {"color": PALETTE[0], "size": 11}),
        ],
        height=360,
        xaxis={"title": {"text": html.escape(objective_name(second))}},
        yaxis={"title": {"text": html.escape(objective_name(first))}, "tickformat": ".0%"},
    )


def _goals(
    points: list[tuple[int, float, float]], mode: str, name: str, marker: dict[str, Any]
) -> Trace:
    return trace(
        "scatter",
        x=[x for _, x, _ in points],
        y=[y for _, _, y in points],
        mode=mode,
        name=name,
        showlegend=True,
        marker=marker,
        line={"color": marker["color"], "dash": "dot"},
        text=[f"trial {number}" for number, _, _ in points],
        hovertemplate="%{text}: %{y:.1%}, %{x:.3g}<extra></extra>",
    )


def _label(one: Scored, scored: list[Scored]) -> str:
    """The trial's number beside its point; among many points the best one's alone."""
    return f" {one.trial.number}" if len(scored) <= LABELLED or one is scored[-1] else ""


def _has_shares(trial: TrialRecord) -> bool:
    given = trial.config.get("shares") or ()
    return len(given) == len(STAGES) and all(isinstance(part, int | float) for part in given)


def _complete(trial: TrialRecord) -> bool:
    both = (trial.config.get("rank"), trial.config.get("learning_rate"))
    return all(isinstance(n, int | float) and n > 0 for n in both) and _has_shares(trial)


def _share(value: float) -> str:
    return f"{value:.0%}"


def _axis(
    title: str,
    values: list[float],
    text: Callable[[float], str],
    scale: Callable[[float], float] | None,
) -> Axis:
    """An axis from the least value to the greatest; all in the middle where they are one."""
    scaled = [scale(value) if scale else value for value in values]
    low, high = min(scaled), max(scaled)

    def place(value: float) -> float:
        return (value - low) / (high - low) if high > low else 0.5

    places = [place(value) for value in scaled]
    return Axis(title, places, _apart(zip(places, map(text, values), strict=True)))


def _apart(ticks: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks that have room beside each other; the lowest and the highest are kept."""
    ordered = sorted(set(ticks))
    gap = 0.08 if len(ordered) <= 6 else 0.16
    kept: list[tuple[float, str]] = ordered[:1]
    for tick in ordered[1:-1]:
        if tick[0] - kept[-1][0] >= gap and ordered[-1][0] - tick[0] >= gap:
            kept.append(tick)
    return kept + [tick for tick in ordered[-1:] if tick[0] - kept[-1][0] >= gap]


def _trial_text(scored: Scored) -> str:
    config = scored.trial.config
    return f"trial {scored.trial.number}: {settings(config)}, score {percent(scored.score)}"


def settings(config: Mapping[str, Any]) -> str:
    """A trial's settings, as the axes have them."""
    return (
        f"rank {number(config['rank'])}, learning rate {rate(config['learning_rate'])}, "
        f"shares {shares(config['shares'])}"
    )


def line(axes: list[Axis], row: int, colour: str, text: str) -> Trace:
    """The line of one trial, the `row`-th of those that the axes were made of."""
    return trace(
        "scatter",
        x=list(range(len(axes))),
        y=[axis.places[row] for axis in axes],
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 6, "color": colour},
        cliponaxis=False,
        hoverinfo="text",
        text=text,
    )


def _rule(position: int) -> dict[str, object]:
    line = {"color": MUTED, "width": 1}
    return {"type": "line", "x0": position, "x1": position, "y0": 0, "y1": 1, "line": line}


def _ticks(position: int, axis: Axis) -> list[dict[str, object]]:
    plain = {"x": position, "showarrow": False}
    title = {**plain, "y": 1.04, "yshift": 16, "text": f"<b>{axis.title}</b>"}
    left = {**plain, "xanchor": "right", "xshift": -5, "font": {"size": 11}}
    return [title, *({**left, "y": place, "text": text} for place, text in axis.ticks)]
