"""A pool of Ray actors that score adapters: each holds one engine, work is taken as actors become free.

A dead actor is replaced and its shard done again; a shard that fails three times is reported with its
cause while the others go on; outcomes come in the order of the examples whatever happens.
`ray.util.ActorPool` drops dead actors and retries nothing, hence this one. Knows nothing of sweeps.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from fcray.errors import FcrayError, UserError
from fcray.metrics import Outcome
from fcray.models import Storage
from fcray.spec import EvaluationSpec, ModelSpec
from fcray.tools import Example

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a shard is tried."""

AdapterFiles = dict[str, bytes]
"""A PEFT adapter as file name → content, to travel through Ray's object store."""


def read_adapter(folder: str | Path) -> AdapterFiles:
    """The two files of the PEFT adapter in `folder`."""
    names = ("adapter_config.json", "adapter_model.safetensors")
    return {name: (Path(folder) / name).read_bytes() for name in names}


@dataclass(frozen=True)
class PoolResult:
    """What a pool found out.

    Attributes
    ----------
    outcomes: In the order of the examples; those of a failed shard are missing.
    failures: Why each failed shard failed.
    """

    outcomes: tuple[Outcome, ...]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class PoolConfig:
    """What an actor of the pool is made of.

    Attributes
    ----------
    storage: How the base lies in memory; None chooses by device (see `models.default_storage`).
    threads: Torch threads of an actor; None leaves torch's choice.
    """

    model: ModelSpec
    evaluation: EvaluationSpec
    storage: Storage | None = None
    threads: int | None = None


class _Evaluator:
    """One actor: a base model and an engine, for one adapter at a time."""

    def __init__(self, config: PoolConfig) -> None:
        import torch

        from fcray import models
        from fcray.inference import Engine

        if config.threads:
            torch.set_num_threads(config.threads)
        self._config = config
        base = models.load(config.model, storage=config.storage)
        self._engine = Engine(base, batch=config.evaluation.batch)

    def pid(self) -> int:
        """Its process; answering at all means that it is up."""
        return os.getpid()

    def evaluate(
        self, adapter: AdapterFiles | None, examples: Sequence[Example]
    ) -> tuple[Outcome, ...]:
        from fcray.evaluation.evaluator import evaluate

        limit = self._config.evaluation.max_tokens
        if adapter is None:
            return tuple(evaluate(self._engine, examples, max_tokens=limit))
        with tempfile.TemporaryDirectory(prefix="fcray-adapter-") as folder:
            for name, content in adapter.items():
                (Path(folder) / name).write_bytes(content)
            self._engine.load_adapter("candidate", folder)
        try:
            return tuple(evaluate(self._engine, examples, adapter="candidate", max_tokens=limit))
        finally:
            self._engine.unload_adapter("candidate")


class _Coordinator:
    """The pool's one async actor: hands shards to free actors and replaces dead ones."""

    def __init__(self, config: PoolConfig, splits: Mapping[str, Sequence[Example]]) -> None:
        self._config = config
        self._splits = {name: tuple(examples) for name, examples in splits.items()}
        self._actors = [self._start() for _ in range(config.evaluation.actors)]
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        for actor in self._actors:
            self._free.put_nowait(actor)

    async def ready(self) -> None:
        """Return when every actor has loaded its model."""
        await self.pids()

    async def pids(self) -> list[int]:
        """The actors' processes."""
        return list(await asyncio.gather(*(actor.pid.remote() for actor in self._actors)))

    async def evaluate(self, boxed_adapter: list[Any], split: str) -> PoolResult:
        """Score one adapter on a split.

        Parameters
        ----------
        boxed_adapter: One reference to `AdapterFiles`, or one None for the base model. Boxed, so that Ray
            hands the reference through instead of fetching the files here.
        """
        examples = self._splits[split]
        evaluation = self._config.evaluation
        per_actor = -(-len(examples) // evaluation.actors)
        size = max(evaluation.batch, min(per_actor, 4 * evaluation.batch))
        shards = [examples[i : i + size] for i in range(0, len(examples), size)]
        done = await asyncio.gather(*(self._shard(boxed_adapter[0], shard) for shard in shards))
        outcomes = tuple(o for result in done if not isinstance(result, str) for o in result)
        return PoolResult(outcomes, tuple(result for result in done if isinstance(result, str)))

    async def _shard(self, adapter: Any, shard: Sequence[Example]) -> Sequence[Outcome] | str:
        cause = ""
        for attempt in range(1, ATTEMPTS + 1):
            actor = await self._free.get()
            try:
                outcomes: Sequence[Outcome] = await actor.evaluate.remote(adapter, shard)
                return outcomes
            except ray.exceptions.RayActorError as error:
                cause = f"the evaluation actor died: {str(error).splitlines()[0]}"
                actor = self._replace(actor)
            except Exception as error:  # the actor lives; its work failed, and is tried elsewhere
                cause = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            finally:
                self._free.put_nowait(actor)
            logger.warning("evaluation shard, attempt %d of %d: %s", attempt, ATTEMPTS, cause)
        return cause

    def _replace(self, dead: Any) -> Any:
        self._actors = [actor for actor in self._actors if actor is not dead]
        self._actors.append(self._start())
        return self._actors[-1]

    def _start(self) -> Any:
        evaluation = self._config.evaluation
        options = {"num_cpus": evaluation.cpus, "num_gpus": evaluation.gpus}
        return ray.remote(_Evaluator).options(**options).remote(self._config)


class EvaluationPool:
    """The caller's side of the pool. Can be sent to other Ray processes.

    Parameters
    ----------
    config: What the actors are made of.
    splits: Name → examples that adapters are scored on.
    """

    def __init__(self, config: PoolConfig, splits: Mapping[str, Sequence[Example]]) -> None:
        self._coordinator: Any = (
            ray.remote(_Coordinator)
            .options(num_cpus=0, max_concurrency=1000)
            .remote(config, dict(splits))
        )

    def wait_ready(self, timeout: float = 600) -> None:
        """Return when every actor is up.

        Raises
        ------
        UserError: The cluster has no room for the actors within `timeout` seconds.
        """
        try:
            ray.get(self._coordinator.ready.remote(), timeout=timeout)
        except ray.exceptions.GetTimeoutError:
            raise UserError(
                f"the evaluation actors did not start within {timeout:.0f} s; "
                "has the cluster the CPUs and GPUs that they ask for?",
                field="evaluation",
            ) from None

    def evaluate(self, adapter: AdapterFiles | None, split: str) -> tuple[Outcome, ...]:
        """Score one adapter (None: the base model) on a split, in the order of its examples.

        Raises
        ------
        FcrayError: A shard failed three times; the message holds the cause.
        """
        reference = None if adapter is None else ray.put(adapter)
        result: PoolResult = ray.get(self._coordinator.evaluate.remote([reference], split))
        if result.failures:
            raise FcrayError(f"the evaluation failed: {result.failures[0]}")
        return result.outcomes

    def actor_pids(self) -> list[int]:
        """The actors' processes."""
        pids: list[int] = ray.get(self._coordinator.pids.remote())
        return pids

    def close(self) -> None:
        """End the pool's processes."""
        ray.kill(self._coordinator)
