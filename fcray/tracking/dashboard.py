"""Builds a sweep's comparison in Weights & Biases: a workspace, and a report with the same panels.

Everything but `publish` is pure: it makes wandb-workspaces' objects from a spec, and asks no server. Panels
name what `wandb_run.py` and `sweep/worker.py` log. Config values have axes through `wr.Config` alone
(wandb/wandb-workspaces#46). Nothing is grouped by the runs' group: a group's runs become one line, their
mean (wandb/wandb#4227); they are filtered by it. Knows nothing of Ray, and nothing of what trials scored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.reports.v2.interface import BlockTypes

from fcray import settings
from fcray.errors import FcrayError, UserError
from fcray.spec import LogUniform, SearchSpec, SweepSpec
from fcray.tools import Language
from fcray.tracking.record import MEAN
from fcray.tracking.wandb_run import BEST, STEP
from fcray.tracking.wording import COSTS, METRICS, STAGES, objective_name

OBJECTIVE = "objective"
"""What a mean of metrics is logged as; an objective that is one metric has that metric's name."""

GROUPED = ("intent_accuracy", "argument_f1")
"""Metrics that are logged for parts of the examples: `intent_accuracy/language/zh`."""

MOST_RUNS = 100
"""Runs that a panel shows at most; the best ones, by the order of the runs."""

FEW_RUNS = 5
"""The same, where each run has several lines."""

WIDTH, HEIGHT = 24, 8
"""Of a report: columns of a line of panels, and rows of a panel."""

Panel = (
    wr.LinePlot
    | wr.ScatterPlot
    | wr.ParallelCoordinatesPlot
    | wr.ParameterImportancePlot
    | wr.RunComparer
)
"""What the comparison is made of."""

Parts = list[tuple[str, list[Panel]]]
"""Name of a part of the comparison, and its panels."""


@dataclass(frozen=True)
class Links:
    """Where the two views are."""

    workspace: str
    report: str


def axes(search: SearchSpec) -> dict[str, bool]:
    """Name in a run's config → whether its axis is logarithmic, for every swept field.

    An axis cannot name an element of a list, so the shares have names of their own.
    """
    found: dict[str, bool] = {}
    for name, domain in search.domains():
        names = [f"share_{stage}" for stage in STAGES] if name == "shares" else [name]
        found |= dict.fromkeys(names, isinstance(domain, LogUniform))
    return found


def target(spec: SweepSpec) -> str:
    """The logged metric by which trials are compared: the first goal's."""
    first = spec.goals[0]
    return first if isinstance(first, str) and first != "mean" else OBJECTIVE


def goal_metrics(spec: SweepSpec) -> list[str]:
    """The logged metrics that the goals are made of; the target is the last."""
    parts = dict.fromkeys(name for goal in spec.goals for name in _metrics_of(goal))
    return [*(name for name in parts if name != target(spec)), target(spec)]


def _metrics_of(goal: Any) -> list[str]:
    """The metrics that a goal is made of."""
    weights = MEAN if goal == "mean" else goal
    if isinstance(weights, str):
        return [weights]
    return [name for part in weights for name in _metrics_of(part)]


def summary_name(metric: str) -> str:
    """A metric's name in the summary of a run: `define_metric` keeps its best value as a part of it."""
    return f"{metric}.{BEST[metric]}" if metric in BEST else metric


def parts(spec: SweepSpec) -> Parts:
    """The panels of the comparison, part by part."""
    return [
        ("Compare", _compare(spec)),
        ("Learning curves", _curves(spec)),
        ("By stage", _stages()),
        ("By language and kind", _groups(spec)),
    ]


def _compare(spec: SweepSpec) -> list[Panel]:
    best = target(spec)
    panels: list[Panel] = []
    if swept := axes(spec.search):
        of_config = [
            wr.ParallelCoordinatesPlotColumn(
                metric=wr.Config(name), display_name=name.replace("_", " "), log=log or None
            )
            for name, log in swept.items()
        ]
        # Lines are coloured by the last axis. A cost's axis is turned round, so that up is better.
        of_summary = [
            wr.ParallelCoordinatesPlotColumn(
                metric=wr.SummaryMetric(summary_name(name)),
                display_name=_title(name, spec),
                inverted=name in COSTS or None,
            )
            for name in goal_metrics(spec)
        ]
        columns = [*of_config, *of_summary]
        panels.append(wr.ParallelCoordinatesPlot(columns=columns, title="Trials"))
        panels.append(wr.ParameterImportancePlot(with_respect_to=summary_name(best)))
    others = [name for goal in spec.goals[1:] for name in _metrics_of(goal) if name != best]
    panels += [
        wr.ScatterPlot(
            title=f"{_title(best, spec)} against {_title(other, spec).lower()}",
            x=wr.SummaryMetric(summary_name(other)),
            y=wr.SummaryMetric(summary_name(best)),
        )
        for other in dict.fromkeys(others or ["latency_p50"])
    ]
    return [*panels, wr.RunComparer(diff_only="split")]


def _curves(spec: SweepSpec) -> list[Panel]:
    names = dict.fromkeys([target(spec), *METRICS])
    rate = _lines("Learning rate", ["learning_rate"])
    return [*(_lines(_title(name, spec), [name]) for name in names), rate]


def _stages() -> list[Panel]:
    """The loss of every step, and once more for each stage: its own weights make it another loss."""
    names = {"Loss": "loss", **{f"Loss, stage {stage}": f"loss/{stage}" for stage in STAGES}}
    losses = [_lines(title, [name]) for title, name in names.items()]
    for plot in losses:
        plot.smoothing_type, plot.smoothing_factor = "exponentialTimeWeighted", 0.9
    return [*losses, _lines("Stage (1 to 3)", ["stage"])]


def _groups(spec: SweepSpec) -> list[Panel]:
    """Metrics of parts of the examples.

    Each is named: plots of what a regular expression matches are for invited accounts (wandb/docs#2060).
    """
    shares = [("irrelevant", spec.data.irrelevant), *spec.data.kinds.items()]
    kinds = ["call", *(kind for kind, share in shares if share)]
    groups = {"language": get_args(Language), "kind": kinds}
    return [
        _lines(
            f"{METRICS[metric]} by {key}", [f"{metric}/{key}/{name}" for name in names], FEW_RUNS
        )
        for key, names in groups.items()
        for metric in GROUPED
    ]


def _lines(title: str, metrics: list[str], runs: int = MOST_RUNS) -> wr.LinePlot:
    """A line a run and metric, over the optimizer's steps."""
    return wr.LinePlot(title=title, x=STEP, y=[*metrics], max_runs_to_show=runs)


def _title(metric: str, spec: SweepSpec) -> str:
    known = {**METRICS, **COSTS}.get(metric) or objective_name(spec.goals[0])
    return known[0].upper() + known[1:]


def _trials(spec: SweepSpec) -> str:
    """The filter that leaves the sweep's trials."""
    return f"Metric('Group') == '{spec.name}' and Metric('JobType') == 'trial'"


def _columns(spec: SweepSpec) -> list[str]:
    """Columns of the table of runs that stay in sight."""
    scores = [f"summary:{summary_name(name)}" for name in reversed(goal_metrics(spec))]
    return ["run:displayName", *scores, *(f"config:{name}.value" for name in axes(spec.search))]


def workspace(spec: SweepSpec, entity: str) -> ws.Workspace:
    """The comparison as a saved view of the project: the sweep's trials, the best first.

    Parameters
    ----------
    entity: The user or team whose project it is.
    """
    order = ws.Ordering(ws.Summary(summary_name(target(spec))), ascending=False)
    return ws.Workspace(
        entity=entity,
        project=spec.tracking.project,
        name=f"{spec.name}: trials",
        sections=[
            ws.Section(name=name, panels=[*panels], is_open=True) for name, panels in parts(spec)
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=_trials(spec), order=[order], pinned_columns=_columns(spec)
        ),
    )


def report(spec: SweepSpec, entity: str) -> wr.Report:
    """The comparison as a report: what the sweep is, and the same panels under headings."""
    blocks: list[BlockTypes] = [
        wr.TableOfContents(),
        wr.H1(text="The sweep"),
        wr.UnorderedList(items=[*_about(spec)]),
    ]
    for name, panels in parts(spec):
        grid = wr.PanelGrid(runsets=[_runset(spec, entity)], panels=[*_placed(panels)])
        blocks += [wr.H1(text=name), grid]
    return wr.Report(
        entity=entity,
        project=spec.tracking.project,
        title=f"{spec.name}: trials",
        description=f"LoRA configurations of {spec.model.base}",
        blocks=blocks,
        width="fluid",
    )


def _about(spec: SweepSpec) -> list[str]:
    swept = [name.replace("_", " ") for name, _ in spec.search.domains()]
    minutes = f", in {spec.budget.minutes:g} minutes" if spec.budget.minutes else ""
    return [
        f"Sweep: {spec.name}",
        f"Base model: {spec.model.base}, {spec.model.quantization}",
        f"Trials: up to {spec.budget.trials}{minutes}",
        f"Swept: {', '.join(swept) or 'nothing'}",
        f"Objective: {objective_name(spec.objective)}",
    ]


def _runset(spec: SweepSpec, entity: str) -> wr.Runset:
    order = wr.OrderBy(name=wr.SummaryMetric(summary_name(target(spec))), ascending=False)
    return wr.Runset(
        entity=entity,
        project=spec.tracking.project,
        name="Trials",
        filters=_trials(spec),
        order=[order],
        pinned_columns=_columns(spec),
    )


def _placed(panels: list[Panel]) -> list[Panel]:
    """The panels, two on a line; those with many columns have a line of their own."""
    x = y = 0
    for panel in panels:
        wide = isinstance(panel, wr.ParallelCoordinatesPlot | wr.RunComparer)
        width = WIDTH if wide else WIDTH // 2
        if x + width > WIDTH:
            x, y = 0, y + HEIGHT
        panel.layout = wr.Layout(x=x, y=y, w=width, h=HEIGHT)
        x += width
    return panels


def offline_runs(folder: Path) -> str:
    """What `wandb sync` is to send of the run in `folder`, as a shell's pattern."""
    return f"{folder}/wandb/offline-run-*"


def publish(spec: SweepSpec, folder: Path, entity: str | None = None) -> Links:
    """Save the report and the workspace in W&B; new ones each time, for the old may have been edited.

    Parameters
    ----------
    folder: The run's, where W&B's offline runs lie; it is only spoken of.
    entity: The user or team whose project it is; None: the one that W&B's runs go to.

    Raises
    ------
    UserError: There is no account, or no run of this project in it yet.
    FcrayError: W&B cannot be reached, or refuses.
    """
    _check_account(folder)
    with _failures_said():
        owner = _owner(spec.tracking.project, folder, entity)
    made = report(spec, owner), workspace(spec, owner)
    with _failures_said():
        for view in made:
            view.save()
        return Links(report=made[0].url, workspace=made[1].url)


def _check_account(folder: Path) -> None:
    # Offline runs are no reason not to look for an account, as W&B would think.
    settings.unset("WANDB_MODE")
    try:
        known = wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        why = str(error).rstrip(".")
        raise UserError(f"W&B cannot use its key ({why}); `wandb login` takes another") from None
    if not known:
        raise UserError(
            "W&B knows no account here: get a key, give it to `wandb login`, and send offline runs with "
            f"`wandb sync {offline_runs(folder)}`; without an account, `fcray report {folder}` compares "
            f"the same trials on a page, and `wandb leet {folder}/wandb` in the terminal"
        )


def _owner(project: str, folder: Path, entity: str | None) -> str:
    """Whose project it is; it must hold the project already, which the first run does make."""
    api = wandb.Api()
    owner = entity or api.settings["entity"] or api.default_entity
    if not owner:
        raise UserError("W&B knows no default for this key; name a user or team", field="--entity")
    if all(one.name != project for one in api.projects(owner)):
        raise UserError(
            f"W&B has no project {owner}/{project} yet; the first run that it gets makes it, and "
            f"offline runs are sent with `wandb sync {offline_runs(folder)}`"
        )
    return owner


@contextmanager
def _failures_said() -> Iterator[None]:
    """One sentence for whatever goes wrong in W&B; its errors are of many types."""
    try:
        yield
    except FcrayError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise FcrayError(f"W&B did not make the dashboard: {said[0]}") from error
