"""Placement groups on a real local Ray: those of dead actors are freed, no others."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

from fcray.sweep import groups
from tests.sweeps import wait_for

pytestmark = pytest.mark.ray


@ray.remote(num_cpus=0)
class Maker:
    """What Ray Train's controller is: an actor that makes a group and may be killed before it says so."""

    def make(self, lifetime: str | None = None) -> PlacementGroup:
        self.group = placement_group([{"CPU": 0.01}], lifetime=lifetime)
        return self.group


def _is_there(group: PlacementGroup) -> bool:
    return placement_group_table(group).get("state", "REMOVED") != "REMOVED"


@pytest.mark.timeout(120)
def test_only_groups_of_the_dead_are_freed(ray_cluster: None) -> None:
    makers: list[Any] = [Maker.remote() for _ in range(3)]
    living, orphan, detached = ray.get(
        [
            maker.make.remote(life)
            for maker, life in zip(makers, (None, None, "detached"), strict=True)
        ]
    )
    own = placement_group([{"CPU": 0.01}])
    ray.get([group.ready() for group in (living, orphan, detached, own)])
    assert groups.free_orphans() == 0
    ray.kill(makers[1])
    ray.kill(makers[2])

    wait_for(lambda: groups.free_orphans() == 1, 30)
    wait_for(lambda: not _is_there(orphan), 30)
    assert groups.free_orphans() == 0
    assert all(map(_is_there, (living, detached, own)))

    assert not groups.free_all(0.2)  # one maker lives
    ray.kill(makers[0])
    assert groups.free_all(30)
    assert not _is_there(living)
    assert all(map(_is_there, (detached, own)))
    remove_placement_group(detached)
    remove_placement_group(own)


@pytest.mark.timeout(120)
def test_a_group_that_waits_for_room_is_freed_too(ray_cluster: None) -> None:
    maker: Any = Maker.remote()
    everything = placement_group([{"CPU": ray.cluster_resources()["CPU"]}])
    ray.get(everything.ready())
    waits = ray.get(maker.make.remote())
    ray.kill(maker)
    assert groups.free_all(30)
    assert not _is_there(waits)
    remove_placement_group(everything)


def test_the_keeper_looks_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [100.0], []
    monkeypatch.setattr(groups.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(groups, "free_orphans", lambda: looks.append(now[0]))
    keeper = groups.Keeper()
    for now[0] in (100.0, 100.5, 101.0, 101.1, 102.5):
        keeper.look()
    assert looks == [100.0, 101.0, 102.5]
