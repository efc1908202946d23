"""The engine's completions → OpenAI's answer, whole or as a stream of events.

A stream is made when the answer is complete: `chunks` is the one place that knows. `events` takes
any source of chunks, so that tokens can be sent as they come without a change to the routes. Knows
nothing of HTTP or Ray.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence

from fcray.inference import Completion, Request
from fcray.prompting import CALL_OPEN
from fcray.serving.openai_types import (
    AnswerMessage,
    Call,
    CallDelta,
    ChatCompletion,
    Choice,
    Chunk,
    ChunkChoice,
    Delta,
    FinishReason,
    Function,
    PromptTokensDetails,
    Usage,
)
from fcray.tools import ToolCall

_LINE_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Clients that split a stream by Unicode's lines would cut an event here."""


def to_answer(
    requests: Sequence[Request], completions: Sequence[Completion], stops: Sequence[str], model: str
) -> ChatCompletion:
    """The body of a complete answer.

    Parameters
    ----------
    requests, completions: One of each for every choice.
    stops: Texts that end an answer's words; calls are never cut.
    model: The version that answered.
    """
    choices = [
        _choice(index, request, completion, stops)
        for index, (request, completion) in enumerate(zip(requests, completions, strict=True))
    ]
    return ChatCompletion(
        id=f"chatcmpl-{secrets.token_hex(16)}",
        created=int(time.time()),
        model=model,
        choices=choices,
        usage=_usage(completions),
    )


def chunks(answer: ChatCompletion, include_usage: bool) -> Iterator[Chunk]:
    """A complete answer as the chunks of a stream: role, words, calls, end, usage."""

    def chunk(choices: list[ChunkChoice], usage: Usage | None = None) -> Chunk:
        return Chunk(
            id=answer.id, created=answer.created, model=answer.model, choices=choices, usage=usage
        )

    for choice in answer.choices:
        for delta in _deltas(choice.message):
            yield chunk([ChunkChoice(index=choice.index, delta=delta)])
        end = ChunkChoice(index=choice.index, delta=Delta(), finish_reason=choice.finish_reason)
        yield chunk([end])
    if include_usage:
        yield chunk([], answer.usage)


async def events(source: AsyncIterator[Chunk], include_usage: bool) -> AsyncIterator[str]:
    """Chunks as server-sent events, each on one line, and the end mark."""
    leave_out = None if include_usage else {"usage"}
    async for chunk in source:
        yield f"data: {one_line(chunk.model_dump_json(exclude=leave_out))}\n\n"
    yield "data: [DONE]\n\n"


def one_line(text: str) -> str:
    """JSON text without any of Unicode's line separators, and equal as JSON."""
    return text.translate(_LINE_SEPARATORS)


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as the JSON string that goes over the wire; always encodable as UTF-8."""
    text = json.dumps(call.arguments, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON's escapes allow
        return json.dumps(call.arguments)
    return text


def _choice(index: int, request: Request, completion: Completion, stops: Sequence[str]) -> Choice:
    calls, content = _read(request, completion)
    ended = completion.finish_reason
    reason: FinishReason = "stop" if ended == "cancelled" else ended
    cut = min((at for stop in stops if (at := content.find(stop)) >= 0), default=None)
    if cut is not None and not calls:
        content, reason = content[:cut], "stop"
    if calls and reason == "stop":
        reason = "tool_calls"
    elif not calls and reason == "tool_calls":
        reason = "stop"
    made = [
        Call(
            id=f"call_{secrets.token_hex(12)}",
            function=Function(name=call.name, arguments=arguments_text(call)),
        )
        for call in calls
    ]
    message = AnswerMessage(
        content=content if content or not made else None, tool_calls=made or None
    )
    return Choice(index=index, message=message, finish_reason=reason)


def _read(request: Request, completion: Completion) -> tuple[tuple[ToolCall, ...], str]:
    """An answer's calls and words.

    The grammar vouches for calls only where the answer begins with one: what looks like a call
    inside plain words was held to no schema and is no call.
    """
    if not request.tools:
        return (), completion.text
    if request.tool_choice == "none" or not completion.text.startswith(CALL_OPEN):
        return (), completion.content
    return completion.calls, completion.content


def _usage(completions: Sequence[Completion]) -> Usage:
    """All choices share one prompt, so it counts once."""
    prompt = completions[0].prompt_tokens
    made = sum(one.completion_tokens for one in completions)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=prompt + made,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=completions[0].cached_tokens),
    )


def _deltas(message: AnswerMessage) -> Iterator[Delta]:
    yield Delta(role="assistant", content="" if message.content is not None else None)
    if message.content:
        yield Delta(content=message.content)
    for index, call in enumerate(message.tool_calls or ()):
        opening = Function(name=call.function.name, arguments="")
        yield Delta(
            tool_calls=[CallDelta(index=index, id=call.id, type=call.type, function=opening)]
        )
        fragment = Function(arguments=call.function.arguments)
        yield Delta(tool_calls=[CallDelta(index=index, function=fragment)])
