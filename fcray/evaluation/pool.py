"""A pool of Ray actors that score adapters: each holds one engine, work is taken as actors become free.

A dead actor is replaced and its shard done again; a shard that fails three times is reported with its
cause while the others go on; outcomes come in the order of the examples whatever happens.
`ray.util.ActorPool` drops dead actors and retries nothing, hence this one. Knows nothing of sweeps.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fcray import models
from fcray.errors import FcrayError, UserError
from fcray.metrics import Outcome
from fcray.models import Storage
from fcray.prompting import tools_key
from fcray.spec import EvaluationSpec, ModelSpec
from fcray.tools import Example

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a shard is tried."""

LEAST, MOST = 32, 256
"""Examples of a shard: fewer are not worth the journey, and with more a death would cost too much."""

TOLD = 1.0
"""Seconds between two looks at how far an evaluation is."""

AdapterFiles = dict[str, bytes]
"""A PEFT adapter as file name → content, to travel through Ray's object store."""

Adapter = AdapterFiles | str | os.PathLike[str] | ray.ObjectRef[AdapterFiles] | None
"""Files, or a reference to them; a folder that every node sees; None: the base model."""


def read_adapter(folder: str | Path) -> AdapterFiles:
    """The two files of the PEFT adapter in `folder`."""
    return {name: (Path(folder) / name).read_bytes() for name in models.ADAPTER_FILES}


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

        from fcray.inference import Engine

        if config.threads:
            torch.set_num_threads(config.threads)
        self._config = config
        base = models.load(config.model, storage=config.storage)
        self._engine = Engine(base, batch=config.evaluation.batch)
        self._key = ""
        self._progress = ("", 0)

    def place(self) -> tuple[int, str]:
        """Its process and its node; answering at all means that it is up."""
        return os.getpid(), ray.get_runtime_context().get_node_id()

    def answered(self, shard: str) -> int:
        """How many examples of this shard are answered; may be asked while it is at them, or before."""
        at, count = self._progress
        return count if at == shard else 0

    def evaluate(
        self,
        shard: str,
        key: str,
        adapter: AdapterFiles | str | None,
        examples: Sequence[Example],
        max_tokens: int,
    ) -> tuple[Outcome, ...]:
        """Score an adapter on a shard.

        Parameters
        ----------
        shard: By which the caller asks how far it is.
        key: Tells adapters apart: the one that was scored last is still there, and so are the tool lists
            that it has read.
        """
        from fcray.evaluation.evaluator import evaluate

        self._progress = (shard, 0)
        if key != self._key:
            self._load(key, adapter)
        name = self._key or None
        return tuple(
            evaluate(
                self._engine, examples, adapter=name, max_tokens=max_tokens, answered=self._count
            )
        )

    def _count(self, _: int) -> None:
        shard, count = self._progress
        self._progress = (shard, count + 1)

    def _load(self, key: str, adapter: AdapterFiles | str | None) -> None:
        if self._key:
            self._engine.unload_adapter(self._key)
            self._key = ""
        if adapter is None:
            return
        if isinstance(adapter, str):
            self._engine.load_adapter(key, adapter)
        else:
            with tempfile.TemporaryDirectory(prefix="fcray-adapter-") as folder:
                for name, content in adapter.items():
                    (Path(folder) / name).write_bytes(content)
                self._engine.load_adapter(key, folder)
        self._key = key


@dataclass
class _Ticket:
    """An evaluation under way.

    Attributes
    ----------
    adapter: What Ray hands to the actors: a reference to files, a folder, or None.
    done: Examples of its shards that ended.
    busy: The shards under way, by their names, and the actors that are at them.
    """

    key: str
    adapter: Any
    max_tokens: int
    done: int = 0
    busy: dict[str, Any] = field(default_factory=dict)


class _Coordinator:
    """The pool's one async actor: hands shards to free actors and replaces dead ones."""

    def __init__(self, config: PoolConfig, splits: Mapping[str, Sequence[Example]]) -> None:
        self._config = config
        self._shards = {
            name: [
                (numbers, [examples[number] for number in numbers])
                for numbers in shards_of(examples, config.evaluation)
            ]
            for name, examples in splits.items()
        }
        self._tickets: dict[str, _Ticket] = {}
        self._actors = [self._start() for _ in range(config.evaluation.actors)]
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        for actor in self._actors:
            self._free.put_nowait(actor)

    async def ready(self) -> None:
        """Return when every actor has loaded its model."""
        await self.places()

    async def places(self) -> list[tuple[int, str]]:
        """The living actors' processes and nodes.

        Raises
        ------
        RayTaskError: One of them could not be made, such as of a model that is not there.
        """
        asked = (actor.place.remote() for actor in self._actors)
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, ray.exceptions.RayActorError):
                raise one
        return [one for one in found if not isinstance(one, BaseException)]

    async def evaluate(
        self, number: str, key: str, boxed_adapter: list[Any], split: str, max_tokens: int
    ) -> PoolResult:
        """Score one adapter on a split.

        Parameters
        ----------
        number: By which the caller asks how far it is.
        key: Tells adapters apart.
        boxed_adapter: One reference to `AdapterFiles`, a folder, or None for the base model. Boxed, so that
            Ray hands the reference through instead of fetching the files here.
        """
        ticket = _Ticket(key, boxed_adapter[0], max_tokens)
        self._tickets[number] = ticket
        shards = self._shards[split]
        try:
            done = await asyncio.gather(*(self._shard(ticket, examples) for _, examples in shards))
        finally:
            del self._tickets[number]
        found: dict[int, Outcome] = {}
        failures = []
        for (numbers, examples), result in zip(shards, done, strict=True):
            if isinstance(result, str):
                which = f"{len(numbers)} requests, {examples[0].id} to {examples[-1].id}"
                failures.append(f"{which}: {result}")
            else:
                found.update(zip(numbers, result, strict=True))
        return PoolResult(tuple(found[index] for index in sorted(found)), tuple(failures))

    async def answered(self, number: str) -> int:
        """How many examples of an evaluation are answered; 0 before it began and after it ended."""
        ticket = self._tickets.get(number)
        if ticket is None:
            return 0
        done = ticket.done  # a shard that ends while the actors are asked is told by its actor
        asked = (actor.answered.remote(shard) for shard, actor in ticket.busy.items())
        told = await asyncio.gather(*asked, return_exceptions=True)  # one of them may be dead
        return done + sum(count for count in told if isinstance(count, int))

    async def _shard(self, ticket: _Ticket, shard: Sequence[Example]) -> Sequence[Outcome] | str:
        cause = ""
        for attempt in range(1, ATTEMPTS + 1):
            actor = asked = await self._living()
            name = uuid.uuid4().hex
            ticket.busy[name] = asked
            try:
                outcomes: Sequence[Outcome] = await asked.evaluate.remote(
                    name, ticket.key, ticket.adapter, shard, ticket.max_tokens
                )
                ticket.done += len(shard)
                return outcomes
            except ray.exceptions.RayActorError as error:
                cause = f"the evaluation actor died: {str(error).splitlines()[0]}"
                actor = self._replace(asked)
            except Exception as error:  # the actor lives; its work failed, and is tried elsewhere
                root = getattr(error, "cause", None) or error  # Ray wraps what was raised there
                cause = f"{type(root).__name__}: {str(root).splitlines()[0]}"
            finally:
                del ticket.busy[name]
                self._free.put_nowait(actor)
            logger.warning("evaluation shard, attempt %d of %d: %s", attempt, ATTEMPTS, cause)
        return cause

    async def _living(self) -> Any:
        """A free actor; those that died while they were free are replaced, and cost no shard an attempt."""
        for _ in range(ATTEMPTS * len(self._actors)):
            actor = await self._free.get()
            try:
                await actor.place.remote()
                return actor
            except ray.exceptions.RayActorError:
                self._free.put_nowait(self._replace(actor))
        return await self._free.get()

    def _replace(self, dead: Any) -> Any:
        ray.kill(dead)  # one that is only out of reach would keep its place
        self._actors = [actor for actor in self._actors if actor is not dead]
        self._actors.append(self._start())
        return self._actors[-1]

    def _start(self) -> Any:
        evaluation = self._config.evaluation
        options = {"num_cpus": evaluation.cpus, "num_gpus": evaluation.gpus}
        # Its second thread says how far the first one is.
        made = ray.remote(_Evaluator).options(
            **options, scheduling_strategy="SPREAD", max_concurrency=2
        )
        return made.remote(self._config)


def shards_of(examples: Sequence[Example], evaluation: EvaluationSpec) -> list[list[int]]:
    """The examples' numbers in shards of about one size, those with the same tools together.

    There are as many for each actor, one or so many that none holds more than `MOST`: the last answers of a
    shard do not fill a batch, which costs more than to wait for the slowest actor. None holds less than
    `LEAST` or a batch.
    """
    order = sorted(range(len(examples)), key=lambda index: tools_key(examples[index].tools))
    wanted = evaluation.actors * max(1, -(-len(order) // (MOST * evaluation.actors)))
    count = max(1, min(wanted, len(order) // min(LEAST, evaluation.batch)))
    bounds = [len(order) * number // count for number in range(count + 1)]
    return [order[start:end] for start, end in pairwise(bounds) if start < end]


class EvaluationPool:
    """The caller's side of the pool. Can be sent to other Ray processes.

    Parameters
    ----------
    config: What the actors are made of.
    splits: Name → examples that adapters are scored on.
    """

    def __init__(self, config: PoolConfig, splits: Mapping[str, Sequence[Example]]) -> None:
        self._max_tokens = config.evaluation.max_tokens
        # Where the caller is: it dies with the caller's node and with no other.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._coordinator: Any = (
            ray.remote(_Coordinator)
            .options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
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

    def evaluate(
        self,
        adapter: Adapter,
        split: str,
        *,
        max_tokens: int | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> tuple[Outcome, ...]:
        """Score one adapter (None: the base model) on a split, in the order of its examples.

        Parameters
        ----------
        max_tokens: Bound on an answer; None takes the config's.
        advance: Told how many more examples are answered, about every second.

        Raises
        ------
        FcrayError: A shard failed three times; the message holds the cause.
        UserError: A folder holds no adapter.
        """
        result = self.run(adapter, split, max_tokens=max_tokens, advance=advance)
        if result.failures:
            raise FcrayError(f"the evaluation failed: {result.failures[0]}")
        return result.outcomes

    def run(
        self,
        adapter: Adapter,
        split: str,
        *,
        max_tokens: int | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> PoolResult:
        """As `evaluate`, with what was found beside shards that failed."""
        key, sent = "", adapter
        if isinstance(adapter, ray.ObjectRef):
            key = adapter.hex()
        elif isinstance(adapter, dict):
            sent = ray.put(adapter)
            parts = (name.encode() + adapter[name] for name in sorted(adapter))
            key = hashlib.sha256(b"".join(parts)).hexdigest()
        elif adapter is not None:
            sent = str(Path(adapter).resolve())
            models.check_adapter(adapter)
            written = (Path(sent) / models.ADAPTER_WEIGHTS).stat().st_mtime_ns
            key = hashlib.sha256(f"{sent} {written}".encode()).hexdigest()
        number, told = uuid.uuid4().hex, 0
        running = self._coordinator.evaluate.remote(
            number, key, [sent], split, max_tokens or self._max_tokens
        )
        while advance is not None and not ray.wait([running], timeout=TOLD)[0]:
            answered: int = ray.get(self._coordinator.answered.remote(number))
            if answered > told:  # a shard that is done again counts from its beginning
                advance(answered - told)
                told = answered
        found: PoolResult = ray.get(running)
        if advance is not None:
            advance(len(found.outcomes) - told)
        return found

    def actor_pids(self) -> list[int]:
        """The actors' processes."""
        return [pid for pid, _ in self.places()]

    def places(self) -> list[tuple[int, str]]:
        """The actors' processes and the ids of the nodes that they are on."""
        found: list[tuple[int, str]] = ray.get(self._coordinator.places.remote())
        return found

    def close(self) -> None:
        """End the pool's processes."""
        ray.kill(self._coordinator)
