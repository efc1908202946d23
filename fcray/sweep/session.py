"""The Ray that a command runs on: a private local one, or a cluster that it joins.

A private Ray ends with the command, whatever ends the command. Knows nothing of sweeps.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from fcray import settings
from fcray.errors import FcrayError, UserError

QUIET = {
    # Ray Train and Tune draw their own progress; ours is the only one.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A trial is several small processes; Ray warns of more than four times the CPUs at once.
    "RAY_worker_maximum_startup_concurrency": "8",
    # Ray makes its workers nice (15), so that any other program starves them; here they are the work.
    "RAY_worker_niceness": "0",
    # Ctrl-C ends the command; Tune would catch it and call the sweep finished.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Of its own accord Tune starts trials that a searcher suggested one after another.
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",
    # A failed trial's last letter has no score.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}


@contextmanager
def ray_session() -> Iterator[None]:
    """Join `settings.ray_address()`, or start a private Ray for as long as the block lasts.

    SIGTERM and SIGHUP end the block as Ctrl-C does, so that nothing is left running.

    Raises
    ------
    UserError: The cluster named by the environment does not answer.
    """
    address = settings.ray_address()
    settings.set_defaults(QUIET)
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": True,
    }
    # Tune complains where it cannot keep its own state, which nobody reads: the study is the record.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with _signals():
        try:
            if address:
                ray.init(address=address, **options)
            else:
                # `local`: Ray would join whatever cluster was last started on this machine.
                ray.init("local", num_cpus=os.cpu_count(), include_dashboard=False, **options)
        except ConnectionError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"no Ray cluster answers at {address!r}: {reason}") from None
        except (RuntimeError, ValueError, OSError) as error:
            raise FcrayError(f"Ray does not start: {str(error).splitlines()[0]}") from error
        try:
            # Once more: Ray put a handler of its own below ours, which prints a stack at SIGTERM.
            with _signals():
                yield
        finally:
            ray.shutdown()


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt while the block lasts."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_room(cpus: float, gpus: float, slots: int, error: Any) -> int:
    """How many of one kind of process fit the cluster at a time, at most `slots`.

    Parameters
    ----------
    cpus, gpus: What one occupies.
    error: Makes the UserError from a field's name and a message.

    Raises
    ------
    UserError: No node, there or to be started by the autoscaler, has room for even one.
    """
    there = [(node["Resources"], 1) for node in ray.nodes() if node["Alive"]]
    may_come = _autoscaled()
    nodes = [resources for resources, count in (*there, *may_come) if count]
    most_cpus = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    most_gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    if cpus > most_cpus:
        raise error("cpus", f"{cpus:g} CPUs are asked for, the largest node has {most_cpus:g}")
    if gpus > most_gpus:
        raise error("gpus", f"{gpus:g} GPUs are asked for, the largest node has {most_gpus:g}")

    def fit(kinds: Sequence[tuple[Mapping[str, float], int]]) -> int:
        return sum(
            (slots if count < 0 else count)
            * min(
                int(node.get("CPU", 0.0) / cpus) if cpus else slots,
                int(node.get("GPU", 0.0) / gpus) if gpus else slots,
            )
            for node, count in kinds
        )

    # Nodes that were started by the autoscaler are in both.
    return max(1, min(max(fit(there), fit(may_come)), slots))


def _autoscaled() -> list[tuple[Mapping[str, float], int]]:
    """Resources and most number (-1: as many as you like) of each kind of node that may be started.

    The autoscaler tells the cluster; Ray Train asks in the same way, for there is no public one.
    """
    config = ray._private.state.state.get_cluster_config()
    groups = config.node_group_configs if config else ()
    return [(dict(group.resources), group.max_count) for group in groups]
