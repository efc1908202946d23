"""How the report writes numbers, spans of time, calls and names. Knows nothing of HTML or plots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fcray.tools import ToolCall, canonical_json
from fcray.tracking.record import Status

NONE = "–"
"""What stands where there is no value."""

METRICS = {
    "intent_accuracy": "Intent accuracy",
    "argument_f1": "Argument F1",
    "frame_accuracy": "Frame accuracy",
}
"""Metric → its name for people; all three are shares of one."""

STATUS: dict[Status, str] = {
    "completed": "completed",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "running",
}

STAGES = ("intent", "arguments", "joint")
"""The curriculum's stages in order; `LoraConfig.shares` gives each one's share of the steps."""


COSTS = {
    "latency_p50": "Latency, median",
    "latency_p95": "Latency, P95",
    "adapter_mebibytes": "Adapter size",
}
"""What is better when it is smaller: seconds, and MiB."""


def objective_name(objective: Any) -> str:
    """What the sweep maximised, for people."""
    if isinstance(objective, list | tuple):
        first, *others = [objective_name(one) for one in objective]
        return f"{first}, beside {' and '.join(others)}" if others else first
    if isinstance(objective, dict):
        parts = [f"{number(weight)} x {objective_name(name)}" for name, weight in objective.items()]
        return f"weighted mean of {' and '.join(parts)}"
    if objective == "mean":
        return "mean of intent accuracy and argument F1"
    name: str = {**METRICS, **COSTS}.get(objective, objective)
    return name.lower().replace(" f1", " F1").replace("p95", "P95")


def percent(value: float | None) -> str:
    """0.9687 as `96.9%`."""
    return NONE if value is None else f"{100 * value:.1f}%"


def number(value: Any) -> str:
    """A number in few digits: 3e-05 as `3e-5`, 0.25 as `0.25`; anything else as it is."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.4g}".replace("e-0", "e-").replace("e+", "e")
    return str(value)


def rate(value: float | None) -> str:
    """A learning rate in two digits: 0.0024, 3e-5."""
    return number(value if value is None else float(f"{value:.2g}"))


def figure(name: str, value: float | None) -> str:
    """`value` as the figure `name` is read: metrics in percent, the rest as numbers."""
    return percent(value) if name in METRICS else number(value)


def duration(seconds: float | None) -> str:
    """4000.0 as `1 h 07 min`, 185 as `3 min 05 s`, 8.42 as `8.4 s`."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{seconds:.2g} s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shares(values: Iterable[float] | None) -> str:
    """(0.3, 0.4, 0.3) as `30 / 40 / 30`."""
    return " / ".join(f"{100 * v:.0f}" for v in values) if values else NONE


def modules(value: Any) -> str:
    """A trial's target modules: one word, or a list."""
    if not value:
        return NONE
    return value if isinstance(value, str) else ", ".join(str(v) for v in value)


def call_text(call: ToolCall | None) -> str:
    """`name(key=value, …)`; no call is `no call`."""
    if call is None:
        return "no call"
    arguments = ", ".join(f"{k}={canonical_json(v)}" for k, v in call.arguments.items())
    return f"{call.name}({arguments})"
