"""A dataset as a folder: a file of rows a split, and a manifest of tools, counts, verification and a hash.

Local or behind any fsspec URL. The folder is there whole or not at all. Knows nothing of how rows are made.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import fsspec
from fsspec.implementations.local import LocalFileSystem

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

REPORT = "report.html"
"""What stands beside the rows of a folder whose manifest does not say."""


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
    UserError: `folder` holds something that is not a dataset's, or cannot be written to.
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
    if isinstance(fs, LocalFileSystem):
        path = str(Path(path).resolve())  # what a link leads to is replaced, not the link
    _check_replaceable(fs, path, folder)
    parent, _, name = path.rstrip("/").rpartition("/")
    aside, old = (f"{parent}/.{name}.{uuid.uuid4().hex}.{end}" for end in ("new", "old"))
    digest, hashes, summary = Digest(about.tools), _Hashes(), Summary()

    def lines(split: str, examples: Iterable[Example]) -> Iterator[tuple[Example, str]]:
        for example in examples:
            text = line(example, about.tools)
            digest.add(split, text)
            hashes.add(split, text)
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
            more = dict(extras(written) if extras else {})
            manifest = _manifest(written, about.tools, file_type, hashes, list(more))
            texts = {MANIFEST: json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"}
            for name, text in (texts | more).items():
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
        with files.failures_named(folder):
            for left in (aside, *([old] if fs.exists(path) else [])):
                if fs.exists(left):
                    fs.rm(left, recursive=True)
    return written


class _Hashes:
    """The hash of each split's lines."""

    def __init__(self) -> None:
        self._splits = defaultdict[str, Any](hashlib.sha256)

    def add(self, split: str, text: str) -> None:
        self._splits[split].update(text.encode())

    def of(self, split: str) -> str:
        found: str = self._splits[split].hexdigest()
        return found


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


def _check_replaceable(fs: fsspec.AbstractFileSystem, path: str, folder: str) -> None:
    """Nothing is replaced but a dataset's folder in which nothing stands that was not written here."""
    with files.failures_named(folder):
        if not fs.exists(path):
            return
        if not fs.isdir(path):
            raise UserError("this exists and is not a dataset; it is left as it is", file=folder)
        here = {
            str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=True)
        }
        if here:
            ours = _written_names(fs, path)
            if ours is None:
                why = "this exists and is not a dataset; it is left as it is"
                raise UserError(why, file=folder)
            if strange := sorted(here - ours):
                why = f"this dataset's folder holds {strange[0]}, which was not written with it"
                raise UserError(f"{why}; it is left as it is", file=folder)
        if isinstance(fs, LocalFileSystem) and Path.cwd().is_relative_to(path):
            raise UserError(
                "this folder cannot be replaced while the command runs inside it; "
                "name another one, or start from outside",
                file=folder,
            )


def _written_names(fs: fsspec.AbstractFileSystem, path: str) -> set[str] | None:
    """What the manifest in `path` says that was written with it; None where it is none of ours."""
    place = f"{path}/{MANIFEST}"
    try:
        manifest = json.loads(fs.cat_file(place)) if fs.isfile(place) else None
    except ValueError:
        return None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), str):
        return None
    form, named, more = (manifest.get(key) for key in ("format", "files", "extras"))
    if not isinstance(form, int) or not isinstance(named, dict):
        return None
    rows = {f"{split}.{file_type}" for split in named for file_type in FILE_TYPES}
    beside = map(str, more) if isinstance(more, list) else [REPORT]
    return {MANIFEST, *(rows & set(map(str, named.values()))), *beside}


def _manifest(
    written: Written,
    tools: ToolCatalog,
    file_type: FileType,
    hashes: _Hashes,
    extras: list[str],
) -> dict[str, Any]:
    splits = list(written.summary.splits)
    return {
        "format": FORMAT,
        "sha256": written.sha256,
        "files": {split: f"{split}.{file_type}" for split in splits},
        "hashes": {split: hashes.of(split) for split in splits},
        "extras": extras,
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


def row_files(folder: str) -> dict[str, str]:
    """Split → its file, of the dataset in `folder`, in the order in which they are verified.

    Raises
    ------
    UserError: Its manifest cannot be read.
    """
    named = _named(_manifest_in(folder), folder.rstrip("/"))
    return {split: named[split] for split in ORDER if split in named}


class Unchanged:
    """Whether the rows of a dataset's folder are those that were written, told as they are read.

    Attributes
    ----------
    tools: The tools that its rows name.
    files: The files of its rows, in the order in which they are verified.

    Raises
    ------
    UserError: Its manifest cannot be read.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder.rstrip("/")
        self._manifest = _manifest_in(folder)
        self._files = _named(self._manifest, self._folder)
        self.tools = _tools_of(self._manifest, f"{self._folder}/{MANIFEST}")
        self.files = [self._files[split] for split in ORDER if split in self._files]
        self._digest, self._hashes = Digest(self.tools), _Hashes()

    def read(self, url: str, rows: Iterable[Example]) -> Iterator[Example]:
        """The rows of one of the files, while their hash is taken."""
        split = next(split for split, file in self._files.items() if file == url)
        for row in rows:
            text = line(row, self.tools)
            self._digest.add(split, text)
            self._hashes.add(split, text)
            yield row

    def check(self) -> None:
        """To be asked when all rows of all files were read.

        Raises
        ------
        UserError: They are not what was written; names the file where that can be told.
        """
        if self._digest.hexdigest() == self._manifest.get("sha256"):
            return
        known = self._manifest.get("hashes")
        for split, file in self._files.items():
            if isinstance(known, dict) and known.get(split) != self._hashes.of(split):
                raise UserError("its rows were changed since the dataset was written", file=file)
        raise UserError(
            "the rows or tools were changed since this dataset was written", file=self._folder
        )


@contextmanager
def all_or_none(folder: str) -> Iterator[str]:
    """A place for files, a path or URL, that go to `folder` together when all of them are written.

    Raises
    ------
    UserError: `folder` cannot be written to.
    """
    folder = folder.rstrip("/") or "/"
    fs, path = files.file_system(folder)
    was_there = fs.exists(path)
    name = f".{uuid.uuid4().hex}.new"
    try:
        with files.failures_named(folder):
            fs.makedirs(f"{path}/{name}", exist_ok=True)
        yield f"{folder}/{name}"
        with files.failures_named(folder):
            for file in fs.ls(f"{path}/{name}", detail=False):
                fs.mv(file, f"{path}/{file.rpartition('/')[2]}")
    finally:
        if fs.exists(f"{path}/{name}"):
            fs.rm(f"{path}/{name}", recursive=True)
        if not was_there and fs.exists(path) and not fs.ls(path, detail=False):
            fs.rm(path, recursive=True)


def _named(manifest: Any, folder: str) -> dict[str, str]:
    """Split → its file."""
    named = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(named, dict) or not set(LEARNED) <= set(named) <= set(SPLITS):
        raise UserError("files does not name a dataset's splits", file=f"{folder}/{MANIFEST}")
    return {split: f"{folder}/{name}" for split, name in named.items()}


def tools_beside(url: str) -> dict[str, Tool]:
    """The tools of the dataset that the file of rows `url` belongs to, by name; none if there is no dataset.

    Raises
    ------
    UserError: The dataset's manifest cannot be read.
    """
    folder = url.rpartition("/")[0] or "."
    if not is_dataset(folder):
        return {}
    tools = _tools_of(_manifest_in(folder), f"{folder}/{MANIFEST}")
    return {tool.name: tool for tool in tools}


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
