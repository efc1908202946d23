"""Several Ray nodes on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster


@contextmanager
def nodes(count: int, *, head_cpus: int) -> Iterator[Cluster]:
    """A head, and `count` nodes of one CPU each, which this process has joined."""
    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": head_cpus, "include_dashboard": False}
    )
    try:
        for _ in range(count):
            made.add_node(num_cpus=1)
        ray.init(address=made.address, log_to_driver=False)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
