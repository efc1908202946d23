"""The pool on a simulated cluster: its actors spread, and a node that dies takes no shard with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.cluster_utils import Cluster

from fcray.dataset.build import build
from fcray.evaluation.pool import EvaluationPool, PoolConfig
from fcray.spec import EvaluationSpec, ModelSpec
from tests.clusters import nodes
from tests.dataset.catalogs import DATA, plain

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

NODES = 4


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with nodes(NODES - 1, head_cpus=1) as made:
        yield made


def alive() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def test_actors_spread_and_outlive_a_node(cluster: Cluster, tiny_folder: Path) -> None:
    examples = build(plain(DATA / "iot", DATA / "chat", train=8, validation=8, test=32)).test
    config = PoolConfig(
        ModelSpec(base=str(tiny_folder)),
        EvaluationSpec(actors=NODES, cpus=0.5, batch=4, max_tokens=8),
        storage="rounded",
        threads=1,
    )
    pool = EvaluationPool(config, {"test": examples})
    pool.wait_ready()
    expected = [outcome.text for outcome in pool.evaluate(None, "test")]
    places = [node for _, node in pool.places()]
    assert len(set(places)) == NODES
    worker = next(node for node in cluster.worker_nodes if node.node_id in places)
    cluster.remove_node(worker, allow_graceful=False)
    wait_for_condition(lambda: worker.node_id not in alive(), timeout=60)
    outcomes = pool.evaluate(None, "test")
    assert [outcome.example.id for outcome in outcomes] == [example.id for example in examples]
    assert [outcome.text for outcome in outcomes] == expected
    left = [node for _, node in pool.places()]
    assert len(left) == NODES
    assert worker.node_id not in left
    pool.close()
