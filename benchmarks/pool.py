"""Requests a second of one evaluation actor on one core and of two on two. Run by `make bench-pool`.

The quickstart's test requests, answered by the bundled base model; a pool of each size in turn, on one Ray.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.result import Target, publish
from fcray.dataset.build import build
from fcray.evaluation.pool import EvaluationPool, PoolConfig
from fcray.spec import SweepSpec
from fcray.sweep.session import ray_session

QUICKSTART = Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
ROWS = 384
"""Requests: a shard's last answers do not fill a batch, which of 192 left 1.68 times of one actor."""

ASKED = 1.8


def main(rounds: int) -> None:
    spec = SweepSpec.read(QUICKSTART)
    examples = build(spec.data.model_copy(update={"train": 8, "test": ROWS})).test
    rates: dict[int, list[float]] = defaultdict(list)
    with ray_session():
        for _ in range(rounds):
            for actors in (1, 2):
                evaluation = spec.evaluation.model_copy(update={"actors": actors, "cpus": 1.0})
                config = PoolConfig(spec.model, evaluation, threads=1)
                pool = EvaluationPool(config, {"warm": examples[: 2 * actors], "test": examples})
                pool.wait_ready()
                pool.evaluate(None, "warm")
                began = time.perf_counter()
                outcomes = pool.evaluate(None, "test")
                rates[actors].append(len(outcomes) / (time.perf_counter() - began))
                pool.close()
                print(f"{actors}: {rates[actors][-1]:.3f} requests/s", file=sys.stderr, flush=True)
    one, two = (statistics.median(rates[actors]) for actors in (1, 2))
    figures = {
        "rounds": rounds,
        "requests": ROWS,
        "one actor on one core: requests a second": round(one, 3),
        "two actors on two cores: requests a second": round(two, 3),
    }
    ratio = two / one
    publish("pool", figures, [Target("times one actor", ratio, ASKED, ratio >= ASKED)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
