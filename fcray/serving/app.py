"""Puts the endpoint together on Ray Serve, starts it and ends it.

One ingress replica takes HTTP, one engine replica answers; Ray Serve restarts either when it dies.
The caller has called `ray.init`. Knows nothing of OpenAI's shapes or of models.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.config import BackpressureConfig, HTTPOptions, ProxyLocation
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from fcray import models
from fcray.errors import FcrayError, UserError
from fcray.serving.backend import Refusal, Refused
from fcray.serving.engine_deployment import EngineConfig, EngineDeployment
from fcray.serving.ingress import IngressConfig, build_app
from fcray.serving.names import ModelNames, base_name
from fcray.spec import ModelSpec, ServingSpec

if TYPE_CHECKING:
    from fcray.inference import Completion, Delta, Request

APP = "fcray"

ALL = 300
"""Seconds that all replicas together have to load a version, or to forget one."""

QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)
_AWAY = (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
    RayActorError,
)


@dataclass(frozen=True)
class ServeConfig:
    """Everything about an endpoint.

    Attributes
    ----------
    adapters: Version name, such as `function_call_v1`, → PEFT folder.
    registry: The registry that these are versions of, which every node reaches; "" for none.
    follow: Seconds between two looks at what its aliases name by now; None: what is served stays as it is.
    aliases: Name, such as `champion`, → version name or the base's name.
    api_key_sha256: See `ingress.hash_key`; None lets everyone in.
    threads: Torch's threads in the engine; None: all CPUs of this machine.
    cpus, gpus: What the engine occupies in Ray's books.
    waiting: How many requests may wait for the engine; more get 503.
    timeout: Seconds that one answer may take.
    """

    model: ModelSpec = field(default_factory=ModelSpec)
    adapters: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""
    follow: float | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    serving: ServingSpec = field(default_factory=ServingSpec)
    api_key_sha256: str | None = None
    threads: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    waiting: int = 64
    timeout: float = 120.0


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint.

    Attributes
    ----------
    base_url: What an OpenAI client takes as its `base_url`.
    models: Every name that may be asked for.
    """

    base_url: str
    models: tuple[str, ...]


def deploy(config: ServeConfig, *, patience: float = 600.0) -> Endpoint:
    """Start the endpoint in the current Ray and return when it answers.

    Parameters
    ----------
    patience: Seconds to wait until it is ready.

    Raises
    ------
    UserError: The port is taken, a name is used twice, or the base or an adapter is not there.
    FcrayError: It did not start.
    """
    names = _checked(config)
    check_port(config.serving.host, config.serving.port)
    with _quiet():
        if serve.status().proxies:
            raise UserError("this Ray serves already; end that endpoint first")
        try:
            _start(config, names)
            root = _root(config.serving)
            _wait_until_ready(f"{root}/readyz", patience)
        except (RuntimeError, TimeoutError) as error:
            raise _why_not(error) from error
        except BaseException:
            _end_serve()
            raise
    return Endpoint(f"{root}/v1", names.all)


def names_of(config: ServeConfig) -> ModelNames:
    """The names that may be asked for.

    Raises
    ------
    UserError: A name is used twice.
    """
    return ModelNames.build(base_name(config.model), config.adapters, config.aliases)


def bound(config: ServeConfig) -> serve.Application:
    """The application, for whoever starts Serve in another way than `deploy`.

    Raises
    ------
    UserError: A name is used twice, or the base or an adapter is not there.
    """
    return _application(config, _checked(config))


def shutdown() -> None:
    """End the endpoint: what has begun is answered first. Ray goes on."""
    with _quiet():
        _end_serve()


class HandleBackend:
    """A `Backend` that asks the engine's replica through Ray Serve."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def answer(self, requests: Sequence[Request]) -> list[Completion]:
        outcome = await self._call("answer", list(requests))
        if isinstance(outcome, Refusal):
            raise Refused(outcome)
        answers: list[Completion] = outcome
        return answers

    async def stream(self, requests: Sequence[Request]) -> AsyncIterator[Sequence[Delta]]:
        told: Any = self._handle.options(method_name="stream", stream=True).remote(list(requests))
        try:
            async for deltas in told:
                if isinstance(deltas, Refusal):
                    raise Refused(deltas)
                yield deltas
        except _AWAY:
            raise Refused(Refusal("overloaded", "the engine is busy or restarting")) from None
        finally:
            told.cancel()  # of one that is over nothing is left to end

    async def load(self, versions: Sequence[str]) -> None:
        problems = await self._handle.broadcast("load", list(versions)).results_async(timeout_s=ALL)
        if said := next((problem for problem in problems if problem), ""):
            raise FcrayError(said)

    async def forget(self, versions: Sequence[str]) -> None:
        await self._handle.broadcast("forget", list(versions)).results_async(timeout_s=ALL)

    async def ready(self) -> None:
        if not await self._call("ready"):
            raise Refused(Refusal("overloaded", "the engine is shutting down"))

    async def _call(self, method: str, *arguments: object) -> Any:
        try:
            return await self._handle.options(method_name=method).remote(*arguments)
        except _AWAY:
            raise Refused(Refusal("overloaded", "the engine is busy or restarting")) from None


class IngressDeployment:
    """The replica that runs the routes."""

    def __init__(self, handle: DeploymentHandle[Any], config: IngressConfig) -> None:
        self._handle = handle
        self._config = config

    def __serve_build_asgi_app__(self) -> object:
        return build_app(HandleBackend(self._handle), self._config)


def _start(config: ServeConfig, names: ModelNames) -> None:
    serve.start(
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(
            host=config.serving.host,
            port=config.serving.port,
            request_timeout_s=config.timeout + 30,  # the ingress says it first, and better
        ),
        logging_config=QUIET,
    )
    serve.run(_application(config, names), name=APP, logging_config=QUIET)


def _end_serve() -> None:
    """End Serve without `serve.shutdown`'s way of waiting.

    That one waits in a task of the controller, which is killed meanwhile, so that Ray prints on
    stdout that the task failed.
    """
    try:
        controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
        ray.get(controller.graceful_shutdown.remote(wait=False), timeout=30)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
            time.sleep(0.1)
    except (ValueError, RayActorError):
        pass  # there is no controller, or no longer
    serve.shutdown()


def _why_not(error: Exception) -> FcrayError:
    """End what has started, and say why it did not become an endpoint."""
    application = serve.status().applications.get(APP)
    told = [one.message for one in application.deployments.values()] if application else []
    _end_serve()
    lines = [line.strip() for text in [str(error), *told] for line in text.splitlines()]
    for line in lines:
        _, found, reason = line.partition("UserError: ")
        if found:
            return UserError(reason)
    last = next((line for line in reversed(lines) if line), type(error).__name__)
    return FcrayError(f"the endpoint did not start: {last}")


def _application(config: ServeConfig, names: ModelNames) -> serve.Application:
    """The ingress and the engine, bound to each other."""
    routes = IngressConfig(
        names=names,
        api_key_sha256=config.api_key_sha256,
        max_tokens=config.serving.max_tokens,
        timeout=config.timeout,
        request_ids=False,
        registry=config.registry,
        follow=config.follow,
    )
    in_engine = config.serving.batch + config.waiting
    ingress = serve.deployment(
        name="ingress",
        max_ongoing_requests=4 * in_engine,  # more than the engine's: it refuses in OpenAI's shape
        max_queued_requests=in_engine,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=1),
        graceful_shutdown_timeout_s=30,
        graceful_shutdown_wait_loop_s=0.5,
        ray_actor_options={"num_cpus": 0},
    )(serve.ingress()(IngressDeployment))
    application: serve.Application = ingress.bind(_engine(config, in_engine), routes)
    return application


def _engine(config: ServeConfig, in_engine: int) -> serve.Application:
    """The engine's deployment, for `in_engine` requests that wait or are answered."""
    threads = config.threads or os.cpu_count() or 1
    loaded = EngineConfig(
        model=config.model,
        adapters=dict(config.adapters),
        registry=config.registry,
        follows=config.follow is not None,
        batch=config.serving.batch,
        waiting=config.waiting,
        storage=config.serving.held(config.model),
        threads=threads,
    )
    engine = serve.deployment(
        name="engine",
        # The batcher must see every request, and it is the one that says when there are too many.
        max_ongoing_requests=2 * in_engine,
        max_queued_requests=in_engine,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=30,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=10,
        health_check_timeout_s=60,
        ray_actor_options={
            "num_cpus": config.cpus,
            "num_gpus": config.gpus,
            # Ray gives an actor's OpenMP as many threads as it books CPUs; here they are chosen.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        },
    )(EngineDeployment)
    made: serve.Application = engine.bind(loaded)
    return made


def _checked(config: ServeConfig) -> ModelNames:
    """The names, after saying what is missing before anything starts, in the caller's process."""
    names = names_of(config)
    models.resolve(config.model)
    for name, folder in config.adapters.items():
        models.check_adapter(folder, f"adapters.{name}")
    return names


def check_port(host: str, port: int) -> None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UserError(
            f"cannot listen on {host}:{port} ({reason}); choose another port", field="serving.port"
        ) from None


def _root(serving: ServingSpec) -> str:
    """Where this machine reaches the endpoint."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(serving.host, serving.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{serving.port}"


def _wait_until_ready(url: str, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise FcrayError(f"{url} was not ready within {patience:g} seconds") from None
            time.sleep(0.1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Serve's progress lines off this process's terminal."""
    logger = logging.getLogger("ray.serve")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
