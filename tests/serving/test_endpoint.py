"""Tests of the whole endpoint on a local Ray, through OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest

from fcray.errors import UserError
from fcray.spec import ModelSpec, ServingSpec
from tests.processes import free_port

from .fakes import HELLO, LIGHT, SHORT_TOOLS

pytestmark = pytest.mark.ray

Tiny = tuple[Path, dict[str, str]]
NAMED = {"type": "function", "function": {"name": "set_heat"}}


def config(tiny: Tiny, port: int, **changes: Any) -> Any:
    from fcray.serving.app import ServeConfig
    from fcray.serving.ingress import hash_key

    base, adapters = tiny
    fields: dict[str, Any] = {
        "model": ModelSpec(base=str(base), quantization="nf4"),
        "adapters": adapters,
        "aliases": {"champion": "call_v2"},
        "serving": ServingSpec(port=port, max_tokens=64, batch=4),
        "api_key_sha256": hash_key("secret"),
    }
    return ServeConfig(**(fields | changes))


@pytest.fixture(scope="module")
def base_url(ray_cluster: None, tiny: Tiny) -> Iterator[str]:
    from fcray.serving import app

    endpoint = app.deploy(config(tiny, free_port()))
    assert endpoint.models == ("champion", "call_v1", "call_v2", "tiny-llama")
    yield endpoint.base_url
    app.shutdown()


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base_url, api_key="secret", max_retries=0) as client:
        yield client


def ask(client: Any, **changes: Any) -> Any:
    fields = {"model": "champion", "messages": HELLO, "tools": SHORT_TOOLS}
    return client.chat.completions.create(**(fields | changes))


def check_calls(answer: Any) -> list[str]:
    """The names of an answer's calls, each of which fits its schema."""
    offered: list[Any] = [tool["function"] for tool in SHORT_TOOLS]
    schemas = {function["name"]: function["parameters"] for function in offered}
    calls = answer.choices[0].message.tool_calls or []
    for call in calls:
        assert call.id.startswith("call_")
        jsonschema.validate(json.loads(call.function.arguments), schemas[call.function.name])
    return [call.function.name for call in calls]


# First, before the module's endpoint is up: one Ray serves one endpoint.
def test_an_adapter_that_does_not_load(
    ray_cluster: None,
    tiny: Tiny,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from fcray.serving import app

    (tmp_path / "adapter_model.safetensors").write_bytes(b"nonsense")
    (tmp_path / "adapter_config.json").write_text("{}")
    port = free_port()
    with pytest.raises(UserError, match="does not fit the base"):
        app.deploy(config(tiny, port, adapters={"call_v2": str(tmp_path)}))
    assert capfd.readouterr().out == ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def test_a_port_in_use(tiny: Tiny) -> None:
    from fcray.serving import app

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port}") as caught:
            app.deploy(config(tiny, port))
    assert caught.value.exit_code == 2


def test_a_second_endpoint_in_one_ray(base_url: str, tiny: Tiny) -> None:
    from fcray.serving import app

    with pytest.raises(UserError, match="serves already"):
        app.deploy(config(tiny, free_port()))


def test_models_and_health(client: openai.OpenAI, base_url: str) -> None:
    assert next(one.id for one in client.models.list()) == "champion"
    assert client.models.retrieve("call_v1").id == "call_v1"
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(base_url.replace("/v1", f"/{path}")) as response:
            assert response.status == 200


@pytest.mark.parametrize("parallel", [False, True])
def test_required_calls_fit_their_schema(client: openai.OpenAI, parallel: bool) -> None:
    answer = ask(client, tool_choice="required", parallel_tool_calls=parallel)
    names = check_calls(answer)
    assert answer.model == "call_v2"
    assert answer.choices[0].message.content is None
    if parallel:
        assert names
    else:
        assert len(names) == 1
        assert answer.choices[0].finish_reason == "tool_calls"


def test_a_named_tool(client: openai.OpenAI) -> None:
    assert check_calls(ask(client, tool_choice=NAMED)) == ["set_heat"]


def test_none_and_auto(client: openai.OpenAI) -> None:
    none = ask(client, tool_choice="none", max_tokens=8)
    assert none.choices[0].message.tool_calls is None
    assert none.choices[0].message.content
    assert none.usage.completion_tokens <= 8
    check_calls(ask(client, tool_choice="auto"))


def test_a_conversation_goes_on_after_a_call(client: openai.OpenAI) -> None:
    first = ask(client, tool_choice=NAMED)
    [call] = first.choices[0].message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"ok": true}'}
    turn = first.choices[0].message.model_dump(exclude_none=True)
    answer = ask(client, messages=[*HELLO, turn, result], tool_choice="none", max_tokens=8)
    assert answer.choices[0].message.content


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    whole = ask(client, tool_choice=NAMED)
    with client.chat.completions.stream(
        model="champion",
        messages=HELLO,  # type: ignore[arg-type]
        tools=SHORT_TOOLS,  # type: ignore[arg-type]
        tool_choice=NAMED,  # type: ignore[arg-type]
        stream_options={"include_usage": True},
    ) as stream:
        streamed = stream.get_final_completion()
    [expected] = whole.choices[0].message.tool_calls
    [call] = streamed.choices[0].message.tool_calls or []
    assert (call.function.name, call.function.arguments) == (
        expected.function.name,
        expected.function.arguments,
    )
    assert streamed.choices[0].finish_reason == "tool_calls"
    assert streamed.usage is not None
    assert streamed.usage.total_tokens == whole.usage.total_tokens


def test_a_stream_comes_as_it_is_written(client: openai.OpenAI) -> None:
    with ask(client, tools=[], max_tokens=64, stream=True) as stream:
        said = [part.choices[0].delta.content for part in stream if part.choices]
    words = [piece for piece in said if piece]
    assert len(words) > 4
    whole = ask(client, tools=[], max_tokens=64)
    assert "".join(words) == whole.choices[0].message.content


def test_a_stop_sequence_ends_the_writing(client: openai.OpenAI) -> None:
    whole = ask(client, tools=[], max_tokens=64)
    words = whole.choices[0].message.content
    stop = words[len(words) // 2 :][:3]
    cut = ask(client, tools=[], max_tokens=64, stop=stop)
    assert cut.choices[0].message.content == words[: words.index(stop)]
    assert cut.choices[0].finish_reason == "stop"
    assert cut.usage.completion_tokens < whole.usage.completion_tokens
    with ask(client, tools=[], max_tokens=64, stop=stop, stream=True) as stream:
        said = [part.choices[0].delta.content or "" for part in stream]
    assert "".join(said) == words[: words.index(stop)]


def test_logprobs(client: openai.OpenAI) -> None:
    answer = ask(client, tools=[], max_tokens=8, logprobs=True, top_logprobs=3)
    found = answer.choices[0].logprobs.content
    assert len(found) == answer.usage.completion_tokens
    for one in found:
        assert one.logprob <= 0
        assert one.logprob == pytest.approx(one.top_logprobs[0].logprob)  # one of the likeliest
        assert len(one.top_logprobs) == 3
    call = ask(client, tool_choice=NAMED, logprobs=True)
    written = call.choices[0].logprobs.content
    assert written[0].logprob == 0  # the grammar leaves nothing else
    assert "".join(one.token for one in written).startswith('<tool_call>{"name": "set_heat"')
    with ask(client, tool_choice=NAMED, logprobs=True, stream=True) as stream:
        told = [p.choices[0].logprobs for p in stream if p.choices and p.choices[0].logprobs]
    assert [one.token for part in told for one in part.content] == [one.token for one in written]


def test_a_caller_that_goes_away_is_no_harm(client: openai.OpenAI) -> None:
    for _ in range(4):
        with ask(client, tools=[], max_tokens=64, stream=True) as stream:
            next(iter(stream))
    assert ask(client, tools=[], max_tokens=4).choices[0].message.content


def test_a_repeated_prefix_is_cached(client: openai.OpenAI) -> None:
    ask(client, max_tokens=1)
    usage = ask(client, max_tokens=1).usage
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens


def test_several_choices(client: openai.OpenAI) -> None:
    answer = ask(client, n=3, temperature=1.5, seed=1, tools=[], max_tokens=8)
    assert len({choice.message.content for choice in answer.choices}) == 3


def test_two_adapters_and_the_base_at_once(client: openai.OpenAI, base_url: str) -> None:
    names = ["call_v1", "call_v2", "tiny-llama"] * 4
    alone = {name: ask(client, model=name, tools=[], max_tokens=12) for name in set(names)}

    async def together() -> list[Any]:
        async with openai.AsyncOpenAI(
            base_url=base_url, api_key="secret", max_retries=0
        ) as several:
            asked = (ask(several, model=name, tools=[], max_tokens=12) for name in names)
            return await asyncio.gather(*asked)

    for name, answer in zip(names, asyncio.run(together()), strict=True):
        assert answer.model == name
        assert answer.choices[0].message.content == alone[name].choices[0].message.content
    assert len({answer.choices[0].message.content for answer in alone.values()}) == 3


def test_errors(client: openai.OpenAI, base_url: str) -> None:
    stranger = openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        ask(stranger)
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(client, model="gpt")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        ask(client, tool_choice={"type": "function", "function": {"name": "fly"}})
    assert wrong.value.param == "tool_choice.function.name"
    with pytest.raises(openai.BadRequestError) as unsupported:
        ask(client, presence_penalty=1)
    assert unsupported.value.param == "presence_penalty"
    with pytest.raises(openai.BadRequestError) as long:
        ask(client, messages=[{"role": "user", "content": "word " * 2000}])
    assert long.value.code == "context_length_exceeded"


def test_a_schema_that_cannot_be_enforced(client: openai.OpenAI) -> None:
    parameters = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    tool = {"type": "function", "function": {"name": "odd", "parameters": parameters}}
    with pytest.raises(openai.BadRequestError) as wrong:
        ask(client, tools=[LIGHT, tool])
    assert wrong.value.param == "tools"


def test_one_request_id(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="champion",
        messages=HELLO,  # type: ignore[arg-type]
        max_tokens=1,
        extra_headers={"x-request-id": f"mine-{os.getpid()}"},
    )
    assert raw.headers["x-request-id"] == f"mine-{os.getpid()}"
