"""How rows are divided: which templates are held out, how many rows each kind gets, in what order.

Pure rules, seeded. Knows nothing of files; the disjointness of splits rests on `normalise`.
"""

from __future__ import annotations

import hashlib
import math
import random
import unicodedata
from array import array
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

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


def short_hash(text: str) -> int:
    """64 bits that stand for a text where millions of them are remembered."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


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
    tools: Mapping[str, int], total: int, irrelevant: float, rng: random.Random
) -> dict[Cell, int]:
    """How many of `total` rows each cell gets: tools by their weights, languages half and half.

    A tool is off its share by less than one row, and the languages of all rows together differ by one
    row at most.

    Parameters
    ----------
    tools: Name → weight.
    """
    idle = round(total * irrelevant)
    order = list(tools)
    rng.shuffle(order)
    counts: dict[Cell, int] = {}
    turn = 0
    for tool, count in apportion({name: tools[name] for name in order}, total - idle).items():
        # The odd rows go to the languages in turn, which keeps them level at any remainder.
        more: tuple[Language, Language] = ("zh", "en") if turn % 2 == 0 else ("en", "zh")
        counts[Cell(tool, more[0])] = count - count // 2
        counts[Cell(tool, more[1])] = count // 2
        turn += count % 2
    spoken_zh = sum(count for cell, count in counts.items() if cell.language == "zh")
    idle_zh = min(idle, max(0, (total + 1) // 2 - spoken_zh))
    return counts | {Cell("", "zh"): idle_zh, Cell("", "en"): idle - idle_zh}


def apportion(weights: Mapping[CellT, int], total: int) -> dict[CellT, int]:
    """`total` by weight in whole numbers: the largest remainders are rounded up, earlier ones first."""
    whole = sum(weights.values())
    shares = {key: divmod(total * weight, whole) for key, weight in weights.items()}
    left = total - sum(share for share, _ in shares.values())
    first = sorted(shares, key=lambda key: -shares[key][1])[:left]
    return {key: share + (key in first) for key, (share, _) in shares.items()}


def spread(cells: Sequence[CellT], total: int) -> dict[CellT, int]:
    """`total` over `cells` as evenly as whole numbers allow; earlier ones get the remainder."""
    each, extra = divmod(total, len(cells))
    return {cell: each + (index < extra) for index, cell in enumerate(cells)}


def interleave(groups: Mapping[CellT, Sequence[RowT]], rng: random.Random) -> Iterator[RowT]:
    """All rows in an order in which any stretch holds each group at about its share."""
    places, sources = array("d"), array("I")
    orders = []
    for number, group in enumerate(groups.values()):
        orders.append(array("I", rng.sample(range(len(group)), len(group))))
        for index in range(len(group)):
            places.append((index + rng.random()) / len(group))
            sources.append(number)
    members = [
        map(group.__getitem__, order) for group, order in zip(groups.values(), orders, strict=True)
    ]
    for at in np.argsort(np.frombuffer(places), kind="stable"):
        yield next(members[sources[at]])
