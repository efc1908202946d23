"""What the engine writes, piece by piece → the deltas of OpenAI's stream, sent as they come.

Together a stream's deltas are what the whole answer would have been: words without the white space around
them and up to a stop sequence; a call's name, then its arguments as they are written. What may turn out to
belong to neither is held back until that is known. Knows nothing of HTTP or Ray.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from fcray import inference
from fcray.inference import Completion, Request
from fcray.prompting import CALL_OPEN
from fcray.serving.openai_answers import choice_of, usage_of
from fcray.serving.openai_types import (
    ApiError,
    CallDelta,
    Choice,
    Chunk,
    ChunkChoice,
    Delta,
    Function,
    Usage,
)

_HEAD = re.compile(r'\{"name": ("(?:[^"\\]|\\.)*"), "arguments": ')
"""How a call begins; the grammar leaves no other way."""


_LINE_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Clients that split a stream by Unicode's lines would cut an event here."""


class Writer:
    """One choice of a stream.

    Parameters
    ----------
    stops: Texts that end an answer's words; calls are never cut.
    """

    def __init__(self, index: int, request: Request, stops: Sequence[str]) -> None:
        self._index = index
        self._request = request
        self._stops = stops
        self._text = ""
        self._role = False
        self._words = ""
        self._at = 0
        self._calls = 0
        self._arguments: _Json | None = None

    def feed(self, piece: str) -> Iterator[Delta]:
        """What can be told now that `piece` was written."""
        self._text += piece
        if self._may_call and self._text.startswith(CALL_OPEN):
            yield from self._call()
        elif not (self._may_call and CALL_OPEN.startswith(self._text)):
            yield from self._speak(self._sayable())

    def end(self, completion: Completion) -> tuple[list[Delta], Choice]:
        """What is left to tell once the answer is complete, and the whole answer."""
        choice = choice_of(self._index, self._request, completion, self._stops)
        deltas = list(self._speak(choice.message.content or ""))
        for call in (choice.message.tool_calls or ())[self._calls :]:
            deltas += self._begin_call(call.function.name or "")
            deltas.append(self._argue(call.function.arguments or ""))
        deltas = [*self._open(words=not self._calls), *deltas]
        return deltas, choice

    @property
    def _may_call(self) -> bool:
        return bool(self._request.tools) and self._request.tool_choice != "none"

    def _open(self, *, words: bool) -> Iterator[Delta]:
        """The first delta of all says who speaks."""
        if not self._role:
            self._role = True
            yield Delta(role="assistant", content="" if words else None)

    def _sayable(self) -> str:
        """The words so far that will be part of the whole answer whatever follows."""
        text = self._text
        if (
            self._request.tools
        ):  # what looks like a call is no part of the words, nor is white space around
            text = _before(text, [CALL_OPEN]).strip()
        return _before(text, self._stops)

    def _speak(self, words: str) -> Iterator[Delta]:
        new = words[len(self._words) :]
        if new and words.startswith(self._words):
            self._words = words
            yield from self._open(words=True)
            yield Delta(content=new)

    def _call(self) -> Iterator[Delta]:
        """Tell of calls what is new behind the mark that opens one."""
        while True:
            if self._arguments is None:
                begin = self._text.find(CALL_OPEN, self._at)
                head = _HEAD.match(self._text, begin + len(CALL_OPEN)) if begin >= 0 else None
                if head is None:
                    return
                self._at = head.end()
                self._arguments = _Json()
                yield from self._open(words=False)
                yield from self._begin_call(json.loads(head[1]))
            taken = self._arguments.take(self._text[self._at :])
            if taken:
                self._at += len(taken)
                yield self._argue(taken)
            if not self._arguments.over:
                return
            self._arguments = None

    def _begin_call(self, name: str) -> Iterator[Delta]:
        self._calls += 1
        opening = Function(name=name, arguments="")
        yield Delta(
            tool_calls=[
                CallDelta(
                    index=self._calls - 1,
                    id=f"call_{secrets.token_hex(12)}",
                    type="function",
                    function=opening,
                )
            ]
        )

    def _argue(self, text: str) -> Delta:
        return Delta(
            tool_calls=[CallDelta(index=self._calls - 1, function=Function(arguments=text))]
        )


class _Json:
    """Where a JSON object ends that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False
        self.over = False

    def take(self, text: str) -> str:
        """As much of `text` as belongs to the object."""
        for at, letter in enumerate(text, start=1):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = letter == "\\"
                self._quoted = letter != '"'
            elif letter == '"':
                self._quoted = True
            elif letter in "{[":
                self._depth += 1
            elif letter in "}]":
                self._depth -= 1
                if not self._depth:
                    self.over = True
                    return text[:at]
        return text


def _before(text: str, marks: Sequence[str]) -> str:
    """`text` up to the first of `marks`, or to what may be the beginning of one at its end."""
    for mark in marks:
        if (at := text.find(mark)) >= 0:
            text = text[:at]
            continue
        for length in range(min(len(mark) - 1, len(text)), 0, -1):
            if text.endswith(mark[:length]):
                text = text[:-length]
                break
    return text


async def chunks(
    written: AsyncIterator[Sequence[inference.Delta]],
    requests: Sequence[Request],
    stops: Sequence[str],
    model: str,
    *,
    include_usage: bool,
) -> AsyncIterator[Chunk]:
    """The chunks of a stream: for each choice who speaks, words or calls, its end; then the usage.

    Parameters
    ----------
    written: What the engine tells of `requests`, as it tells it.
    model: The version that answers.
    """
    made = Chunk(
        id=f"chatcmpl-{secrets.token_hex(16)}", created=int(time.time()), model=model, choices=[]
    )

    def chunk(index: int, delta: Delta, whole: Choice | None = None) -> Chunk:
        """A part of a choice; its last one says why it ended, and how likely each token was."""
        end = {"finish_reason": whole.finish_reason, "logprobs": whole.logprobs} if whole else {}
        return made.model_copy(
            update={"choices": [ChunkChoice(index=index, delta=delta, **end)]}  # type: ignore[arg-type]
        )

    writers = [Writer(index, request, stops) for index, request in enumerate(requests)]
    ended: dict[int, Completion] = {}
    async for deltas in written:
        for one in deltas:
            for delta in writers[one.index].feed(one.text):
                yield chunk(one.index, delta)
            if one.completion is not None:
                ended[one.index] = one.completion
                rest, choice = writers[one.index].end(one.completion)
                for delta in rest:
                    yield chunk(one.index, delta)
                yield chunk(one.index, Delta(), choice)
    if include_usage:
        usage: Usage = usage_of([ended[index] for index in range(len(requests))])
        yield made.model_copy(update={"usage": usage})


async def events(
    source: AsyncIterator[Chunk], include_usage: bool, told: Callable[[Exception], ApiError]
) -> AsyncIterator[str]:
    """Chunks as server-sent events, each on one line, and the end mark.

    Parameters
    ----------
    told: What a caller hears of an error under way: it is the stream's last event, in OpenAI's shape.
    """
    leave_out = None if include_usage else {"usage"}
    try:
        async for chunk in source:
            yield _event(chunk.model_dump_json(exclude=leave_out))
    except Exception as error:
        yield _event(json.dumps(told(error).body(), ensure_ascii=False))
    else:
        yield "data: [DONE]\n\n"


def _event(text: str) -> str:
    return f"data: {one_line(text)}\n\n"


def one_line(text: str) -> str:
    """JSON text without any of Unicode's line separators, and equal as JSON."""
    return text.translate(_LINE_SEPARATORS)
