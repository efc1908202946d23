"""What people see of `fcray data`: rows as they are counted, tables of them, and what is wrong with them.

Computes nothing. As in `console`, standard output has a command's result: with `--json` one JSON document.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress
from rich.console import Console
from rich.markup import escape

from fcray.console import output, print_json, table

if TYPE_CHECKING:  # the commands import what they work with
    from fcray.dataset.audit import Audit
    from fcray.dataset.catalog import Catalog
    from fcray.dataset.store import Written
    from fcray.dataset.summary import Cell, Summary
    from fcray.dataset.transfer import Report

SHOWN = 5
"""Most findings of a kind that are shown with their reasons; `--json` has more."""


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, where that is a terminal; yields what moves it on by one.

    Without a `total` the rows are only counted.
    """
    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    columns: list[rich_progress.ProgressColumn] = [rich_progress.TextColumn(title)]
    if total is None:
        columns += [rich_progress.TextColumn("{task.completed:,} rows")]
    else:
        columns += [rich_progress.BarColumn(), rich_progress.MofNCompleteColumn()]
        columns += [rich_progress.TimeRemainingColumn()]
    with rich_progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            if done % 100 == 0:
                bar.update(task, completed=done)

        yield advance


@contextmanager
def progress_over(rows: Iterable[Any], title: str, *, quiet: bool) -> Iterator[Iterator[Any]]:
    """The rows, counted on standard error as they are taken; `title` may be a path or URL.

    The count is gone when the block is left, so that an error is said on a clean line.
    """

    def counted() -> Iterator[Any]:
        for row in rows:
            yield row
            advance()

    with progress(title.rstrip("/").rpartition("/")[2], None, quiet=quiet) as advance:
        yield counted()


def say(text: str, *, quiet: bool) -> None:
    """One line, on standard output where no JSON stands there."""
    if not quiet:
        print(text)


def show_built(written: Written, out: str, *, as_json: bool) -> None:
    """A dataset that was built: its rows, what was rejected, and where it lies."""
    splits = written.summary.splits
    if as_json:
        print_json(
            {
                "sha256": written.sha256,
                "out": out,
                "splits": {name: counts.as_json() for name, counts in splits.items()},
                "verification": {name: written.audits[name].as_json() for name in splits},
                "notes": list(written.notes),
            }
        )
        return
    show_summary(written.summary)
    if any(audit.rejections for audit in written.audits.values()):
        show_audits({name: audit for name, audit in written.audits.items() if audit.rows})
    for note in written.notes:
        print(note)
    print(f"sha256 {written.sha256}, written to {out}; look at {out.rstrip('/')}/report.html")


def show_summary(summary: Summary) -> None:
    """How many rows each split has, by domain, language and kind."""
    parts: dict[str, Callable[[Cell], str]] = {
        "domain": lambda cell: str(cell.domain),
        "language": lambda cell: str(cell.language),
        "kind": lambda cell: str(cell.kind),
    }
    splits = list(summary.splits)
    rows = [["rows", *(f"{summary.splits[name].rows:,}" for name in splits)]]
    for part, key in parts.items():
        found = [summary.splits[name].by(key) for name in splits]
        rows.append([f"[dim]by {part}[/]", *("" for _ in splits)])
        for value in sorted({one for counts in found for one in counts}):
            counted = [f"{counts[value]:,}" if value in counts else "" for counts in found]
            rows.append([f"  {escape(value)}", *counted])
    head = ["", *(f"{name.replace('_', ' ')}>" for name in splits)]
    output().print(table(f"{summary.rows:,} rows", head, rows))


def show_catalog(
    path: Path, made: Catalog, left_out: Sequence[str], notes: Sequence[str], *, as_json: bool
) -> None:
    """A catalog that was made, what is called otherwise in it, and what is not in it."""
    if as_json:
        names = list(made.tools.names)
        print_json({"path": str(path), "tools": names, "left_out": left_out, "notes": notes})
        return
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(
        f"{path}: {len(made.tools)} tools, {len(made.templates)} templates; edit them as you like"
    )
    for reason in left_out:
        print(f"left out: {reason}")


def show_report(report: Report, title: str, what: str, *, as_json: bool) -> None:
    """What became of the rows of one file; `what` says in words what was made of them."""
    if as_json:
        print_json(report.as_json())
        return
    lines = [("rows read", report.rows), (what, report.examples), ("rejected", report.rejected)]
    if report.perturbed:
        lines.append(("and with a value exchanged", report.perturbed))
    lines += [(f"lost: {part}", count) for part, count in report.lost.most_common()]
    if report.noted:
        lines.append(("kept, though something is wrong", report.noted))
        lines += [(f"  {kind}", count) for kind, count in report.kinds.most_common()]
    console = output()
    console.print(table(title, ("", "rows>"), [(name, str(count)) for name, count in lines]))
    for finding, word in [(f, "rejected") for f in report.rejections[:SHOWN]] + [
        (f, "kept") for f in report.notes[:SHOWN]
    ]:
        console.print(
            f"line {finding.line}, {word}: {finding.reason}", soft_wrap=True, markup=False
        )
    if len(report.rejections) + len(report.notes) > 2 * SHOWN:
        console.print("all of them with their lines: --json")


def show_audits(audits: Mapping[str, Audit]) -> None:
    """How many rows of each file passed, which stages rejected the others, and the first reasons."""
    from fcray.dataset.audit import STAGES

    console = output()
    found = [stage for stage in STAGES if any(audit.stages[stage] for audit in audits.values())]
    lines = [
        [name, str(audit.rows), str(audit.accepted), *(str(audit.stages[s]) for s in found)]
        for name, audit in audits.items()
    ]
    head = ["file", "rows>", "passed>", *(f"{stage}>" for stage in found)]
    console.print(table("Rows, and the stage that rejected them", head, lines))
    for name, audit in audits.items():
        for one in audit.rejections[:SHOWN]:
            console.print(
                f"{name}: {one.id}: {one.stage}: {one.reason}", soft_wrap=True, markup=False
            )


def show_verified(audits: Mapping[str, Audit], built: int, *, as_json: bool) -> None:
    """What was found in each file; `built` rows are of templates, and no catalog checked them."""
    if as_json:
        print_json({name: audit.as_json() for name, audit in audits.items()})
        return
    show_audits(audits)
    if built:
        print(
            f"{built:,} rows were built from templates; --spec checks them against their catalogs"
        )
    if unread := sum(audit.unread for audit in audits.values()):
        print(f"{unread:,} rows whose values do not stand in the text; --spec checks them")
