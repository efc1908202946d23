"""What a Ray Train worker does: train one LoRA job, have its checkpoints scored, report them.

The training itself is `training.trainer`, which knows no Ray; this is its shell. Where evaluation actors have
CPUs or GPUs of their own, training goes on while a checkpoint is scored; where they have none the worker
waits, which is the other way to use the same cores.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcray import models
from fcray.errors import full_disk
from fcray.evaluation.pool import EvaluationPool, read_adapter
from fcray.metrics import GroupKey, Outcome, score, score_by
from fcray.spec import LoraConfig, SweepSpec
from fcray.sweep.mailbox import Mailbox
from fcray.sweep.scheduler import BEGUN, HALTS, METRIC, RUNG, STEP, rung_steps
from fcray.tools import Example
from fcray.tracking.mistakes import mistakes
from fcray.tracking.record import score_of
from fcray.tracking.wandb_run import TrialTracker
from fcray.training.health import Alarm, Health

if TYPE_CHECKING:
    from fcray.training.trainer import Checkpoint, StepRecord

logger = logging.getLogger(__name__)

GROUPS: tuple[GroupKey, ...] = ("language", "kind")
"""Parts of the validation examples that W&B has curves of."""


@dataclass(frozen=True)
class TrialContext:
    """What every trial of a sweep shares.

    Attributes
    ----------
    folder: The run's folder, or a local one of its name; W&B's files go there.
    place: The same, or the run's URL: where checkpoints go.
    examples: A Ray reference to the training examples.
    """

    spec: SweepSpec
    folder: str
    place: str
    examples: Any
    pool: EvaluationPool
    mailbox: Mailbox


def train_worker(config: dict[str, Any]) -> None:
    """Entry point for Ray Train; `config` holds `number`, `lora` (JSON) and `context`."""
    context: TrialContext = config["context"]
    number: int = config["number"]
    try:
        _train(context, number, LoraConfig.model_validate(config["lora"]))
    except Exception as error:
        # It would fail again in the same way (no memory, NaN, a bug): Ray Train retries crashes only.
        logger.exception("trial %d failed", number)
        full = full_disk(error, (context.folder, tempfile.gettempdir()))
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        context.mailbox.put(number, {HALTS: full} if full else {"failed": reason})


KEPT_LOSSES = 50
"""How many of a checkpoint's step losses the study keeps; W&B has them all."""


def thinned(steps: Sequence[StepRecord]) -> list[tuple[int, int, float]]:
    """(step, stage, loss) of at most `KEPT_LOSSES` steps, evenly spread, the last one included."""
    every = max(1, -(-len(steps) // KEPT_LOSSES))
    kept = list(steps)[::-1][::every][::-1]
    return [(record.step, record.stage, record.loss) for record in kept]


class _Reports:
    """What becomes of a worker's steps and checkpoints: tracked, scored, reported.

    Parameters
    ----------
    rungs: Step → rung.
    scratch: Where checkpoints are kept that are being scored.
    begun: The step that this worker goes on from.
    """

    def __init__(
        self,
        context: TrialContext,
        number: int,
        tracker: TrialTracker,
        rungs: Mapping[int, int],
        scratch: Path,
        begun: int,
    ) -> None:
        evaluation = context.spec.evaluation
        self._goes_on = evaluation.cpus > 0 or evaluation.gpus > 0
        self._scorer = ThreadPoolExecutor(1, "scorer")
        self._scored: tuple[Checkpoint, Future[tuple[Outcome, ...]]] | None = None
        self._scratch = scratch
        self._rungs = rungs
        self._begun = begun
        self._context = context
        self._number = number
        self._tracker = tracker
        self._health = Health(context.spec.health)
        self._alarms: list[str] = []

    def on_step(self, record: StepRecord) -> None:
        self._tracker.log_loss(record.loss, record.stage, record.learning_rate, record.step)
        self._tell(self._health.loss(record.step, record.stage, record.loss))
        if self._scored is not None and self._scored[1].done():
            self.settle()

    def _tell(self, alarms: Iterable[Alarm]) -> None:
        """Put alarms in the log, in W&B and in the trial's record."""
        for alarm in alarms:
            logger.warning("trial %d: %s", self._number, alarm.message)
            self._tracker.alert(f"trial {self._number}: {alarm.kind}", alarm.message)
            self._alarms.append(alarm.message)

    def on_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Have it scored; of two at a time the earlier is waited for."""
        self.settle()
        if self._goes_on:  # its folder is gone when this returns
            folder = self._scratch / f"scored-{checkpoint.step}"
            checkpoint = replace(checkpoint, folder=shutil.copytree(checkpoint.folder, folder))
        files = read_adapter(checkpoint.folder)
        scored = self._scorer.submit(self._context.pool.evaluate, files, "validation")
        self._scored = checkpoint, scored
        if not self._goes_on:
            self.settle()

    def close(self) -> None:
        self._scorer.shutdown(wait=False, cancel_futures=True)

    def settle(self) -> None:
        """Wait for the scores of the checkpoint that is being scored, and report it."""
        if self._scored is not None:
            checkpoint, scored = self._scored
            self._scored = None
            self._report(checkpoint, scored.result())
            if self._goes_on:
                shutil.rmtree(checkpoint.folder)

    def _track(
        self,
        checkpoint: Checkpoint,
        scores: Mapping[str, float | None],
        outcomes: Sequence[Outcome],
    ) -> None:
        """Show W&B what was scored: by language and kind too, what was wrong, and a whole trial's adapter."""
        tracking, tracker = self._context.spec.tracking, self._tracker
        if not tracker.active:
            return
        goal = {"objective": score_of(scores, self._context.spec.objective)}
        tracker.log({**goal, **scores, **_scores_of_groups(outcomes)}, checkpoint.step)
        tracker.log_mistakes(mistakes(outcomes)[: tracking.mistakes], checkpoint.step)
        if tracking.adapters and checkpoint.step == checkpoint.total_steps:
            tracker.log_adapter(checkpoint.folder, scores)

    def _report(self, checkpoint: Checkpoint, outcomes: tuple[Outcome, ...]) -> None:
        import ray.train
        import ray.util

        found = score(outcomes, bootstrap=0)
        size = (checkpoint.folder / models.ADAPTER_WEIGHTS).stat().st_size
        scores: dict[str, float | None] = {
            "intent_accuracy": found.intent_accuracy,
            "argument_f1": found.argument_f1,
            "frame_accuracy": found.frame_accuracy,
            "latency_p50": found.latency.p50 if found.latency else None,
            "latency_p95": found.latency.p95 if found.latency else None,
            "adapter_mebibytes": size / 2**20,
        }
        self._track(checkpoint, scores, outcomes)
        self._tell(self._health.scores(checkpoint.step, found.intent_accuracy, found.argument_f1))
        alarms, self._alarms = self._alarms, []
        ray.train.report(
            {
                STEP: checkpoint.step,
                RUNG: self._rungs[checkpoint.step],
                BEGUN: self._begun,
                "total_steps": checkpoint.total_steps,
                "node": ray.util.get_node_ip_address(),
                METRIC: score_of(scores, self._context.spec.objective),
                "scores": json.dumps(scores),
                "losses": json.dumps(thinned(checkpoint.steps)),
                "alarms": json.dumps(alarms),
            },
            checkpoint=ray.train.Checkpoint.from_directory(str(checkpoint.folder)),
        )


def _scores_of_groups(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`intent_accuracy/language/zh` and the like."""
    return {
        f"{metric}/{key}/{name}": getattr(scores, metric)
        for key in GROUPS
        for name, scores in score_by(outcomes, key, bootstrap=0).items()
        for metric in ("intent_accuracy", "argument_f1")
    }


def _train(context: TrialContext, number: int, lora: LoraConfig) -> None:
    import ray
    import ray.train
    import torch

    from fcray.prompting import Renderer
    from fcray.training.trainer import total_steps, train_rows, trainable_rows

    spec = context.spec
    torch.set_num_threads(spec.resources.threads or max(1, int(spec.resources.cpus)))
    examples: tuple[Example, ...] = ray.get(context.examples)
    tracker = TrialTracker.open(
        spec.tracking, spec.name, number, lora.model_dump(mode="json"), Path(context.folder)
    )
    training = lora.training(spec.training)
    failed = True
    try:
        storage = models.training_storage(spec.model, models.default_device())
        base = models.load(spec.model, storage=storage)
        rows, _ = trainable_rows(Renderer(base.tokenizer), examples, training.cutoff)
        rungs = rung_steps(total_steps(len(rows), training), spec.scheduler)
        with (
            _last_checkpoint(context, number) as (kept, begun),
            tempfile.TemporaryDirectory(prefix="fcray-trial-") as scratch,
            closing(_Reports(context, number, tracker, rungs, Path(scratch), begun)) as reports,
        ):
            train_rows(
                base,
                rows,
                lora,
                training,
                folder=Path(scratch) / "training",
                checkpoint_steps=list(rungs),
                on_checkpoint=reports.on_checkpoint,
                on_step=reports.on_step,
                resume_from=kept,
            )
            reports.settle()
        failed = False
    finally:
        tracker.finish(1 if failed else 0)


@contextlib.contextmanager
def _last_checkpoint(context: TrialContext, number: int) -> Iterator[tuple[Path | None, int]]:
    """The trial's last checkpoint that is whole, and its step; (None, 0) where there is none.

    What was scored up to there is told again: the sweep may have been killed before it took note of it.
    """
    import ray.train

    from fcray.training.checkpoints import is_whole, position

    # Ray sorts them by score.
    known = sorted(ray.train.get_all_reported_checkpoints(), key=lambda one: int(one.metrics[STEP]))
    for last in range(len(known) - 1, -1, -1):
        checkpoint = known[last].checkpoint
        with contextlib.ExitStack() as stack:
            try:
                folder = Path(stack.enter_context(checkpoint.as_directory()))
            except OSError:  # it is gone
                continue
            if is_whole(folder):
                for one in known[: last + 1]:
                    letter = {**one.metrics, "checkpoint_path": one.checkpoint.path}
                    context.mailbox.put(number, letter)
                yield folder, position(folder)
                return
        logger.warning("trial %d: the checkpoint %s is torn", number, checkpoint.path)
    yield None, 0
