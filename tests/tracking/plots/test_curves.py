"""The learning curves: what is thinned, what is marked, who gets a colour."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.tracking.plots import curves
from fcray.tracking.plots.style import MUTED, PALETTE
from fcray.tracking.record import LossPoint, RunRecord, TrialRecord

from ..records import full, trial

lines = st.lists(
    st.tuples(st.integers(0, 10_000), st.floats(-1e6, 1e6)), unique_by=lambda point: point[0]
).map(sorted)


@given(lines, st.integers(1, 50))
def test_a_thinned_line_keeps_its_order_and_its_range(line: curves.Line, most: int) -> None:
    thin = curves.thinned(line, most)
    assert len(thin) == min(len(line), most)
    assert thin == sorted(thin)
    if line:
        values = [value for _, value in line]
        slack = 1e-6 * max(1.0, *map(abs, values))
        assert min(values) - slack <= min(value for _, value in thin)
        assert max(value for _, value in thin) <= max(values) + slack


@given(lines, st.integers(0, 10_000))
def test_between_two_points_the_value_is_between_theirs(line: curves.Line, step: int) -> None:
    value = curves.value_at(line, step)
    if len(line) < 2 or not line[0][0] <= step <= line[-1][0]:
        assert value is None
    else:
        values = [y for _, y in line]
        assert value is not None
        assert min(values) - 1e-6 <= value <= max(values) + 1e-6


def test_stages_begin_where_the_losses_say() -> None:
    stages = ["intent"] * 4 + ["arguments"] * 2 + ["joint"] * 3
    losses = [LossPoint(step=i, loss=1.0, stage=stage) for i, stage in enumerate(stages, start=1)]
    assert curves.stage_starts(TrialRecord(number=0, losses=losses)) == {"arguments": 5, "joint": 7}


def test_without_losses_stages_begin_where_the_shares_say() -> None:
    config = {"shares": [0.3, 0.4, 0.3]}
    planned = TrialRecord(number=0, config=config, total_steps=110)
    assert curves.stage_starts(planned) == {"arguments": 33, "joint": 77}
    assert curves.stage_starts(TrialRecord(number=0, config=config)) == {}
    assert curves.stage_starts(TrialRecord(number=0, total_steps=110)) == {}


def test_a_stage_is_marked_on_the_line_and_not_beyond_it() -> None:
    run = RunRecord(name="a", trials=[trial(0)])
    figure = curves.learning_curve(run, "intent_accuracy")
    assert figure is not None
    marks = figure["data"][1]
    assert (marks["text"], marks["x"]) == (["arguments", "joint"], [33, 77])
    stopped = RunRecord(name="a", trials=[trial(0, "stopped", 50)])
    figure = curves.learning_curve(stopped, "intent_accuracy")
    assert figure is not None
    assert figure["data"][1]["text"] == ["arguments"]


def test_beyond_the_palette_only_the_best_have_a_colour() -> None:
    trials = [
        TrialRecord(number=i, scores={"intent_accuracy": i / 20, "argument_f1": i / 20})
        for i in range(12)
    ]
    colours = curves.trial_colours(RunRecord(name="a", trials=trials))
    assert [number for number, colour in colours.items() if colour == MUTED] == [0, 1, 2, 3]
    assert {colours[i] for i in range(4, 12)} == set(PALETTE)


@pytest.mark.parametrize("metric", ["intent_accuracy", "argument_f1", "frame_accuracy"])
def test_plotly_accepts_the_figures(metric: str) -> None:
    assert go.Figure(curves.learning_curve(full(), metric)).data
    assert go.Figure(curves.loss_curve(full())).data


def test_nothing_is_drawn_of_nothing() -> None:
    run = RunRecord(name="a", trials=[TrialRecord(number=0), trial(4, "failed", 10)])
    assert curves.learning_curve(run, "intent_accuracy") is None
    assert curves.loss_curve(RunRecord(name="a", trials=[TrialRecord(number=0)])) is None
