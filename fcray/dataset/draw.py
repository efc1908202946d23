"""Which rows a dataset will have: a plan that stays small however many they are.

A row is planned as one or two fillings of templates and a kind (see `planned`); it is made when it is needed.
Knows nothing of files; how rows are divided is in `split`, which values are kept apart in `unseen`.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fcray.dataset.catalog import Catalog
from fcray.dataset.kinds import TWO, WORDS, templates_of
from fcray.dataset.planned import Drawn, Rows
from fcray.dataset.split import UNSEEN_TEMPLATE_ROWS, Cell, hold_out, interleave, plan, spread
from fcray.dataset.synthesize import Source
from fcray.dataset.templates import Pick, Template
from fcray.dataset.unseen import UnseenValues
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Language

LEARNED = ("train", "validation", "test")
"""Splits over the same tools and values; they share no sentence."""

SPLITS = (*LEARNED, "test_values", "test_tools")
"""All splits: the last two have values, and tools, that training never sees."""


SECONDS = 200
"""Templates, at least, that the other requests of a cell's rows are drawn from."""


@dataclass(frozen=True)
class Plan:
    """The rows of each split in their order.

    Attributes
    ----------
    catalog: What rows of the splits in `LEARNED` are made with: no value kept for `test_values`.
    whole: The catalog with everything.
    held_out: The tools of `test_tools`.
    unseen: The values of `test_values`; None where that split is not asked for.
    notes: What could not be had as it was asked for.
    """

    catalog: Catalog
    whole: Catalog
    rows: Mapping[str, Sequence[Drawn]]
    held_out: tuple[str, ...]
    unseen: UnseenValues | None
    notes: tuple[str, ...]


def draw(spec: DataSpec, catalog: Catalog) -> Plan:
    """Plan the rows that `spec` asks for.

    Raises
    ------
    UserError: The catalogs hold fewer distinct sentences than are asked for, or nothing to hold out.
    """
    drawing = _Drawing(spec, catalog)
    drawing.run()
    rows = {
        split: found.in_order(
            interleave(drawing.groups[split], random.Random(f"{spec.seed}/order/{split}"))
        )
        for split, found in drawing.rows.items()
    }
    return Plan(
        drawing.catalog, catalog, rows, spec.held_out_tools, drawing.unseen, tuple(drawing.notes)
    )


class _Drawing:
    """Draws cell by cell: first the kinds that a spec asks for, then plain calls."""

    def __init__(self, spec: DataSpec, catalog: Catalog) -> None:
        self._spec = spec
        self._whole = catalog
        self.unseen = UnseenValues(catalog, spec.seed) if spec.test_values else None
        self.catalog = self.unseen.usual if self.unseen else catalog
        self.rows = {split: Rows() for split in SPLITS}
        self.groups: dict[str, dict[tuple[Cell, str], array[int]]] = {s: {} for s in SPLITS}
        self.notes: list[str] = []
        self._source = Source(spec.seed)
        self._shares = _Shares(spec)
        self._tools = [tool for tool in catalog.tools if tool.name not in _held_out(spec, catalog)]
        # What has more arguments takes more rows to learn; scores count every tool alike.
        weights = {"train": {tool.name: 1 + len(tool.properties) for tool in self._tools}}
        alike = dict.fromkeys((tool.name for tool in self._tools), 1)
        self._counts = {
            split: plan(
                weights.get(split, alike),
                getattr(spec, split),
                spec.irrelevant,
                random.Random(f"{spec.seed}/plan/{split}"),
            )
            for split in LEARNED
        }
        self._trained = {
            cell: hold_out(self.catalog.of(cell.tool, cell.language), spec.seed)[0]
            for cell in self._counts["test"]
            if cell.tool
        }
        self._all_trained: defaultdict[Language, list[Template]] = defaultdict(list)
        for cell, templates in self._trained.items():
            self._all_trained[cell.language] += templates
        self._used: dict[Cell, list[Template]] = {}
        self._kinds: dict[tuple[Cell, str], dict[str, int]] = {}
        self._seconds: dict[tuple[Cell, str, str], list[Pick]] = {}
        self._few: Counter[str] = Counter()
        self._lacking: dict[tuple[str, Language, bool], int] = defaultdict(int)

    def run(self) -> None:
        counts = self._counts["test"]
        calls = sorted((cell for cell in counts if cell.tool), key=lambda cell: -counts[cell])
        test_calls = sum(counts[cell] for cell in calls)
        unseen = spread(calls, round(test_calls * UNSEEN_TEMPLATE_ROWS))
        self._kinds = {
            (cell, split): self._shares.of(split, cell, self._counts[split][cell])
            for cell in counts
            for split in LEARNED
        }
        self._draw_seconds()
        for cell in counts:
            self._turn_to(cell)
            self._draw_cell(cell, unseen.get(cell, 0))
        self._draw_elsewhere()
        self.notes += [
            f"{count} rows of kind {kind!r} are plain calls: the catalogs have no more such sentences"
            for kind, count in self._few.items()
            if count
        ]
        if self.unseen is not None:
            self._draw_unseen_values(self.unseen)
        if self._spec.held_out_tools:
            self._draw_held_out_tools()

    def _draw_seconds(self) -> None:
        """The other half of every pair that is tested on, before training has any sentence.

        It is another tool's, whose training sentences are forgotten when its turn is over.
        """
        for (cell, split), kinds in self._kinds.items():
            for kind in TWO if split != "train" else ():
                if count := kinds.get(kind, 0):
                    self._seconds[cell, split, kind] = self._draw_second(cell, split, kind, count)

    def _draw_second(self, cell: Cell, split: str, kind: str, count: int) -> list[Pick]:
        key = f"{kind}/{split}/{cell.tool}/{cell.language}"
        rng = random.Random(f"{self._spec.seed}/{key}/others")
        spoken = self._all_trained[cell.language]
        some = rng.sample(spoken, min(len(spoken), SECONDS + count))
        others = [template for template in some if template.tool != cell.tool]
        return self._draw(others, count, split, f"{key}/second")

    def _draw_cell(self, cell: Cell, unseen: int) -> None:
        asked = {split: self._counts[split][cell] for split in LEARNED}
        for split in LEARNED:
            for kind, count in self._kinds[cell, split].items():
                found = self._draw_kind(cell, kind, split, count)
                asked[split] -= len(found)
                self._keep(split, cell, kind, found)
        self._draw_plain(cell, asked, unseen)

    def _keep(self, split: str, cell: Cell, kind: str, found: Sequence[tuple[Pick, ...]]) -> None:
        if found:
            members = self.groups[split].setdefault((cell, kind), array("I"))
            members.extend(self.rows[split].append(kind, picks) for picks in found)

    def _turn_to(self, cell: Cell | None) -> None:
        """Another tool's turn; what was drawn for it in an earlier turn is remembered again."""
        self._source.turn_to_another_tool()
        for split, groups in self.groups.items():
            for (whose, kind), members in groups.items():
                if whose == cell:
                    drawn = (self.rows[split][at].picks[0] for at in members)
                    self._source.remember(drawn, split, words=kind in WORDS)

    def _draw_kind(self, cell: Cell, kind: str, split: str, count: int) -> list[tuple[Pick, ...]]:
        """What up to `count` rows of a kind are made of; fewer where there are no more sentences."""
        if not count:
            return []
        own = templates_of(self.catalog, kind, cell.tool, self._trained[cell])
        key = f"{kind}/{split}/{cell.tool}/{cell.language}"
        spoken = [
            template
            for template in own
            if template.language == cell.language and template.tool not in self._spec.held_out_tools
        ]
        words = kind in WORDS
        firsts = self._draw(spoken, count, split, f"{key}/first", words=words)
        self._few[kind] += count - len(firsts)
        if kind not in TWO:
            return [(first,) for first in firsts]
        seconds = self._seconds.get((cell, split, kind))
        if seconds is None:
            seconds = self._draw_second(cell, split, kind, len(firsts))
        return list(zip(firsts, seconds, strict=False))

    def _draw(
        self,
        templates: Iterable[Template],
        count: int,
        split: str,
        key: str,
        *,
        words: bool = False,
    ) -> list[Pick]:
        shuffled = list(templates)
        random.Random(f"{self._spec.seed}/{key}").shuffle(shuffled)
        return self._source.draw(shuffled, count, split, words=words)

    def _draw_plain(self, cell: Cell, asked: dict[str, int], unseen: int) -> None:
        """The rows of one tool in one language that are plain calls, or small talk."""
        if not cell.tool:
            self._draw_small_talk(cell, asked)
            return
        templates = self.catalog.of(cell.tool, cell.language)
        trained, held = hold_out(templates, self._spec.seed)
        at = f"{cell.tool}/{cell.language}"
        train = self._draw(trained, asked["train"], "train", f"draw/train/{at}")
        used = {pick.template.id for pick in train}
        fresh = self._draw(held, min(unseen, asked["test"]), "test", f"draw/unseen/{at}")
        # Wordings that training did use come first: only they make a row of the kind "call".
        known = [t for t in trained if t.id in used]
        rest = asked["test"] - len(fresh)
        test = self._draw(known, rest, "test", f"draw/test/{at}")
        others = [t for t in templates if t.id not in {k.id for k in known}]
        extra = self._draw(others, rest - len(test), "test", f"draw/rest/{at}")
        validation = self._draw(trained, asked["validation"], "validation", f"draw/validation/{at}")
        for split, kind, picks in (
            ("train", "call", train),
            ("validation", "call", validation),
            ("test", "call", test),
            ("test", "unseen_template", [*fresh, *extra]),
        ):
            self._keep(split, cell, kind, [(pick,) for pick in picks])
        got = {"train": train, "validation": validation, "test": [*fresh, *test, *extra]}
        for split, picks in got.items():
            self._lacking[split, cell.language, True] += asked[split] - len(picks)
        self._used[cell] = [t for t in trained if t.id in used]

    def _draw_small_talk(self, cell: Cell, asked: dict[str, int]) -> None:
        """Requests that no tool answers; where they are few, tests have theirs before training."""
        templates = self.catalog.of("", cell.language)
        for split in reversed(LEARNED):
            at = f"draw/{split}//{cell.language}"
            picks = self._draw(templates, asked[split], split, at)
            self._keep(split, cell, "irrelevant", [(pick,) for pick in picks])
            self._lacking[split, cell.language, False] += asked[split] - len(picks)

    def _draw_elsewhere(self) -> None:
        """Rows for which a tool, or small talk, has no sentences are made with other tools.

        What needs no tool becomes a request for a tool that is not offered: it needs no call either.
        """
        for (split, language, called), count in self._lacking.items():
            kind = "call" if called or len(self._tools) < 2 else "unknown_tool"
            left = count
            cells = [cell for cell in self._trained if cell.language == language]
            while left and cells:
                for cell, share in spread(cells, left).items():
                    self._turn_to(cell)
                    at = f"more/{split}/{cell.tool}/{language}"
                    words = kind in WORDS
                    templates = self._used[cell] or self._trained[cell]
                    picks = self._draw(templates, share, split, at, words=words)
                    self._keep(split, cell, kind, [(pick,) for pick in picks])
                    left -= len(picks)
                    if len(picks) < share:
                        cells.remove(cell)
            if left:
                raise self._shortage(split, language, left, called=called)
            if count:
                self.notes.append(_note(split, language, count, called=called, kind=kind))

    def _shortage(self, split: str, language: Language, left: int, *, called: bool) -> UserError:
        what = "" if called else " that need no tool"
        asked = sum(
            self._counts[of][cell]
            for of in LEARNED
            for cell in self._counts[of]
            if cell.language == language and bool(cell.tool) == called
        )
        lacking = sum(
            n for (_, spoken, c), n in self._lacking.items() if spoken == language and c == called
        )
        return UserError(
            f"the catalogs yield only {asked - lacking} distinct {language} requests{what} besides "
            f"the templates held out for the test, and this spec asks for {asked}; ask for fewer or "
            "add templates and values",
            field=f"data.{split}",
        )

    def _draw_unseen_values(self, unseen: UnseenValues) -> None:
        variants = {
            cell: found
            for cell in self._trained
            if (found := unseen.templates(cell.tool, cell.language))
        }
        self._fill("test_values", "unseen_value", self._spec.test_values, variants)

    def _draw_held_out_tools(self) -> None:
        languages: tuple[Language, ...] = ("zh", "en")
        templates = {
            Cell(tool, language): self._whole.of(tool, language)
            for tool in self._spec.held_out_tools
            for language in languages
        }
        self._fill("test_tools", "held_out_tool", self._spec.test_tools, templates)

    def _fill(
        self, split: str, kind: str, count: int, templates: Mapping[Cell, Sequence[Template]]
    ) -> None:
        """`count` rows, as many of each cell as there are sentences."""
        self._turn_to(None)
        cells, left = list(templates), count
        while left and cells:
            for cell, share in spread(cells, left).items():
                at = f"draw/{split}/{cell.tool}/{cell.language}"
                picks = self._draw(templates[cell], share, split, at)
                self._keep(split, cell, kind, [(pick,) for pick in picks])
                left -= len(picks)
                if len(picks) < share:
                    cells.remove(cell)
        if left:
            self.notes.append(f"{split}: {count - left} rows of {count}: the catalogs have no more")


def _held_out(spec: DataSpec, catalog: Catalog) -> set[str]:
    for name in spec.held_out_tools:
        if catalog.tools.get(name) is None:
            raise UserError(
                f"there is no tool {name!r} that could be held out; there are "
                f"{', '.join(catalog.tools.names)}",
                field="data.held_out_tools",
            )
    if len(set(spec.held_out_tools)) == len(catalog.tools):
        raise UserError("no tool is left to train on", field="data.held_out_tools")
    return set(spec.held_out_tools)


def _note(split: str, language: Language, count: int, *, called: bool, kind: str) -> str:
    if called:
        return (
            f"{split}: {count} {language} calls are of other tools than planned: "
            "theirs have no more distinct sentences"
        )
    instead = "ask for a tool that is not offered" if kind == "unknown_tool" else "are calls"
    return (
        f"{split}: {count} {language} requests that need no tool {instead}: "
        "the catalogs have no more small talk"
    )


class _Shares:
    """Hands out the rows of each kind, cell by cell, such that their sums come out."""

    def __init__(self, spec: DataSpec) -> None:
        calls = 1 - spec.irrelevant
        self._shares = {kind: share / calls for kind, share in spec.kinds.items()} if calls else {}
        self._due: defaultdict[tuple[str, str], float] = defaultdict(float)

    def of(self, split: str, cell: Cell, rows: int) -> dict[str, int]:
        """Kind → how many of a cell's rows; the rest are plain calls."""
        counts: dict[str, int] = {}
        for kind, share in self._shares.items() if cell.tool else ():
            due = self._due[split, kind] + rows * share
            counts[kind] = min(round(due), rows - sum(counts.values()))
            self._due[split, kind] = due - counts[kind]
        return counts
