"""Where a sweep stands, in words."""

from __future__ import annotations

import pytest

from fcray.console_progress import Progress, Standing


def test_where_a_sweep_stands() -> None:
    standing = Standing(trials=4, rungs=3, deadline=None, began=100.0)
    assert standing.text(100.0) == "0 of 4 trials ended, 0 whole"
    for number in (0, 1):
        standing.started(number)
    standing.scored(0, 1, 0.5)
    standing.scored(1, 1, 0.4)
    assert standing.text(160.0) == (
        "0 of 4 trials ended, 0 whole · trial 0 at rung 1, 1 at rung 1 of 3 · best trial 0 with 50.0%"
    )
    standing.finished(1)
    standing.scored(0, 3, 0.9)
    standing.finished(0)
    words = standing.text(220.0)
    assert words.startswith("2 of 4 trials ended, 1 whole · best trial 0 with 90.0% · about 2 min")
    assert standing.left(220.0) == 120.0


def test_time_that_runs_out_bounds_what_is_left() -> None:
    standing = Standing(trials=10, rungs=3, deadline=60.0, began=0.0)
    assert standing.left(10.0) == 50.0
    standing.started(0)
    standing.finished(0)
    assert standing.left(55.0) == 5.0
    assert standing.text(55.0).endswith("less than a minute left")
    assert standing.left(70.0) == 0.0


def test_many_trials_are_counted() -> None:
    standing = Standing(trials=32, rungs=2, deadline=None, began=0.0)
    for number in range(9):
        standing.started(number)
    assert "3 at rung 0 and 5 more of 2" in standing.text(1.0)


def test_a_pipe_gets_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.sweep_started(2, 3, 5.0)
        progress.trial_started(0, {"rank": 8})
        progress.trial_scored(0, 10, 1, 0.5, {"intent_accuracy": 0.5})
        progress.trial_ended(0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("    ", 1)[-1] for line in lines] == [
        "trial 0 starts: rank 8, lr 0.001, all-linear, stages 30 / 40 / 30",
        "trial 0 at step 10: intent accuracy 50.0%  best: trial 0",
        "trial 0 ended",
    ]
