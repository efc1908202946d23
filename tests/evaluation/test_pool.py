"""The pool of evaluation actors on a real local Ray: order, deaths, failures, adapters."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcray.dataset.build import build
from fcray.errors import FcrayError
from fcray.evaluation.pool import EvaluationPool, PoolConfig, read_adapter
from fcray.spec import EvaluationSpec, ModelSpec
from fcray.sweep.session import ray_session
from fcray.tools import Example
from tests.dataset.catalogs import DATA, plain

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    return build(plain(DATA / "iot", DATA / "chat", train=8, validation=8, test=24)).test


@pytest.fixture(scope="module")
def pool(tiny_folder: Path, examples: tuple[Example, ...]) -> Iterator[EvaluationPool]:
    config = PoolConfig(
        ModelSpec(base=str(tiny_folder)),
        EvaluationSpec(actors=2, batch=4, max_tokens=12),
        storage="rounded",
        threads=1,
    )
    with ray_session():
        made = EvaluationPool(config, {"test": examples})
        made.wait_ready()
        yield made
        made.close()


def test_outcomes_come_in_the_order_of_the_examples(
    pool: EvaluationPool, examples: tuple[Example, ...]
) -> None:
    outcomes = pool.evaluate(None, "test")
    assert [o.example.id for o in outcomes] == [e.id for e in examples]
    assert all(o.completion_tokens > 0 for o in outcomes)


def test_an_adapter_travels_to_the_actors(pool: EvaluationPool, adapter_folder: Path) -> None:
    bare = [o.text for o in pool.evaluate(None, "test")]
    adapted = [o.text for o in pool.evaluate(read_adapter(adapter_folder), "test")]
    assert adapted != bare
    assert [o.text for o in pool.evaluate(None, "test")] == bare


def test_a_killed_actor_is_replaced_and_nothing_is_lost(
    pool: EvaluationPool, examples: tuple[Example, ...]
) -> None:
    expected = [o.text for o in pool.evaluate(None, "test")]
    pids = pool.actor_pids()
    os.kill(pids[0], signal.SIGKILL)
    outcomes = pool.evaluate(None, "test")
    assert [o.example.id for o in outcomes] == [e.id for e in examples]
    assert [o.text for o in outcomes] == expected
    assert len(set(pool.actor_pids())) == 2
    assert pids[0] not in pool.actor_pids()


def test_a_broken_adapter_is_reported_and_the_pool_goes_on(pool: EvaluationPool) -> None:
    broken = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"torn"}
    with pytest.raises(FcrayError, match="the evaluation failed"):
        pool.evaluate(broken, "test")
    assert pool.evaluate(None, "test")
