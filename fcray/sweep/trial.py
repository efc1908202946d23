"""One trial as Ray Tune sees it: a driver that runs a Ray Train job and reports its checkpoints.

The driver's own thread alone calls `tune.report`; the Train job runs in a helper thread. The Train run's name
depends on the trial's number alone, so a trial that is started again goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.train.v2.api.callback import UserCallback

from fcray import settings
from fcray.errors import full_disk
from fcray.sweep.folder import is_url, joined
from fcray.sweep.scheduler import HALTS
from fcray.sweep.worker import TrialContext, train_worker

PATIENCE = 1800
"""Seconds that a worker may wait for its place: a node may have to be started first."""

CRASHES = 2
"""How often a trial's crashed worker is started again, from its last checkpoint."""


class _Post(UserCallback):  # type: ignore[misc]
    """Puts what the worker reported into the trial's mailbox, with the stored checkpoint's place."""

    def __init__(self, context: TrialContext, number: int) -> None:
        self._mailbox = context.mailbox
        self._number = number
        self._snapshot = _snapshot(context, number)

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        with suppress(OSError):  # a full disk is the worker's to report
            keep_whole(self._snapshot)
        if checkpoint is not None:
            self._mailbox.put(self._number, {**metrics[0], "checkpoint_path": checkpoint.path})


def trial_name(number: int) -> str:
    return f"trial_{number:04d}"


def _snapshot(context: TrialContext, number: int) -> Path | None:
    """Where Ray Train notes a trial's checkpoints; None in an object store, which never holds half a file."""
    place = Path(context.place) / "trials" / trial_name(number) / "checkpoint_manager_snapshot.json"
    return None if is_url(context.place) else place


def keep_whole(snapshot: Path | None) -> None:
    """Keep a copy of a snapshot that is whole, and put the copy in the place of one that is torn.

    Ray Train writes it in place: a full disk or a kill leaves a part of it, with which no trial goes on.
    """
    if snapshot is None or not snapshot.exists():
        return
    copy = snapshot.with_suffix(".whole")
    try:
        json.loads(snapshot.read_text(encoding="utf-8"))
    except ValueError:
        if copy.exists():
            shutil.copy(copy, snapshot)
        else:
            snapshot.unlink()
        return
    aside = snapshot.with_suffix(".part")
    shutil.copy(snapshot, aside)
    aside.replace(copy)


def run_trial(config: dict[str, Any], context: TrialContext) -> None:
    """Tune's trainable. `config` holds `number` and `config` (a `LoraConfig` as JSON)."""
    number: int = config["number"]
    settings.set_defaults({"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(PATIENCE)})
    crash: list[dict[str, Any]] = []

    def fit() -> None:
        try:
            keep_whole(_snapshot(context, number))
            _trainer(context, number, config["config"]).fit()
        except Exception as error:
            crash.append(_letter(error, context))

    thread = threading.Thread(target=fit, daemon=True, name=trial_name(number))
    thread.start()
    told = 0
    waiting = context.mailbox.letter(number, told)
    while thread.is_alive():
        if ray.wait([waiting], timeout=0.5)[0]:
            tune.report(ray.get(waiting))
            told += 1
            waiting = context.mailbox.letter(number, told)
    ray.cancel(waiting)
    for letter in [*context.mailbox.letters(number, told), *crash]:
        tune.report(letter)


def _letter(error: Exception, context: TrialContext) -> dict[str, Any]:
    """What is told of Ray Train's error: it is about the worker, or about the controller that watched it."""
    workers: dict[int, Exception] = getattr(error, "worker_failures", {})
    root = next(iter(workers.values()), None) or getattr(error, "controller_failure", None) or error
    if full := full_disk(root, [context.folder]):
        return {HALTS: full}
    said = (str(root).strip() or str(error).strip() or "no message").splitlines()[0]
    who = f"the training worker failed {CRASHES + 1} times" if workers else "Ray Train failed"
    return {"failed": f"{who}: {type(root).__name__}: {said}"}


def _trainer(context: TrialContext, number: int, lora: dict[str, Any]) -> Any:
    import ray.train as ray_train
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from fcray.sweep.scheduler import METRIC

    train: Any = ray_train  # Ray's types still show V1's signatures
    resources = context.spec.resources
    # One worker needs no process group, which is all that TorchTrainer would add.
    return DataParallelTrainer(
        train_worker,
        train_loop_config={"number": number, "lora": lora, "context": context},
        scaling_config=train.ScalingConfig(
            num_workers=1,
            use_gpu=resources.gpus > 0,
            resources_per_worker={
                "CPU": resources.cpus,
                **({"GPU": resources.gpus} if resources.gpus else {}),
            },
        ),
        run_config=train.RunConfig(
            name=trial_name(number),
            storage_path=joined(context.place, "trials"),
            callbacks=[_Post(context, number)],
            failure_config=train.FailureConfig(
                max_failures=CRASHES, controller_failure_limit=CRASHES
            ),
            checkpoint_config=train.CheckpointConfig(
                num_to_keep=2, checkpoint_score_attribute=METRIC, checkpoint_score_order="max"
            ),
        ),
    )
