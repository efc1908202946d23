"""Clean rows that faults are put into, each with the template that says it.

They are the test split of a dataset of its own: the catalogs, tools and offers of a spec, with other counts
and kinds, drawn with another seed. What the spec's own training or validation split says is left out, and so
is the same call in the same template, its values said in other words. Knows nothing of faults.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fcray.dataset.build import Construction
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.draw import draw
from fcray.dataset.kinds import OFFERED, label_of
from fcray.dataset.offers import Offers
from fcray.dataset.pools import Form
from fcray.dataset.split import normalise, short_hash
from fcray.dataset.synthesize import Maker
from fcray.dataset.templates import Filled
from fcray.dataset.unseen import UnseenValues
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Example, Language, Message

SMALL_TALK = 160
"""Most requests that need no tool, to fill long conversations with."""

LEARNED = ("train", "validation")
"""Splits whose sentences a case must not have."""


@dataclass(frozen=True)
class Clean:
    """A sound row, and what its request is made of."""

    example: Example
    filled: Filled

    @property
    def language(self) -> Language:
        return self.filled.template.language

    @property
    def tool(self) -> str:
        """The tool that the request is about."""
        return self.filled.template.subject

    def said(self, text: str) -> tuple[Message, ...]:
        """The conversation with `text` as its request."""
        *before, asked = self.example.messages
        return (*before, asked.model_copy(update={"content": text}))


@dataclass(frozen=True)
class CleanRows:
    """The rows of each kind: `call`, `missing`, `invalid`, `unknown_tool`, `irrelevant`."""

    catalog: Catalog
    rows: Mapping[str, tuple[Clean, ...]]

    def of(self, kind: str, language: Language) -> Iterator[Clean]:
        """The rows of a kind, tools taking turns."""
        tools: defaultdict[str, list[Clean]] = defaultdict(list)
        for row in self.rows.get(kind, ()):
            if row.language == language:
                tools[row.tool].append(row)
        for turn in itertools.zip_longest(*tools.values()):
            yield from (row for row in turn if row is not None)

    def forms(self, row: Clean, argument: str) -> tuple[Form, ...]:
        """The values that an argument of the row's tool may have in its language."""
        return self.catalog.about[row.tool].forms.get(argument, {}).get(row.language, ())

    def label(self, row: Clean, argument: str) -> str:
        """How an argument of the row's tool is named."""
        return label_of(self.catalog, row.tool, argument, row.language)


def clean_rows(spec: DataSpec, each: int, seed: int) -> CleanRows:
    """Rows enough for `each` cases of a fault, where the catalogs hold them.

    Raises
    ------
    UserError: A catalog cannot be used, or holds too few sentences for `spec` itself.
    """
    whole = load_catalogs(spec.catalogs, spec.tools)
    learned = _learned(spec, whole)
    # A value that training never sees would be a second difficulty.
    catalog = UnseenValues(whole, spec.seed).usual if spec.test_values else whole
    making = _making(spec, catalog, each, seed)
    rows: defaultdict[str, list[Clean]] = defaultdict(list)
    for example in making.rows("test"):
        drawn = making.plan.rows["test"][int(example.id.rpartition("-")[2])]
        row = Clean(example, drawn.picks[0].filled)
        kind = "call" if example.calls else example.origin.kind
        if kind == "irrelevant":
            if OFFERED not in row.filled.template.answer:
                rows[kind].append(row)
        elif learned.isdisjoint(_marks(example.request, row.filled)):
            rows[kind].append(row)
    return CleanRows(catalog, {kind: tuple(found) for kind, found in rows.items()})


def _making(spec: DataSpec, catalog: Catalog, each: int, seed: int) -> Construction:
    """The dataset whose test split is taken: twice what is asked for, or what small catalogs can give."""
    wanted = 2 * (each + len(catalog.tools))
    while True:
        try:
            return Construction(_derived(spec, wanted, seed), catalog)
        except UserError:
            if wanted == 1:
                raise
            wanted //= 2


def _derived(spec: DataSpec, wanted: int, seed: int) -> DataSpec:
    """The spec with `wanted` test rows of each kind of words, and twice as many plain calls."""
    kinds = ("missing", "invalid", "unknown_tool")
    talk = min(SMALL_TALK, 4 * wanted)
    test = talk + (2 + len(kinds)) * wanted
    return spec.model_copy(
        update={
            **{"train": 1, "validation": 1, "test": test, "test_values": 0, "test_tools": 1},
            "irrelevant": talk / test,
            "kinds": dict.fromkeys(kinds, wanted / test),
            # With the spec's own seed the first sentences drawn would be those of training.
            "seed": random.Random(f"{spec.seed}/faults/{seed}").randrange(1 << 31),
        }
    )


def _learned(spec: DataSpec, catalog: Catalog) -> set[int]:
    """What the spec's training and validation rows are known again by."""
    plan = draw(spec, catalog)
    offers = dict.fromkeys(LEARNED, Offers(list(catalog.tools), [0], spec.seed))
    maker = Maker(plan.catalog, spec.seed, offers)
    marks: set[int] = set()
    for split in LEARNED:
        for number, drawn in enumerate(plan.rows[split]):
            for pick in drawn.picks:
                marks |= _marks(pick.filled.request, pick.filled)
            if drawn.kind == "invalid":  # the only request with words that are no pick's
                row = maker.example(drawn.picks, split=split, number=number, kind=drawn.kind)
                marks.add(_mark(row.request))
    return marks


def _marks(request: str, filled: Filled) -> set[int]:
    """A request is known again by its sentence, and by its template with the same arguments."""
    marks = {_mark(request)}
    if filled.arguments:
        marks.add(short_hash(f"{filled.template.id} {sorted(filled.arguments.items())!r}"))
    return marks


def _mark(sentence: str) -> int:
    return short_hash(normalise(sentence))
