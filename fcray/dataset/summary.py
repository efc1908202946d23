"""What a dataset consists of: counts by domain, language and kind, and a few rows of each.

Fed row by row; holds the counts and the samples, not the rows. Knows nothing of how it is shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fcray.tools import Example

SAMPLES = 2
"""Rows that are kept of each domain, language and kind."""


class Cell(NamedTuple):
    """Rows that are alike."""

    domain: str
    language: str
    kind: str
    generator: str


@dataclass
class Counts:
    """How many rows a split has, of what, and with how many tools."""

    rows: int = 0
    cells: Counter[Cell] = field(default_factory=Counter)
    offered: Counter[int] = field(default_factory=Counter)
    called: Counter[str] = field(default_factory=Counter)

    def by(self, part: Callable[[Cell], str]) -> dict[str, int]:
        """Rows by one part of their cell."""
        found: Counter[str] = Counter()
        for cell, count in self.cells.items():
            found[part(cell)] += count
        return dict(sorted(found.items()))

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "domains": self.by(lambda cell: cell.domain),
            "languages": self.by(lambda cell: cell.language),
            "kinds": self.by(lambda cell: cell.kind),
            "generators": self.by(lambda cell: cell.generator),
        }


@dataclass
class Summary:
    """Counts by split, and samples.

    Attributes
    ----------
    samples: (domain, language, kind) → the first rows of it, with their splits.
    """

    splits: dict[str, Counts] = field(default_factory=dict)
    samples: defaultdict[tuple[str, str, str], list[tuple[str, Example]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, split: str, example: Example) -> None:
        """Count a row."""
        origin = example.origin
        counts = self.splits.setdefault(split, Counts())
        counts.rows += 1
        counts.cells[Cell(origin.domain, origin.language, origin.kind, origin.generator)] += 1
        counts.offered[len(example.tools)] += 1
        counts.called.update(call.name for call in example.calls)
        kept = self.samples[origin.domain, origin.language, origin.kind]
        if len(kept) < SAMPLES:
            kept.append((split, example))

    def order(self, names: Sequence[str]) -> None:
        """Put the splits of these names first, in this order."""
        known = [name for name in names if name in self.splits]
        others = [name for name in self.splits if name not in names]
        self.splits = {name: self.splits[name] for name in (*known, *others)}

    @property
    def rows(self) -> int:
        return sum(counts.rows for counts in self.splits.values())
