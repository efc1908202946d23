"""The replica that holds one engine: base, adapters, one worker thread and a queue before it.

A plain class, free of Serve's decorators: `app` makes it a deployment. Answers are values, also the
refusals, so that nothing a caller wrote ends in a traceback. Knows nothing of HTTP or OpenAI.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from fcray.errors import FcrayError, UserError
from fcray.registry import Registry
from fcray.serving.backend import Refusal
from fcray.serving.batcher import MicroBatcher, Overloaded
from fcray.spec import ModelSpec
from fcray.tools import Message, Tool

if TYPE_CHECKING:
    from fcray.inference import Completion, Delta, Engine, Request
    from fcray.models import Storage

logger = logging.getLogger("ray.serve")


class TooLong(UserError):
    """The prompt leaves no room for an answer."""


@dataclass(frozen=True)
class EngineConfig:
    """What a replica loads.

    Attributes
    ----------
    adapters: Name → folder, or, of a registry's versions, whatever: they are looked up there.
    registry: Where versions come from; "" for none.
    follows: Whether the versions to begin with are those that the registry's aliases name at that time.
    batch: How many requests are answered together.
    waiting: How many may wait; more are refused.
    storage: How the base lies in memory; None chooses by device (see `models.default_storage`).
    threads: Torch's threads.
    """

    model: ModelSpec
    adapters: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""
    follows: bool = False
    batch: int = 8
    waiting: int = 64
    storage: Storage | None = None
    threads: int = 1


@dataclass(frozen=True)
class _Job:
    """A request.

    Attributes
    ----------
    dropped: Its caller has gone.
    tell: Is told what is written, as it is written; None where the whole answer will do.
    told: It was told something, so that the answer cannot begin anew.
    """

    request: Request
    dropped: threading.Event
    tell: Callable[[str], None] | None = None
    told: threading.Event = field(default_factory=threading.Event)


def load_engine(config: EngineConfig) -> Engine:
    """The base with its adapters.

    Raises
    ------
    UserError: The base or an adapter cannot be loaded.
    """
    import torch

    from fcray import models
    from fcray.inference import Engine

    torch.set_num_threads(config.threads)
    base = models.load(config.model, storage=config.storage)
    engine = Engine(base, batch=config.batch)
    for name in first_versions(config):
        engine.load_adapter(name, adapter_folder(config, name))
    return engine


def first_versions(config: EngineConfig) -> list[str]:
    """The adapters that a replica begins with: also one that is started long after the endpoint."""
    if config.registry and config.follows:
        return sorted(set(Registry(config.registry).aliases().values()))
    return sorted(config.adapters)


def adapter_folder(config: EngineConfig, name: str) -> str:
    """Where an adapter lies, whole.

    Raises
    ------
    UserError: There is no such adapter, or it was trained on another base than the one that is served.
    FcrayError: A version is torn.
    """
    if not config.registry:
        if name not in config.adapters:
            raise UserError(f"no adapter {name!r} is served")
        return config.adapters[name]
    registry = Registry(config.registry)
    manifest = registry.manifest(name)
    trained, served = (manifest.base, manifest.quantization), config.model
    if trained != (served.base, served.quantization):
        raise UserError(
            f"{name} was trained on {' in '.join(trained)}; {served.base} in {served.quantization} is served"
        )
    return str(registry.path(name))


class EngineDeployment:
    """Answers requests with one engine on one thread.

    Parameters
    ----------
    config: What to load.
    engine: Take this engine and load nothing; for tests.
    """

    def __init__(self, config: EngineConfig, engine: Engine | None = None) -> None:
        self._config = config
        self._engine = engine or load_engine(config)
        self._room = _context_length(self._engine)
        self._batcher: MicroBatcher[_Job, Completion] = MicroBatcher(
            self._generate, batch=config.batch, waiting=config.waiting, key=_adapter
        )
        self._warm_up()

    async def answer(self, requests: Sequence[Request]) -> list[Completion] | Refusal:
        """Answer all requests, or say why not. Cancelling ends them, also those under way."""
        dropped = threading.Event()
        try:
            futures = self._batcher.submit([_Job(request, dropped) for request in requests])
            return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))
        except asyncio.CancelledError:
            dropped.set()
            raise
        except Exception as error:
            return _refusal(error)

    async def stream(self, requests: Sequence[Request]) -> AsyncIterator[Sequence[Delta] | Refusal]:
        """Tell of all answers as they are written, what there is at a time; a refusal is the last."""
        from fcray.inference import Delta

        loop, dropped = asyncio.get_running_loop(), threading.Event()
        told: asyncio.Queue[Delta | Exception] = asyncio.Queue()

        def tell(one: Delta | Exception) -> None:
            loop.call_soon_threadsafe(told.put_nowait, one)

        def say(index: int, text: str) -> None:
            tell(Delta(index, text))

        def ended(index: int, future: Future[Completion]) -> None:
            if not future.cancelled():
                tell(future.exception() or Delta(index, "", future.result()))  # type: ignore[arg-type]

        futures: list[Future[Completion]] = []
        try:
            jobs = [
                _Job(request, dropped, partial(say, index))
                for index, request in enumerate(requests)
            ]
            futures = self._batcher.submit(jobs)
            for index, future in enumerate(futures):
                future.add_done_callback(partial(ended, index))
            left = len(futures)
            while left:
                some = [await told.get()]
                while not told.empty():
                    some.append(told.get_nowait())
                deltas = [one for one in some if not isinstance(one, Exception)]
                left -= sum(delta.completion is not None for delta in deltas)
                if deltas:
                    yield deltas
                if failures := [one for one in some if isinstance(one, Exception)]:
                    raise failures[0]
        except Exception as error:
            yield _refusal(error)
        finally:
            dropped.set()
            for future in futures:
                future.cancel()

    async def load(self, versions: Sequence[str]) -> str:
        """Hold these versions of the registry from now on; returns what is wrong, "" for nothing.

        Files are read and checked aside; only to become part of the model they wait for the batch under way.
        """
        try:
            for version in versions:
                if version not in self._engine.adapters:
                    folder = await asyncio.to_thread(adapter_folder, self._config, version)
                    await asyncio.wrap_future(
                        self._batcher.run(partial(self._hold, version, folder))
                    )
        except FcrayError as error:
            return str(error)
        return ""

    async def forget(self, versions: Sequence[str]) -> None:
        """Hold these versions no longer."""

        def drop() -> None:
            for version in versions:
                self._engine.unload_adapter(version)

        await asyncio.wrap_future(self._batcher.run(drop))

    async def ready(self) -> bool:
        """Whether requests are answered."""
        return self._batcher.alive

    def check_health(self) -> None:
        """Serve replaces a replica for which this raises."""
        if not self._batcher.alive:
            raise RuntimeError("the engine's thread has ended")

    def close(self) -> None:
        """End the worker thread after the batch that it is at."""
        self._batcher.close(timeout=10)

    def _generate(self, jobs: Sequence[_Job]) -> list[Completion]:
        for name in {job.request.adapter for job in jobs} - self._engine.adapters - {None}:
            # A version that a restart or a while has dropped.
            if self._config.registry and name is not None:
                self._hold(name, adapter_folder(self._config, name))
        requests = [self._fitted(job.request) for job in jobs]

        def cancelled(index: int) -> bool:
            return jobs[index].dropped.is_set()

        if all(job.tell is None for job in jobs):
            return self._engine.generate(requests, cancelled=cancelled)
        if any(job.told.is_set() for job in jobs):
            raise FcrayError("the engine failed in the middle of an answer")
        found: dict[int, Completion] = {}
        for delta in self._engine.stream(requests, cancelled=cancelled):
            job = jobs[delta.index]
            if job.tell is not None and delta.text:
                job.told.set()
                job.tell(delta.text)
            if delta.completion is not None:
                found[delta.index] = delta.completion
        return [found[index] for index in range(len(jobs))]

    def _fitted(self, request: Request) -> Request:
        """The request with an answer no longer than the context has room for."""
        length = len(self._engine.renderer.prompt(request.messages, request.tools))
        room = self._room - length
        if room < 1:
            message = f"messages and tools take {length} tokens; the model's context {self._room}"
            raise TooLong(message, field="messages")
        return replace(request, max_tokens=min(request.max_tokens, room))

    def _hold(self, name: str, folder: str) -> None:
        """Load an adapter and let it say something; it is not held where it cannot."""
        self._engine.load_adapter(name, folder)
        try:
            self._engine.prepare(name)
            self._engine.generate([_greeting(name)])
        except BaseException:
            self._engine.unload_adapter(name)
            raise

    def _warm_up(self) -> None:
        """One short answer before the replica counts as ready, so that the first is not slow."""
        self._batcher.submit([_Job(_greeting(None), threading.Event())])[0].result()


def _greeting(adapter: str | None) -> Request:
    """A request that is answered soon."""
    from fcray.inference import Request

    tool = Tool(name="noop", parameters={"type": "object", "properties": {}})
    hello = (Message(role="user", content="hello"),)
    return Request(
        messages=hello, tools=(tool,), adapter=adapter, tool_choice="required", max_tokens=2
    )


def _refusal(error: Exception) -> Refusal:
    """What a caller hears of an error."""
    if isinstance(error, Overloaded):
        return Refusal("overloaded", str(error))
    if isinstance(error, TooLong):
        return Refusal("invalid", error.message, error.field, "context_length_exceeded")
    if isinstance(error, UserError):
        return Refusal("invalid", error.message, error.field)
    # Its text may quote a message: only its kind is told.
    logger.error("the engine failed: %s", type(error).__name__)
    return Refusal("failed", "the engine failed on this request")


def _context_length(engine: Engine) -> int:
    config = engine.base.model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 1 << 20)


def _adapter(job: _Job) -> str | None:
    """Requests of one adapter are answered together; those of another would wait for all of them."""
    return job.request.adapter
