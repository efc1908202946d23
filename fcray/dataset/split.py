"""How rows are divided: which templates are held out, how many rows each kind gets, in what order.

Pure rules, seeded. Knows nothing of files; the disjointness of splits rests on `normalise`.
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fcray.dataset.templates import Template
from fcray.tools import Language

HELD_OUT_TEMPLATES = 1 / 6
"""Share of each tool's templates, a language at a time, that training never sees."""

UNSEEN_TEMPLATE_ROWS = 0.25
"""Share of the test split's calls that are said in a held-out template."""

CellT = TypeVar("CellT", bound=Hashable)
RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Cell:
    """Rows that are alike: one tool (empty: none is called) in one language."""

    tool: str
    language: Language


def normalise(sentence: str) -> str:
    """`sentence` without case, spaces and punctuation: what decides whether two are the same."""
    folded = unicodedata.normalize("NFKC", sentence).casefold()
    return "".join(character for character in folded if character.isalnum())


def hold_out(
    templates: Sequence[Template], seed: int
) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
    """`templates` as (trained, held out).

    A template is held out only while another one that mentions the same arguments stays, so that
    what is tested is a new wording and not a new combination of arguments.
    """
    wanted = math.ceil(len(templates) * HELD_OUT_TEMPLATES)
    left = Counter(frozenset(template.forms) for template in templates)
    order = list(templates)
    random.Random(f"{seed}/hold out/{templates[0].id if templates else ''}").shuffle(order)
    held: list[Template] = []
    for template in order:
        if len(held) < wanted and left[frozenset(template.forms)] > 1:
            left[frozenset(template.forms)] -= 1
            held.append(template)
    ids = {template.id for template in held}
    return (
        tuple(template for template in templates if template.id not in ids),
        tuple(template for template in templates if template.id in ids),
    )


def plan(
    tools: Sequence[str], total: int, irrelevant: float, rng: random.Random
) -> dict[Cell, int]:
    """How many of `total` rows each cell gets: tools alike, languages half and half.

    Tools differ by one row at most, and so do the languages of all rows together.
    """
    idle = round(total * irrelevant)
    order = list(tools)
    rng.shuffle(order)
    pair: tuple[Language, Language] = ("zh", "en")
    # Alternating the language down the list keeps both tools and languages level at any remainder.
    cells = [Cell(tool, pair[(i + turn) % 2]) for turn in (0, 1) for i, tool in enumerate(order)]
    counts = spread(cells, total - idle)
    spoken_zh = sum(count for cell, count in counts.items() if cell.language == "zh")
    idle_zh = min(idle, max(0, (total + 1) // 2 - spoken_zh))
    return counts | {Cell("", "zh"): idle_zh, Cell("", "en"): idle - idle_zh}


def spread(cells: Sequence[CellT], total: int) -> dict[CellT, int]:
    """`total` over `cells` as evenly as whole numbers allow; earlier ones get the remainder."""
    each, extra = divmod(total, len(cells))
    return {cell: each + (index < extra) for index, cell in enumerate(cells)}


def interleave(groups: Mapping[CellT, Sequence[RowT]], rng: random.Random) -> list[RowT]:
    """All rows in an order in which any stretch holds each group at about its share."""
    placed = [
        ((index + rng.random()) / len(rows), row)
        for rows in groups.values()
        for index, row in enumerate(rng.sample(rows, len(rows)))
    ]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]
