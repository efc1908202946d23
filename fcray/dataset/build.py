"""The dataset of one run: planned, made, verified. The same spec and catalogs give the same rows.

Knows nothing of models or files; what a sentence may be is in the catalogs, which rows there are in `draw`,
what a sound row is in `verify` and `audit`, how they are written in `store`.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from fcray.dataset import formats
from fcray.dataset.audit import (
    TEMPLATED,
    Audit,
    Auditor,
    Check,
    Finding,
    execution,
    form,
    grounding,
    language,
    nearly,
    schema,
    signature,
)
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.draw import LEARNED, SPLITS, Plan, draw
from fcray.dataset.masking import MASKED, MASKS, Masks
from fcray.dataset.near import NearDuplicates
from fcray.dataset.offers import Offers
from fcray.dataset.synthesize import Maker
from fcray.dataset.unseen import UnseenValues
from fcray.dataset.verify import Verifier
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Example, ToolCatalog, canonical_json

ORDER = (*(split for split in SPLITS if split != "train"), "train")
"""Splits as they are verified: the large one comes last and is compared with the others."""

CATALOGS_FAULT = ("format", "schema", "kind", "grounding", "wording", "language", "leakage")
"""Stages that no row of a sound catalog fails: what they find is an error, not a row the less."""

NATIVE = formats.FORMATS["fcray"]


@dataclass(frozen=True)
class Dataset:
    """Examples in splits that share no sentence.

    Attributes
    ----------
    train, validation, test: Rows over the same tools and values, each split interleaved by tool and
        language. `origin.kind` is `call`, `unseen_template` (test only: a wording that training lacks),
        `irrelevant`, or one of the spec's `kinds`.
    test_values: Calls with a value that training lacks; kind `unseen_value`.
    test_tools: Calls of tools that training lacks; kind `held_out_tool`.
    catalog: The tools that rows offer.
    sha256: Hash of the tools and of the rows as they are written.
    audits: Split → what verification found.
    notes: What could not be had as it was asked for.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    # Not compared: the hash covers it.
    catalog: ToolCatalog = field(compare=False)
    sha256: str
    test_values: tuple[Example, ...] = ()
    test_tools: tuple[Example, ...] = ()
    audits: Mapping[str, Audit] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def rows(self, split: str) -> tuple[Example, ...]:
        """The rows of the split of this name."""
        found: tuple[Example, ...] = getattr(self, split)
        return found


class Digest:
    """The hash of a dataset, of its tools and of each split's lines, in whatever order they come."""

    def __init__(self, tools: ToolCatalog) -> None:
        self._tools = hashlib.sha256(canonical_json([tool.model_dump() for tool in tools]).encode())
        self._splits = {split: hashlib.sha256() for split in SPLITS}

    def add(self, split: str, line: str) -> None:
        self._splits[split].update(line.encode())

    def hexdigest(self) -> str:
        whole = self._tools.copy()
        for split, digest in self._splits.items():
            whole.update(f"\n{split} {digest.hexdigest()}".encode())
        return whole.hexdigest()


def line(example: Example, tools: ToolCatalog) -> str:
    """One row as JSON; its tools by name where they are the dataset's own."""
    row = NATIVE.write(example.model_copy(update={"tools": ()}))
    row["tools"] = json.dumps(
        [tool.name if tool in tools else tool.model_dump() for tool in example.tools],
        ensure_ascii=False,
    )
    return json.dumps(row, ensure_ascii=False) + "\n"


def checks_against(spec: DataSpec, catalog: Catalog) -> tuple[Check, ...]:
    """Checks of built rows, and of others among them, against what they were built from.

    A split is known by its file's name: `train.jsonl` is `train`.
    """
    verifier = Verifier(catalog)
    unseen = UnseenValues(catalog, spec.seed) if spec.test_values else None
    masks: dict[int, Masks] = {}

    def sharp(example: Example, split: str) -> Iterator[Finding]:
        origin = example.origin
        if origin.generator not in TEMPLATED:
            for check in (schema, grounding, language):
                yield from check(example, split)
            return
        if origin.generator == MASKED:
            if origin.seed not in masks:
                masks[origin.seed] = Masks(origin.seed, 1)
            bare = masks[origin.seed].undone(example, catalog.tools)
            if bare is None:
                yield "schema", "its masked names are none of these catalogs'"
                return
            if not _is_as_masked(example, bare, masks[origin.seed]):
                yield "schema", "its masked tools are not those of these catalogs"
            example = bare
        yield from verifier.findings(example)
        yield from leaks(example, split.partition(".")[0], spec.held_out_tools, unseen)

    return (form, sharp, execution)


def _is_as_masked(example: Example, bare: Example, masks: Masks) -> bool:
    """Whether the tools of a row are what masking makes of them: their names alone do not tell."""
    empty = bare.model_copy(update={"messages": (), "calls": (), "response": ""})
    names = [tool.name for tool in example.tools]
    # Which mask it is follows from the row's id; where that was changed, one of these has it too.
    for identity in (example.id, *map(str, range(30 * MASKS))):
        masked = masks.apply(empty.model_copy(update={"id": identity})).tools
        if [tool.name for tool in masked] == names:
            return masked == example.tools
    return False


def leaks(
    example: Example, split: str, held_out: Collection[str], unseen: UnseenValues | None
) -> Iterator[Finding]:
    """What a row has that its split must not have."""
    if split in LEARNED and unseen is not None:
        yield from (("leakage", reason) for reason in unseen.leaks(example))
    if split in (*LEARNED, "test_values"):
        for tool in example.tools:
            if tool.name in held_out:
                yield "leakage", f"{tool.name} is held out for test_tools, and offered here"


class Construction:
    """A dataset while it is made: rows come one after the other, so memory does not grow with them.

    Parameters
    ----------
    length: Example → its tokens, to leave out rows over `cutoff`; None: lengths are not looked at.

    Attributes
    ----------
    tools: The tools that rows offer.
    plan: Which rows there will be.
    audits: Split → what verification found; fills as rows are taken.

    Raises
    ------
    UserError: The catalogs hold fewer distinct sentences than are asked for, or nothing to hold out.
    """

    def __init__(
        self,
        spec: DataSpec,
        catalog: Catalog,
        *,
        length: Callable[[Example], int] | None = None,
        cutoff: int = 1024,
    ) -> None:
        self.tools = catalog.tools
        self.plan: Plan = draw(spec, catalog)
        self.audits = {split: Audit() for split in SPLITS}
        self._masks = Masks(spec.seed, spec.masked)
        self._verifier = Verifier(catalog)
        self._split = ""
        self._plain: Counter[str] = Counter()
        self._auditor = Auditor(
            checks=(form, self._verified, self._leaks, execution),
            length=None if length is None else lambda row: length(self._shown(row)),
            cutoff=cutoff,
            last="train",
        )
        counts = [None if count == "all" else count for count in spec.distractors]
        trained = [tool for tool in catalog.tools if tool.name not in spec.held_out_tools]
        usual = Offers(trained, counts, spec.seed)
        offers = dict.fromkeys((*LEARNED, "test_values"), usual)
        offers["test_tools"] = Offers(list(catalog.tools), counts, spec.seed)
        self._makers = {
            split: Maker(self.plan.catalog if split in LEARNED else catalog, spec.seed, offers)
            for split in SPLITS
        }

    def rows(self, split: str) -> Iterator[Example]:
        """The verified rows of a split; `train` is to be taken last.

        Raises
        ------
        UserError: A row shows that its catalog is wrong.
        """
        audit = self.audits[split]
        self._split = split
        alike = self._alike() if split == "train" else {}
        for number, drawn in enumerate(self.plan.rows[split]):
            example = self._made(split, number)
            if example.origin.kind != drawn.kind:
                self._plain[drawn.kind] += 1
            audit.rows += 1
            found = self._auditor.first_problem(example, split) or alike.get(number)
            if found is None:
                audit.accepted += 1
                yield self._shown(example)
            elif found[0] in CATALOGS_FAULT:
                raise UserError(
                    f"a row does not verify: {example.request!r} from template "
                    f"{example.origin.template}: {found[1]}",
                    field="data.catalogs",
                )
            else:
                audit.reject_row(example.id, *found)

    def _made(self, split: str, number: int) -> Example:
        drawn = self.plan.rows[split][number]
        maker = self._makers[split]
        return maker.example(drawn.picks, split=split, number=number, kind=drawn.kind)

    def _alike(self) -> dict[int, Finding]:
        """Training rows that say nearly the same as an earlier one, each with which one that is.

        No two sentences drawn for a tool are nearly the same, but what is made of them may be, and what
        is a contrast to another tool. A tool at a time, so that memory does not grow with the rows.
        """
        cells: defaultdict[tuple[str, str], array[int]] = defaultdict(lambda: array("I"))
        for number, drawn in enumerate(self.plan.rows["train"]):
            template = drawn.picks[0].template
            cells[template.subject, template.language].append(number)
        alike: dict[int, Finding] = {}
        for numbers in cells.values():
            near = NearDuplicates()
            for number in numbers:
                example = self._made("train", number)
                signed = signature(example, "train")
                if (name := near.find(signed)) is not None:
                    alike[number] = nearly(name)
                else:
                    near.add(signed, f"{example.id} in train")
        return alike

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be had as it was asked for; whole when all rows are taken."""
        plain = (
            f"{count} rows meant to be of kind {kind!r} are plain calls: it cannot be made of them"
            for kind, count in sorted(self._plain.items())
        )
        return (*self.plan.notes, *plain)

    def _shown(self, example: Example) -> Example:
        """A row as it is written: masked, perhaps, in training."""
        return self._masks.apply(example) if self._split == "train" else example

    def _verified(self, example: Example, _: str) -> Iterator[Finding]:
        return self._verifier.findings(example)

    def _leaks(self, example: Example, split: str) -> Iterator[Finding]:
        return leaks(example, split, self.plan.held_out, self.plan.unseen)


def build(spec: DataSpec) -> Dataset:
    """Synthesize, divide and verify the examples that `spec` asks for.

    Raises
    ------
    UserError: A catalog cannot be used, or holds fewer distinct sentences than are asked for.
    """
    return build_from(spec, load_catalogs(spec.catalogs, spec.tools))


def build_from(spec: DataSpec, catalog: Catalog) -> Dataset:
    """`build` on a catalog that is already loaded; touches no file."""
    making = Construction(spec, catalog)
    rows = {split: tuple(making.rows(split)) for split in ORDER}
    return dataset_of(rows, making.tools, making.audits, making.notes)


def dataset_of(
    rows: Mapping[str, tuple[Example, ...]],
    tools: ToolCatalog,
    audits: Mapping[str, Audit] | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """A dataset of these rows."""
    digest = Digest(tools)
    for split, examples in rows.items():
        for example in examples:
            digest.add(split, line(example, tools))
    return Dataset(
        **rows, catalog=tools, sha256=digest.hexdigest(), audits=audits or {}, notes=notes
    )
