"""OpenAI's request → the engine's requests, or a 400 that names the field.

What differs from OpenAI: an absent `temperature` is 0, since that is how adapters are measured; a
`max_tokens` above the server's bound is lowered to it; under `allowed_tools` the model is shown
only those; `strict` is ignored, since every call is held to its schema. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from fcray.errors import first_problem
from fcray.inference import Request
from fcray.serving.openai_types import ChatMessage, ChatRequest, OfferedTool, invalid
from fcray.tools import Message, Tool, ToolCall

_UNION_TAG = re.compile(r"(str|dict\[.*|list\[.*|constrained-str|function-.*)")
_WORDS = ("none", "auto", "required")
_COLDEST = 1e-4
"""A lower temperature is the most likely token; dividing by it would overflow."""

_MAX_SCHEMA_DEPTH = 32


def parse_body(body: bytes) -> ChatRequest:
    """Read and check the JSON body of a chat completion.

    Raises
    ------
    ApiError: 400; `param` names the field.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        # Of a union's complaints the deepest is about what the caller meant.
        first = max(error.errors(include_url=False), key=lambda e: len(e["loc"]))
        if first["type"] == "json_invalid":
            raise invalid(f"the body is not JSON: {first['msg']}") from None
        param = _param(first["loc"])
        raise invalid(f"{param or 'body'}: {first['msg']}", param) from None


def to_requests(body: ChatRequest, adapter: str | None, max_tokens: int) -> list[Request]:
    """The `n` requests that a body asks for.

    Parameters
    ----------
    adapter: The adapter that answers; None for the base.
    max_tokens: The server's bound on an answer, and its default.

    Raises
    ------
    ApiError: 400; `param` names the field.
    """
    _refuse_unsupported(body)
    tools = _tools(body.tools or [])
    choice, tools = _tool_choice(body.tool_choice, tools)
    temperature = body.temperature or 0.0
    asked = body.max_completion_tokens or body.max_tokens or max_tokens
    messages = _messages(body.messages)
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs: needs logprobs to be true", "top_logprobs")
    return [
        Request(
            messages=messages,
            tools=tools,
            adapter=adapter,
            tool_choice=choice,
            parallel=body.parallel_tool_calls is not False,
            max_tokens=min(asked, max_tokens),
            temperature=temperature if temperature >= _COLDEST else 0.0,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=None if body.seed is None else body.seed + index,
            stops=body.stops,
            likely=(body.top_logprobs or 0) if body.logprobs else None,
        )
        for index in range(body.n or 1)
    ]


def _param(loc: tuple[int | str, ...]) -> str | None:
    """`("messages", 0, "content")` → `messages[0].content`; the tags of unions are left out."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _UNION_TAG.fullmatch(part):
            path += f".{part}" if path else part
    return path or None


def _refuse_unsupported(body: ChatRequest) -> None:
    """Say no to what would change the answer and is not done, rather than to ignore it."""
    harmless: dict[str, tuple[Any, ...]] = {
        "logit_bias": ({},),
        "presence_penalty": (0,),
        "frequency_penalty": (0,),
        "response_format": ({"type": "text"},),
        "modalities": (["text"],),
        "audio": (),
        "web_search_options": (),
    }
    for name, values in harmless.items():
        value = getattr(body, name)
        if value is not None and value not in values:
            raise invalid(f"{name} is not supported yet", name, "unsupported_parameter")
    for name, instead in (("functions", "tools"), ("function_call", "tool_choice")):
        if getattr(body, name) is not None:
            raise invalid(f"{name} is not supported: use {instead}", name, "unsupported_parameter")


def _messages(wire: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The conversation, results in the order of their calls: the model is not shown ids."""
    messages: list[Message] = []
    order: dict[str, int] = {}
    results: list[tuple[int, Message]] = []
    for index, one in enumerate(wire):
        at = f"messages[{index}]"
        if one.role == "tool":
            if one.tool_call_id not in order:
                raise invalid(
                    f"{at}.tool_call_id: no call of the assistant's turn before has this id",
                    f"{at}.tool_call_id",
                )
            results.append((order[one.tool_call_id], _message(one, at)))
            continue
        messages += [message for _, message in sorted(results, key=lambda r: r[0])]
        results = []
        order = {call.id: i for i, call in enumerate(one.tool_calls or ())}
        messages.append(_message(one, at))
    messages += [message for _, message in sorted(results, key=lambda r: r[0])]
    if all(message.role == "system" for message in messages):
        raise invalid("messages: nothing to answer, only instructions", "messages")
    return tuple(messages)


def _message(one: ChatMessage, at: str) -> Message:
    if one.role == "developer":
        return Message(role="system", content=_text(one, at))
    if one.tool_calls and one.role != "assistant":
        raise invalid(f"{at}.tool_calls: only an assistant makes calls", f"{at}.tool_calls")
    calls = tuple(
        ToolCall(
            name=call.function.name,
            arguments=_arguments(call.function.arguments, f"{at}.tool_calls[{i}]"),
        )
        for i, call in enumerate(one.tool_calls or ())
    )
    return Message(role=one.role, content=_text(one, at), tool_calls=calls)


def _text(one: ChatMessage, at: str) -> str | None:
    if one.content is None:
        if one.role != "assistant":
            raise invalid(f"{at}.content: a {one.role} message needs content", f"{at}.content")
        return None
    if isinstance(one.content, str):
        return one.content
    texts = []
    for index, part in enumerate(one.content):
        text = part.refusal if part.type == "refusal" else part.text
        if part.type not in ("text", "refusal") or text is None:
            param = f"{at}.content[{index}]"
            raise invalid(f"{param}: only parts of type text are read, with their text", param)
        texts.append(text)
    return "\n".join(texts)


def _arguments(text: str, at: str) -> dict[str, Any]:
    param = f"{at}.function.arguments"
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise invalid(f"{param}: not JSON", param) from None
    if not isinstance(value, dict):
        raise invalid(f"{param}: not a JSON object", param)
    return value


def _tools(offered: Sequence[OfferedTool]) -> tuple[Tool, ...]:
    tools: dict[str, Tool] = {}
    for index, one in enumerate(offered):
        at = f"tools[{index}].function"
        function = one.function
        if function.name in tools:
            raise invalid(f"{at}.name: two tools are named {function.name!r}", f"{at}.name")
        if function.name in _WORDS:
            raise invalid(f"{at}.name: {function.name!r} means a tool_choice", f"{at}.name")
        parameters = function.parameters or {"type": "object", "properties": {}}
        _check_references(parameters, f"{at}.parameters")
        try:
            tools[function.name] = Tool(
                name=function.name, description=function.description or "", parameters=parameters
            )
        except ValidationError as error:
            reason, where = first_problem(error)
            param = _param(("tools", index, "function", *where))
            raise invalid(f"{param}: {reason}", param, "invalid_function_parameters") from None
    return tuple(tools.values())


def _check_references(schema: Any, param: str, depth: int = 0) -> None:
    """Only references inside the schema: nothing is fetched on a caller's behalf."""
    if depth > _MAX_SCHEMA_DEPTH:
        raise invalid(f"{param}: nested more than {_MAX_SCHEMA_DEPTH} levels", param)
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
                raise invalid(f"{param}: {key} must point inside the schema", param)
            _check_references(value, param, depth + 1)
    elif isinstance(schema, list):
        for value in schema:
            _check_references(value, param, depth + 1)


def _tool_choice(
    wire: str | dict[str, Any] | None, tools: tuple[Tool, ...]
) -> tuple[str, tuple[Tool, ...]]:
    """The engine's tool choice, and the tools that it may choose from."""
    if wire is None:
        return "auto", tools
    if isinstance(wire, str):
        if wire not in _WORDS:
            raise invalid(f"tool_choice: {wire!r} is none of {', '.join(_WORDS)}", "tool_choice")
        if wire == "required" and not tools:
            raise invalid("tool_choice: required, but there are no tools", "tool_choice")
        return wire, tools
    if wire.get("type") == "function":
        name = _named(wire, "tool_choice.function.name")
        _only(tools, [name], "tool_choice.function.name")
        return name, tools
    allowed = wire.get("allowed_tools")
    if wire.get("type") == "allowed_tools" and isinstance(allowed, dict):
        mode = allowed.get("mode", "auto")
        if mode not in ("auto", "required"):
            at = "tool_choice.allowed_tools.mode"
            raise invalid(f"{at}: must be auto or required", at)
        at = "tool_choice.allowed_tools.tools"
        listed = allowed.get("tools")
        if not isinstance(listed, list) or not listed:
            raise invalid(f"{at}: must list at least one tool", at)
        return mode, _only(tools, [_named(one, at) for one in listed], at)
    raise invalid("tool_choice: must be of type function or allowed_tools", "tool_choice.type")


def _named(wire: Any, param: str) -> str:
    function = wire.get("function") if isinstance(wire, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise invalid(f"{param}: names no function", param)
    return name


def _only(tools: tuple[Tool, ...], names: Sequence[str], param: str) -> tuple[Tool, ...]:
    known = {tool.name for tool in tools}
    for name in names:
        if name not in known:
            raise invalid(f"{param}: {name!r} is not among the tools", param)
    return tuple(tool for tool in tools if tool.name in names)
