"""A node of a simulated cluster dies while it trains: another one takes the trial up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from fcray.spec import BudgetSpec
from tests.clusters import nodes
from tests.sweeps import Hooked, scored, swept

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(400)]


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    """A head without CPUs for trials, and two nodes with room for one trial each."""
    with nodes(2, head_cpus=0) as made:
        yield made


def test_a_node_that_dies_takes_no_trial_with_it(
    two_nodes: Cluster, tiny_folder: Path, tmp_path: Path
) -> None:
    def lose() -> str:
        """Kill the raylet of the node that trains."""
        (busy,) = (
            node["NodeID"]
            for node in ray.nodes()
            if node["Resources"].get("CPU")
            and ray._private.state.available_resources_per_node()[node["NodeID"]].get("CPU", 0) < 1
        )
        node = next(one for one in two_nodes.worker_nodes if one.node_id == busy)
        two_nodes.remove_node(node, allow_graceful=False)
        return busy

    reporter = Hooked(lose)
    (trial,) = swept(tiny_folder, tmp_path, reporter, budget=BudgetSpec(trials=1))
    assert reporter.result
    assert trial.status == "completed"
    assert [result.step for result in trial.results] == [2, 4, 8]
    assert trial.results[-1].begun in (2, 4)
    assert scored(reporter) == [(0, 2), (0, 4), (0, 8)]
