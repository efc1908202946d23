"""Names follow a registry: loaded first, then named, and forgotten long after."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from fcray.errors import FcrayError
from fcray.serving.follow import Follower
from fcray.serving.names import ModelNames

from .fakes import FakeBackend

FIRST = ModelNames.build("base", ["call_v1"], {"champion": "call_v1"})


class Stage:
    """A registry, a backend, a clock, and a follower of the one for the other."""

    def __init__(self) -> None:
        self.aliases: Mapping[str, str] | Exception = {"champion": "call_v1"}
        self.backend = FakeBackend()
        self.now = 0.0
        self.follower = Follower(
            FIRST, self._read, self.backend, every=0.001, linger=10, clock=lambda: self.now
        )

    def _read(self) -> Mapping[str, str]:
        if isinstance(self.aliases, Exception):
            raise self.aliases
        return self.aliases

    def look(self, **aliases: str) -> ModelNames:
        if aliases:
            self.aliases = aliases
        asyncio.run(self.follower.look())
        return self.follower.names


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_nothing_happens_while_nothing_changes(stage: Stage) -> None:
    assert stage.look() is FIRST
    assert stage.backend.loaded == []


def test_a_promotion(stage: Stage) -> None:
    names = stage.look(champion="call_v2", candidate="call_v3")
    assert names.aliases == (("candidate", "call_v3"), ("champion", "call_v2"))
    assert names.versions == {"call_v1", "call_v2", "call_v3"}  # the first as long as it lingers
    assert stage.backend.loaded == [["call_v2", "call_v3"]]
    assert names.resolve("champion") == ("call_v2", "call_v2")
    stage.look()
    assert len(stage.backend.loaded) == 1


def test_a_version_is_named_only_once_it_is_loaded(stage: Stage) -> None:
    async def load(versions: Sequence[str]) -> None:
        assert stage.follower.names is FIRST

    stage.backend.load = load  # type: ignore[method-assign]
    assert stage.look(champion="call_v2").resolve("champion") == ("call_v2", "call_v2")


def test_what_no_name_stands_for_is_forgotten_after_a_while(stage: Stage) -> None:
    stage.look(champion="call_v2")
    stage.now = 9
    stage.look()
    assert stage.backend.forgotten == []
    stage.now = 10
    stage.look()
    assert stage.backend.forgotten == [["call_v1"]]
    assert stage.follower.names.versions == {"call_v2"}
    stage.now = 99
    stage.look()
    assert len(stage.backend.forgotten) == 1


def test_what_is_named_again_meanwhile_is_not_forgotten(stage: Stage) -> None:
    stage.look(champion="call_v2")
    stage.now = 5
    stage.look(champion="call_v1")
    stage.now = 12
    stage.look()
    assert stage.backend.forgotten == []
    stage.now = 16
    stage.look()
    assert stage.backend.forgotten == [["call_v2"]]


def test_what_cannot_be_loaded_is_not_served(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    async def load(versions: Sequence[str]) -> None:
        tries.append(list(versions))
        raise FcrayError("call_v2 is torn")

    stage.backend.load = load  # type: ignore[method-assign]
    assert stage.look(champion="call_v2") is FIRST
    assert "call_v2 is torn; the names stay as they were" in caplog.text
    assert stage.look() is FIRST
    assert len(tries) == 1  # it is as torn as before
    assert stage.look(champion="call_v3") is FIRST
    assert len(tries) == 2
    stage.now = 61
    assert stage.look() is FIRST
    assert len(tries) == 3


def test_what_lingers_is_forgotten_also_while_a_version_is_refused(stage: Stage) -> None:
    stage.look(champion="call_v2")
    stage.backend.error = FcrayError("call_v3 is torn")
    stage.now = 9
    stage.look(champion="call_v3")
    stage.now = 11
    stage.look()
    assert stage.backend.forgotten == [["call_v1"]]
    assert dict(stage.follower.names.aliases) == {"champion": "call_v2"}


def test_a_replica_that_dies_meanwhile_is_tried_again(stage: Stage) -> None:
    stage.backend.error = RuntimeError("gone")
    assert stage.look(champion="call_v2") is FIRST
    stage.backend.error = None
    assert dict(stage.look().aliases) == {"champion": "call_v2"}


def test_a_registry_that_does_not_answer_changes_nothing(stage: Stage) -> None:
    for error in (FcrayError("s3://x cannot be read"), OSError("gone")):
        stage.aliases = error
        assert stage.look() is FIRST
    stage.aliases = {}
    assert stage.look() is FIRST
    assert "call_v2" in stage.look(champion="call_v2").versions


def test_it_looks_again_and_again(stage: Stage) -> None:
    async def follow() -> None:
        task = asyncio.create_task(stage.follower.run())
        stage.aliases = {"champion": "call_v2"}
        async with asyncio.timeout(20):
            while stage.follower.names is FIRST:
                await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(follow())
    assert "call_v2" in stage.follower.names.versions
