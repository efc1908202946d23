"""What people see of a plan: a table of facts, the space, its triangle of shares. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from fcray.console import config_text, output, table
from fcray.spec import (
    Choice,
    Domain,
    LogUniform,
    LoraConfig,
    SearchSpec,
    Shares,
    Simplex,
    SweepSpec,
    Uniform,
)
from fcray.sweep.plan import Plan
from fcray.tracking.wording import duration, number, objective_name, percent, rate
from fcray.training.memory import GIB

Facts = list[tuple[str, str]]


def facts(plan: Plan) -> Facts:
    """Name and text of what is known."""
    return [*_asked(plan.spec), *_worked_out(plan)]


def _asked(spec: SweepSpec) -> Facts:
    budget, resources, evaluation = spec.budget, spec.resources, spec.evaluation
    ends = [f"{budget.trials} trials"]
    ends += [f"{budget.minutes:g} minutes"] if budget.minutes else []
    ends += [f"{budget.gpu_hours:g} GPU hours"] if budget.gpu_hours else []
    actors = f"{evaluation.actors}, {_each(evaluation.cpus, evaluation.gpus)} each"
    scheduler = {"asha": "ASHA", "median": "the median rule", "none": "nothing"}
    return [
        ("model", f"{spec.model.base}, {spec.model.quantization}"),
        ("objective", objective_name(spec.objective)),
        ("sampler", spec.sampler.kind),
        ("ends after", " or ".join(ends)),
        ("stops trials early", scheduler[spec.scheduler.kind]),
        ("a trial occupies", _each(resources.cpus, resources.gpus)),
        ("evaluation actors", actors),
    ]


def _each(cpus: float, gpus: float) -> str:
    parts = [f"{count:g} {name}" for count, name in ((cpus, "CPUs"), (gpus, "GPUs")) if count]
    return " and ".join(parts) or "nothing of its own"


def _worked_out(plan: Plan) -> Facts:
    found: Facts = []
    if plan.steps:
        steps = plan.steps
        count = f"{steps.most:,}"
        if steps.least < steps.most:
            count = f"{steps.least:,} to {count}"
        rows = f"{steps.rows:,}"
        if steps.left_out:
            rows += (
                f"; {steps.left_out:,} are over the cutoff of {plan.spec.training.cutoff} tokens"
            )
        computed = f"{steps.tokens:,.0f} a step, {steps.labels:,.0f} of them learned"
        found += [
            ("training rows", rows),
            ("steps of a trial", count),
            ("tokens", f"{computed}; {steps.tokens * steps.most:,.0f} a trial"),
            ("scored after steps", ", ".join(f"{step:,}" for step in steps.rungs)),
        ]
    if plan.memory and plan.room:
        kept = "activations computed anew" if plan.checkpointing else "activations kept"
        found.append(("memory of the largest trial", f"{plan.memory}, {kept}"))
        found.append(("room for it", f"{plan.room.free / GIB:.1f} GiB: {plan.room.name}"))
    if plan.hours:
        hours, gpu = plan.hours, plan.room is not None and plan.room.device == "cuda"
        found += [
            ("training of one trial", _hours(hours.trial, gpu)),
            ("of all to their ends", _hours(hours.all, gpu)),
            ("expected", f"{_hours(hours.expected, gpu)}, with early stopping"),
            ("taken to compute", f"{hours.rate / 1e12:.3g} TFLOP/s: {hours.device}; an assumption"),
        ]
    return found


def _hours(hours: float, gpu: bool) -> str:
    return f"{number(round(hours, 2))} GPU hours" if gpu else duration(3600 * hours)


def space(spec: SweepSpec) -> Facts:
    """Field and values, swept ones first."""
    search: SearchSpec = spec.search
    swept = dict(search.domains())
    found = [(name, _domain(domain)) for name, domain in swept.items()]
    for name in LoraConfig.model_fields:
        value = getattr(search, name)
        if name not in swept and value is not None:
            found.append((name, f"{_value(value)}, fixed"))
    return found


def _domain(domain: Domain) -> str:
    if isinstance(domain, Choice):
        text = " | ".join(_value(value) for value in domain.choice)
    elif isinstance(domain, Uniform):
        text = "{} to {}".format(*map(number, domain.uniform))
    elif isinstance(domain, LogUniform):
        text = "{} to {}, in its logarithm".format(*map(rate, domain.log_uniform))
    else:
        least = domain.minimum if isinstance(domain, Simplex) else 0.0
        text = "shares of the three stages" + (f", each {percent(least)} or more" if least else "")
    when = [f"{name} is {_value(value)}" for name, value in domain.when.items()]
    return f"{text}, when {' and '.join(when)}" if when else text


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return number(value)


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan for machines."""
    return {
        "name": plan.spec.name,
        "trials": plan.spec.budget.trials,
        "resources": plan.spec.resources.model_dump(),
        "steps": asdict(plan.steps) if plan.steps else None,
        "memory": asdict(plan.memory) | {"total": plan.memory.total} if plan.memory else None,
        "room": asdict(plan.room) if plan.room else None,
        "gradient_checkpointing": plan.checkpointing,
        "hours": asdict(plan.hours) if plan.hours else None,
        "first": [config.model_dump(mode="json") for config in plan.first],
        "samples": [config.model_dump(mode="json") for config in plan.samples],
        "refused": plan.refused,
    }


def show_plan(plan: Plan) -> None:
    """The plan as tables on standard output."""
    console = output()
    console.print()
    for title, heads, rows in (
        (f"Plan of {plan.spec.name}", ("", ""), facts(plan)),
        ("What is swept", ("field", "values"), space(plan.spec)),
    ):
        console.print(table(title, heads, [(name, escape(text)) for name, text in rows]))
    for index, config in enumerate(plan.first):
        console.print(f"tried first {index}: {config_text(config.model_dump())}", soft_wrap=True)
    if any(name == "shares" for name, _ in plan.spec.search.domains()) and plan.samples:
        console.print()
        drawn = [config.shares for config in plan.samples]
        for line in triangle(drawn, [config.shares for config in plan.first]):
            console.print(line, markup=False)
    for reason in plan.refused:
        console.print(f"[red]would be refused:[/] {escape(reason)}", soft_wrap=True)


HEIGHT = 12
"""Lines of the triangle."""


def triangle(samples: Sequence[Shares], first: Sequence[Shares]) -> list[str]:
    """The simplex of shares in characters: samples are dots, the points that are tried first stars."""
    width = 4 * HEIGHT
    grid = [[" "] * (width + 1) for _ in range(HEIGHT + 1)]
    for row in range(HEIGHT):
        grid[row][width // 2 - 2 * row], grid[row][width // 2 + 2 * row] = "/", "\\"
    grid[0][width // 2] = "^"
    grid[HEIGHT] = ["_"] * (width + 1)
    for mark, points in (("·", samples), ("*", first)):
        for intent, _, joint in points:
            row = round(HEIGHT * (1 - intent))
            grid[row][round(width * (joint + intent / 2))] = mark
    lines = [f"{'intent':^{width + 1}}", *("".join(row) for row in grid)]
    ends = "arguments" + " " * (width - 13) + "joint"
    return [line.rstrip() for line in [*lines, ends]] + ["· a sample   * tried first"]
