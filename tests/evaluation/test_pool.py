"""The pool of evaluation actors on a real local Ray: order, deaths, failures, adapters."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.build import build
from fcray.errors import FcrayError, UserError
from fcray.evaluation.pool import (
    LEAST,
    MOST,
    EvaluationPool,
    PoolConfig,
    read_adapter,
    shards_of,
)
from fcray.spec import EvaluationSpec, ModelSpec
from fcray.sweep.session import ray_session
from fcray.tools import Example, Tool
from tests.dataset.catalogs import DATA, plain
from tests.examples import EXAMPLES

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


def test_it_says_how_far_it_is(
    pool: EvaluationPool, examples: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcray.evaluation.pool.TOLD", 0.01)
    told: list[int] = []
    outcomes = pool.evaluate(None, "test", max_tokens=200, advance=told.append)
    assert sum(told) == len(outcomes) == len(examples)
    assert len(told) > 2
    assert min(told) >= 0
    assert max(o.completion_tokens for o in outcomes) > 12


def test_an_adapter_travels_to_the_actors(pool: EvaluationPool, adapter_folder: Path) -> None:
    bare = [o.text for o in pool.evaluate(None, "test")]
    adapted = [o.text for o in pool.evaluate(read_adapter(adapter_folder), "test")]
    assert adapted != bare
    assert [o.text for o in pool.evaluate(None, "test")] == bare


def test_an_adapter_is_files_a_reference_or_a_folder(
    pool: EvaluationPool, adapter_folder: Path, other_adapter_folder: Path, tmp_path: Path
) -> None:
    one, two = (
        [o.text for o in pool.evaluate(f, "test")] for f in (adapter_folder, other_adapter_folder)
    )
    assert one != two
    reference = ray.put(read_adapter(adapter_folder))
    for adapter in (reference, read_adapter(adapter_folder), str(adapter_folder), adapter_folder):
        assert [o.text for o in pool.evaluate(adapter, "test")] == one
    with pytest.raises(UserError, match="holds no adapter_model"):
        pool.evaluate(tmp_path, "test")


def test_a_folder_that_changes_is_read_anew(
    pool: EvaluationPool, adapter_folder: Path, other_adapter_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(adapter_folder, tmp_path / "adapter")
    one = [o.text for o in pool.evaluate(folder, "test")]
    shutil.copytree(other_adapter_folder, folder, dirs_exist_ok=True, copy_function=shutil.copy)
    assert [o.text for o in pool.evaluate(folder, "test")] != one


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


def test_actors_that_died_while_they_were_free_cost_no_attempt(
    pool: EvaluationPool, examples: tuple[Example, ...]
) -> None:
    for _ in range(2):  # more deaths than a shard has attempts
        for pid in pool.actor_pids():
            os.kill(pid, signal.SIGKILL)
        result = pool.run(None, "test")
        assert result.failures == ()
        assert len(result.outcomes) == len(examples)


def test_a_broken_adapter_is_reported_and_the_pool_goes_on(pool: EvaluationPool) -> None:
    broken = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"torn"}
    with pytest.raises(FcrayError, match="the evaluation failed"):
        pool.evaluate(broken, "test")
    assert pool.evaluate(None, "test")


def test_a_shard_whose_actors_die_three_times_is_reported(pool: EvaluationPool) -> None:
    with ThreadPoolExecutor() as threads:
        running = threads.submit(pool.run, None, "test", max_tokens=400)
        while not running.done():
            for pid in pool.actor_pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        result = running.result()
    assert result.failures
    assert all("the evaluation actor died" in cause for cause in result.failures)
    assert pool.run(None, "test").failures == ()


def test_work_is_taken_as_actors_become_free(
    tiny_folder: Path, examples: tuple[Example, ...]
) -> None:
    """One of two actors stands still with its shard: the other one does all the rest."""
    rows = [row for row in examples for _ in range(2 * MOST // len(examples) + 1)]
    evaluation = EvaluationSpec(actors=2, batch=32, max_tokens=8)
    sizes = [len(shard) for shard in shards_of(rows, evaluation)]
    assert len(sizes) > 2
    config = PoolConfig(ModelSpec(base=str(tiny_folder)), evaluation, storage="rounded", threads=1)
    made = EvaluationPool(config, {"test": rows})
    told: list[int] = []
    left = threading.Event()

    def advance(count: int) -> None:
        told.append(count)
        if sum(told) >= len(rows) - max(sizes):
            left.set()

    try:
        (stopped, _) = made.actor_pids()
        os.kill(stopped, signal.SIGSTOP)
        with ThreadPoolExecutor() as threads:
            running = threads.submit(made.run, None, "test", advance=advance)
            try:
                assert left.wait(timeout=120)
                assert not running.done()
            finally:
                os.kill(stopped, signal.SIGCONT)
            result = running.result()
    finally:
        made.close()
    assert result.failures == ()
    assert [outcome.example.id for outcome in result.outcomes] == [row.id for row in rows]


def test_one_shard_fails_and_the_others_go_on(
    tiny_folder: Path, examples: tuple[Example, ...]
) -> None:
    """A tool of which the grammar can say nothing spoils the shard that it is in."""
    odd = Tool(name="zzz", parameters={"properties": {"a": {"not": {"type": "string"}}}})
    rows = list(examples)
    rows[3] = rows[3].model_copy(update={"tools": (odd,)})
    config = PoolConfig(
        ModelSpec(base=str(tiny_folder)),
        EvaluationSpec(actors=1, batch=4, max_tokens=8),
        storage="rounded",
        threads=1,
    )
    made = EvaluationPool(config, {"test": rows})
    try:
        result = made.run(None, "test")
    finally:
        made.close()
    (cause,) = result.failures
    assert re.match(r"\d+ requests, \S+ to \S+: .*cannot be enforced", cause)
    ids = [row.id for row in rows]
    left = [outcome.example.id for outcome in result.outcomes]
    assert left == [one for one in ids if one in left]
    assert len(ids) - 32 <= len(left) < len(ids)
    assert rows[3].id not in left


@given(
    lists=st.lists(st.integers(0, 3), max_size=600),
    actors=st.integers(1, 4),
    batch=st.sampled_from([1, 8, 32, 128]),
)
def test_shards_hold_every_example_once(lists: list[int], actors: int, batch: int) -> None:
    tools = [Tool(name=f"tool_{n}", parameters={"properties": {}}) for n in range(4)]
    rows = [EXAMPLES[0].model_copy(update={"tools": (tools[n],)}) for n in lists]
    shards = shards_of(rows, EvaluationSpec(actors=actors, batch=batch))
    assert sorted(i for shard in shards for i in shard) == list(range(len(rows)))
    assert all(min(LEAST, batch, len(rows)) <= len(shard) <= MOST for shard in shards)
    assert len(shards) >= min(actors, len(rows) // min(LEAST, batch))
    offered = [rows[i].tools for shard in shards for i in shard]
    runs = 1 + sum(one != other for one, other in pairwise(offered)) if offered else 0
    assert runs == len(set(lists))
