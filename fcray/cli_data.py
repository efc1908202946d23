"""`fcray data`: build, look at, import and export training data. Parses, calls, prints, like `cli.py`."""

from __future__ import annotations

import json
import tempfile
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


@data_app.command("build")
def build(
    spec: SpecPath,
    out: Annotated[Path, typer.Option("--out", help="folder to write")],
    as_json: Json = False,
) -> None:
    """Build, verify and write the examples of a spec as JSON lines."""
    from fcray.dataset.build import build as build_dataset
    from fcray.dataset.build import write
    from fcray.spec import SweepSpec

    built = build_dataset(SweepSpec.read(spec).data)
    write(built, out)
    _show(built, str(out), as_json)


@data_app.command("stats")
def stats(spec: SpecPath, as_json: Json = False) -> None:
    """How many examples a spec gives, by split, language and kind; writes nothing."""
    from fcray.dataset.build import build as build_dataset
    from fcray.spec import SweepSpec

    _show(build_dataset(SweepSpec.read(spec).data), None, as_json)


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
    """Make a catalog of tools that you have: derived requests and values, to be edited."""
    from fcray.dataset.catalog import load_catalogs
    from fcray.dataset.derive import catalog_text
    from fcray.dataset.sources import load_tools

    path = out / "tools.yaml"
    if path.exists() and not force:
        raise UserError(
            "this catalog exists and may have been edited; --force replaces it", file=path
        )
    text, left_out = catalog_text(load_tools(source), domain)
    if text is None:
        raise UserError(f"no tool is left: {left_out[0]}")
    with tempfile.TemporaryDirectory() as scratch:  # what is written can be read
        (Path(scratch) / "tools.yaml").write_text(text, encoding="utf-8")
        made = load_catalogs([scratch])
    out.mkdir(parents=True, exist_ok=True)
    aside = out / ".tools.yaml.new"
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
    if as_json:
        print_json({"path": str(path), "tools": list(made.tools.names), "left_out": left_out})
        return
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
    as_json: Json = False,
) -> None:
    """Read rows of another format and write them as fcray's own; what is wrong with them is reported."""
    from fcray.dataset import transfer

    report, about_tools = transfer.Report(), transfer.Report()
    catalog = transfer.tools_in(tools, about_tools) if tools else None
    gold = transfer.answers_in(answers) if answers else None
    examples = transfer.read_examples(
        rows, transfer.format_named(form), report, domain=domain, catalog=catalog, answers=gold
    )
    transfer.write_examples(out, transfer.format_named("fcray"), examples)
    _show_report(report, f"{rows} → {out}", "examples", as_json)
    for finding in about_tools.notes:
        _say(f"{tools}:{finding.line}: {finding.reason}", as_json)


@data_app.command("verify")
def verify(
    rows: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="fcray's rows; a file a split")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="folder for the rows that pass, a file each")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="model whose tokens are counted; none: no lengths")
    ] = None,
    cutoff: Annotated[int, typer.Option("--cutoff", help="most tokens of a row")] = 1024,
    near: Annotated[
        float | None,
        typer.Option("--near", help="similarity from which requests of two files are too alike"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check rows: schema, grounding of every value, language, length, duplicates; 1 where one fails."""
    from fcray.dataset import transfer
    from fcray.dataset.audit import STAGES, Audit, Auditor
    from fcray.dataset.formats import FORMATS

    auditor = Auditor(length=_counter(base) if base else None, cutoff=cutoff, near=near)
    native, audits = FORMATS["fcray"], dict[str, Audit]()
    for url in rows:
        name = url.rpartition("/")[2]
        report, audit = transfer.Report(), audits.setdefault(name, Audit())
        examples = transfer.read_examples(url, native, report, catalog=_tools_beside(url))
        passed = auditor.accepted(examples, name, audit)
        if out is None:
            for _ in passed:
                pass
        else:
            transfer.write_examples(f"{out}/{name}", native, passed)
        for finding in report.rejections:
            audit.rows += 1
            audit.reject_line(finding.line, finding.reason)
    if as_json:
        print_json({name: audit.as_json() for name, audit in audits.items()})
    else:
        _show_audits(audits, STAGES)
    if any(audit.rejections for audit in audits.values()):
        raise typer.Exit(1)


def _tools_beside(url: str) -> dict[str, Any]:
    """The tools of the dataset that a local file of rows belongs to."""
    from fcray.dataset.build import manifest_tools

    return {} if "://" in url else {tool.name: tool for tool in manifest_tools(Path(url).parent)}


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
    rows: Rows,
    out: Out,
    as_json: Json = False,
) -> None:
    """Write fcray's rows in another format; what it cannot hold is reported."""
    from fcray.dataset import transfer

    known = transfer.format_named(form)
    report = transfer.Report()
    native = transfer.format_named("fcray")
    catalog = _tools_beside(rows)
    examples = transfer.read_examples(rows, native, transfer.Report(), strict=True, catalog=catalog)
    transfer.write_examples(out, known, examples, report)
    if form == "sharegpt" and not out.endswith(".parquet"):
        folder, _, file = out.rpartition("/")
        name = file.rpartition(".")[0] or file
        entry = transfer.add_dataset_info(folder, name, file)
        _say(f"dataset_info.json for LLaMA-Factory: {entry}", as_json)
    _show_report(report, f"{rows} → {out}", "rows written", as_json)


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


def _show(built: Any, out: str | None, as_json: bool) -> None:
    from collections import Counter

    from rich.console import Console

    from fcray.console import table

    splits = {name: getattr(built, name) for name in ("train", "validation", "test")}
    counts = {
        name: Counter((e.origin.language, e.origin.kind) for e in rows)
        for name, rows in splits.items()
    }
    if as_json:
        plain = {
            name: {f"{language}/{kind}": n for (language, kind), n in sorted(found.items())}
            for name, found in counts.items()
        }
        print_json({"sha256": built.sha256, "out": out, "splits": plain})
        return
    columns = sorted({key for found in counts.values() for key in found})
    head = ["split", "examples>", *(f"{language} {kind}>" for language, kind in columns)]
    rows = [
        [name, str(len(splits[name])), *(str(found[key]) for key in columns)]
        for name, found in counts.items()
    ]
    Console(highlight=False).print(table(f"{len(built.catalog)} tools", head, rows))
    print(f"sha256 {built.sha256}" + (f", written to {out}" if out else ""))
