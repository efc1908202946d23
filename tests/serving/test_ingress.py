"""Tests of the routes with a backend that is told what to answer."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from fcray.inference import Delta
from fcray.serving.backend import Refusal
from fcray.serving.ingress import IngressConfig, build_app, hash_key
from fcray.serving.names import ModelNames
from fcray.tools import ToolCall

from .fakes import TOOLS, FakeBackend, body, calling

NAMES = ModelNames.build("tiny", ["call_v1", "call_v2"], {"champion": "call_v2"})
KEY = {"Authorization": "Bearer secret"}


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def client(backend: FakeBackend, **options: Any) -> TestClient:
    config = IngressConfig(NAMES, **({"api_key_sha256": hash_key("secret")} | options))
    return TestClient(build_app(backend, config), headers=KEY, raise_server_exceptions=False)


def post(backend: FakeBackend, options: dict[str, Any] | None = None, **changes: Any) -> Any:
    return client(backend, **(options or {})).post("/v1/chat/completions", json=body(**changes))


def error_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_an_answer(backend: FakeBackend) -> None:
    backend.completion = calling(ToolCall(name="get_weather", arguments={"city": "Bern"}))
    response = post(backend, tools=TOOLS)
    assert response.status_code == 200
    assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("name", "version", "adapter"),
    [("champion", "call_v2", "call_v2"), ("call_v1", "call_v1", "call_v1"), ("tiny", "tiny", None)],
)
def test_names(backend: FakeBackend, name: str, version: str, adapter: str | None) -> None:
    assert post(backend, model=name).json()["model"] == version
    assert backend.asked[0].adapter == adapter


def test_a_stream(backend: FakeBackend) -> None:
    response = post(backend, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert json.loads(events[-1].removeprefix("data: "))["usage"]["total_tokens"] == 15


def test_a_stream_that_is_refused_is_no_stream(backend: FakeBackend) -> None:
    backend.refusal = Refusal("overloaded", "8 requests wait already")
    assert error_of(post(backend, stream=True), 503)["code"] == "overloaded"
    assert backend.closed == 1


def test_a_stream_that_breaks_off(backend: FakeBackend, caplog: pytest.LogCaptureFixture) -> None:
    backend.error, backend.told = RuntimeError("What is the weather in Bern?"), 2
    response = post(backend, stream=True)
    assert response.status_code == 200
    *_, last, rest = response.text.split("\n\n")
    assert rest == ""
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["type"], error["code"]) == ("server_error", "internal_error")
    assert "Bern" not in last + caplog.text


def test_a_stream_that_takes_too_long(backend: FakeBackend) -> None:
    async def slow(_: object) -> Any:
        yield [Delta(0, "It")]
        await asyncio.Event().wait()

    backend.stream = slow  # type: ignore[method-assign, assignment]
    response = post(backend, {"timeout": 0.2}, stream=True)
    assert json.loads(response.text.split("\n\n")[-2].removeprefix("data: "))["error"]["code"] == (
        "timeout"
    )


def figures(asked: TestClient) -> dict[str, float]:
    lines = asked.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_metrics(backend: FakeBackend) -> None:
    asked = client(backend)
    for changes in ({}, {"stream": True}, {"model": "tiny"}, {"model": "nonsense"}):
        asked.post("/v1/chat/completions", json=body(**changes))
    backend.refusal = Refusal("overloaded", "8 requests wait already")
    asked.post("/v1/chat/completions", json=body())
    backend.refusal, backend.error, backend.told = None, RuntimeError("Bern"), 2
    asked.post("/v1/chat/completions", json=body(stream=True))
    found = figures(asked)
    assert found['fcray_requests_total{model="call_v2",status="200"}'] == 2
    assert found['fcray_requests_total{model="call_v2",status="500"}'] == 1
    assert found['fcray_requests_total{model="call_v2",status="503"}'] == 1
    assert found['fcray_requests_total{model="tiny",status="200"}'] == 1
    assert found['fcray_requests_total{model="",status="404"}'] == 1
    assert found["fcray_requests_under_way"] == 0
    assert found['fcray_tokens_total{kind="completion",model="call_v2"}'] == 10
    assert found['fcray_first_chunk_seconds_count{model="call_v2"}'] == 2
    assert "nonsense" not in asked.get("/metrics").text
    assert error_of(asked.get("/metrics", headers={"Authorization": ""}), 401)


def test_models(backend: FakeBackend) -> None:
    listed = client(backend).get("/v1/models").json()
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == ["champion", "call_v1", "call_v2", "tiny"]
    one = client(backend).get("/v1/models/champion").json()
    assert (one["id"], one["object"]) == ("champion", "model")
    assert error_of(client(backend).get("/v1/models/x/y"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer ", "Basic secret", "secret", ""])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "chat/completions"), ("GET", "models"), ("GET", "models/tiny")]
)
def test_a_wrong_key(backend: FakeBackend, sent: str, method: str, path: str) -> None:
    response = client(backend).request(
        method, f"/v1/{path}", content=b"not json", headers={"Authorization": sent}
    )
    assert error_of(response, 401)["code"] == "invalid_api_key"
    assert not backend.asked


def test_an_open_endpoint(backend: FakeBackend) -> None:
    app = build_app(backend, IngressConfig(NAMES))
    assert TestClient(app).get("/v1/models").status_code == 200


def test_an_unknown_model(backend: FakeBackend) -> None:
    error = error_of(post(backend, model="gpt"), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_wrong_fields_are_400(backend: FakeBackend) -> None:
    assert error_of(post(backend, temperature="hot"), 400)["param"] == "temperature"
    response = client(backend).post("/v1/chat/completions", content=b"{")
    assert error_of(response, 400)["type"] == "invalid_request_error"


@pytest.mark.parametrize(("path", "status"), [("nothing", 404), ("chat/completions", 405)])
def test_unknown_routes_and_methods(backend: FakeBackend, path: str, status: int) -> None:
    response = client(backend).get(f"/v1/{path}")
    assert error_of(response, status)["code"] == "unknown_url"


def test_a_body_that_is_too_long(backend: FakeBackend) -> None:
    assert error_of(post(backend, {"max_body": 50}), 413)["code"] == "body_too_large"


def test_overload(backend: FakeBackend) -> None:
    backend.refusal = Refusal("overloaded", "8 requests wait already")
    response = post(backend)
    assert error_of(response, 503)["code"] == "overloaded"
    assert response.headers["retry-after"] == "1"


def test_an_engine_that_finds_the_request_wrong(backend: FakeBackend) -> None:
    backend.refusal = Refusal("invalid", "too long", "messages", "context_length_exceeded")
    error = error_of(post(backend, stream=True), 400)
    assert (error["param"], error["code"]) == ("messages", "context_length_exceeded")


def test_a_failure_tells_nothing_of_the_message(
    backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.error = RuntimeError("What is the weather in Bern?")
    with caplog.at_level(logging.DEBUG):
        error = error_of(post(backend), 500)
    assert error["code"] == "internal_error"
    assert "Bern" not in error["message"] + caplog.text
    assert "RuntimeError" in caplog.text


def test_an_answer_that_takes_too_long(backend: FakeBackend) -> None:
    async def never(_: object) -> list[Any]:
        await asyncio.Event().wait()
        return []

    backend.answer = never  # type: ignore[method-assign, assignment]
    assert error_of(post(backend, {"timeout": 0.01}), 504)["code"] == "timeout"


def test_health_and_readiness(backend: FakeBackend) -> None:
    open_client = client(backend)
    assert open_client.get("/healthz", headers={"Authorization": ""}).status_code == 200
    assert open_client.get("/readyz", headers={"Authorization": ""}).status_code == 200
    backend.refusal = Refusal("overloaded", "restarting")
    assert open_client.get("/healthz").status_code == 200
    assert open_client.get("/readyz").status_code == 503


def test_a_request_id_is_kept(backend: FakeBackend) -> None:
    response = client(backend).get("/v1/models", headers={"x-request-id": "mine"})
    assert response.headers["x-request-id"] == "mine"
