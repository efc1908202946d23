"""`fcray data`: build, look at, import and export training data. Parses, calls, prints, like `cli.py`."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fcray.errors import UserError

if TYPE_CHECKING:  # each command imports what it works with
    from fcray.dataset.audit import Audit, Auditor
    from fcray.dataset.formats import Format
    from fcray.dataset.perturb import Perturber
    from fcray.dataset.store import Unchanged
    from fcray.dataset.transfer import Report
    from fcray.spec import DataSpec
    from fcray.tools import Example

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
    from fcray.console_data import progress, show_built
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
    show_built(written, out, as_json=as_json)


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
    from fcray.console import print_json
    from fcray.console_data import progress_over, show_summary
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
    show_summary(summary)
    if html is not None:
        print(f"page: {html}")


def _rows_of(source: str) -> Iterator[tuple[str, Example]]:
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
    for split, url in _files_of(source).items():
        tools = store.tools_beside(url)
        rows = transfer.read_examples(
            url, FORMATS["fcray"], transfer.Report(), strict=True, catalog=tools
        )
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
    from fcray.console_data import show_catalog
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
    show_catalog(path, made, left_out, notes, as_json=as_json)


@data_app.command("formats")
def formats(as_json: Json = False) -> None:
    """The row formats that `import` and `export` know."""
    from fcray.console import print_json
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
    from fcray.console_data import progress_over, say, show_report
    from fcray.dataset import store, transfer
    from fcray.dataset.perturb import Perturber

    report, about_tools = transfer.Report(), transfer.Report()
    beside = store.tools_beside(rows) if form == "fcray" else None
    catalog = transfer.tools_in(tools, about_tools) if tools else beside
    gold = transfer.answers_in(answers) if answers else None

    def read(report: Report) -> Iterator[Example]:
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
    show_report(report, f"{rows} → {out}", "examples", as_json=as_json)
    for finding in about_tools.notes:
        say(f"{tools}:{finding.line}: {finding.reason}", quiet=as_json)


def _with_perturbed(
    examples: Iterable[Example], perturber: Perturber, copies: int, report: Report
) -> Iterator[Example]:
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
    from fcray.console_data import show_verified
    from fcray.dataset import store
    from fcray.spec import SweepSpec

    if not 0 <= near <= 1:
        raise UserError("a similarity is a number from 0 to 1", field="--near")
    data = SweepSpec.read(spec).data if spec else None
    wholes = [store.Unchanged(place) for place in rows if store.is_dataset(place)]
    of = {url: whole for whole in wholes for url in whole.files}
    files = [(url, of.get(url)) for place in rows for url in _files_of(place).values()]
    if out is not None and len({_name(url) for url, _ in files}) < len(files):
        raise UserError("two of these files have one name; verify them apart", field="--out")
    auditor = _auditor(data, base, cutoff, near)
    with store.all_or_none(out) if out is not None else nullcontext() as place:
        audits, built = _audited(files, auditor, place, quiet=as_json)
        show_verified(audits, built if data is None else 0, as_json=as_json)
        for whole in wholes:
            whole.check()
    if any(audit.rejections for audit in audits.values()):
        raise typer.Exit(1)


def _auditor(data: DataSpec | None, base: str | None, cutoff: int, near: float) -> Auditor:
    """What checks the rows: by the catalogs of a spec's `data`, by a model's tokens, for what is alike."""
    from fcray.dataset.audit import Auditor
    from fcray.dataset.build import checks_against
    from fcray.dataset.catalog import load_catalogs

    return Auditor(
        checks=checks_against(data, load_catalogs(data.catalogs, data.tools)) if data else None,
        length=_counter(base) if base else None,
        cutoff=cutoff,
        near=near or None,
    )


def _audited(
    files: Iterable[tuple[str, Unchanged | None]],
    auditor: Auditor,
    place: str | None,
    *,
    quiet: bool,
) -> tuple[dict[str, Audit], int]:
    """File name → what was found in its rows; and how many rows templates made.

    Parameters
    ----------
    files: Each with the dataset that it belongs to and that is verified as a whole, if there is one.
    place: Folder for the rows that pass.
    """
    from fcray.console_data import progress_over
    from fcray.dataset import transfer
    from fcray.dataset.audit import TEMPLATED, Audit
    from fcray.dataset.formats import FORMATS

    audits = dict[str, Audit]()
    generators = Counter[str]()
    for url, whole in files:
        report, audit = transfer.Report(), audits.setdefault(_name(url), Audit())
        with progress_over(_read(url, whole, report), url, quiet=quiet) as found:
            passed = auditor.accepted(_counted(found, generators), _name(url), audit)
            if place is None:
                for _ in passed:
                    pass
            else:
                transfer.write_examples(f"{place}/{_name(url)}", FORMATS["fcray"], passed)
        for finding in report.rejections:
            audit.rows += 1
            audit.reject_line(finding.line, finding.reason)
    return audits, sum(generators[one] for one in TEMPLATED)


def _counted(examples: Iterable[Example], generators: Counter[str]) -> Iterator[Example]:
    """The examples, while it is counted who made them."""
    for example in examples:
        generators[example.origin.generator] += 1
        yield example


def _read(url: str, whole: Unchanged | None, report: Report) -> Iterator[Example]:
    """The rows of a file, of a dataset's folder perhaps that is verified as a whole."""
    from fcray.dataset import store, transfer
    from fcray.dataset.formats import FORMATS

    tools = {tool.name: tool for tool in whole.tools} if whole else store.tools_beside(url)
    rows = transfer.read_examples(url, FORMATS["fcray"], report, catalog=tools)
    return whole.read(url, rows) if whole else rows


def _name(url: str) -> str:
    """A file's name without its folder."""
    return url.rpartition("/")[2]


def _files_of(place: str) -> dict[str, str]:
    """A file of rows as it is, by its name; of a dataset's folder its files, by their splits."""
    from fcray.dataset import store

    return store.row_files(place) if store.is_dataset(place) else {_name(place): place}


def _counter(base: str) -> Callable[[Example], int]:
    """Example → its tokens under a model's own tokenizer."""
    from transformers import AutoTokenizer

    from fcray import models
    from fcray.prompting import Renderer
    from fcray.spec import ModelSpec

    folder, _ = models.resolve(ModelSpec(base=base))
    renderer = Renderer(AutoTokenizer.from_pretrained(folder, trust_remote_code=False))
    return lambda example: len(renderer.example(example))


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
    from fcray.console import print_json
    from fcray.console_data import show_report
    from fcray.dataset import store, transfer

    known = transfer.format_named(form)
    if not store.is_dataset(rows):
        report = _export(known, rows, out, as_json)
        show_report(report, f"{rows} → {out}", "rows written", as_json=as_json)
        return
    if out.endswith((".jsonl", ".json", ".parquet")) or store.is_dataset(out):
        raise UserError(
            f"{rows} is a dataset's folder, so this names another folder, with no dataset in it",
            field="--out",
        )
    reports: dict[str, Report] = {}
    for split, url in store.row_files(rows).items():
        place = f"{out.rstrip('/')}/{split}.jsonl"
        reports[split] = _export(known, url, place, as_json)
        if not as_json:
            show_report(reports[split], f"{url} → {place}", "rows written", as_json=False)
    if as_json:
        print_json({split: report.as_json() for split, report in reports.items()})


def _export(form: Format, rows: str, out: str, as_json: bool) -> Report:
    """Write one file of rows as another of `form`; returns the report."""
    from fcray.console_data import progress_over, say
    from fcray.dataset import store, transfer

    report = transfer.Report()
    native = transfer.format_named("fcray")
    catalog = store.tools_beside(rows)
    read = transfer.read_examples(rows, native, transfer.Report(), strict=True, catalog=catalog)
    folder, _, file = out.rpartition("/")
    listed = form.name == "sharegpt" and not out.endswith(".parquet")
    if listed:  # before anything is written, it must be readable
        transfer.read_dataset_info(folder)
    with progress_over(read, rows, quiet=as_json) as examples:
        transfer.write_examples(out, form, examples, report)
    if form.apart:
        say(f"{form.apart}: {transfer.beside(out)}", quiet=as_json)
    if listed:
        entry = transfer.add_dataset_info(folder, file.rpartition(".")[0] or file, file)
        say(f"dataset_info.json for LLaMA-Factory: {entry}", quiet=as_json)
    return report
