"""The command line: parses, calls, prints.

Exit codes: 0 done; 1 a failure, or nothing was promoted; 2 the user's mistake, said in one sentence
with field, file and line; 130 stopped by Ctrl-C. Every command has `--json`. Heavy imports wait
until a command needs them, so `--help` is quick.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from fcray import __version__, settings
from fcray.cli_dashboard import dashboard
from fcray.cli_data import SpecPath, data_app
from fcray.cli_evaluate import evaluate
from fcray.cli_plan import plan, schema
from fcray.cli_registry import REGISTRY, Json, RegistryPlace, promote, registry_app, rollback
from fcray.errors import FcrayError, UserError, full_disk

app = typer.Typer(
    name="fcray",
    help="Sweep LoRA adapters for function calling on Ray, and serve the best one in 4 bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(registry_app, name="registry")

Force = Annotated[bool, typer.Option("--force", help="go on in a run that had another spec")]

QUICKSTART = Path(__file__).parent.parent / "sweeps" / "quickstart.yaml"
INTERRUPTED = 130
DEMO_STORAGE = Path("runs")


def main() -> None:
    """Run the command line; turns errors into one sentence and an exit code."""
    _quiet_libraries()
    command = typer.main.get_command(app)
    try:
        code = command.main(prog_name="fcray", standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of Ctrl-C, without a word
            raise KeyboardInterrupt
        sys.exit(code)
    except BaseException as error:
        _end(error)


def _end(error: BaseException) -> NoReturn:
    """Say what ended the command, and exit."""
    # Ctrl-C comes out as other errors when it strikes inside Ray or Tune, or while things are closed.
    if isinstance(error, typer.Abort) or _interrupted(error):
        print("fcray: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if isinstance(error, FcrayError):
        print(f"fcray: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if full := full_disk(error, []):
        print(f"fcray: {full}; make room, and try again", file=sys.stderr)
        sys.exit(1)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if hasattr(error, "show"):  # a usage error shows itself
        error.show()
        sys.exit(2)
    raise error


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C stands at the root of `error`."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or "KeyboardInterrupt" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _quiet_libraries() -> None:
    """Keep the libraries' own progress bars and advice off the terminal; errors stay."""
    settings.set_defaults(
        {
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TOKENIZERS_PARALLELISM": "false",
            "TQDM_DISABLE": "1",
            "WANDB_SILENT": "true",
        }
    )
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fcray {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    spec: Annotated[Path, typer.Option("--spec", help="the sweep spec to run")] = QUICKSTART,
    storage: Annotated[Path, typer.Option("--storage", help="where runs/ lies")] = DEMO_STORAGE,
    port: Annotated[int | None, typer.Option("--port", help="where to serve")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole job on this machine: data, sweep, promotion, a served adapter, a few calls."""
    from fcray.spec import SweepSpec

    read = SweepSpec.read(spec)

    from fcray.console import show_run
    from fcray.console_progress import Progress
    from fcray.demo import next_steps, run_demo

    registry = storage / "demo" / "registry"
    serving = read.serving.model_copy(update={"port": port} if port else {})
    made = read.with_changes(
        name="demo",
        storage=str(storage),
        promotion=read.promotion.model_copy(update={"registry": str(registry)}),
        serving=serving,
    )
    with Progress(quiet=as_json) as progress:
        record = run_demo(made, progress, force=force)
    if as_json:
        print(record.to_json())
    else:
        show_run(record)
        print(next_steps(made, record))
    if record.promoted is None:
        raise typer.Exit(1)


@app.command()
def sweep(
    spec: SpecPath,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a run; an error when there is none")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a sweep, or go on with it where it stopped, and hold its best trial against the gate."""
    from fcray.spec import SweepSpec

    read = SweepSpec.read(spec)

    from fcray.console import show_run
    from fcray.console_progress import Progress
    from fcray.job import Job
    from fcray.sweep.run import find_folder
    from fcray.sweep.session import ray_session

    if resume and not find_folder(read, force=force).spec.is_file():
        raise read.error(f"there is no run of this name in {read.storage} to go on with", "name")
    with Progress(quiet=as_json) as progress:
        job = Job(read, progress, force=force)
        with ray_session():
            job.run()
        job.finish()
    if as_json:
        print(job.record.to_json())
    else:
        show_run(job.record)
    if job.record.promoted is None:
        raise typer.Exit(1)


app.command()(plan)
app.command()(schema)
app.command()(evaluate)
app.command()(dashboard)
app.command()(promote)
app.command()(rollback)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run's folder, such as runs/demo")],
    as_json: Json = False,
) -> None:
    """Show a run again, and write its HTML report anew."""
    from fcray.console import show_run
    from fcray.tracking.record import RunRecord
    from fcray.tracking.report import write_report

    record = RunRecord.read(run / "summary.json")
    write_report(run / "report.html", record)
    if as_json:
        print(record.to_json())
    else:
        show_run(record)


@app.command()
def serve(
    model: Annotated[
        str, typer.Argument(help="a version of the registry, or champion")
    ] = "champion",
    registry: RegistryPlace = REGISTRY,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    as_json: Json = False,
) -> None:
    """Serve an adapter in 4 bit behind OpenAI's chat API, until Ctrl-C."""
    import secrets
    import signal

    from fcray.console import print_json
    from fcray.serving import app as serving
    from fcray.serving.build import ServeArgs, config_of
    from fcray.sweep.session import ray_session

    key = settings.api_key() or secrets.token_urlsafe(24)
    config = config_of(ServeArgs(registry=registry, version=model), key, host=host, port=port)
    served = config.aliases["champion"]
    with ray_session():
        endpoint = serving.deploy(config)
        try:
            if as_json:
                print_json({"base_url": endpoint.base_url, "models": list(endpoint.models)})
            else:
                print(f"serving {served} at {endpoint.base_url}")
                print(f"models: {', '.join(endpoint.models)}")
            if not settings.api_key():
                print(f"key: export FCRAY_API_KEY={key}", file=sys.stderr)
            sys.stdout.flush()
            signal.pause()
        finally:
            serving.shutdown()


@app.command()
def call(
    request: Annotated[str, typer.Argument(help="what to ask, in Chinese or English")],
    spec: Annotated[Path, typer.Option(help="the spec whose tools are offered")] = QUICKSTART,
    url: Annotated[str, typer.Option(help="the endpoint")] = "http://127.0.0.1:8000/v1",
    model: Annotated[str, typer.Option(help="a served model")] = "champion",
    as_json: Json = False,
) -> None:
    """Ask a served adapter, and print the call that it makes."""
    import openai

    from fcray.console import print_json
    from fcray.dataset.catalog import load_catalogs
    from fcray.spec import SweepSpec

    read = SweepSpec.read(spec)
    tools: Any = [t.to_openai() for t in load_catalogs(read.data.catalogs, read.data.tools).tools]
    client = openai.OpenAI(base_url=url, api_key=settings.api_key() or "none", timeout=120)
    try:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": request}], tools=tools
        )
    except openai.APIConnectionError:
        raise UserError(f"nothing answers at {url}; start it with `fcray serve`") from None
    except openai.AuthenticationError:
        raise UserError("the key is not right; set FCRAY_API_KEY to the endpoint's") from None
    except openai.APIStatusError as error:
        raise UserError(f"the endpoint refused: {error.message}") from None
    message = answer.choices[0].message
    if as_json:
        print_json(message.model_dump(exclude_none=True))
        return
    for made in message.tool_calls or ():
        if made.type == "function":
            print(f"{made.function.name} {made.function.arguments}")
    if message.content:
        print(message.content)


if __name__ == "__main__":
    main()
