"""What people see of `fcray evaluate`: a progress bar, tables, or one JSON document. Computes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import progress as rich_progress
from rich.console import Console
from rich.markup import escape

from fcray.console import output, print_json, table

if TYPE_CHECKING:  # the command imports what it works with
    from fcray.evaluation.suites import Result
    from fcray.tracking.scoretables import ScoreTable


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar over requests on standard error, where that is a terminal; yields what moves it on."""
    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    columns: list[rich_progress.ProgressColumn] = [
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
    ]
    with rich_progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading the model", total=total)

        def advance(count: int) -> None:
            bar.update(task, advance=count, description="answered")

        yield advance


def show_results(
    about: Mapping[str, Any], results: Sequence[Result], page: Path | None, *, as_json: bool
) -> None:
    """Everything that was scored, suite by suite.

    Parameters
    ----------
    about: What was evaluated: name → value.
    page: Where the HTML page lies, if one was written.
    """
    if as_json:
        suites = {result.suite.name: result.to_dict() for result in results}
        print_json({**about, "suites": suites})
        return
    from fcray.tracking.scoretables import tables

    console = output()
    console.print(f"[bold]{escape(str(about['adapter'] or about['base']))}[/]", soft_wrap=True)
    for result in results:
        console.print(f"\n[bold]{escape(result.suite.title)}[/]", soft_wrap=True)
        for one in tables(result):
            console.print(_table(one))
        for reason in result.suite.failures:
            console.print(f"[red]not answered:[/] {escape(reason)}", soft_wrap=True)
        console.print(f"{len(result.wrong):,} wrong answers", soft_wrap=True)
    if page is not None:
        console.print(f"page: {escape(str(page))}", soft_wrap=True)


def _table(one: ScoreTable) -> Any:
    heads = [f"{head[1:]}>" if head.startswith("#") else head for head in one.heads]
    return table(one.title, heads, [[escape(cell) for cell in row] for row in one.rows])
