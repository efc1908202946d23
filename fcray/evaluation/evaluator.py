"""Examples in, outcomes out: what an adapter answers to each, by the engine that also serves.

Knows nothing of Ray; `pool.py` spreads it over actors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fcray.inference import Engine, Request
from fcray.metrics import Outcome
from fcray.tools import Example


def evaluate(
    engine: Engine,
    examples: Sequence[Example],
    *,
    adapter: str | None = None,
    max_tokens: int = 96,
    answered: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Answer every example as the endpoint would (greedy, `tool_choice` auto), in order.

    Parameters
    ----------
    adapter: The name of an adapter that the engine has loaded; None is the base model.
    max_tokens: Bound on an answer.
    answered: Told the number of each example that is answered.
    """
    requests = [
        Request(
            messages=example.messages, tools=example.tools, adapter=adapter, max_tokens=max_tokens
        )
        for example in examples
    ]
    answers = engine.generate(requests, ended=answered)
    return [
        Outcome(
            example=example,
            calls=answer.calls,
            text=answer.text,
            valid=answer.problem is None and not answer.cut,
            seconds=answer.seconds,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
        )
        for example, answer in zip(examples, answers, strict=True)
    ]
