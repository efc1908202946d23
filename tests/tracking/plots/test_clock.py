"""The plots of time: best so far, timeline, phases."""

from __future__ import annotations

import plotly.graph_objects as go

from fcray.tracking.plots import clock
from fcray.tracking.record import CurvePoint, RunRecord, TrialRecord

from ..records import full, trial


def point(step: int, seconds: float, score: float) -> CurvePoint:
    return CurvePoint(step=step, seconds=seconds, intent_accuracy=score, argument_f1=score)


def test_the_best_so_far_never_falls_and_goes_on_to_the_end() -> None:
    trials = [
        TrialRecord(number=0, curve=[point(1, 10, 0.2), point(2, 30, 0.5)], finished=50),
        TrialRecord(number=1, curve=[point(1, 20, 0.4), point(2, 40, 0.3)]),
    ]
    figure = clock.best_so_far(RunRecord(name="a", trials=trials))
    assert figure is not None
    best = figure["data"][1]
    assert best["x"] == [10, 20, 30, 40, 50]
    assert best["y"] == [0.2, 0.4, 0.5, 0.5, 0.5]


def test_the_best_by_steps_counts_those_of_all_trials() -> None:
    trials = [
        TrialRecord(number=0, curve=[point(10, 10, 0.2), point(30, 30, 0.5)], finished=50),
        TrialRecord(number=1, curve=[point(10, 20, 0.4), point(20, 40, 0.3)]),
    ]
    figure = clock.best_by_steps(RunRecord(name="a", trials=trials))
    assert figure is not None
    assert figure["data"][1]["x"] == [10, 20, 40, 50, 50]
    assert figure["data"][1]["y"] == [0.2, 0.4, 0.5, 0.5, 0.5]


def test_trials_of_a_node_lie_together() -> None:
    trials = [
        TrialRecord(number=number, node=node, started=0, finished=1, status="completed")
        for number, node in enumerate(("b<", "a", "b<"))
    ]
    figure = clock.timeline(RunRecord(name="a", trials=trials))
    assert figure is not None
    listed = figure["layout"]["yaxis"]["categoryarray"][::-1]
    assert listed == ["trial 1 · a", "trial 0 · b&lt;", "trial 2 · b&lt;"]


def test_a_bar_lasts_from_start_to_end_and_a_running_trial_until_now() -> None:
    run = RunRecord(
        name="a",
        trials=[
            TrialRecord(number=0, status="completed", started=0, finished=600),
            TrialRecord(number=1, status="running", started=300),
            TrialRecord(number=2, status="failed"),
        ],
    )
    figure = clock.timeline(run)
    assert figure is not None
    bars = {bar["name"]: (bar["y"], bar["base"], bar["x"]) for bar in figure["data"]}
    assert bars == {
        "completed": (["trial 0"], [0], [10]),
        "running": (["trial 1"], [5], [5]),
    }


def test_phases_keep_their_order_and_their_names_are_text() -> None:
    figure = clock.phases(RunRecord(name="a", phases={"b<i>": 2.0, "a_b": 1.0, "c": None}))
    assert figure is not None
    assert figure["data"][0]["y"] == ["b&lt;i&gt;", "a b"]
    assert figure["layout"]["yaxis"]["categoryarray"] == ["a b", "b&lt;i&gt;"]


def test_plotly_accepts_the_figures() -> None:
    for draw in (clock.best_so_far, clock.best_by_steps, clock.timeline, clock.phases):
        assert go.Figure(draw(full())).data


def test_nothing_is_drawn_of_nothing() -> None:
    untimed = trial(0)
    untimed.started = None
    for checkpoint in untimed.curve:
        checkpoint.seconds = None
    for run in (RunRecord(name="a"), RunRecord(name="a", trials=[untimed])):
        assert clock.best_so_far(run) is None
        assert clock.timeline(run) is None
        assert clock.phases(run) is None
