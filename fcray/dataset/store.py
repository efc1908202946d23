"""A dataset as a folder: a file of rows a split, and a manifest of tools, counts, verification and a hash.

Local or behind any fsspec URL. The folder is there whole or not at all. Knows nothing of how rows are made.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import fsspec

from fcray.dataset import files, formats
from fcray.dataset.audit import Audit
from fcray.dataset.build import NATIVE, ORDER, Construction, Dataset, Digest, dataset_of, line
from fcray.dataset.draw import LEARNED, SPLITS
from fcray.dataset.summary import Counts, Summary
from fcray.errors import UserError
from fcray.tools import Example, Tool, ToolCatalog

MANIFEST = "manifest.json"
FORMAT = 3
"""Version of the written form; a reader refuses any other."""

FileType = Literal["jsonl", "parquet"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)


@dataclass(frozen=True)
class Written:
    """What stands in a dataset's folder."""

    sha256: str
    summary: Summary
    audits: Mapping[str, Audit]
    notes: tuple[str, ...]


Extras = Callable[[Written], Mapping[str, str]]
"""What else goes into the folder: file name → text."""


def write(dataset: Dataset, folder: str | Path, file_type: FileType = "jsonl") -> Written:
    """Write `dataset` as `folder`, a path or an fsspec URL; an older dataset there is replaced.

    Raises
    ------
    UserError: `folder` holds something that is not a dataset, or cannot be written to.
    """
    rows = {split: dataset.rows(split) for split in ORDER if dataset.rows(split)}
    about = _About(dataset.catalog, dataset.audits, lambda: dataset.notes)
    return _write(rows, about, str(folder), file_type)


def write_construction(
    making: Construction,
    folder: str | Path,
    file_type: FileType = "jsonl",
    *,
    told: Callable[[], None] | None = None,
    extras: Extras | None = None,
) -> Written:
    """`write` of a dataset that is made on the way; its rows are not held.

    Parameters
    ----------
    told: Called after each row that is written.
    """
    rows = {split: making.rows(split) for split in ORDER if making.plan.rows[split]}
    about = _About(making.tools, making.audits, lambda: making.notes)
    return _write(rows, about, str(folder), file_type, told, extras)


class _About(NamedTuple):
    """What a manifest says beside the rows."""

    tools: ToolCatalog
    audits: Mapping[str, Audit]
    notes: Callable[[], tuple[str, ...]]


def _write(
    rows: Mapping[str, Iterable[Example]],
    about: _About,
    folder: str,
    file_type: FileType,
    told: Callable[[], None] | None = None,
    extras: Extras | None = None,
) -> Written:
    fs, path = files.file_system(folder)
    if fs.exists(path) and not _is_replaceable(fs, path):
        raise UserError("this exists and is not a dataset; it is left as it is", file=folder)
    parent, _, name = path.rstrip("/").rpartition("/")
    aside, old = (f"{parent}/.{name}.{uuid.uuid4().hex}.{end}" for end in ("new", "old"))
    digest, summary = Digest(about.tools), Summary()

    def lines(split: str, examples: Iterable[Example]) -> Iterator[tuple[Example, str]]:
        for example in examples:
            text = line(example, about.tools)
            digest.add(split, text)
            summary.add(split, example)
            yield example, text
            if told is not None:
                told()

    try:
        with files.failures_named(folder):
            fs.makedirs(aside, exist_ok=True)
            for split, examples in rows.items():
                _write_rows(fs, f"{aside}/{split}.{file_type}", lines(split, examples), file_type)
            for split in rows:  # one that verification emptied is there with its reasons
                summary.splits.setdefault(split, Counts())
            summary.order(SPLITS)
            written = Written(digest.hexdigest(), summary, about.audits, about.notes())
            manifest = _manifest(written, about.tools, file_type)
            texts = {MANIFEST: json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"}
            for name, text in (texts | dict(extras(written) if extras else {})).items():
                fs.pipe_file(f"{aside}/{name}", text.encode())
            if fs.exists(path):
                # A folder that is not empty cannot be replaced in one step, so the old one steps aside.
                fs.mv(path, old, recursive=True)
            fs.mv(aside, path, recursive=True)
    except BaseException:
        if fs.exists(old) and not fs.exists(path):
            fs.mv(old, path, recursive=True)
        raise
    finally:
        for left in (aside, *([old] if fs.exists(path) else [])):
            if fs.exists(left):
                fs.rm(left, recursive=True)
    return written


def _write_rows(
    fs: fsspec.AbstractFileSystem,
    path: str,
    rows: Iterable[tuple[Example, str]],
    file_type: FileType,
) -> None:
    with fs.open(path, "wb") as file:
        if file_type == "parquet":
            # Parquet stands alone: a tool list that many rows share is stored once.
            files.write_parquet(file, (NATIVE.write(example) for example, _ in rows))
        else:
            for _, text in rows:
                file.write(text.encode())


def _is_replaceable(fs: fsspec.AbstractFileSystem, path: str) -> bool:
    return fs.isdir(path) and (fs.exists(f"{path}/{MANIFEST}") or not fs.ls(path))


def _manifest(written: Written, tools: ToolCatalog, file_type: FileType) -> dict[str, Any]:
    splits = list(written.summary.splits)
    return {
        "format": FORMAT,
        "sha256": written.sha256,
        "files": {split: f"{split}.{file_type}" for split in splits},
        "counts": {split: written.summary.splits[split].as_json() for split in splits},
        "verification": {s: written.audits[s].as_json() for s in splits if s in written.audits},
        "notes": list(written.notes),
        "tools": [tool.model_dump() for tool in tools],
    }


def read(folder: str | Path) -> Dataset:
    """The dataset that `write` left in `folder`.

    Raises
    ------
    UserError: `folder` is no dataset, is of another format, or was changed since it was written.
    """
    folder = str(folder).rstrip("/")
    manifest = _manifest_in(folder)
    tools = _tools_of(manifest, f"{folder}/{MANIFEST}")
    rows = {split: _rows(url, tools) for split, url in _named(manifest, folder).items()}
    dataset = dataset_of(rows, tools, notes=tuple(manifest.get("notes", ())))
    if dataset.sha256 != manifest.get("sha256"):
        raise UserError("the rows were changed since this dataset was written", file=folder)
    return dataset


def is_dataset(folder: str) -> bool:
    """Whether there is a dataset's manifest in `folder`."""
    fs, path = files.file_system(f"{folder.rstrip('/')}/{MANIFEST}")
    return bool(fs.exists(path))


def row_files(folder: str) -> list[str]:
    """The files of rows of the dataset in `folder`, in the order in which they are verified.

    Raises
    ------
    UserError: Its manifest cannot be read.
    """
    named = _named(_manifest_in(folder), folder.rstrip("/"))
    return [named[split] for split in ORDER if split in named]


def _named(manifest: Any, folder: str) -> dict[str, str]:
    """Split → its file."""
    named = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(named, dict) or not set(LEARNED) <= set(named) <= set(SPLITS):
        raise UserError("files does not name a dataset's splits", file=f"{folder}/{MANIFEST}")
    return {split: f"{folder}/{name}" for split, name in named.items()}


def manifest_tools(folder: str | Path) -> ToolCatalog:
    """The tools of the dataset in `folder`; none where it is no dataset.

    Raises
    ------
    UserError: Its manifest cannot be read.
    """
    path = f"{str(folder).rstrip('/')}/{MANIFEST}"
    fs, place = files.file_system(path)
    if not fs.exists(place):
        return ToolCatalog(())
    return _tools_of(_manifest_in(str(folder)), path)


def _manifest_in(folder: str) -> Any:
    path = f"{folder.rstrip('/')}/{MANIFEST}"
    fs, place = files.file_system(path)
    if not fs.exists(place):
        raise UserError("there is no such file; is this a dataset's folder?", file=path)
    try:
        return json.loads(fs.cat_file(place))
    except json.JSONDecodeError as error:
        raise UserError(f"not valid JSON: {error.msg}", file=path, line=error.lineno) from None


def _tools_of(manifest: Any, path: str) -> ToolCatalog:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"not the manifest of a dataset of format {FORMAT}", file=path)
    try:
        return ToolCatalog(Tool.model_validate(tool) for tool in manifest["tools"])
    except (KeyError, ValueError) as error:
        raise UserError(f"its tools cannot be read: {error}", file=path) from None


def _rows(url: str, tools: ToolCatalog) -> tuple[Example, ...]:
    rows: list[Example] = []
    catalog = {tool.name: tool for tool in tools}
    for record in files.read(url):
        source = formats.Source("row", len(rows), catalog=catalog)
        try:
            if record.problem:
                raise formats.RowError(record.problem)
            rows += NATIVE.read(record.value, source)
        except formats.RowError as error:
            raise UserError(f"not a row: {error}", file=url, line=record.line) from None
    return tuple(rows)
