"""`fcray dashboard`: the comparison of a sweep's trials in Weights & Biases. Parses, calls, prints."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from fcray.cli_data import SpecPath
from fcray.errors import missing_extra

Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


def dashboard(
    spec: SpecPath,
    entity: Annotated[
        str | None, typer.Option("--entity", help="user or team; default: where runs go")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a workspace and a report in W&B that compare a sweep's trials; needs an account there.

    A run's own spec, such as runs/demo/spec.yaml, will do as well.
    """
    from fcray.spec import SweepSpec

    read = SweepSpec.read(spec)
    if read.tracking.wandb == "disabled":
        raise read.error("is disabled, so W&B has nothing to show", "tracking", "wandb")
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        raise missing_extra("wandb-workspaces", "dashboard", "a dashboard in W&B") from None

    from fcray.console import print_json
    from fcray.sweep.folder import RunFolder
    from fcray.tracking.dashboard import offline_runs, publish

    folder = RunFolder.of(read.storage, read.name).path
    links = publish(read, folder, entity)
    if as_json:
        print_json(asdict(links))
    else:
        print(f"workspace: {links.workspace}")
        print(f"report: {links.report}")
    if read.tracking.wandb == "offline":
        print(f"to send offline runs: wandb sync {offline_runs(folder)}", file=sys.stderr)
