"""The HTTP routes: who may ask, for which model, and what they hear when something is wrong.

Never logs what a message says. Knows nothing of models: a `Backend` answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from fcray.registry import Registry
from fcray.serving import openai_types as wire
from fcray.serving.backend import Backend, Refusal, Refused
from fcray.serving.follow import Follower
from fcray.serving.metrics import CONTENT_TYPE, GONE, Metrics, Watch
from fcray.serving.names import ModelNames
from fcray.serving.openai_answers import to_answer
from fcray.serving.openai_requests import parse_body, to_requests
from fcray.serving.openai_stream import chunks, events
from fcray.serving.openai_types import ApiError

if TYPE_CHECKING:
    from fcray import inference

logger = logging.getLogger("ray.serve")

RETRY_AFTER = {"Retry-After": "1"}

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page talks to the endpoint that it came from and to nobody else."""


@dataclass(frozen=True)
class IngressConfig:
    """What the routes need to know.

    Attributes
    ----------
    api_key_sha256: Hash of the key that callers must send; None lets everyone in.
    max_tokens: Bound and default of an answer's length.
    max_body: Longest request body, in bytes.
    timeout: Seconds that an answer may take.
    registry, follow: Where aliases are looked up, every so many seconds; None: `names` stay.
    request_ids: Whether to add `x-request-id` to answers; Ray Serve's own proxy does already.
    """

    names: ModelNames
    api_key_sha256: str | None = None
    max_tokens: int = 256
    max_body: int = 4 << 20
    timeout: float = 120.0
    request_ids: bool = True
    registry: str = ""
    follow: float | None = None


def hash_key(key: str) -> str:
    """What `api_key_sha256` holds for `key`."""
    return hashlib.sha256(key.encode()).hexdigest()


def build_app(backend: Backend, config: IngressConfig) -> FastAPI:
    """The application: routes, access, error objects."""
    follower = Follower(
        config.names,
        Registry(config.registry).aliases if config.registry else dict,
        backend,
        every=config.follow or math.inf,
        linger=2 * config.timeout,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if config.follow is None:
            yield
            return
        await follower.look()  # this replica may begin long after the endpoint
        task = asyncio.create_task(follower.run())
        try:
            yield
        finally:
            task.cancel()

    app = FastAPI(title="fcray", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.follower = follower
    app.state.backend = backend
    app.state.config = config
    app.state.created = int(time.time())
    app.state.metrics = Metrics()
    app.add_api_route("/v1/chat/completions", chat_completions, methods=["POST"])
    app.add_api_route("/v1/models", list_models, methods=["GET"])
    app.add_api_route("/v1/models/{name:path}", get_model, methods=["GET"])
    app.add_api_route("/", chat_page, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    app.add_api_route("/healthz", health, methods=["GET"])
    app.add_api_route("/readyz", ready, methods=["GET"])
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    if config.request_ids:
        app.middleware("http")(_add_request_id)
    return app


async def chat_completions(request: Request) -> Response:
    config: IngressConfig = request.app.state.config
    watch: Watch = request.app.state.metrics.begin()
    try:
        _authorize(request, config)
        body = parse_body(await _read_body(request, config.max_body))
        watch.model, adapter = _resolve(request.app.state.follower.names, body.model)
        asked = to_requests(body, adapter, config.max_tokens)
        backend: Backend = request.app.state.backend
        if not body.stream:
            watch.answers = await _answer(backend, asked, config.timeout)
            watch.end(200)
            return _json(to_answer(asked, watch.answers, body.stops, watch.model))
        written = await _begun(backend.stream(asked), config.timeout)
    except ApiError as error:
        watch.end(error.status)
        raise
    except BaseException as error:
        watch.end(GONE if isinstance(error, asyncio.CancelledError) else 500)
        raise
    watch.first()
    usage = body.wants_usage
    source = chunks(_watched(written, watch), asked, body.stops, watch.model, include_usage=usage)
    return StreamingResponse(
        events(source, usage, partial(_told, timeout=config.timeout)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _watched(
    written: AsyncIterator[Sequence[inference.Delta]], watch: Watch
) -> AsyncIterator[Sequence[inference.Delta]]:
    """`written`, whose end is counted."""
    ended: list[inference.Completion] = []
    try:
        async with aclosing(written):  # type: ignore[type-var]
            async for deltas in written:
                ended += [one.completion for one in deltas if one.completion is not None]
                yield deltas
        watch.answers = ended
        watch.end(200)
    except Refused as error:
        watch.end(_refusal(error.refusal).status)
        raise
    except Exception as error:
        watch.end(504 if isinstance(error, TimeoutError) else 500)
        raise
    finally:
        watch.end(GONE)


async def chat_page() -> Response:
    """A page to try tools on; it holds no secret, and what it asks for needs the key."""
    page = files("fcray.serving").joinpath("assets/chat.html").read_text(encoding="utf-8")
    return HTMLResponse(page, headers=PAGE_HEADERS)


async def metrics(request: Request) -> Response:
    """The figures of this replica, for Prometheus; who asks needs the key."""
    _authorize(request, request.app.state.config)
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)


async def list_models(request: Request) -> Response:
    config: IngressConfig = request.app.state.config
    _authorize(request, config)
    created = request.app.state.created
    names = request.app.state.follower.names.all
    return _json(wire.ModelList(data=[wire.Model(id=name, created=created) for name in names]))


async def get_model(request: Request, name: str) -> Response:
    config: IngressConfig = request.app.state.config
    _authorize(request, config)
    _resolve(request.app.state.follower.names, name)
    return _json(wire.Model(id=name, created=request.app.state.created))


async def health() -> dict[str, str]:
    """This process is up; says nothing of the engine."""
    return {"status": "ok"}


async def ready(request: Request) -> Response:
    """The engine answers."""
    try:
        await asyncio.wait_for(request.app.state.backend.ready(), timeout=5)
    except (Refused, TimeoutError):
        return JSONResponse({"status": "not ready"}, status_code=503, headers=RETRY_AFTER)
    return JSONResponse({"status": "ready"})


def _json(body: wire.ChatCompletion | wire.ModelList | wire.Model) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")


def _authorize(request: Request, config: IngressConfig) -> None:
    if config.api_key_sha256 is None:
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    given = hash_key(key.strip())
    if scheme.lower() != "bearer" or not hmac.compare_digest(given, config.api_key_sha256):
        raise ApiError(
            401,
            "the API key is missing or wrong: send 'Authorization: Bearer <key>'",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )


async def _read_body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise ApiError(413, f"the body is longer than {limit} bytes", code="body_too_large")
    return bytes(body)


def _resolve(names: ModelNames, name: str) -> tuple[str, str | None]:
    try:
        return names.resolve(name)
    except KeyError:
        message = f"there is no model {name!r}; GET /v1/models lists them"
        raise ApiError(404, message, param="model", code="model_not_found") from None


async def _answer(
    backend: Backend, asked: Sequence[inference.Request], timeout: float
) -> list[inference.Completion]:
    try:
        return await asyncio.wait_for(backend.answer(asked), timeout)
    except Exception as error:
        raise _told(error, timeout) from None


async def _begun(
    written: AsyncIterator[Sequence[inference.Delta]], timeout: float
) -> AsyncIterator[Sequence[inference.Delta]]:
    """`written` once its first part is there: until then an error is a status, not a part of a stream."""
    end = time.monotonic() + timeout
    try:
        first = await asyncio.wait_for(anext(written), timeout)
    except Exception as error:
        raise _told(error, timeout) from None

    async def whole() -> AsyncIterator[Sequence[inference.Delta]]:
        async with aclosing(written):  # type: ignore[type-var]
            yield first
            while True:
                try:
                    yield await asyncio.wait_for(anext(written), end - time.monotonic())
                except StopAsyncIteration:
                    return

    return whole()


def _told(error: Exception, timeout: float) -> ApiError:
    """What a caller hears of an error."""
    if isinstance(error, Refused):
        return _refusal(error.refusal)
    if isinstance(error, TimeoutError):
        message = f"no answer within {timeout:g} seconds"
        return ApiError(504, message, kind="server_error", code="timeout")
    # Its text may quote a message: only its kind is told.
    logger.error("answering failed: %s", type(error).__name__)
    return _refusal(Refusal("failed", "the server failed on this request"))


def _refusal(refusal: Refusal) -> ApiError:
    if refusal.kind == "invalid":
        return wire.invalid(refusal.message, refusal.param, refusal.code)
    if refusal.kind == "overloaded":
        return ApiError(
            503, refusal.message, kind="server_error", code="overloaded", headers=RETRY_AFTER
        )
    return ApiError(500, refusal.message, kind="server_error", code="internal_error")


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Unknown routes and methods, in the same shape."""
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    message = f"there is no {what}" if error.status_code in (404, 405) else str(error.detail)
    code = "unknown_url" if error.status_code in (404, 405) else None
    body = ApiError(error.status_code, message, code=code).body()
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _add_request_id(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    response.headers["x-request-id"] = request.headers.get("x-request-id") or uuid.uuid4().hex
    return response
