"""Commands about versions: what was promoted, whether it is whole, what becomes champion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fcray.errors import FcrayError, UserError

REGISTRY = "registry"

registry_app = typer.Typer(help="The adapters that were promoted.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
RegistryPlace = Annotated[
    str, typer.Option("--registry", metavar="PLACE", help="the registry: a folder or an fsspec URL")
]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="a version or an alias")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="why; it is kept in the history")]


@registry_app.command("list")
def registry_list(registry: RegistryPlace = REGISTRY, as_json: Json = False) -> None:
    """The versions, with their scores as served."""
    from fcray.console import output, print_json, table
    from fcray.registry import Registry
    from fcray.tracking.wording import percent

    store = Registry(registry)
    named: dict[str, list[str]] = {}
    for alias, version in store.aliases().items():
        named.setdefault(version, []).append(alias)
    manifests = [store.manifest(version) for version in store.versions()]
    if as_json:
        rows = [
            {"version": m.version, "aliases": named.get(m.version, []), "metrics": m.metrics}
            for m in manifests
        ]
        print_json(rows)
        return
    columns = ("version", "alias", "base", "intent>", "arg. F1>", "created", "")
    shown = [
        (
            m.version,
            ", ".join(named.get(m.version, ())),
            m.base,
            percent(m.metrics["intent_accuracy"]),
            percent(m.metrics["argument_f1"]),
            m.created,
            "forced" if m.forced else "",
        )
        for m in manifests
    ]
    output().print(table(f"Registry {registry}", columns, shown))


@registry_app.command("show")
def registry_show(
    version: VersionName = "champion", registry: RegistryPlace = REGISTRY, as_json: Json = False
) -> None:
    """All that is known of a version: where it comes from, its scores, the gate, its aliases' history."""
    from fcray.console import print_json
    from fcray.console_registry import show_version
    from fcray.registry import Registry

    store = Registry(registry)
    manifest = store.manifest(version)
    histories = {alias: store.history(alias) for alias in store.aliases()}
    if as_json:
        events = {alias: [asdict(event) for event in some] for alias, some in histories.items()}
        print_json({**asdict(manifest), "place": store.where(manifest.version), "history": events})
    else:
        show_version(manifest, store.where(manifest.version), histories)


@registry_app.command("verify")
def registry_verify(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="a version or an alias; without it, all")
    ] = None,
    registry: RegistryPlace = REGISTRY,
    as_json: Json = False,
) -> None:
    """Check every file of a version against its hash."""
    from fcray.console import print_json
    from fcray.registry import Registry

    store = Registry(registry)
    names = store.versions() if version is None else [store.manifest(version).version]
    if not names:
        raise UserError("the registry has no version", file=store.url)
    found: dict[str, str] = {}
    for name in names:
        try:
            store.path(name)
            found[name] = ""
        except FcrayError as error:
            found[name] = str(error)
    if as_json:
        print_json([{"version": n, "whole": not bad, "problem": bad} for n, bad in found.items()])
    else:
        for name, problem in found.items():
            print(problem or f"{name}: every file is what was stored")
    if any(found.values()):
        raise typer.Exit(1)


@registry_app.command("gc")
def registry_gc(
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="so many of each name's newest versions stay; without it, all"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    registry: RegistryPlace = REGISTRY,
    as_json: Json = False,
) -> None:
    """Remove what was never finished, and old versions; not those an alias or a rollback needs."""
    from fcray.console import print_json
    from fcray.registry import Registry

    removed = Registry(registry).gc(keep, dry_run=dry_run)
    if as_json:
        print_json({"removed": removed, "dry_run": dry_run})
        return
    for version in removed:
        print(f"{version}: {'would be ' if dry_run else ''}removed")
    if not removed:
        print("there is nothing to remove")


def rollback(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="what goes back")] = "champion",
    reason: Reason = "",
    registry: RegistryPlace = REGISTRY,
    as_json: Json = False,
) -> None:
    """Let an alias name again what it named before; an endpoint that serves the registry follows."""
    from fcray.console import print_json
    from fcray.registry import Registry

    event = Registry(registry).rollback(alias, reason=reason)
    if as_json:
        print_json({"alias": alias, **asdict(event)})
    else:
        print(f"{alias} is {event.version} again ({event.reason})")


def promote(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run's folder, such as runs/demo")],
    force: Annotated[
        bool, typer.Option("--force", help="whatever the gate says; asks for a reason")
    ] = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Hold a run's best trial against the gate again, or promote it by force."""
    if force and not reason.strip():
        raise UserError("say why, with --reason: it is kept with the version", field="--force")
    if reason and not force:
        raise UserError("this is for --force: the gate has reasons of its own", field="--reason")

    from fcray.console import show_run
    from fcray.console_progress import Progress
    from fcray.job import Job
    from fcray.spec import SweepSpec
    from fcray.sweep.session import ray_session

    spec = SweepSpec.read(run / "spec.yaml")
    with Progress(quiet=as_json) as progress:
        job = Job(spec, progress)
        trials = job.ended()
        with ray_session():
            _, manifest = job.promote(job.prepare(), trials, forced=reason.strip())
        job.finish()
    if as_json:
        print(job.record.to_json())
    else:
        show_run(job.record)
    if manifest is None:
        raise typer.Exit(1)
