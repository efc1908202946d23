"""Evaluation actors are killed at random during fifty evaluations: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from fcray.dataset.build import build
from fcray.evaluation.pool import EvaluationPool, PoolConfig, read_adapter
from fcray.spec import EvaluationSpec, ModelSpec
from fcray.sweep.session import ray_session
from tests.dataset.catalogs import DATA, plain

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3000)]

EVALUATIONS = 50
PAUSE = (2.0, 8.0)
"""Seconds between two kills, at random."""


def test_fifty_evaluations_under_fire(
    tiny_folder: Path, adapter_folder: Path, other_adapter_folder: Path
) -> None:
    examples = build(plain(DATA / "iot", DATA / "chat", train=8, validation=8, test=48)).test
    config = PoolConfig(
        ModelSpec(base=str(tiny_folder)),
        EvaluationSpec(actors=2, batch=4, max_tokens=24),
        storage="rounded",
        threads=1,
    )
    adapters = [None, read_adapter(adapter_folder), read_adapter(other_adapter_folder)]
    rng = random.Random(0)
    over, killed = threading.Event(), list[int]()

    def fire(pool: EvaluationPool) -> None:
        while not over.wait(rng.uniform(*PAUSE)):
            for pid in rng.sample(pids := pool.actor_pids(), min(1, len(pids))):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    with ray_session():
        pool = EvaluationPool(config, {"test": examples})
        pool.wait_ready()
        expected = [[o.text for o in pool.evaluate(adapter, "test")] for adapter in adapters]
        assert len(set(map(tuple, expected))) == len(adapters)
        gun = threading.Thread(target=fire, args=(pool,))
        gun.start()
        try:
            for number in range(EVALUATIONS):
                which = number % len(adapters)
                result = pool.run(adapters[which], "test")
                assert [o.example.id for o in result.outcomes] == [e.id for e in examples]
                assert [o.text for o in result.outcomes] == expected[which]
                assert result.failures == ()
        finally:
            over.set()
            gun.join()
            pool.close()
    print(f"{len(killed)} actors were killed during {EVALUATIONS} evaluations")
    assert len(killed) >= EVALUATIONS // 5
