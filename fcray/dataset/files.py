"""Rows in files: JSON lines, a JSON array or Parquet, local or behind any fsspec URL.

Reading is a stream with line numbers, so memory does not grow with the file (a JSON array is the
exception: its text is held). Writing is whole or not at all. Knows nothing of what a row means.
"""

from __future__ import annotations

import codecs
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import fsspec

from fcray.errors import UserError

PARQUET_ROWS = 2_000
"""Rows of a Parquet row group, and the rows held in memory while one is written or read."""


@dataclass(frozen=True)
class Record:
    """One row of a file.

    Attributes
    ----------
    line: Where it begins, from 1; in Parquet the row's number.
    value: The parsed row; None where `problem` says why there is none.
    """

    line: int
    value: Any = None
    problem: str = ""


def read(url: str) -> Iterator[Record]:
    """The rows of a file: Parquet by its name (`.parquet`), else a JSON array or JSON lines.

    A line that is not JSON is a record with a problem, and reading goes on behind it.

    Raises
    ------
    UserError: There is no such file, it is not UTF-8, or an array that breaks off in its middle.
    """
    if url.endswith(".parquet"):
        yield from _read_parquet(url)
        return
    with _opened(url) as file:
        yield from _read_json(file, url)


@contextmanager
def _opened(url: str) -> Iterator[IO[bytes]]:
    try:
        with fsspec.open(url, "rb") as file:
            yield file
    except FileNotFoundError:
        raise UserError("there is no such file", file=url) from None
    except (IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot be read: {error.strerror}", file=url) from None
    except (ImportError, ValueError) as error:
        if isinstance(error, UserError | UnicodeError):
            raise
        raise UserError(f"cannot be opened: {error}", file=url) from None


def _read_json(file: IO[bytes], url: str) -> Iterator[Record]:
    lines = enumerate(_decoded(file, url), start=1)
    begun = False
    for number, line in lines:
        if not line.strip():
            continue
        if not begun and line.lstrip().startswith("["):
            yield from _read_array(number, line + "".join(text for _, text in lines), url)
            return
        begun = True
        yield _parsed(number, line)


def _decoded(file: IO[bytes], url: str) -> Iterator[str]:
    for number, raw in enumerate(file, start=1):
        line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"not UTF-8 text (byte {error.start} of this line)", file=url, line=number
            ) from None


def _parsed(number: int, line: str) -> Record:
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return Record(number, problem=f"not JSON: {error}")
    return _record(number, value)


def _record(line: int, value: Any) -> Record:
    if not isinstance(value, dict):
        return Record(line, problem="not an object")
    return Record(line, value)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _read_array(first: int, text: str, url: str) -> Iterator[Record]:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = text.index("[") + 1
    line, seen = first, 0
    while True:
        at = _blank(text, at)
        line, seen = line + text.count("\n", seen, at), at
        if text[at : at + 1] == "]":
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            broken = line
            if isinstance(error, json.JSONDecodeError):
                broken = first + error.lineno - 1
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise UserError(f"not valid JSON: {reason}", file=url, line=broken) from None
        yield _record(line, value)
        at = _blank(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            where = first + text.count("\n", 0, at)
            what = "expected , or ]" if at < len(text) else "the array does not end"
            raise UserError(f"not valid JSON: {what}", file=url, line=where)


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _read_parquet(url: str) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    with _opened(url) as file:
        try:
            batches = parquet.ParquetFile(file).iter_batches(batch_size=PARQUET_ROWS)
            number = 0
            for batch in batches:
                for value in batch.to_pylist():
                    number += 1
                    yield Record(number, value)
        except pyarrow.ArrowInvalid as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"not a Parquet file: {reason}", file=url) from None


def file_system(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Where a path or URL leads, and what it is called there.

    Raises
    ------
    UserError: Nothing here can open such a URL.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"cannot be opened: {error}", file=url) from None
    return fs, path


@contextmanager
def failures_named(url: str) -> Iterator[None]:
    """Turn what the file system says into an error that names the place."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", file=url) from None


def write(url: str, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as Parquet (`.parquet`), a JSON array (`.json`) or JSON lines; returns how many.

    The file appears when all of it is there; a failure leaves an earlier one as it was. Parquet has
    the columns of fcray's own rows: other formats nest what differs from row to row.

    Raises
    ------
    UserError: The place cannot be written to.
    """
    fs, path = file_system(url)
    folder, _, name = path.rpartition("/")
    aside = f"{folder}/.{name}.{uuid.uuid4().hex}" if folder else f".{name}.{uuid.uuid4().hex}"
    try:
        with failures_named(url):
            if folder:
                fs.makedirs(folder, exist_ok=True)
            with fs.open(aside, "wb") as file:
                count = _write(file, url, rows)
            fs.mv(aside, path)
    finally:
        if fs.exists(aside):
            fs.rm(aside)
    return count


def _write(file: IO[bytes], url: str, rows: Iterable[dict[str, Any]]) -> int:
    if url.endswith(".parquet"):
        return write_parquet(file, rows)
    count = 0
    array = url.endswith(".json")
    for row in rows:
        text = json.dumps(row, ensure_ascii=False)
        if array:
            text = ("[\n" if count == 0 else ",\n") + text
        file.write((text if array else text + "\n").encode())
        count += 1
    if array:
        file.write(b"\n]\n" if count else b"[]\n")
    return count


def write_parquet(file: IO[bytes], rows: Iterable[dict[str, Any]]) -> int:
    """Write fcray's own rows as Parquet; returns how many."""
    import pyarrow
    from pyarrow import parquet

    count, held, schema = 0, list[dict[str, Any]](), _schema()
    with parquet.ParquetWriter(file, schema) as writer:
        for row in rows:
            held.append(row)
            count += 1
            if len(held) == PARQUET_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(held, schema=schema))
                held.clear()
        if held:
            writer.write_table(pyarrow.Table.from_pylist(held, schema=schema))
    return count


def _schema() -> Any:
    """The columns of `formats.native` in Arrow's terms."""
    import pyarrow

    text = pyarrow.string()
    calls = pyarrow.list_(pyarrow.struct([("name", text), ("arguments", text)]))
    origin = [(name, text) for name in ("generator", "template", "language", "domain", "kind")]
    return pyarrow.schema(
        [
            ("id", text),
            (
                "messages",
                pyarrow.list_(
                    pyarrow.struct([("role", text), ("content", text), ("tool_calls", calls)])
                ),
            ),
            ("tools", text),
            ("calls", calls),
            ("response", text),
            ("origin", pyarrow.struct([*origin, ("seed", pyarrow.int64())])),
        ]
    )
