"""The page at `/` in a browser: a question, the call as it is parsed, its result, a refusal.

Needs Chromium or Chrome on the path; skipped, with that reason, where there is none.
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.testclient import TestClient

from fcray.prompting import call_text
from fcray.serving.backend import Refusal
from fcray.serving.ingress import IngressConfig, build_app, hash_key
from fcray.serving.names import ModelNames
from fcray.tools import ToolCall
from tests.processes import free_port
from tests.sweeps import wait_for
from tests.tracking.test_report_in_browser import BROWSER, opened

from .fakes import FakeBackend, calling, completion

CALL = ToolCall(name="get_weather", arguments={"city": "北京", "day": "tomorrow"})

DRIVER = """<output></output><script>
const rest = () => new Promise((done) => {
  const look = () => document.getElementById("send").disabled ? setTimeout(look, 10) : done();
  setTimeout(look, 10);
});
const set = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
};
const turns = () => [...document.querySelectorAll(".turn")].map((one) => ({
  kind: one.className, text: one.textContent,
  name: one.querySelector(".call strong")?.textContent, call: one.querySelector(".call pre")?.textContent,
  bad: one.querySelector(".bad")?.textContent,
}));
(async () => {
  const told = [];
  for (const step of STEPS) {
    for (const [id, value] of Object.entries(step.set ?? {})) set(id, value);
    if (step.say) {
      document.getElementById("say").value = step.say;
      document.getElementById("send").click();
    }
    if (step.result) {
      document.querySelector(".turn input").value = step.result;
      document.querySelector(".turn button").click();
    }
    await rest();
    told.push(turns());
  }
  const models = [...document.getElementById("model").options].map((one) => one.value);
  document.querySelector("output").append(JSON.stringify({ told, models }));
})();
</script>"""


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app at a free port of this machine."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def application(backend: FakeBackend, steps: list[dict[str, Any]]) -> FastAPI:
    """The endpoint, with one page more: the chat page and what drives it."""
    names = ModelNames.build("tiny", ["call_v1"], {"champion": "call_v1"})
    app = build_app(backend, IngressConfig(names, api_key_sha256=hash_key("secret")))

    async def driven() -> HTMLResponse:
        page = TestClient(app).get("/").text
        return HTMLResponse(page + DRIVER.replace("STEPS", json.dumps(steps)))

    app.add_api_route("/driven", driven)
    return app


def told(backend: FakeBackend, steps: list[dict[str, Any]], profile: Path) -> dict[str, Any]:
    """What the page shows after each step."""
    with served(application(backend, steps)) as url:
        dom, console = opened(f"{url}/driven", profile)
    found: dict[str, Any]
    (text,) = re.findall(r"<output>(.*?)</output>", dom, re.DOTALL)
    assert text, console
    found = json.loads(html.unescape(text))
    # A refusal is an error to the browser too, which says so by itself.
    assert [
        line for line in console if "status of 4" not in line and "status of 5" not in line
    ] == []
    return found


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="the chat page was NOT tried in a browser: there is none on the path"
)


@needs_browser
@pytest.mark.timeout(180)
def test_a_question_a_call_and_its_result(tmp_path: Path) -> None:
    backend = FakeBackend()
    backend.completion = replace(calling(CALL), text=call_text(CALL))
    steps: list[dict[str, Any]] = [
        {"set": {"key": "secret"}},
        {"say": "北京明天天气怎么样？"},
        {"result": '{"sky": "clear"}'},
    ]
    found = told(backend, steps, tmp_path)
    assert found["models"] == ["champion", "call_v1", "tiny"]
    user, assistant = found["told"][1]
    assert (user["kind"], user["text"]) == ("turn user", "北京明天天气怎么样？")
    assert assistant["name"] == "get_weather"
    assert json.loads(assistant["call"]) == CALL.arguments
    assert "call_v1, tool_calls" in assistant["text"]
    assert len(found["told"][2]) == 3
    first, second = backend.asked
    assert [message.role for message in first.messages] == ["user"]
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    assert second.messages[-1].content == '{"sky": "clear"}'
    assert first.tools[0].name == "get_weather"


@needs_browser
@pytest.mark.timeout(180)
def test_words_and_refusals(tmp_path: Path) -> None:
    backend = FakeBackend()
    backend.completion = completion("<b>It is sunny.</b>")
    steps: list[dict[str, Any]] = [
        {"say": "no key"},
        {"set": {"key": "secret", "tools": "{"}, "say": "no tools"},
        {"set": {"tools": ""}, "say": "words"},
    ]
    no_key, no_tools, words = told(backend, steps, tmp_path)["told"]
    assert "the API key is missing or wrong" in no_key[-1]["bad"]
    assert "the tools are not JSON" in no_tools[-1]["bad"]
    assert "bad" not in words[-1]
    assert words[-1]["text"].startswith("<b>It is sunny.</b>")  # as text
    (asked,) = backend.asked  # what was refused is no part of the conversation
    assert [message.content for message in asked.messages] == ["words"]


@needs_browser
@pytest.mark.timeout(180)
def test_an_endpoint_that_is_busy(tmp_path: Path) -> None:
    backend = FakeBackend()
    backend.refusal = Refusal("overloaded", "8 requests wait already")
    (turns,) = told(backend, [{"set": {"key": "secret"}, "say": "hello"}], tmp_path)["told"]
    assert turns[-1]["bad"] == "8 requests wait already"


def test_the_page_asks_nobody_else() -> None:
    names = ModelNames.build("tiny", [], {})
    answer = TestClient(build_app(FakeBackend(), IngressConfig(names, hash_key("secret")))).get("/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"https?://|//\w+\.", answer.text)
