"""`fcray demo`: the main job from the catalog to a served adapter, called by the official client.

Knows the order of the phases and what is shown at the end; each phase is somebody else's.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fcray.console_progress import Progress
from fcray.dataset.build import Dataset
from fcray.errors import FcrayError
from fcray.job import Job
from fcray.registry import Manifest
from fcray.spec import SweepSpec
from fcray.sweep.session import ray_session
from fcray.tools import ToolCall
from fcray.tracking.record import Condition, RunRecord, ServedRecord

MINUTES = 20
"""How long the demo may take after installation, on two CPU cores."""

_ASKED = 3
"""Requests of each language that are shown."""


def run_demo(spec: SweepSpec, progress: Progress, *, force: bool = False) -> RunRecord:
    """Run the whole job and serve its result for a few calls; returns the record.

    Raises
    ------
    UserError: The spec does not fit this machine, or the port is taken.
    """
    from fcray.serving.app import check_port

    check_port(spec.serving.host, spec.serving.port)
    job = Job(spec, progress, force=force)
    with ray_session():
        data, manifest = job.run()
        if manifest is not None:
            _serve_and_call(job, data, manifest)
    job.record.targets = targets(job.record, resumed=job.resumed)
    job.finish()
    return job.record


def _serve_and_call(job: Job, data: Dataset, manifest: Manifest) -> None:
    from fcray.serving import app
    from fcray.serving.build import ServeArgs, config_of

    key = secrets.token_urlsafe(24)
    with job.phase("deploy"):
        args = ServeArgs(registry=job.registry.url, version=manifest.version)
        endpoint = app.deploy(config_of(args, key, **job.spec.serving.model_dump()))
    try:
        with job.phase("calls"):
            job.record.served = ask(endpoint.base_url, key, data)
    finally:
        app.shutdown()


def ask(base_url: str, key: str, data: Dataset) -> list[ServedRecord]:
    """A few test requests of each language, one of them irrelevant, through the `openai` client."""
    import openai

    client = openai.OpenAI(base_url=base_url, api_key=key, timeout=120, max_retries=2)
    tools: Any = [tool.to_openai() for tool in data.catalog]
    served = []
    for language in ("zh", "en"):
        rows = [e for e in data.test if e.origin.language == language]
        chosen = [e for e in rows if e.calls][:_ASKED] + [e for e in rows if not e.calls][:1]
        for example in chosen:
            began = time.monotonic()
            answer = client.chat.completions.create(
                model="champion",
                messages=[{"role": "user", "content": example.request}],
                tools=tools,
            )
            served.append(_served(language, example.request, answer, time.monotonic() - began))
    return served


def _served(language: str, request: str, answer: Any, seconds: float) -> ServedRecord:
    import json

    message = answer.choices[0].message
    call = None
    if message.tool_calls:
        function = message.tool_calls[0].function
        call = ToolCall(name=function.name, arguments=json.loads(function.arguments))
    return ServedRecord(
        language=language,
        request=request,
        answer=message.content or "",
        call=call,
        seconds=round(seconds, 2),
    )


def targets(record: RunRecord, *, resumed: bool = False) -> list[Condition]:
    """What the demo was to reach, against what it measured.

    Parameters
    ----------
    resumed: Whether the job was ended in between; then the time is that of the parts that were timed.

    Raises
    ------
    FcrayError: The best adapter was not measured.
    """
    if record.after is None:
        raise FcrayError("the best adapter was not measured")
    minutes = sum(spent or 0.0 for spent in record.phases.values()) / 60
    stopped = sum(trial.status == "stopped" for trial in record.trials)
    after = record.after
    reached = [
        ("intent_accuracy", after.intent_accuracy or 0.0, 0.92),
        ("argument_f1", after.argument_f1 or 0.0, 0.88),
        ("trials", float(len(record.trials)), 4.0),
        ("trials stopped early", float(stopped), 1.0),
    ]
    found = [Condition(name=n, value=v, target=t, met=v >= t) for n, v, t in reached]
    time_taken = round(minutes, 1)
    return [
        *found,
        Condition(
            name="minutes, at most"
            + (" (resumed: of the parts that were timed)" if resumed else ""),
            value=time_taken,
            target=MINUTES,
            met=time_taken <= MINUTES,
        ),
    ]


def next_steps(spec: SweepSpec, record: RunRecord) -> str:
    """The commands that go on from here."""
    registry = spec.promotion.registry
    lines = ["", "Go on from here:"]
    if record.promoted:
        lines += [
            f"  fcray serve --registry {registry}    # the same endpoint, until Ctrl-C",
            '  fcray call "北京明天天气怎么样"      # ask it, from another terminal',
            f"  fcray registry list --registry {registry}",
        ]
    return "\n".join(
        [
            *lines,
            f"  open {record.paths['report']}",
            f"  wandb leet {record.paths['wandb']}    # the trials' curves in the terminal",
            "  fcray sweep sweeps/quickstart.yaml    # the sweep alone; edit the spec for your own",
        ]
    )
