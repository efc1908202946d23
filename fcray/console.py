"""What people see in the terminal: progress lines and tables; and what machines read. Computes nothing.

Everything goes to standard error but a command's result, so that `--json` leaves standard output to one
JSON document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from fcray.spec import LoraConfig
from fcray.tracking.record import RunRecord, ScoreRecord, score_of
from fcray.tracking.wording import (
    METRICS,
    STATUS,
    call_text,
    duration,
    figure,
    modules,
    percent,
    rate,
    shares,
)

PHASES = {
    "data": "building and verifying the examples",
    "before": "scoring the base model as it would be served",
    "sweep": "sweeping LoRA configurations",
    "promote": "scoring the best adapter as it will be served",
    "deploy": "deploying it on Ray Serve",
    "calls": "calling it with the openai client",
    "report": "writing the report",
}


def config_text(config: dict[str, Any]) -> str:
    """`rank 16, lr 0.002, all-linear, stages 10 / 20 / 70`."""
    lora = LoraConfig.model_validate(config)
    parts = [f"rank {lora.rank}", f"lr {rate(lora.learning_rate)}", modules(lora.target_modules)]
    return ", ".join([*parts, f"stages {shares(lora.shares)}"])


def print_json(value: Any) -> None:
    """A command's result as one JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table; columns whose name ends in `>` are aligned right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        made.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left")
    for row in rows:
        made.add_row(*row)
    return made


WIDTH = 120
"""Columns of tables that are written to a file or a pipe."""


def output() -> Console:
    """Standard output, as wide as the terminal if it is one."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def show_run(record: RunRecord) -> None:
    """A run's record as tables on standard output."""
    console = output()
    console.print()
    if record.before and record.after:
        console.print(_before_after(record.before, record.after))
    if record.trials:
        console.print(_trials(record))
    if record.served:
        console.print(_served(record))
    if record.phases:
        rows = [(PHASES.get(name, name), duration(spent)) for name, spent in record.phases.items()]
        total = sum(spent or 0 for spent in record.phases.values())
        console.print(table("Time", ("phase", "time>"), [*rows, ("in all", duration(total))]))
    if record.targets:
        console.print(_targets(record))
    if record.conditions:
        console.print(_gate(record))
    console.print(f"[bold]{record.verdict}[/]", soft_wrap=True)
    if record.advice:
        console.print(record.advice, soft_wrap=True)
    for name, path in record.paths.items():
        console.print(f"  {name:<8} {path}", soft_wrap=True)


def _gate(record: RunRecord) -> Table:
    rows = [(c.name, c.measured, c.needed, "yes" if c.met else "no") for c in record.conditions]
    return table("The gate", ("", "measured>", "needed>", "met"), rows)


def _before_after(before: ScoreRecord, after: ScoreRecord) -> Table:
    rows = []
    for name, label in METRICS.items():
        low, high = after.intervals.get(name, (None, None))
        interval = f"{percent(low)} to {percent(high)}" if low is not None else ""
        rows.append(
            (label, percent(getattr(before, name)), percent(getattr(after, name)), interval)
        )
    title = f"Before and after, {after.examples} unseen test requests, as served"
    return table(title, ("", "before>", "after>", "95 % interval>"), rows)


def _trials(record: RunRecord) -> Table:
    best = record.best.number if record.best else None
    rows = []
    for trial in record.trials:
        star = " *" if trial.number == best else ""
        rows.append(
            (
                f"{trial.number}{star}",
                STATUS[trial.status],
                str(trial.config.get("rank", "")),
                rate(trial.config.get("learning_rate")),
                modules(trial.config.get("target_modules")),
                shares(trial.config.get("shares")),
                f"{trial.steps}/{trial.total_steps}",
                percent(trial.scores.get("intent_accuracy")),
                percent(trial.scores.get("argument_f1")),
                percent(score_of(trial.scores, record.objective)),
            )
        )
    names = ("trial>", "status", "rank>", "lr>", "modules", "stages %", "steps>", "intent>")
    return table("Trials, scored on the validation split", (*names, "arg. F1>", "score>"), rows)


def _served(record: RunRecord) -> Table:
    rows = [
        (s.request, call_text(s.call) if s.call else s.answer, duration(s.seconds))
        for s in record.served
    ]
    return table("Served answers, through the openai client", ("request", "answer", "time>"), rows)


def _targets(record: RunRecord) -> Table:
    rows = []
    for target in record.targets:
        name = METRICS.get(target.name, target.name)
        shown = [figure(target.name, v) for v in (target.value, target.target)]
        rows.append((name, *shown, "met" if target.met else "[red]missed[/]"))
    return table("Targets", ("", "measured>", "target>", ""), rows)
