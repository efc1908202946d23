"""One answer under way: which token comes next, what it forces, what is guessed to follow, and its end.

Knows nothing of batches, caches or adapters.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from fcray.errors import FcrayError
from fcray.inference.drafts import draft
from fcray.inference.grammar import Matcher
from fcray.inference.requests import Completion, FinishReason, Likelihood, Request
from fcray.prompting import CALL_CLOSE, CALL_OPEN, Prompt, call_text, parse

LOOKED_AT = 16
"""Tokens of an answer's end that are looked up for how it goes on."""


class Row:
    """An answer from its prompt to its end.

    Parameters
    ----------
    tokenizer: The model's.
    end: The tokens that end an answer.
    matcher: What holds the answer to its tools; None lets it say anything.
    device: Where scores come from.

    Attributes
    ----------
    turn: Tokens to read next.
    guess: Tokens to read behind them on approval.
    output: The answer's tokens so far.
    reason: Why it ended; None while it goes on.
    begun: When it was begun, by `time.perf_counter`.
    cached: How many of its prompt's tokens were known already.
    """

    def __init__(
        self,
        request: Request,
        prompt: Prompt,
        matcher: Matcher | None,
        tokenizer: Any,
        end: Sequence[int],
        device: torch.device,
    ) -> None:
        self.request = request
        self.prompt = prompt
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._end = end
        self._generator: torch.Generator | None = None
        if request.temperature > 0 and request.seed is not None:
            self._generator = torch.Generator(device).manual_seed(request.seed)
        self.output: list[int] = matcher.forced()[: request.max_tokens] if matcher else []
        self._likelihoods = self._certain(self.output)
        self.turn = [*prompt.body, *self.output]
        self.guess: list[int] = []
        self.reason: FinishReason | None = None
        self.cached = 0
        self.steps = 0
        self.begun = time.perf_counter()
        self.first_seconds = 0.0
        self.seconds = 0.0
        self._source: str | None = None

    def advance(self, scores: torch.Tensor) -> int:
        """Take the next tokens; returns how many of `guess` were wrong.

        Parameters
        ----------
        scores: (1 + len(guess), vocabulary) scores after the turn and after each guessed token.
        """
        kept = 0
        while True:
            new = self._next(scores[kept])
            if self.reason is not None:
                break
            if self.guess[kept : kept + len(new)] != new:
                self.turn = new
                break
            kept += len(new)
        wrong, self.guess = len(self.guess) - kept, []
        if self.reason is None and self.request.stops and self._stopped():
            self.reason = "stop"
        self.steps += 1
        self.seconds = time.perf_counter() - self.begun
        self.first_seconds = self.first_seconds or self.seconds
        return wrong

    def _stopped(self) -> bool:
        text = self._decode(self.output)
        return not text.startswith(CALL_OPEN) and any(stop in text for stop in self.request.stops)

    def _next(self, scores: torch.Tensor) -> list[int]:
        """The next token and what it forces, added to the answer; sees whether that is its end."""
        if self._matcher is not None:
            allowed = torch.from_numpy(self._matcher.allowed()).to(scores.device)
            scores = scores.masked_fill(~allowed, -torch.inf)
        token = _sample(scores, self.request, self._generator)
        if token in self._end:
            self.reason = "stop"
            return []
        if self.request.likely is not None:
            self._likelihoods.append(self._likelihood(token, scores))
        new = [token]
        if self._matcher is not None:
            self._matcher.consume(token)
            new += self._matcher.forced()
        new = [token for token in new if token not in self._end]
        self._likelihoods += self._certain(new[1:])
        self.output += new
        left = self.request.max_tokens - len(self.output)
        if self._matcher is not None and self._matcher.done and left >= 0:
            self.reason = "stop"
        elif left <= 0:
            self.output = self.output[: self.request.max_tokens]
            self.reason = "length"
        return new

    def _likelihood(self, token: int, scores: torch.Tensor) -> Likelihood:
        found = torch.log_softmax(scores.float(), dim=-1)
        most = found.topk(self.request.likely or 0)
        others = [
            Likelihood(self._decode([int(index)]), float(value))
            for value, index in zip(most.values, most.indices, strict=True)
            if value > -torch.inf
        ]
        return Likelihood(self._decode([token]), float(found[token]), tuple(others))

    def _certain(self, tokens: Sequence[int]) -> list[Likelihood]:
        """Of tokens that the grammar forced, where it is asked for."""
        if self.request.likely is None:
            return []
        ones = [Likelihood(self._decode([token]), 0.0) for token in tokens]
        return [replace(one, others=(one,) if self.request.likely else ()) for one in ones]

    def guess_on(self, most: int) -> None:
        """Guess what follows the tokens of `turn`: at most `most` words' tokens, and what they force.

        An answer is guessed to begin with a call, and to go on in the words of the conversation.
        """
        tokens: Sequence[int] = ()
        ends = False
        if self.output:
            said = self._decode(self.output[-LOOKED_AT:]).lstrip("\ufffd")
            tokens, ends = draft(said, self._said(), self._encode, most)
        elif self._matcher is not None:
            tokens = self._encode(CALL_OPEN)
        if self._matcher is not None:
            tokens = self._matcher.foreseen(tokens, self._encode, closes=ends)
        self.guess = list(tokens)

    def _said(self) -> str:
        """What arguments and answers are copied from: the conversation."""
        if self._source is None:
            parts = []
            for message in self.request.messages:
                parts += [message.content or "", *map(call_text, message.tool_calls or ())]
            self._source = "\n".join(parts)
        return self._source

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        return ids

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def text(self) -> str:
        """What was written so far; a letter of which bytes are missing is left out until it ends."""
        text = self._decode(self.output)
        return text if self.reason else text.rstrip("\ufffd")

    def completion(self) -> Completion:
        """The answer, once it has ended."""
        if self.reason is None:
            raise FcrayError("an answer was taken before its end")
        text, cut, reason = self._decode(self.output), "", self.reason
        if self._matcher is not None and reason in ("length", "cancelled"):
            whole = len(text) - len(_unfinished(text))
            text, cut = text[:whole], text[whole:]
        parsed = parse(text)
        ended = self._matcher is not None and not cut and text.endswith(CALL_CLOSE)
        if parsed.calls and (reason == "stop" or (reason == "length" and ended)):
            reason = "tool_calls"
        return Completion(
            text=text,
            calls=parsed.calls,
            content=parsed.text,
            problem=parsed.problem,
            finish_reason=reason,
            prompt_tokens=len(self.prompt),
            completion_tokens=len(self.output),
            cached_tokens=self.cached,
            steps=self.steps,
            first_seconds=self.first_seconds,
            seconds=self.seconds,
            cut=cut,
            likelihoods=tuple(self._likelihoods[: len(self.output)]),
        )


def _unfinished(text: str) -> str:
    """The beginning of a call at the end of a constrained answer, with the line break before it."""
    unread = parse(text).unfinished
    if not unread:
        behind = text.rpartition(CALL_CLOSE)[2].lstrip("\n")
        # Words never begin with "<", so that one is the mark's.
        unread = behind if CALL_OPEN.startswith(behind) else ""
    whole = text.removesuffix(unread)
    if unread or whole.rstrip("\n").endswith(CALL_CLOSE):
        whole = whole.rstrip("\n")
    return text[len(whole) :]


def _sample(scores: torch.Tensor, request: Request, generator: torch.Generator | None) -> int:
    if request.temperature <= 0:
        return int(scores.max(dim=-1).indices)  # on a CPU faster than argmax
    probabilities = torch.softmax(scores / request.temperature, dim=-1)
    if request.top_p < 1:
        ordered, index = probabilities.sort(descending=True)
        beyond = ordered.cumsum(-1) - ordered > request.top_p
        probabilities = torch.zeros_like(probabilities).scatter(
            -1, index, ordered.masked_fill(beyond, 0.0)
        )
    return int(torch.multinomial(probabilities, 1, generator=generator))
