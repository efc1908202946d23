"""What the plots share: colours, the frame of a figure, the unit of a time axis."""

from __future__ import annotations

from typing import Any

from fcray.tracking.record import Status

PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c6bb1",
    "#6b7785",
)
"""Okabe and Ito's colours for colour-blind readers, less black and yellow: seen on both grounds."""

MUTED = "#a3adb8"

SCALE = ("#c2cad2", "#56a3c9", "#1f68c9")
"""Low scores to high; each is seen on a light and on a dark ground."""

STATUS_COLOURS: dict[Status, str] = {
    "completed": "#2f6fb5",
    "stopped": "#c99a3a",
    "failed": "#c0392b",
    "running": "#8fa0b0",
}

Trace = dict[str, Any]
Figure = dict[str, Any]
"""`data` and `layout`, as Plotly's JavaScript takes them."""


def trace(kind: str, **fields: Any) -> Trace:
    """One trace of Plotly's type `kind`, without a legend entry unless it is asked for."""
    return {"type": kind, "showlegend": False, **fields}


def figure(traces: list[Trace], height: int, **layout: Any) -> Figure:
    """A figure of `height` pixels, as wide as its place, with its legend above the plot."""
    legend = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
    shared = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "showlegend": True,
        "legend": legend,
    }
    return {"data": traces, "layout": shared | layout}


def on_scale(value: float, low: float, high: float) -> str:
    """The colour of `value` between `low` and `high`; the highest where the two are one."""
    share = (value - low) / (high - low) if high > low else 1.0
    place = share * (len(SCALE) - 1)
    left = min(int(place), len(SCALE) - 2)
    pairs = zip(_channels(SCALE[left]), _channels(SCALE[left + 1]), strict=True)
    mixed = [round(a + (b - a) * (place - left)) for a, b in pairs]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _channels(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def time_unit(longest: float) -> tuple[str, float]:
    """The unit in which `longest` seconds read well, and its seconds."""
    if longest < 180:
        return "seconds", 1.0
    return ("minutes", 60.0) if longest < 3 * 3600 else ("hours", 3600.0)
