"""Whether a process has room on a cluster, also on one whose nodes come when they are needed."""

from __future__ import annotations

import pytest

from fcray.errors import UserError
from fcray.sweep import session

Node = dict[str, float]
HEAD: Node = {"CPU": 8.0}
A100: Node = {"CPU": 96.0, "GPU": 8.0}


def room(
    monkeypatch: pytest.MonkeyPatch,
    there: list[Node],
    may_come: list[tuple[Node, int]],
    *,
    cpus: float = 8,
    gpus: float = 1,
    slots: int = 100,
) -> int:
    nodes = [{"Alive": True, "Resources": node} for node in there]
    nodes.append({"Alive": False, "Resources": {"CPU": 999.0, "GPU": 99.0}})
    monkeypatch.setattr(session.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(session, "_autoscaled", lambda: may_come)

    def error(name: str, message: str) -> UserError:
        return UserError(message, field=name)

    return session.check_room(cpus, gpus, slots, error)


def test_slots_are_those_of_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert room(monkeypatch, [HEAD, A100, A100], []) == 16
    assert room(monkeypatch, [HEAD, A100], [], slots=3) == 3
    assert room(monkeypatch, [HEAD], [], cpus=3, gpus=0) == 2


def test_nodes_that_may_come_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert room(monkeypatch, [HEAD], [(HEAD, 1), (A100, 4)]) == 32
    assert room(monkeypatch, [HEAD, A100], [(HEAD, 1), (A100, 4)]) == 32
    assert room(monkeypatch, [HEAD], [(A100, -1)], slots=7) == 7


def test_what_no_node_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="gpus: 1 GPUs are asked for, the largest node has 0"):
        room(monkeypatch, [HEAD], [])
    with pytest.raises(UserError, match="gpus: 9 GPUs are asked for, the largest node has 8"):
        room(monkeypatch, [HEAD], [(A100, 4)], gpus=9)
    with pytest.raises(UserError, match="gpus: 1 GPUs are asked for, the largest node has 0"):
        room(monkeypatch, [HEAD], [(A100, 0)])
