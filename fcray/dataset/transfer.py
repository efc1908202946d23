"""Import and export: rows of the field's formats to fcray's own, and back, and what was not right.

A row that cannot be read is rejected with its line and reason; one that can, but that its source got
wrong, is kept and noted. Nothing is dropped in silence. Rows stream: memory does not grow with them.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from fcray.dataset import files
from fcray.dataset.formats import FORMATS, Format, Note, RowError, Source, dataset_info, losses
from fcray.dataset.formats.bfcl import ANSWER
from fcray.dataset.formats.seal import read_tool
from fcray.dataset.formats.values import checked
from fcray.errors import UserError
from fcray.tools import Example, Tool

KEPT_FINDINGS = 1_000
"""Most findings that a report holds with their lines; the counts go on."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one row."""

    line: int
    reason: str


@dataclass
class Report:
    """What became of the rows of one file.

    Attributes
    ----------
    rows: Rows seen.
    examples: Examples made of them (a conversation has one a turn that answers), or rows written.
    perturbed: Examples made of them by exchanging a value.
    rejected, noted: Rows that were left out; rows that were kept although something is wrong.
    kinds: What is wrong with the noted rows → with how many of them.
    lost: On export, what the format does not hold → in how many rows.
    """

    rows: int = 0
    examples: int = 0
    perturbed: int = 0
    rejected: int = 0
    noted: int = 0
    rejections: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def reject(self, line: int, reason: str) -> None:
        self.rejected += 1
        if len(self.rejections) < KEPT_FINDINGS:
            self.rejections.append(Finding(line, reason))

    def note(self, line: int, notes: Iterable[Note]) -> None:
        found = list(dict.fromkeys(notes))
        self.noted += bool(found)
        self.kinds.update({note.kind for note in found})
        self.notes += [Finding(line, note.text) for note in found][
            : KEPT_FINDINGS - len(self.notes)
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "examples": self.examples,
            "perturbed": self.perturbed,
            "rejected": self.rejected,
            "noted": self.noted,
            "rejections": [vars(one) for one in self.rejections],
            "kinds": dict(self.kinds),
            "notes": [vars(one) for one in self.notes],
            "lost": dict(self.lost),
        }


def format_named(name: str) -> Format:
    """The format of this name.

    Raises
    ------
    UserError: There is none.
    """
    if name not in FORMATS:
        raise UserError(f"there is no format {name!r}; known are {', '.join(FORMATS)}")
    return FORMATS[name]


def read_examples(
    url: str,
    form: Format,
    report: Report,
    *,
    domain: str = "imported",
    catalog: Mapping[str, Tool] | None = None,
    answers: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Iterator[Example]:
    """The examples of a file, one after the other; `report` fills as they are taken.

    Parameters
    ----------
    strict: A row that cannot be read is an error at once.

    Raises
    ------
    UserError: No row can be read; names file and line of the first.
    """
    name = PurePosixPath(url.partition("://")[2] or url).stem
    for number, record in enumerate(files.read(url)):
        report.rows += 1
        source = Source(name, number, domain, catalog or {}, answers or {})
        try:
            if record.problem:
                raise RowError(record.problem)
            examples = form.read(record.value, source)
        except RowError as error:
            report.reject(record.line, str(error))
            if strict:
                raise _unreadable(url, form, report) from None
            continue
        report.note(record.line, source.notes)
        report.examples += len(examples)
        yield from examples
    if not report.examples:
        raise _unreadable(url, form, report)


def _unreadable(url: str, form: Format, report: Report) -> UserError:
    if not report.rejections:
        return UserError("this file holds no rows", file=url)
    first = report.rejections[0]
    return UserError(
        f"not a row of the format {form.name}: {first.reason}", file=url, line=first.line
    )


def tools_in(url: str, report: Report) -> dict[str, Tool]:
    """The tools of a file: OpenAI's list, one a line, or Seal-Tools' definitions.

    Raises
    ------
    UserError: A tool is invalid, or there is none; names file and line.
    """
    from fcray.dataset.formats.calls import read_tool as read_openai_tool

    tools: dict[str, Tool] = {}
    for record in files.read(url):
        if record.problem:
            raise UserError(record.problem, file=url, line=record.line)
        notes: list[Note] = []
        reader = read_tool if "api_name" in record.value else read_openai_tool
        try:
            tool = reader(checked(record.value, "the tool"), notes)
        except RowError as error:
            raise UserError(str(error), file=url, line=record.line) from None
        report.note(record.line, notes)
        if tool.name in tools:
            raise UserError(f"a second tool is named {tool.name!r}", file=url, line=record.line)
        tools[tool.name] = tool
    if not tools:
        raise UserError("this file holds no tools", file=url)
    return tools


def answers_in(url: str) -> dict[str, Any]:
    """BFCL's possible answers, by question id.

    Raises
    ------
    UserError: A line is none; names file and line.
    """
    answers: dict[str, Any] = {}
    for record in files.read(url):
        row = record.value or {}
        try:
            if record.problem or not isinstance(row.get("id"), str) or ANSWER not in row:
                raise RowError(record.problem or f"an answer has an id and a {ANSWER}")
            if row["id"] in answers:
                raise RowError(f"a second answer has the id {row['id']!r}")
            answers[row["id"]] = checked(row[ANSWER], ANSWER)
        except RowError as error:
            raise UserError(str(error), file=url, line=record.line) from None
    return answers


def write_examples(
    url: str, form: Format, examples: Iterable[Example], report: Report | None = None
) -> None:
    """Write examples as rows of `form`; a column that it keeps apart goes to `beside(url)`.

    Parameters
    ----------
    report: What the format cannot hold is counted here; None: in fcray's own rows nothing is lost.

    Raises
    ------
    UserError: The place cannot be written to, Parquet is asked for another format than fcray's, or no
        row can be written, and then what is there stays.
    """
    if url.endswith(".parquet") and form.name != "fcray":
        raise UserError(
            f"Parquet holds fcray's own rows; write {form.name} rows as .jsonl or .json", file=url
        )
    rows = map(form.write, examples) if report is None else _rows(url, form, examples, report)
    if not form.apart:
        files.write(url, rows)
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as aside:
        files.write(url, _parted(rows, form.apart, aside))
        aside.seek(0)
        files.write(beside(url), map(json.loads, aside))


def beside(url: str) -> str:
    """Where BFCL keeps the answers to the questions in `url`."""
    folder, slash, name = url.rpartition("/")
    return f"{folder}{slash}possible_answer/{name}"


def _parted(
    rows: Iterable[dict[str, Any]], column: str, aside: IO[str]
) -> Iterator[dict[str, Any]]:
    """The rows without `column`, which goes into `aside` with their ids."""
    for row in rows:
        aside.write(json.dumps({"id": row["id"], column: row[column]}) + "\n")
        yield {name: value for name, value in row.items() if name != column}


def _rows(
    url: str, form: Format, examples: Iterable[Example], report: Report
) -> Iterator[dict[str, Any]]:
    ids: set[str] = set()
    for number, example in enumerate(examples):
        report.rows += 1
        source = Source("back", number, catalog={tool.name: tool for tool in example.tools})
        try:
            row = form.write(example)
            if form.apart and example.id in ids:
                raise RowError(f"an earlier row has its id, {example.id!r}, and so its answer")
        except RowError as error:
            report.reject(number + 1, str(error))
            continue
        report.lost.update(losses(form, example, row, source))
        report.examples += 1
        if form.apart:
            ids.add(example.id)
        yield row
    if not report.examples:
        why = f"; the first: {report.rejections[0].reason}" if report.rejections else ""
        raise UserError(
            f"not written, as no row can be one of the format {form.name}{why}", file=url
        )


def add_dataset_info(folder: str, name: str, file: str) -> str:
    """Put the entry for LLaMA-Factory into `folder`'s dataset_info.json; returns its path.

    Raises
    ------
    UserError: The file that is there is not a JSON object.
    """
    path = _info_path(folder)
    entries = read_dataset_info(folder) | dataset_info(name, file)
    fs, place = files.file_system(path)
    fs.pipe_file(place, (json.dumps(entries, ensure_ascii=False, indent=2) + "\n").encode())
    return path


def read_dataset_info(folder: str) -> dict[str, Any]:
    """What stands in `folder`'s dataset_info.json; nothing where there is none.

    Raises
    ------
    UserError: The file that is there is not a JSON object.
    """
    path = _info_path(folder)
    fs, place = files.file_system(path)
    if not fs.exists(place):
        return {}
    try:
        entries = json.loads(fs.cat_file(place))
    except ValueError as error:
        raise UserError(f"not valid JSON: {error}", file=path) from None
    if not isinstance(entries, dict):
        raise UserError("not a JSON object", file=path)
    return entries


def _info_path(folder: str) -> str:
    return f"{folder}/dataset_info.json" if folder else "dataset_info.json"
