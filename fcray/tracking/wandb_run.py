"""Writes a sweep to Weights & Biases: one run a trial, and one run that sums the sweep up.

A tracker is a spectator: whatever goes wrong in W&B is logged once as a warning, after which the
tracker does nothing, and the trial goes on. Offline needs no account; the files lie in
`<folder>/wandb/offline-run-*` and `wandb sync` sends them later. Knows nothing of Ray: the caller
sees to it that a run id has one writer (W&B's own loggers do not know Ray Train V2,
ray-project/ray#49454).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from fcray import settings
from fcray.spec import TrackingSpec
from fcray.tracking.record import Goals, MistakeRecord, RunRecord, TrialRecord, score_of
from fcray.tracking.wording import METRICS, STAGES, call_text, modules

if TYPE_CHECKING:
    from wandb import Run

STEP = "global_step"
"""The x axis of every chart: optimizer steps over all stages, so that a resumed trial lines up."""

BEST: dict[str, Literal["min", "max"]] = {
    **dict.fromkeys(("objective", *METRICS), "max"),
    "loss": "min",
}
"""Metric → which of its values W&B shows as the run's."""

_log = logging.getLogger(__name__)


def _start(
    tracking: TrackingSpec, identity: tuple[str, str, str], config: Mapping[str, Any], folder: Path
) -> Run:
    """Start or resume the run with `identity`: sweep, suffix of the id, kind of job."""
    import wandb  # here, not above: it takes over half a second, and a disabled tracker needs none

    # W&B falls back to the system's temporary folder, without a word, where it cannot write.
    folder.mkdir(parents=True, exist_ok=True)
    # Artifacts wait there to be sent; W&B's own place is in the user's home.
    settings.set_defaults({"WANDB_DATA_DIR": str(folder / "wandb")})
    sweep, suffix, job_type = identity
    return wandb.init(
        project=tracking.project,
        id=f"{sweep}-{suffix}",
        name=f"{sweep}-{suffix}",
        group=sweep,
        job_type=job_type,
        resume="allow",
        dir=str(folder),
        mode=tracking.wandb,
        config=dict(config),
        settings=wandb.Settings(
            silent=True, quiet=True, console="off", save_code=False, reinit="create_new"
        ),
    )


class _Tracker:
    """A W&B run, or nothing: after the first failure, and where tracking is disabled."""

    def __init__(self, start: Callable[[], Run] | None) -> None:
        self._run: Run | None = None
        if start is not None:
            self._guard("start", lambda: setattr(self, "_run", start()))

    @property
    def active(self) -> bool:
        """Whether what is logged is still written."""
        return self._run is not None

    def _guard(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            self._run = None
            _log.warning("W&B cannot %s; this run is no longer tracked: %s", what, error)

    def _do(self, what: str, act: Callable[[Run], object]) -> None:
        run = self._run
        if run is not None:
            self._guard(what, lambda: act(run))

    def finish(self, exit_code: int = 0) -> None:
        """Close the run; `exit_code` 0 marks it finished, any other failed. Twice is harmless."""
        self._do("finish", lambda run: run.finish(exit_code=exit_code))
        self._run = None


class TrialTracker(_Tracker):
    """The W&B run of one trial; rank 0 of its workers holds it."""

    @classmethod
    def open(
        cls, tracking: TrackingSpec, sweep: str, trial: int, config: Mapping[str, Any], folder: Path
    ) -> Self:
        """Start the run `<sweep>-<trial>`, or go on with it where it was started before.

        Parameters
        ----------
        config: What W&B shows as the run's settings; JSON values.
        folder: The sweep's folder; W&B's files go to `wandb/` inside it.
        """
        if tracking.wandb == "disabled":
            return cls(None)
        identity = (sweep, f"{trial:04d}", "trial")
        shown = {**config, **_shares(config)}
        tracker = cls(lambda: _start(tracking, identity, shown, folder))
        tracker._do("define metrics", _define_metrics)
        return tracker

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Add `metrics` at global optimizer step `step`."""
        self._do("log", lambda run: run.log({**metrics, STEP: step}))

    def log_loss(self, loss: float, stage: int, learning_rate: float, step: int) -> None:
        """Add a step's loss, once for itself and once for its stage (1 to 3)."""
        values = {"loss": loss, f"loss/{STAGES[stage - 1]}": loss}
        self.log({**values, "stage": stage, "learning_rate": learning_rate}, step)

    def log_mistakes(self, mistakes: Sequence[MistakeRecord], step: int) -> None:
        """Replace the table of wrong answers by these."""
        if mistakes:
            self._do("log a table", lambda run: _log_mistakes(run, mistakes, step))

    def log_adapter(self, folder: Path, scores: Mapping[str, Any]) -> None:
        """Keep the PEFT adapter in `folder` as an artifact of the run."""
        self._do("keep the adapter", lambda run: _log_adapter(run, folder, scores))

    def alert(self, title: str, text: str) -> None:
        """Send a notice to whoever follows the project (by mail or chat, as W&B is set up)."""
        self._do("alert", lambda run: run.alert(title=title, text=text))


class SweepTracker(_Tracker):
    """The W&B run that sums a sweep up: a table of its trials, and the scores before and after."""

    @classmethod
    def open(
        cls, tracking: TrackingSpec, sweep: str, config: Mapping[str, Any], folder: Path
    ) -> Self:
        """Start the run `<sweep>-summary`; the parameters are `TrialTracker.open`'s."""
        if tracking.wandb == "disabled":
            return cls(None)
        return cls(lambda: _start(tracking, (sweep, "summary", "sweep"), config, folder))

    def write(self, record: RunRecord) -> None:
        """Put the table of trials and the sweep's own figures into the run."""
        self._do("write the summary", lambda run: _write_summary(run, record))


def _log_mistakes(run: Run, mistakes: Sequence[MistakeRecord], step: int) -> None:
    import wandb

    heads: list[str | int] = ["request", "right", "model", "language", "domain"]
    rows: list[Iterable[Any]] = [
        [
            one.request,
            "\n".join(map(call_text, one.gold)) or "no call",
            "\n".join(map(call_text, one.predicted)) or one.answer,
            one.language,
            one.domain,
        ]
        for one in mistakes
    ]
    run.log({"mistakes": wandb.Table(columns=heads, data=rows), STEP: step})


def _log_adapter(run: Run, folder: Path, scores: Mapping[str, Any]) -> None:
    import wandb

    from fcray.models import ADAPTER_FILES

    known = {name: value for name, value in scores.items() if value is not None}
    artifact = wandb.Artifact(str(run.name), type="model", metadata=known)
    for name in ADAPTER_FILES:
        artifact.add_file(str(folder / name))
    run.log_artifact(artifact)


def _shares(config: Mapping[str, Any]) -> dict[str, float]:
    """The shares of the stages by name: W&B has no axis for a part of a list."""
    shares = config.get("shares") or ()
    return {f"share_{stage}": share for stage, share in zip(STAGES, shares, strict=False)}


def _define_metrics(run: Run) -> None:
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP)
    for name, best in BEST.items():
        run.define_metric(name, step_metric=STEP, summary=best)


def _write_summary(run: Run, record: RunRecord) -> None:
    import wandb

    rows = [_row(trial, record.objective) for trial in record.trials]
    if rows:
        table = wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])
        run.log({"trials": table})
    run.summary.update(_sweep_figures(record))


def _row(trial: TrialRecord, objective: Goals) -> dict[str, Any]:
    """One line of the table: the same columns, of one type each, for every trial."""
    shares = _shares(trial.config)
    return {
        "trial": trial.number,
        "status": trial.status,
        "rank": trial.config.get("rank"),
        "learning_rate": trial.config.get("learning_rate"),
        "target_modules": modules(trial.config.get("target_modules")),
        **{f"share_{stage}": shares.get(f"share_{stage}") for stage in STAGES},
        "steps": trial.steps,
        "total_steps": trial.total_steps,
        **{name: trial.scores.get(name) for name in METRICS},
        "objective": score_of(trial.scores, objective),
        "reason": trial.reason,
    }


def _sweep_figures(record: RunRecord) -> dict[str, Any]:
    figures: dict[str, Any] = {"trials_run": len(record.trials)}
    for when, scores in (("before", record.before), ("after", record.after)):
        if scores is not None:
            figures |= {f"{when}/{name}": getattr(scores, name) for name in METRICS}
    if record.best is not None:
        figures["best_trial"] = record.best.number
    if record.promoted is not None:
        figures["promoted"] = record.promoted.version
    return {name: value for name, value in figures.items() if value is not None}
