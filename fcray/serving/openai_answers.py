"""The engine's completions → OpenAI's whole answer. Knows nothing of streams, HTTP or Ray."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence

from fcray.inference import Completion, Likelihood, Request
from fcray.prompting import CALL_OPEN
from fcray.serving.openai_types import (
    AnswerMessage,
    Call,
    ChatCompletion,
    Choice,
    FinishReason,
    Function,
    Logprobs,
    PromptTokensDetails,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from fcray.tools import ToolCall


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
        choice_of(index, request, completion, stops)
        for index, (request, completion) in enumerate(zip(requests, completions, strict=True))
    ]
    return ChatCompletion(
        id=f"chatcmpl-{secrets.token_hex(16)}",
        created=int(time.time()),
        model=model,
        choices=choices,
        usage=usage_of(completions),
    )


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as the JSON string that goes over the wire; always encodable as UTF-8."""
    text = json.dumps(call.arguments, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON's escapes allow
        return json.dumps(call.arguments)
    return text


def choice_of(index: int, request: Request, completion: Completion, stops: Sequence[str]) -> Choice:
    """An answer's words up to a stop sequence, or its calls, and why it ended."""
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
    return Choice(
        index=index,
        message=message,
        logprobs=_logprobs(completion) if request.likely is not None else None,
        finish_reason=reason,
    )


def _logprobs(completion: Completion) -> Logprobs:
    def top(one: Likelihood) -> TopLogprob:
        return TopLogprob(token=one.token, logprob=one.logprob, bytes=_bytes(one.token))

    content = [
        TokenLogprob(**dict(top(one)), top_logprobs=[top(other) for other in one.others])
        for one in completion.likelihoods
    ]
    return Logprobs(content=content)


def _bytes(text: str) -> list[int] | None:
    return None if "\ufffd" in text else list(text.encode())


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


def usage_of(completions: Sequence[Completion]) -> Usage:
    """All choices share one prompt, so it counts once."""
    prompt = completions[0].prompt_tokens
    made = sum(one.completion_tokens for one in completions)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=prompt + made,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=completions[0].cached_tokens),
    )
