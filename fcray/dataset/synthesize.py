"""Candidates from templates: seeded, without repetition, as many as the pools hold.

Pure: the same seed yields the same candidates in the same order on every machine. Knows nothing of
files or of which split a candidate goes to.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcray.dataset import kinds
from fcray.dataset.catalog import Catalog
from fcray.dataset.near import NearDuplicates, Signed, sign
from fcray.dataset.offers import Offers
from fcray.dataset.split import normalise, short_hash
from fcray.dataset.templates import Pick, Template
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


def fillings(template: Template, seed: int, order: str = "") -> Iterator[Pick]:
    """Every filling of `template` once, in an order that depends on the seed and its id, or on `order`."""
    rng = random.Random(f"{seed}/{order or template.id + template.variant}")
    size = min(template.size, NUMBERED)
    return (Pick(template, index) for index in shuffled_indices(size, rng))


NUMBERED = 1 << 63
"""Fillings of a template that are told apart; where there are more, the last gaps vary less."""


class Source:
    """Hands out fillings such that no two of them are the same sentence, or nearly the same.

    The same call in the same template, its values said in other words, goes to one split only.

    Parameters
    ----------
    seed: Orders every template's fillings.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._open: dict[str, Iterator[Pick]] = {}
        self._looked_at: Counter[str] = Counter()
        self._taken: dict[int, str] = {}
        self._called: dict[int, str] = {}
        self._near = NearDuplicates()

    def turn_to_another_tool(self) -> None:
        """Forget training rows: those of another tool ask for something else, in other words.

        Where two tools do share a sentence, verification finds it.
        """
        self._near = NearDuplicates()
        self._open.clear()
        for seen in (self._taken, self._called):
            for key in [key for key, split in seen.items() if split == "train"]:
                del seen[key]

    def remember(self, picks: Iterable[Pick], split: str, *, words: bool) -> None:
        """Know again what was drawn of a tool before it was forgotten."""
        for pick in picks:
            self._take(_marks(pick, words), split)

    def draw(
        self, templates: Sequence[Template], count: int, split: str = "", *, words: bool = False
    ) -> list[Pick]:
        """`count` new sentences, in turn from each of `templates`; fewer when they run out.

        Parameters
        ----------
        words: The rows are answered in words, whatever the sentences' values are.
        """
        drawn: list[Pick] = []
        left = list(templates)
        while left and len(drawn) < count:
            for template in tuple(left):
                if len(drawn) == count:
                    break
                pick = self._next(template, split, words)
                if pick is None:
                    left.remove(template)
                else:
                    drawn.append(pick)
        return drawn

    def _next(self, template: Template, split: str, words: bool) -> Pick | None:
        # Rows that are answered in words refuse more sentences, so they have a stream of their own.
        key = template.id + template.variant + ("/words" if words else "")
        if key not in self._open:
            whole = fillings(template, self.seed, key)
            self._open[key] = itertools.islice(whole, self._looked_at[key], None)
        for pick in itertools.islice(self._open[key], SCANNED):
            self._looked_at[key] += 1
            if self._is_new(pick, split, words):
                return pick
        return None

    def _is_new(self, pick: Pick, split: str, words: bool) -> bool:
        """Whether a filling may be handed out; if so, it is remembered."""
        marks = _marks(pick, words)
        if marks.sentence in self._taken:
            return False
        if marks.called is not None and self._called.get(marks.called, split) != split:
            return False
        if any(self._near.find(signed) is not None for signed in marks.signed):
            return False
        self._take(marks, split)
        return True

    def _take(self, marks: _Marks, split: str) -> None:
        self._taken[marks.sentence] = split
        if marks.called is not None:
            self._called[marks.called] = split
        for signed in marks.signed:
            self._near.add(signed, "")


class _Marks(NamedTuple):
    """What a filling is known again by: its sentence, what it calls, if anything, and its words."""

    sentence: int
    called: int | None
    signed: tuple[Signed, ...]


def _marks(pick: Pick, words: bool) -> _Marks:
    filled = pick.filled
    gold = repr(sorted(filled.arguments.items()))  # two templates say them in two orders
    called = short_hash(f"{filled.template.id} {gold}") if filled.arguments else None
    signed = sign(filled.request, gold)
    # Where no row that is answered in words can be made of it, it becomes a plain call.
    both = (signed, signed.asking("")) if words else (signed,)
    return _Marks(short_hash(normalise(filled.request)), called, both)


ASKING = ("missing", "slot_filling")
"""Kinds in which a like tool, with fewer arguments, might do instead of a question."""

SCANNED = 50
"""Sentences of a template that may be refused, one after the other, before it counts as used up."""


class Maker:
    """Makes the examples of a dataset, each from its picks, kind and id alone.

    Parameters
    ----------
    offers: Which tools the rows of a split are offered.
    """

    def __init__(self, catalog: Catalog, seed: int, offers: Mapping[str, Offers]) -> None:
        self._catalog = catalog
        self._seed = seed
        self._offers = offers

    def example(self, picks: Sequence[Pick], *, split: str, number: int, kind: str) -> Example:
        """The row of `kind` that `picks` become; a plain call where that kind cannot be made of them.

        Parameters
        ----------
        picks: One filling, or two for the kinds in `kinds.TWO`.
        """
        identity = f"{split}-{number:05}"
        filled = [pick.filled for pick in picks]
        row = kinds.Row(self._catalog, f"{self._seed}/{identity}", self._offers[split], identity)
        first = filled[0]
        makers: Mapping[str, Callable[..., kinds.Made | None]] = {**kinds.ONE, **kinds.TWO}
        made = makers[kind](row, *filled)
        if made is None:
            made, kind = kinds.call(row, first), "call"
        template = first.template
        return Example(
            id=identity,
            messages=made.messages,
            tools=made.tools or row.offered(_needed(made, template), alike=kind not in ASKING),
            calls=made.calls,
            response=made.response,
            origin=Origin(
                generator="template",
                template=template.id,
                seed=self._seed,
                language=template.language,
                domain=template.domain,
                kind=kind,
            ),
        )


def _needed(made: kinds.Made, template: Template) -> tuple[str, ...]:
    """The tools that a row cannot do without: those that are called, and the one that it is about."""
    called = [call.name for message in made.messages for call in message.tool_calls]
    called += [call.name for call in made.calls]
    return tuple(dict.fromkeys([template.subject, *called]))
