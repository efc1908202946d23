"""`fcray plan` and `fcray schema`: what a sweep would do, and what a spec may hold. Parses, calls, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fcray.cli_data import SpecPath
from fcray.errors import UserError

Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


def plan(
    spec: SpecPath,
    html: Annotated[
        Path | None, typer.Option("--html", help="a page with pictures to write")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a sweep would do, without starting anything; exits with 2 where it would be refused."""
    from fcray.spec import SweepSpec

    read = SweepSpec.read(spec)

    from fcray.console import print_json
    from fcray.console_plan import facts, plan_json, show_plan, space
    from fcray.sweep.plan import make_plan
    from fcray.tracking.files import write_atomically
    from fcray.tracking.planpage import render

    made = make_plan(read)
    if html is not None:
        points = ([one.model_dump() for one in some] for some in (made.samples, made.first))
        text = render(read.name, facts(made), space(read), made.refused, *points)
        try:
            write_atomically(html, text)
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", file=html) from None
    if as_json:
        print_json(plan_json(made))
    else:
        show_plan(made)
        if html is not None:
            print(f"page: {html}")
    if made.refused:
        raise typer.Exit(2)


def schema(
    out: Annotated[Path | None, typer.Option("--out", help="a file to write")] = None,
) -> None:
    """The JSON Schema of a sweep spec, for editors."""
    from fcray.spec import SweepSpec

    text = json.dumps(SweepSpec.model_json_schema(), ensure_ascii=False, indent=1) + "\n"
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=out) from None
