"""`fcray data`: build, look at, import and export training data. Parses, calls, prints, like `cli.py`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from fcray.errors import UserError

data_app = typer.Typer(
    help="Build, look at, import and export training data.", no_args_is_help=True
)

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="a sweep spec (sweeps/*.yaml)")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
FormatName = Annotated[str, typer.Argument(metavar="FORMAT", help="see `fcray data formats`")]
Rows = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON lines, a JSON array or .parquet; a path or URL")
]
Out = Annotated[
    str, typer.Option("--out", help=".jsonl, .json or .parquet; a path or an fsspec URL")
]


def print_json(value: Any) -> None:
    """A command's result as one JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, where that is a terminal; yields what moves it on by one.

    Without a `total` the rows are only counted.
    """
    from rich import progress as rich_progress
    from rich.console import Console

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


@data_app.command("build")
def build(
    spec: SpecPath,
    out: Annotated[str, typer.Option("--out", help="folder to write; a path or an fsspec URL")],
    file_type: Annotated[str, typer.Option("--type", help="jsonl or parquet")] = "jsonl",
    lengths: Annotated[
        bool, typer.Option("--lengths", help="leave out rows over the model's cutoff")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build, verify and write the examples of a spec, with a page about them (report.html)."""
    from fcray.dataset.build import Construction
    from fcray.dataset.catalog import load_catalogs
    from fcray.dataset.store import FILE_TYPES, write_construction
    from fcray.spec import SweepSpec
    from fcray.tracking import datapage

    kind = next((one for one in FILE_TYPES if one == file_type), None)
    if kind is None:
        raise UserError(f"rows are written as {' or '.join(FILE_TYPES)}", field="--type")
    read = SweepSpec.read(spec)
    making = Construction(
        read.data,
        load_catalogs(read.data.catalogs, read.data.tools),
        length=_counter(read.model.base) if lengths else None,
        cutoff=read.training.cutoff,
    )
    total = sum(map(len, making.plan.rows.values()))
    with progress(f"{total:,} rows", total, quiet=as_json) as advance:
        written = write_construction(
            making,
            out,
            kind,
            told=advance,
            extras=lambda made: {
                "report.html": datapage.render(
                    read.name,
                    made.summary,
                    audits=made.audits,
                    notes=made.notes,
                    sha256=made.sha256,
                )
            },
        )
    _show_built(written, out, as_json)


@data_app.command("stats")
def stats(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="a spec, a dataset's folder, or a file of rows")
    ],
    html: Annotated[
        Path | None, typer.Option("--html", help="page of samples and distributions to write")
    ] = None,
    as_json: Json = False,
) -> None:
    """How many examples there are, by split, domain, language and kind."""
    from fcray.dataset.draw import SPLITS
    from fcray.dataset.files import failures_named
    from fcray.dataset.summary import Summary
    from fcray.tracking import datapage
    from fcray.tracking.files import write_atomically

    summary = Summary()
    with progress_over(_rows_of(source), source, quiet=as_json) as rows:
        for split, example in rows:
            summary.add(split, example)
    summary.order(SPLITS)
    if html is not None:
        with failures_named(str(html)):
            write_atomically(html, datapage.render(Path(source).stem, summary))
    if as_json:
        print_json({name: counts.as_json() for name, counts in summary.splits.items()})
        return
    _show_summary(summary)
    if html is not None:
        print(f"page: {html}")


def _rows_of(source: str) -> Iterator[tuple[str, Any]]:
    """(split, example) of all rows of a spec, a dataset's folder or a file."""
    from fcray.dataset import store, transfer
    from fcray.dataset.build import ORDER, Construction
    from fcray.dataset.catalog import load_catalogs
    from fcray.dataset.formats import FORMATS
    from fcray.spec import SweepSpec

    if source.endswith((".yaml", ".yml")):
        data = SweepSpec.read(source).data
        making = Construction(data, load_catalogs(data.catalogs, data.tools))
        for split in ORDER:
            yield from ((split, example) for example in making.rows(split))
        return
    whole = store.is_dataset(source)
    for url in _files_of(source):
        name = url.rpartition("/")[2]
        rows = transfer.read_examples(
            url, FORMATS["fcray"], transfer.Report(), strict=True, catalog=_tools_beside(url)
        )
        split = name.partition(".")[0] if whole else name
        yield from ((split, example) for example in rows)


@data_app.command("catalog")
def catalog(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="OpenAI tools .json, OpenAPI document, file.py or module:function, 'mcp:COMMAND'",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="folder of the catalog to write")],
    domain: Annotated[str, typer.Option("--domain", help="domain of the tools")] = "custom",
    force: Annotated[bool, typer.Option("--force", help="replace a catalog that is there")] = False,
    as_json: Json = False,
) -> None:
    """Make a catalog of tools that you have: derived requests and values, to be edited.

    Names that are changed are said, and stand at the top of the file: a name that OpenAI's rule does not
    allow, and an OpenAPI body's field that is called like a parameter, id, which becomes body_id.
    """
    from fcray.dataset.catalog import load_catalogs
    from fcray.dataset.derive import catalog_text
    from fcray.dataset.files import failures_named
    from fcray.dataset.sources import load_tools
    from fcray.tracking.files import write_atomically

    path = out / "tools.yaml"
    if path.exists() and not force:
        raise UserError(
            "this catalog exists and may have been edited; --force replaces it", file=path
        )
    notes: list[str] = []
    text, left_out = catalog_text(load_tools(source, notes), domain, notes)
    if text is None:
        raise UserError(f"no tool is left: {left_out[0]}")
    with tempfile.TemporaryDirectory() as scratch:  # what is written can be read
        (Path(scratch) / "tools.yaml").write_text(text, encoding="utf-8")
        made = load_catalogs([scratch])
    with failures_named(str(path)):
        write_atomically(path, text)
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


@data_app.command("formats")
def formats(as_json: Json = False) -> None:
    """The row formats that `import` and `export` know."""
    from fcray.dataset.formats import FORMATS

    if as_json:
        print_json({name: form.title for name, form in FORMATS.items()})
        return
    for name, form in FORMATS.items():
        print(f"{name:<10} {form.title}")


@data_app.command("import")
def import_rows(
    form: FormatName,
    rows: Rows,
    out: Out,
    tools: Annotated[
        str | None, typer.Option("--tools", help="tools that the rows name but do not carry")
    ] = None,
    answers: Annotated[
        str | None, typer.Option("--answers", help="BFCL's possible answers to these questions")
    ] = None,
    domain: Annotated[str, typer.Option("--domain", help="domain of the rows")] = "imported",
    perturb: Annotated[
        int,
        typer.Option("--perturb", min=0, help="rows more of each, an argument's value exchanged"),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Read rows of another format and write them as fcray's own; what is wrong with them is reported."""
    from fcray.dataset import transfer
    from fcray.dataset.perturb import Perturber

    report, about_tools = transfer.Report(), transfer.Report()
    catalog = transfer.tools_in(tools, about_tools) if tools else None
    gold = transfer.answers_in(answers) if answers else None

    def read(report: transfer.Report) -> Iterator[Any]:
        known = transfer.format_named(form)
        return transfer.read_examples(
            rows, known, report, domain=domain, catalog=catalog, answers=gold
        )

    with progress_over(read(report), rows, quiet=as_json) as found:
        examples = found
        if perturb:
            perturber = Perturber(read(transfer.Report()), seed=0)
            examples = _with_perturbed(found, perturber, perturb, report)
        transfer.write_examples(out, transfer.format_named("fcray"), examples)
    _show_report(report, f"{rows} → {out}", "examples", as_json)
    for finding in about_tools.notes:
        _say(f"{tools}:{finding.line}: {finding.reason}", as_json)


def _with_perturbed(
    examples: Iterable[Any], perturber: Any, copies: int, report: Any
) -> Iterator[Any]:
    for example in examples:
        yield example
        for more in perturber.of(example, copies):
            report.perturbed += 1
            yield more


@data_app.command("verify")
def verify(
    rows: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="fcray's rows, a file a split, or a dataset's folder"
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", help="folder or URL for the rows that pass, a file each"),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="model whose tokens are counted; none: no lengths")
    ] = None,
    cutoff: Annotated[int, typer.Option("--cutoff", help="most tokens of a row")] = 1024,
    spec: Annotated[
        Path | None,
        typer.Option(
            "--spec", help="the spec that rows were built from: its catalogs check them too"
        ),
    ] = None,
    near: Annotated[
        float,
        typer.Option(
            "--near", help="similarity from which two requests are too alike; 0: do not look"
        ),
    ] = 0.85,
    as_json: Json = False,
) -> None:
    """Check rows: schema, grounding of every value, language, length, duplicates; 1 where one fails."""
    from fcray.dataset import store, transfer
    from fcray.dataset.audit import STAGES, TEMPLATED, Audit, Auditor
    from fcray.dataset.build import checks_against
    from fcray.dataset.catalog import load_catalogs
    from fcray.dataset.formats import FORMATS
    from fcray.spec import SweepSpec

    if not 0 <= near <= 1:
        raise UserError("a similarity is a number from 0 to 1", field="--near")
    data = SweepSpec.read(spec).data if spec else None
    wholes = [store.Unchanged(place) for place in rows if store.is_dataset(place)]
    of = {url: whole for whole in wholes for url in whole.files}
    urls = [file for place in rows for file in _files_of(place)]
    names = [url.rpartition("/")[2] for url in urls]
    if out is not None and len(set(names)) < len(names):
        raise UserError("two of these files have one name; verify them apart", field="--out")
    auditor = Auditor(
        checks=checks_against(data, load_catalogs(data.catalogs, data.tools)) if data else None,
        length=_counter(base) if base else None,
        cutoff=cutoff,
        near=near or None,
    )
    audits, built = dict[str, Audit](), 0

    def counted(examples: Iterable[Any]) -> Iterator[Any]:
        nonlocal built
        for example in examples:
            built += example.origin.generator in TEMPLATED
            yield example

    with store.all_or_none(out) if out is not None else nullcontext() as place:
        for url, name in zip(urls, names, strict=True):
            report, audit = transfer.Report(), audits.setdefault(name, Audit())
            with progress_over(_read(url, of.get(url), report), url, quiet=as_json) as examples:
                passed = auditor.accepted(counted(examples), name, audit)
                if place is None:
                    for _ in passed:
                        pass
                else:
                    transfer.write_examples(f"{place}/{name}", FORMATS["fcray"], passed)
            for finding in report.rejections:
                audit.rows += 1
                audit.reject_line(finding.line, finding.reason)
        if as_json:
            print_json({name: audit.as_json() for name, audit in audits.items()})
        else:
            _show_audits(audits, STAGES)
            _show_unchecked(audits, built if data is None else 0)
        for whole in wholes:
            whole.check()
    if any(audit.rejections for audit in audits.values()):
        raise typer.Exit(1)


def _read(url: str, whole: Any, report: Any) -> Iterator[Any]:
    """The rows of a file, of a dataset's folder perhaps that is verified as a whole."""
    from fcray.dataset import transfer
    from fcray.dataset.formats import FORMATS

    tools = {tool.name: tool for tool in whole.tools} if whole else _tools_beside(url)
    rows = transfer.read_examples(url, FORMATS["fcray"], report, catalog=tools)
    return whole.read(url, rows) if whole else rows


def _show_unchecked(audits: dict[str, Any], built: int) -> None:
    """What only the catalogs could tell of rows that templates made."""
    if built:
        print(
            f"{built:,} rows were built from templates; --spec checks them against their catalogs"
        )
    if unread := sum(audit.unread for audit in audits.values()):
        print(f"{unread:,} rows whose values do not stand in the text; --spec checks them")


def _files_of(place: str) -> list[str]:
    """A file of rows as it is; of a dataset's folder its files."""
    from fcray.dataset import store

    return store.row_files(place) if store.is_dataset(place) else [place]


def _tools_beside(url: str) -> dict[str, Any]:
    """The tools of the dataset that a file of rows belongs to."""
    from fcray.dataset.store import manifest_tools

    folder = url.rpartition("/")[0] or "."
    return {tool.name: tool for tool in manifest_tools(folder)}


def _counter(base: str) -> Any:
    """Example → its tokens under a model's own tokenizer."""
    from transformers import AutoTokenizer

    from fcray import models
    from fcray.prompting import Renderer
    from fcray.spec import ModelSpec

    folder, _ = models.resolve(ModelSpec(base=base))
    renderer = Renderer(AutoTokenizer.from_pretrained(folder, trust_remote_code=False))
    return lambda example: len(renderer.example(example))


def _show_audits(audits: dict[str, Any], stages: tuple[str, ...]) -> None:
    from rich.console import Console

    from fcray.console import table

    console = Console(highlight=False)
    found = [stage for stage in stages if any(audit.stages[stage] for audit in audits.values())]
    lines = [
        [name, str(audit.rows), str(audit.accepted), *(str(audit.stages[s]) for s in found)]
        for name, audit in audits.items()
    ]
    head = ["file", "rows>", "passed>", *(f"{stage}>" for stage in found)]
    console.print(table("Rows, and the stage that rejected them", head, lines))
    for name, audit in audits.items():
        for one in audit.rejections[:5]:
            console.print(
                f"{name}: {one.id}: {one.stage}: {one.reason}", soft_wrap=True, markup=False
            )


@data_app.command("export")
def export_rows(
    form: FormatName,
    rows: Annotated[
        str, typer.Argument(metavar="FILE", help="fcray's rows, or a dataset's folder of them")
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", help=".jsonl, .json or .parquet; for a dataset a folder, with a file a split"
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write fcray's rows in another format; what it cannot hold is reported."""
    from fcray.dataset import store, transfer

    known = transfer.format_named(form)
    if not store.is_dataset(rows):
        report = _export(known, rows, out, as_json)
        _show_report(report, f"{rows} → {out}", "rows written", as_json)
        return
    if out.endswith((".jsonl", ".json", ".parquet")) or store.is_dataset(out):
        raise UserError(
            f"{rows} is a dataset's folder, so this names another folder, with no dataset in it",
            field="--out",
        )
    reports: dict[str, Any] = {}
    for url in store.row_files(rows):
        name = url.rpartition("/")[2].rpartition(".")[0]
        place = f"{out.rstrip('/')}/{name}.jsonl"
        reports[name] = _export(known, url, place, as_json)
        if not as_json:
            _show_report(reports[name], f"{url} → {place}", "rows written", as_json)
    if as_json:
        print_json({name: report.as_json() for name, report in reports.items()})


def _export(form: Any, rows: str, out: str, as_json: bool) -> Any:
    """Write one file of rows as another of `form`; returns the report."""
    from fcray.dataset import transfer

    report = transfer.Report()
    native = transfer.format_named("fcray")
    catalog = _tools_beside(rows)
    read = transfer.read_examples(rows, native, transfer.Report(), strict=True, catalog=catalog)
    folder, _, file = out.rpartition("/")
    listed = form.name == "sharegpt" and not out.endswith(".parquet")
    if listed:  # before anything is written, it must be readable
        transfer.read_dataset_info(folder)
    with progress_over(read, rows, quiet=as_json) as examples:
        transfer.write_examples(out, form, examples, report)
    if form.apart:
        _say(f"{form.apart}: {transfer.beside(out)}", as_json)
    if listed:
        entry = transfer.add_dataset_info(folder, file.rpartition(".")[0] or file, file)
        _say(f"dataset_info.json for LLaMA-Factory: {entry}", as_json)
    return report


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        print(text)


def _show_report(report: Any, title: str, what: str, as_json: bool) -> None:
    from rich.console import Console

    from fcray.console import table

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
    console = Console(highlight=False)
    console.print(table(title, ("", "rows>"), [(name, str(count)) for name, count in lines]))
    for finding, word in [(f, "rejected") for f in report.rejections[:5]] + [
        (f, "kept") for f in report.notes[:5]
    ]:
        console.print(
            f"line {finding.line}, {word}: {finding.reason}", soft_wrap=True, markup=False
        )
    if len(report.rejections) + len(report.notes) > 10:
        console.print("all of them with their lines: --json")


def _show_built(written: Any, out: str, as_json: bool) -> None:
    from fcray.dataset.audit import STAGES

    summary = written.summary
    if as_json:
        print_json(
            {
                "sha256": written.sha256,
                "out": out,
                "splits": {name: counts.as_json() for name, counts in summary.splits.items()},
                "verification": {name: written.audits[name].as_json() for name in summary.splits},
                "notes": list(written.notes),
            }
        )
        return
    _show_summary(summary)
    if any(audit.rejections for audit in written.audits.values()):
        _show_audits({n: a for n, a in written.audits.items() if a.rows}, STAGES)
    for note in written.notes:
        print(note)
    print(f"sha256 {written.sha256}, written to {out}; look at {out.rstrip('/')}/report.html")


def _show_summary(summary: Any) -> None:
    from rich.console import Console
    from rich.markup import escape

    from fcray.console import table

    parts: dict[str, Callable[[Any], str]] = {
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
    Console(highlight=False).print(table(f"{summary.rows:,} rows", head, rows))
