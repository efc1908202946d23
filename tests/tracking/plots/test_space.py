"""The plots of what was searched: parallel coordinates and the simplex of shares."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import pytest

from fcray.tracking.plots import space
from fcray.tracking.record import RunRecord, TrialRecord

from ..records import config, full


def scored(number: int, score: float, settings: dict[str, Any]) -> TrialRecord:
    scores = {"intent_accuracy": score, "argument_f1": score}
    return TrialRecord(number=number, config=settings, scores=scores)


def test_learning_rates_lie_by_their_logarithm() -> None:
    run = RunRecord(
        name="a",
        trials=[
            scored(i, 0.1 * i, config(8, rate, "all-linear", [0.3, 0.4, 0.3]))
            for i, rate in enumerate((1e-5, 1e-4, 1e-3))
        ],
    )
    figure = space.parallel_coordinates(run)
    assert figure is not None
    heights = [line["y"] for line in figure["data"]]
    assert [line[1] for line in heights] == pytest.approx([0, 0.5, 1])
    assert [line[0] for line in heights] == [0.5, 0.5, 0.5]  # one rank: the middle of its axis


def test_the_best_trial_is_drawn_last_and_thickest() -> None:
    figure = space.parallel_coordinates(full())
    assert figure is not None
    widths = [line["line"]["width"] for line in figure["data"]]
    assert figure["data"][-1]["text"].startswith("trial 2:")
    assert widths[-1] > max(widths[:-1])


def test_ticks_that_would_overlap_are_left_out() -> None:
    run = RunRecord(
        name="a",
        trials=[
            scored(i, score, config(8, 1e-3, "all-linear", [0.3, 0.4, 0.3]))
            for i, score in enumerate((0.1, 0.5, 0.501, 0.9))
        ],
    )
    figure = space.parallel_coordinates(run)
    assert figure is not None
    last = [tick["text"] for tick in figure["layout"]["annotations"] if tick["x"] == 5]
    assert last == ["<b>score</b>", "10.0%", "50.0%", "90.0%"]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"rank": 8},
        config(0, 1e-3, "all-linear", [0.3, 0.4, 0.3]),
        config(8, math.nan, "all-linear", [0.3, 0.4, 0.3]),
        config(8, 1e-3, "all-linear", [1.0]),
    ],
)
def test_a_trial_without_all_settings_has_no_line(broken: dict[str, Any]) -> None:
    run = full()
    before = space.parallel_coordinates(run)
    run.trials.append(scored(9, 0.99, broken))
    after = space.parallel_coordinates(RunRecord.model_validate_json(run.to_json()))
    assert before is not None
    assert after is not None
    assert len(after["data"]) == len(before["data"])


def test_the_simplex_needs_two_different_points() -> None:
    same = [scored(i, 0.5, config(8, 1e-3, "all-linear", [0.3, 0.4, 0.3])) for i in range(3)]
    assert space.simplex(RunRecord(name="a", trials=same)) is None
    figure = space.simplex(full())
    assert figure is not None
    points = figure["data"][0]
    assert [sum(three) for three in zip(points["a"], points["b"], points["c"], strict=True)] == (
        pytest.approx([1, 1, 1, 1])
    )


def goals(*points: tuple[float, float], second: str = "latency_p50") -> RunRecord:
    trials = [
        TrialRecord(number=n, status="completed", scores={"argument_f1": y, second: x})
        for n, (y, x) in enumerate(points)
    ]
    return RunRecord(name="a", objective=["argument_f1", second], trials=trials)


def test_the_front_holds_what_nothing_betters_in_both() -> None:
    figure = space.front(goals((0.9, 2.0), (0.8, 1.0), (0.7, 1.5), (0.95, 3.0), (0.9, 2.5)))
    assert figure is not None
    others, best = figure["data"]
    assert best["text"] == ["trial 1", "trial 0", "trial 3"]
    assert others["text"] == ["trial 2", "trial 4"]


def test_of_two_metrics_more_is_better_in_both() -> None:
    figure = space.front(goals((0.9, 0.5), (0.8, 0.7), (0.7, 0.6), second="frame_accuracy"))
    assert figure is not None
    assert figure["data"][1]["text"] == ["trial 1", "trial 0"]


def test_one_goal_has_no_front() -> None:
    run = goals((0.9, 2.0), (0.8, 1.0))
    run.objective = "argument_f1"
    assert space.front(run) is None
    assert space.front(goals((0.9, 2.0))) is None


def test_importance_is_listed_from_the_least() -> None:
    run = RunRecord(name="a", importance={"rank": 0.7, "learning_rate": 0.3, "x": None})
    figure = space.importance(run)
    assert figure is not None
    assert figure["data"][0]["y"] == ["learning rate", "rank"]
    assert figure["data"][0]["text"] == ["30%", "70%"]


def test_plotly_accepts_the_figures() -> None:
    assert go.Figure(space.parallel_coordinates(full())).data
    assert go.Figure(space.simplex(full())).data


def test_nothing_is_drawn_of_nothing() -> None:
    assert space.parallel_coordinates(RunRecord(name="a")) is None
    assert space.simplex(RunRecord(name="a")) is None
