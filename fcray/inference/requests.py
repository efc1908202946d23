"""What is asked of the engine and what it answers. Knows nothing of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fcray.tools import Message, Tool, ToolCall

ToolChoice = str
"""`auto`, `none`, `required`, or the name of the one tool to call (OpenAI's `tool_choice`)."""

FinishReason = Literal["stop", "tool_calls", "length", "cancelled"]


@dataclass(frozen=True)
class Request:
    """What to answer.

    Attributes
    ----------
    adapter: The name of a loaded adapter; None answers with the base model.
    tool_choice: See `ToolChoice`; a tool's own name wins over the three words.
    constrained: Whether the grammar holds the answer to the tools' schemas.
    temperature: 0 takes the most likely token.
    stops: An answer ends once its words hold one of these texts, which stays in it; one that begins with a
        call does not.
    likely: How many of the most likely tokens to tell in the place of each; None tells no likelihoods.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    adapter: str | None = None
    tool_choice: ToolChoice = "auto"
    parallel: bool = True
    constrained: bool = True
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()
    likely: int | None = None


@dataclass(frozen=True)
class Likelihood:
    """How likely a token was, among those that the grammar allowed.

    Attributes
    ----------
    token: Its text; "\ufffd" stands for bytes that are no letter by themselves.
    logprob: Natural logarithm of its probability at temperature 1; 0 where nothing else was allowed.
    others: The most likely tokens in its place, the likeliest first, each without others of its own.
    """

    token: str
    logprob: float
    others: tuple[Likelihood, ...] = ()


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes
    ----------
    text: As the model wrote it, calls included.
    calls: The calls in it; only whole ones.
    content: The words outside the calls.
    problem: Why a call could not be read, if one could not. Never of a constrained answer.
    cut: The beginning of a call that a constrained answer had no tokens left to finish. It is part of
        neither text nor calls; `finish_reason` says `length`, or `cancelled`.
    cached_tokens: How many of the prompt's tokens were not computed again.
    steps: Model steps that it took part in; forced tokens and good guesses take none of their own.
    likelihoods: Of each token written, where they were asked for.
    first_seconds, seconds: From when it was begun to its first token, and to its last.
    """

    text: str
    calls: tuple[ToolCall, ...]
    content: str
    problem: str | None
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    steps: int
    first_seconds: float
    seconds: float
    cut: str = ""
    likelihoods: tuple[Likelihood, ...] = ()


@dataclass(frozen=True)
class Delta:
    """What was written of an answer in a step.

    Attributes
    ----------
    index: Which request it answers.
    text: What was written since the last; all of them together are the answer's `text` and `cut`.
    completion: The answer, at its end.
    """

    index: int
    text: str
    completion: Completion | None = None
