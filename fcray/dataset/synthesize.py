"""Candidates from templates: seeded, without repetition, as many as the pools hold.

Pure: the same seed yields the same candidates in the same order on every machine. Knows nothing of
files or of which split a candidate goes to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from fcray.dataset import kinds
from fcray.dataset.catalog import Catalog
from fcray.dataset.split import normalise
from fcray.dataset.templates import Filled, Template
from fcray.tools import Example, Origin


def shuffled_indices(size: int, rng: random.Random) -> Iterator[int]:
    """0 … `size` - 1 in random order, lazily: memory grows with what is taken, not with `size`.

    The Fisher-Yates shuffle with its swaps in a dict.
    """
    moved: dict[int, int] = {}
    for left in range(size, 0, -1):
        pick = rng.randrange(left)
        yield moved.get(pick, pick)
        moved[pick] = moved.get(left - 1, left - 1)


def fillings(template: Template, seed: int) -> Iterator[Filled]:
    """Every filling of `template` once, in an order that depends on the seed and its id only."""
    rng = random.Random(f"{seed}/{template.id}")
    return (template.fill(index) for index in shuffled_indices(template.size, rng))


class Source:
    """Hands out candidates such that no two of them are the same sentence.

    Parameters
    ----------
    seed: Orders every template's fillings.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._open: dict[str, Iterator[Filled]] = {}
        self._taken: set[str] = set()

    def draw(self, templates: Sequence[Template], count: int) -> list[Filled]:
        """`count` new sentences, in turn from each of `templates`; fewer when they run out."""
        drawn: list[Filled] = []
        left = list(templates)
        while left and len(drawn) < count:
            for template in tuple(left):
                if len(drawn) == count:
                    break
                filled = self._next(template)
                if filled is None:
                    left.remove(template)
                else:
                    drawn.append(filled)
        return drawn

    def _next(self, template: Template) -> Filled | None:
        stream = self._open.setdefault(template.id, fillings(template, self.seed))
        for filled in stream:
            key = normalise(filled.request)
            if key not in self._taken:
                self._taken.add(key)
                return filled
        return None


def to_example(
    filled: Sequence[Filled], catalog: Catalog, *, identity: str, seed: int, kind: str
) -> Example:
    """The row of `kind` that `filled` becomes; a plain call where that kind cannot be made of it.

    Parameters
    ----------
    filled: One filled template, or two for the kinds in `kinds.TWO`.
    """
    row = kinds.Row(catalog, f"{seed}/{identity}")
    first = filled[0]
    makers: Mapping[str, Callable[..., kinds.Made | None]] = {**kinds.ONE, **kinds.TWO}
    made = makers[kind](row, *filled)
    if made is None:
        made, kind = kinds.call(row, first), "call"
    template = first.template
    return Example(
        id=identity,
        messages=made.messages,
        tools=tuple(tool for tool in catalog.tools if tool.name != made.withheld),
        calls=made.calls,
        response=made.response,
        origin=Origin(
            generator="template",
            template=template.id,
            seed=seed,
            language=template.language,
            domain=template.domain,
            kind=kind,
        ),
    )
