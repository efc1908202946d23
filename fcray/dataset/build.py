"""The dataset of one run: built from a data spec, written to a folder, read back.

The same spec and catalogs give the same bytes. Knows nothing of models; what a sentence may be is
in the catalogs, how rows are divided in `split`, what a sound row is in `verify`.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcray.dataset import files, formats
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.kinds import TWO, templates_of
from fcray.dataset.split import UNSEEN_TEMPLATE_ROWS, Cell, hold_out, interleave, plan, spread
from fcray.dataset.synthesize import Source, to_example
from fcray.dataset.templates import Filled, Template
from fcray.dataset.verify import Verifier
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Example, Tool, ToolCatalog, canonical_json

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"
FORMAT = 2
"""Version of the written form; a reader refuses any other."""

NATIVE = formats.FORMATS["fcray"]

_Seeds = tuple[Filled, ...]
"""What one row is made of: one filled template, or two."""
_Groups = dict[tuple[Cell, str], list[_Seeds]]


@dataclass(frozen=True)
class Dataset:
    """Examples in three splits that share no sentence.

    Attributes
    ----------
    train, validation, test: Rows, each split interleaved by tool and language. `origin.kind` is
        `call`, `unseen_template` (test only: a wording that training lacks), `irrelevant`, or one of
        the spec's `kinds`.
    catalog: The tools that rows offer.
    sha256: Hash of the tools and of the rows as they are written.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    # Not compared: the hash covers it.
    catalog: ToolCatalog = field(compare=False)
    sha256: str


def build(spec: DataSpec) -> Dataset:
    """Synthesize, divide and verify the examples that `spec` asks for.

    Raises
    ------
    UserError: A catalog cannot be used, or holds fewer distinct sentences than are asked for.
    """
    return build_from(spec, load_catalogs(spec.catalogs, spec.tools))


def build_from(spec: DataSpec, catalog: Catalog) -> Dataset:
    """`build` on a catalog that is already loaded; touches no file."""
    groups = _draw(spec, catalog)
    verifier = Verifier(catalog)
    splits: dict[str, tuple[Example, ...]] = {}
    for split in SPLITS:
        ordered = interleave(
            {key: [(filled, key[1]) for filled in rows] for key, rows in groups[split].items()},
            random.Random(f"{spec.seed}/order/{split}"),
        )
        rows = [
            to_example(filled, catalog, identity=f"{split}-{index:05}", seed=spec.seed, kind=kind)
            for index, (filled, kind) in enumerate(ordered)
        ]
        splits[split], rejected = verifier.split(rows)
        if rejected:
            first = next(row for row in rows if row.id == rejected[0].id)
            raise UserError(
                f"{len(rejected)} rows of {split} do not verify; the first, {first.request!r} from "
                f"template {first.origin.template}: {rejected[0].reasons[0]}",
                field="data.catalogs",
            )
    return _dataset(catalog.tools, splits)


def _dataset(tools: ToolCatalog, splits: dict[str, tuple[Example, ...]]) -> Dataset:
    digest = hashlib.sha256(canonical_json([tool.model_dump() for tool in tools]).encode())
    for split in SPLITS:
        digest.update(f"\n{split}\n".encode())
        for example in splits[split]:
            digest.update(_line(example, tools).encode())
    return Dataset(**splits, catalog=tools, sha256=digest.hexdigest())


def _draw(spec: DataSpec, catalog: Catalog) -> dict[str, _Groups]:
    """Split → (cell, kind) → the candidates of that kind."""
    # What has more arguments takes more rows to learn; scores count every tool alike.
    alike = dict.fromkeys(catalog.tools.names, 1)
    weights = {"train": {tool.name: 1 + len(tool.properties) for tool in catalog.tools}}
    counts = {
        split: plan(
            weights.get(split, alike),
            getattr(spec, split),
            spec.irrelevant,
            random.Random(f"{spec.seed}/plan/{split}"),
        )
        for split in SPLITS
    }
    calls = [cell for cell in counts["test"] if cell.tool]
    test_calls = sum(counts["test"][cell] for cell in calls)
    unseen = spread(_fullest_first(calls, counts["test"]), round(test_calls * UNSEEN_TEMPLATE_ROWS))
    source = Source(spec.seed)
    groups: dict[str, _Groups] = {split: {} for split in SPLITS}
    shares = _Shares(spec)
    trained = {cell: hold_out(catalog.of(cell.tool, cell.language), spec.seed)[0] for cell in calls}
    for cell in counts["test"]:
        asked = {split: counts[split][cell] for split in SPLITS}
        for split in SPLITS:
            for kind, count in shares.of(split, cell, asked[split]).items():
                seeds = _draw_kind(source, catalog, cell, kind, split, count, trained)
                asked[split] -= len(seeds)
                groups[split][cell, kind] = seeds
        drawn = _draw_cell(source, catalog, cell, asked, unseen.get(cell, 0))
        for split, rows in drawn.items():
            for kind, found in rows.items():
                groups[split][cell, kind] = [(filled,) for filled in found]
    return {
        split: {k: rows for k, rows in found.items() if rows} for split, found in groups.items()
    }


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


def _draw_kind(
    source: Source,
    catalog: Catalog,
    cell: Cell,
    kind: str,
    split: str,
    count: int,
    trained: Mapping[Cell, tuple[Template, ...]],
) -> list[_Seeds]:
    """What up to `count` rows of a kind are made of; fewer where there are no more sentences."""
    if not count:
        return []
    own = templates_of(catalog, kind, cell.tool, trained[cell])
    key = f"{source.seed}/{kind}/{split}/{cell.tool}/{cell.language}"
    firsts = source.draw(
        _shuffled((t for t in own if t.language == cell.language), f"{key}/first"), count
    )
    if kind not in TWO:
        return [(first,) for first in firsts]
    others = (
        template
        for other, templates in trained.items()
        if other.tool != cell.tool and other.language == cell.language
        for template in templates
    )
    seconds = source.draw(_shuffled(others, f"{key}/second"), len(firsts))
    return list(zip(firsts, seconds, strict=False))


def _shuffled(templates: Iterable[Template], key: str) -> list[Template]:
    found = list(templates)
    random.Random(key).shuffle(found)
    return found


def _fullest_first(cells: Sequence[Cell], counts: dict[Cell, int]) -> list[Cell]:
    return sorted(cells, key=lambda cell: -counts[cell])


def _draw_cell(
    source: Source, catalog: Catalog, cell: Cell, asked: dict[str, int], unseen: int
) -> dict[str, dict[str, list[Filled]]]:
    """Split → kind → the candidates of one tool in one language."""
    templates = catalog.of(cell.tool, cell.language)
    trained, held = hold_out(templates, source.seed) if cell.tool else (templates, ())
    kind = "call" if cell.tool else "irrelevant"

    def shuffled(of: Iterable[Template], split: str) -> list[Template]:
        return _shuffled(of, f"{source.seed}/draw/{split}/{cell.tool}/{cell.language}")

    train = source.draw(shuffled(trained, "train"), asked["train"])
    used = {filled.template.id for filled in train}
    fresh = source.draw(shuffled(held, "unseen"), min(unseen, asked["test"]))
    # Wordings that training did use come first: only they make a row of the kind "call".
    known = [t for t in trained if t.id in used or not cell.tool]
    rest = asked["test"] - len(fresh)
    test = source.draw(shuffled(known, "test"), rest)
    others = [t for t in templates if t.id not in {k.id for k in known}]
    extra = source.draw(shuffled(others, "rest"), rest - len(test))
    validation = source.draw(shuffled(trained, "validation"), asked["validation"])
    unseen_rows = [*fresh, *extra]
    there = len(train) + len(validation) + len(test)
    wanted = sum(asked.values()) - len(unseen_rows)
    if there < wanted:
        raise _shortage(cell, there, wanted, held_out=bool(held))
    return {
        "train": {kind: train},
        "validation": {kind: validation},
        "test": {kind: test, "unseen_template": unseen_rows},
    }


def _shortage(cell: Cell, there: int, wanted: int, *, held_out: bool) -> UserError:
    what = f"for {cell.tool!r}" if cell.tool else "that need no tool"
    aside = " besides the templates held out for the test" if held_out else ""
    return UserError(
        f"the catalogs yield only {there} distinct {cell.language} requests {what}{aside}, and "
        f"this spec asks for {wanted}; ask for fewer or add templates and values",
        field="data",
    )


def write(dataset: Dataset, folder: str | Path) -> None:
    """Write `dataset` as `folder`: a JSON line a row, and a manifest with tools, counts and hash.

    All files appear together: they are written aside, then the folder is put in place. An older
    dataset at `folder` is replaced.

    Raises
    ------
    UserError: `folder` holds something that is not a dataset.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and _is_replaceable(folder)):
        raise UserError("this exists and is not a dataset; it is left as it is", file=folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.new"
    old = aside.with_suffix(".old")
    aside.mkdir()
    try:
        for split in SPLITS:
            lines = "".join(_line(example, dataset.catalog) for example in getattr(dataset, split))
            (aside / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        manifest = json.dumps(_manifest(dataset), ensure_ascii=False, indent=2)
        (aside / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
        if folder.exists():
            # A folder that is not empty cannot be replaced in one step, so the old one steps aside.
            folder.replace(old)
        aside.replace(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.replace(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def _is_replaceable(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() or not any(folder.iterdir())


def _manifest(dataset: Dataset) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "sha256": dataset.sha256,
        "seed": dataset.train[0].origin.seed,
        "counts": {split: _counts(getattr(dataset, split)) for split in SPLITS},
        "tools": [tool.model_dump() for tool in dataset.catalog],
    }


def _counts(rows: Sequence[Example]) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "kinds": dict(sorted(Counter(row.origin.kind for row in rows).items())),
        "languages": dict(sorted(Counter(row.origin.language for row in rows).items())),
    }


def _line(example: Example, tools: ToolCatalog) -> str:
    """One row; its tools by name where the manifest holds them."""
    row = NATIVE.write(example.model_copy(update={"tools": ()}))
    row["tools"] = json.dumps(
        [
            tool.name if tools.get(tool.name) is tool else tool.model_dump()
            for tool in example.tools
        ],
        ensure_ascii=False,
    )
    return json.dumps(row, ensure_ascii=False) + "\n"


def read(folder: str | Path) -> Dataset:
    """The dataset that `write` left in `folder`.

    Raises
    ------
    UserError: `folder` is no dataset, is of another format, or was changed since it was written.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    manifest = _json(_text(path), path, 1)
    tools = _tools_of(manifest, path)
    splits = {split: _rows(folder / f"{split}.jsonl", tools) for split in SPLITS}
    dataset = _dataset(tools, splits)
    if dataset.sha256 != manifest.get("sha256"):
        raise UserError("the rows were changed since this dataset was written", file=folder)
    return dataset


def manifest_tools(folder: str | Path) -> ToolCatalog:
    """The tools of the dataset in `folder`; none where it is no dataset.

    Raises
    ------
    UserError: Its manifest cannot be read.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return ToolCatalog(())
    return _tools_of(_json(_text(path), path, 1), path)


def _tools_of(manifest: Any, path: Path) -> ToolCatalog:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"not the manifest of a dataset of format {FORMAT}", file=path)
    try:
        return ToolCatalog(Tool.model_validate(tool) for tool in manifest["tools"])
    except (KeyError, ValueError) as error:
        raise UserError(f"its tools cannot be read: {error}", file=path) from None


def _rows(path: Path, tools: ToolCatalog) -> tuple[Example, ...]:
    rows: list[Example] = []
    catalog = {tool.name: tool for tool in tools}
    for record in files.read(str(path)):
        source = formats.Source(path.stem, len(rows), catalog=catalog)
        try:
            if record.problem:
                raise formats.RowError(record.problem)
            rows += NATIVE.read(record.value, source)
        except formats.RowError as error:
            raise UserError(f"not a row: {error}", file=path, line=record.line) from None
    return tuple(rows)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("there is no such file; is this a dataset's folder?", file=path) from None


def _json(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"not valid JSON: {error.msg}", file=path, line=line + error.lineno - 1
        ) from None
