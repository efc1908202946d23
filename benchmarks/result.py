"""The one form of a benchmark's result: benchmarks/results/<name>.json, and a table on the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from fcray.console import table
from fcray.job import machine, versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Target:
    """A figure and what it is held against.

    Attributes
    ----------
    met: Whether `value` is on the right side of `target`.
    """

    name: str
    value: float
    target: float
    met: bool

    @classmethod
    def at_most(cls, name: str, value: float, target: float) -> Target:
        return cls(name, value, target, value <= target)


def publish(name: str, figures: dict[str, Any], targets: list[Target]) -> None:
    """Print the figures and write them."""
    result = {
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": figures,
        "targets": [asdict(target) for target in targets],
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, ensure_ascii=False, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    console = Console(highlight=False)
    rows = [
        (key, f"{value:,.3f}" if isinstance(value, float) else str(value))
        for key, value in figures.items()
    ]
    console.print(table(name, ("figure", "value>"), rows))
    for target in targets:
        word = "met" if target.met else "missed"
        console.print(f"{target.name}: {target.value:.4g}, target {target.target:.4g}: {word}")
