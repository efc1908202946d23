"""`fcray evaluate`: scores an adapter as it would be served. Parses, calls, prints, like `cli.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fcray.cli_registry import REGISTRY
from fcray.errors import FcrayError, UserError
from fcray.metrics.values import Mode

if TYPE_CHECKING:  # the command imports what it works with
    from fcray.evaluation.suites import Result, Suite
    from fcray.registry import Manifest
    from fcray.spec import SweepSpec


def evaluate(
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="SPEC", help="a sweep spec; a registry's or a run's adapter brings its own"
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="a folder or a version of a registry; without it, the base model"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="a file of rows or a dataset's folder, instead of the spec's own split"),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="split, faults or bfcl; may be given several times [default: split]",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="validation, test, test_values or test_tools [default: test]"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="only the first so many of each split, kind or category"),
    ] = None,
    values: Annotated[
        Mode, typer.Option(help="how the values of arguments are compared: see the README")
    ] = "normalised",
    html: Annotated[
        Path | None, typer.Option(help="page of the scores and the wrong answers to write")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="the registry [default: the spec's, or registry]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON document on standard output")
    ] = False,
) -> None:
    """Score an adapter, or the base model, as it would be served: on a split, on faults, on BFCL."""
    if html is not None and html.is_dir():
        raise UserError("this is a folder; name a file to write", file=html, field="--html")
    names = _suite_names(suite, data, split)
    read = _read_spec(spec, adapter, registry)
    folder = _adapter_folder(adapter, registry or _registry_of(spec, read)) if adapter else None
    suites = [_suite(name, read, data, split, limit) for name in names]
    results = _results(read, folder, suites, values, quiet=as_json)
    version = adapter if folder is None or Path(adapter or "") == folder else folder.name
    about = {"base": read.model.base, "adapter": version, "data": data, "limit": limit}
    about["values"] = values
    if html is not None:
        _write_page(html, about, results)

    from fcray.console_evaluate import show_results

    show_results(about, results, html, as_json=as_json)
    if lost := [reason for result in results for reason in result.suite.failures]:
        raise FcrayError(f"not all requests were answered: {lost[0]}")


def _suite_names(asked: list[str] | None, data: str | None, split: str | None) -> list[str]:
    """The suites that are asked for, each once."""
    from fcray.evaluation.suites import suite_named

    names = list(dict.fromkeys(suite_named(name) for name in asked or ["split"]))
    if "split" not in names and (data or split):
        raise UserError(
            "this is for the suite split; add --suite split", field="--data" if data else "--split"
        )
    return names


def _suite(
    name: str, spec: SweepSpec, data: str | None, split: str | None, limit: int | None
) -> Suite:
    """The suite of this name."""
    from fcray.evaluation import suites

    if name == "bfcl":
        return suites.bfcl_suite(limit)
    if name == "faults":
        return suites.fault_suite(spec, limit)
    if data is not None:
        return suites.data_suite(data, split, limit)
    return suites.split_suite(spec, split or "test", limit)


def _results(
    spec: SweepSpec, adapter: Path | None, suites: Sequence[Suite], values: Mode, *, quiet: bool
) -> list[Result]:
    """What comes of each suite, with a progress bar; one pool of actors answers all of them."""
    from fcray.console_evaluate import progress
    from fcray.evaluation.pool import EvaluationPool, read_adapter
    from fcray.evaluation.suites import result_of
    from fcray.gate import as_served
    from fcray.sweep.session import ray_session

    config, files = as_served(spec), read_adapter(adapter) if adapter else None
    total = sum(len(one.examples) for one in suites)
    with ray_session(), progress(total, quiet=quiet) as advance:
        pool = EvaluationPool(config, {one.name: one.examples for one in suites})
        try:
            pool.wait_ready()
            answers = [
                pool.run(
                    files,
                    one.name,
                    max_tokens=max(config.evaluation.max_tokens, one.tokens),
                    advance=advance,
                )
                for one in suites
            ]
        finally:
            pool.close()
    return [
        result_of(one, found.outcomes, failures=found.failures, mode=values)
        for one, found in zip(suites, answers, strict=True)
    ]


def _write_page(page: Path, about: Mapping[str, object], results: Sequence[Result]) -> None:
    from fcray.dataset.files import failures_named
    from fcray.tracking.files import write_atomically
    from fcray.tracking.scorepage import render

    with failures_named(str(page)):
        write_atomically(page, render(about, results))


def _read_spec(spec: Path | None, adapter: str | None, registry: str | None) -> SweepSpec:
    """The spec in a file, or the one that made a version of a registry."""
    from pydantic import ValidationError

    from fcray.errors import first_problem
    from fcray.spec import SweepSpec

    if spec is not None:
        return SweepSpec.read(spec)
    if adapter is None:
        raise UserError(
            "name a sweep spec, or with --adapter a version of a registry, which brings its own",
            field="SPEC",
        )
    manifest = _manifest(adapter, registry or REGISTRY)
    if manifest is None and (of_run := _spec_of_run(Path(adapter))):
        return SweepSpec.read(of_run)
    if manifest is None:
        raise UserError(
            f"{adapter} is an adapter outside of a registry and a run, so a sweep spec must be named",
            field="SPEC",
        )
    try:
        return SweepSpec.model_validate(manifest.spec)
    except ValidationError as error:
        message, where = first_problem(error)
        problem = f"{'.'.join(map(str, where))}: {message[:1].lower()}{message[1:]}"
        raise UserError(
            f"the spec in the manifest of {manifest.version} cannot be used ({problem}); name one",
            field="SPEC",
        ) from None


def _spec_of_run(adapter: Path) -> Path | None:
    """The spec of the run in whose folder an adapter lies; None outside of one."""
    from fcray.sweep.folder import RunFolder

    runs = (RunFolder(folder) for folder in adapter.resolve().parents)
    return next((run.spec for run in runs if run.spec.is_file() and run.study.is_file()), None)


def _manifest(adapter: str, registry: str) -> Manifest | None:
    """What a registry knows of an adapter, which may be given by its folder there; None outside of one."""
    from fcray.registry import Registry

    folder = Path(adapter)
    if not _is_adapter(folder):
        return Registry(registry).manifest(adapter)
    beside = Registry(folder.resolve().parent)
    name = folder.resolve().name
    return beside.manifest(name) if name in beside.versions() else None


def _registry_of(spec: Path | None, read: SweepSpec) -> str:
    """Where versions are looked up that are not said to lie elsewhere."""
    return REGISTRY if spec is None else read.promotion.registry


def _adapter_folder(adapter: str, registry: str) -> Path:
    """The folder of an adapter given as a folder or as a version of the registry."""
    from fcray.registry import Registry

    if _is_adapter(Path(adapter)):
        return Path(adapter)
    return Registry(registry).path(adapter)


def _is_adapter(folder: Path) -> bool:
    from fcray.models import ADAPTER_WEIGHTS

    return (folder / ADAPTER_WEIGHTS).is_file()
