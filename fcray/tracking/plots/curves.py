"""Draws how each trial learned: a metric, or the training loss, against the global step."""

from __future__ import annotations

from itertools import accumulate, pairwise

from fcray.tracking.plots.style import MUTED, PALETTE, Figure, Trace, figure, trace
from fcray.tracking.record import RunRecord, TrialRecord, score_of
from fcray.tracking.wording import STAGES

LOSS_POINTS = 200
"""A loss curve with more points than this is drawn from means of neighbours."""

Line = list[tuple[int, float]]
"""(global step, value), in the order of the steps."""


def learning_curve(run: RunRecord, metric: str) -> Figure | None:
    """`metric` against the global step, a line a trial, a diamond where a stage begins."""
    lines = {t.number: metric_line(t, metric) for t in run.trials}
    return _figure(run, lines, form=".0%", markers=True)


def loss_curve(run: RunRecord) -> Figure | None:
    """The training loss against the global step, a line a trial, a diamond as above."""
    lines = {t.number: thinned(loss_line(t), LOSS_POINTS) for t in run.trials}
    return _figure(run, lines, form=".3~g", markers=False)


def metric_line(trial: TrialRecord, metric: str) -> Line:
    """The trial's checkpoints that have `metric`."""
    pairs = [(point.step, point.scores.get(metric)) for point in trial.curve]
    return sorted((step, value) for step, value in pairs if value is not None)


def loss_line(trial: TrialRecord) -> Line:
    """The trial's finite losses."""
    return sorted((point.step, point.loss) for point in trial.losses if point.loss is not None)


def thinned(line: Line, most: int) -> Line:
    """At most `most` points: the means of as many equal runs of neighbours."""
    if len(line) <= most:
        return line
    edges = [i * len(line) // most for i in range(most + 1)]
    groups = [line[a:b] for a, b in pairwise(edges)]
    return [(g[len(g) // 2][0], sum(value for _, value in g) / len(g)) for g in groups]


def stage_starts(trial: TrialRecord) -> dict[str, int]:
    """Stage → the global step at which it begins, for every stage but the first.

    As the losses tell; for a trial without them, as its shares and planned steps have it.
    """
    seen: dict[str, int] = {}
    for point in trial.losses:
        if point.stage:
            seen.setdefault(point.stage, point.step)
    if seen:
        return dict(list(seen.items())[1:])
    shares = trial.config.get("shares") or ()
    if len(shares) != len(STAGES) or not trial.total_steps:
        return {}
    ends = [round(part * trial.total_steps) for part in accumulate(shares)]
    return dict(zip(STAGES[1:], ends[:-1], strict=True))


def value_at(line: Line, step: int) -> float | None:
    """The line's value at `step`, between its neighbours; None outside of the line."""
    for (left, low), (right, high) in pairwise(line):
        if left <= step <= right:
            return low + (high - low) * ((step - left) / (right - left) if right > left else 0)
    return None


def trial_colours(run: RunRecord) -> dict[int, str]:
    """Trial → colour: one each for as many of the best as there are colours, grey for the rest."""

    def rank(trial: TrialRecord) -> tuple[float, int]:
        score = score_of(trial.scores, run.objective)
        return (-1.0 if score is None else score, -trial.number)

    best = sorted(run.trials, key=rank, reverse=True)[: len(PALETTE)]
    chosen = sorted(trial.number for trial in best)
    colours = dict(zip(chosen, PALETTE, strict=False))
    return {trial.number: colours.get(trial.number, MUTED) for trial in run.trials}


def _figure(run: RunRecord, lines: dict[int, Line], *, form: str, markers: bool) -> Figure | None:
    if not any(len(line) > 1 for line in lines.values()):
        return None
    colours = trial_colours(run)
    best = run.best.number if run.best else None
    traces: list[Trace] = []
    grey_first = sorted(run.trials, key=lambda t: (colours[t.number] != MUTED, t.number))
    for trial in (trial for trial in grey_first if lines[trial.number]):
        line, colour = lines[trial.number], colours[trial.number]
        points = markers or len(line) == 1
        look = {
            "mode": "lines+markers" if points else "lines",
            "line": {"color": colour, "width": 3 if trial.number == best else 1.5},
            "hovertemplate": f"trial {trial.number}, step %{{x}}: %{{y:{form}}}<extra></extra>",
            "showlegend": colour != MUTED,
        }
        traces.append(_line(trial, line) | look)
        if colour != MUTED:
            traces.append(_starts(trial, line, colour))
    return figure(
        traces,
        height=340,
        xaxis={"title": {"text": "global step"}, "rangemode": "tozero"},
        yaxis={"tickformat": form},
    )


def _line(trial: TrialRecord, line: Line) -> Trace:
    return trace(
        "scatter",
        x=[step for step, _ in line],
        y=[value for _, value in line],
        marker={"size": 5},
        name=f"trial {trial.number}",
        legendgroup=f"trial {trial.number}",
    )


def _starts(trial: TrialRecord, line: Line, colour: str) -> Trace:
    starts = {stage: step for stage, step in stage_starts(trial).items() if stage in STAGES}
    found = [(stage, step, value_at(line, step)) for stage, step in starts.items()]
    shown = [(stage, step, value) for stage, step, value in found if value is not None]
    return trace(
        "scatter",
        x=[step for _, step, _ in shown],
        y=[value for _, _, value in shown],
        text=[stage for stage, _, _ in shown],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 11, "color": colour, "line": {"width": 2}},
        legendgroup=f"trial {trial.number}",
        hovertemplate=f"trial {trial.number}: %{{text}} begins at step %{{x}}<extra></extra>",
    )
