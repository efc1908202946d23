"""How numbers, times and calls are written for people."""

from __future__ import annotations

import pytest

from fcray.tools import ToolCall
from fcray.tracking import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.213, "0.21 s"),
        (8.42, "8.4 s"),
        (59.99, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (4000.0, "1 h 07 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3e-5, "3e-5"), (0.0024, "0.0024"), (16, "16"), (1e12, "1e12"), (None, "–")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert wording.number(value) == text


def test_learning_rates_have_two_digits() -> None:
    assert [wording.rate(value) for value in (3e-5, 0.0024, 6.989e-5, 1.0, None)] == (
        ["3e-5", "0.0024", "7e-5", "1", "–"]
    )


def test_metrics_are_percent_and_other_figures_are_not() -> None:
    assert wording.figure("argument_f1", 0.8712) == "87.1%"
    assert wording.figure("minutes", 19.5) == "19.5"


def test_calls() -> None:
    call = ToolCall(name="remind", arguments={"title": "开会", "at": 9})
    assert wording.call_text(call) == 'remind(title="开会", at=9)'
    assert wording.call_text(None) == "no call"


def test_settings() -> None:
    assert wording.shares((0.3, 0.4, 0.3)) == "30 / 40 / 30"
    assert wording.shares(None) == "–"
    assert wording.modules(["q_proj", "v_proj"]) == "q_proj, v_proj"
    assert wording.modules("all-linear") == "all-linear"
