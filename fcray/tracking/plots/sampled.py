"""Draws a search space before anything has run: points as the sampler would ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fcray.tracking.plots.space import axes_of, coordinates, line, settings, triangle
from fcray.tracking.plots.style import MUTED, PALETTE, Figure, Trace, trace

_Config = Mapping[str, Any]

FIRST = PALETTE[1]
"""The points that are tried first."""


def simplex(samples: Sequence[_Config], first: Sequence[_Config]) -> Figure:
    """Shares of the steps in the triangle of the three stages."""
    return triangle(
        [
            _points(samples, "samples", {"size": 6, "color": PALETTE[0], "opacity": 0.6}),
            _points(first, "tried first", {"size": 13, "color": FIRST, "symbol": "diamond"}),
        ]
    )


def _points(configs: Sequence[_Config], name: str, marker: dict[str, Any]) -> Trace:
    a, b, c = ([config["shares"][i] for config in configs] for i in range(3))
    return trace(
        "scatterternary",
        a=a,
        b=b,
        c=c,
        mode="markers",
        name=name,
        showlegend=True,
        cliponaxis=False,
        marker=marker,
        customdata=[settings(config) for config in configs],
        hovertemplate="%{customdata}<extra></extra>",
    )


def parallel_coordinates(samples: Sequence[_Config], first: Sequence[_Config]) -> Figure:
    """A line a point through its rank, learning rate (log) and shares; those tried first on top."""
    axes = axes_of([*samples, *first])
    lines = [line(axes, row, MUTED, settings(config)) for row, config in enumerate(samples)]
    for one in lines:
        one["line"]["width"] = 1
    lines += [
        line(axes, row, FIRST, settings(config))
        for row, config in enumerate(first, start=len(samples))
    ]
    return coordinates(lines, axes)
