"""Tests of what is said before anything starts, and of the way to the engine; starts no Ray."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError

from fcray.errors import UserError
from fcray.serving.app import HandleBackend, ServeConfig, deploy
from fcray.serving.backend import Refusal, Refused
from fcray.spec import ModelSpec

from .fakes import completion


def backend(outcome: object) -> HandleBackend:
    """A backend whose handle answers every call with `outcome`, or raises it."""

    async def remote(*_: object) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    handle: Any = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote))
    return HandleBackend(handle)


def test_the_engines_answer_comes_through() -> None:
    assert asyncio.run(backend([completion()]).answer([])) == [completion()]


@pytest.mark.parametrize(
    "outcome",
    [
        Refusal("overloaded", "8 requests wait already"),
        ActorDiedError(),
        BackPressureError(num_queued_requests=3, max_queued_requests=3),
    ],
)
def test_an_engine_that_is_busy_or_gone_can_be_asked_again(outcome: object) -> None:
    with pytest.raises(Refused) as refused:
        asyncio.run(backend(outcome).answer([]))
    assert refused.value.refusal.kind == "overloaded"


def test_readiness() -> None:
    asyncio.run(backend(True).ready())
    with pytest.raises(Refused):
        asyncio.run(backend(False).ready())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": ModelSpec(base="no-such-model")}, "model.base"),
        ({"adapters": {"call_v1": "/nowhere"}}, "adapters.call_v1"),
        ({"aliases": {"smollm2-135m-instruct": "x"}}, "aliases"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(UserError) as caught:
        deploy(ServeConfig(**changes))
    assert caught.value.field == field
