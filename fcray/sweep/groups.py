"""Frees placement groups whose maker is dead, which Ray keeps until the whole job ends.

A trial that the scheduler stops, or whose driver dies, takes its Ray Train controller with it; the group of
that one stays, and the next trial would wait for its CPUs and GPUs for ever. Ray Train's own cleaner asks the
state API, which needs a dashboard and a token. Ray's table of groups knows which makers are dead, in a column
that no public function reads. Knows nothing of trials.
"""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.core.generated import gcs_pb2
from ray.util.placement_group import PlacementGroup, remove_placement_group

_Row: Any = gcs_pb2.PlacementGroupTableData  # type: ignore[attr-defined]  # made at run time, so types do not show it

PERIOD = 1.0
"""Seconds between two looks: each asks the cluster's head for all groups."""


def _groups() -> list[Any]:
    """The rows of those groups of this job that an actor made, that are not detached and not removed."""
    accessor = ray._private.state.state._connect_and_get_accessor()
    rows = map(_Row.FromString, accessor.get_placement_group_table())
    job = ray.get_runtime_context().get_job_id()
    removed = _Row.REMOVED
    return [
        row
        for row in rows
        if row.creator_job_id.hex() == job
        and not ray.ActorID(row.creator_actor_id).is_nil()
        and not row.is_detached
        and row.state != removed
    ]


def free_orphans() -> int:
    """Remove the groups of this job whose maker is dead; returns how many there were."""
    orphans = [row for row in _groups() if row.creator_actor_dead]
    for row in orphans:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(row.placement_group_id)))
    return len(orphans)


def free_all(patience: float) -> bool:
    """Wait until the makers of all of this job's groups are dead and free those; whether none is left.

    Parameters
    ----------
    patience: Seconds to wait at most.
    """
    deadline = time.monotonic() + patience
    while _groups():
        free_orphans()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Keeper:
    """Frees orphans, at most once in `PERIOD`."""

    def __init__(self) -> None:
        self._next = 0.0

    def look(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PERIOD
            free_orphans()
