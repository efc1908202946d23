"""One small async actor through which a trial's workers talk to its Tune driver.

Ray Train's callbacks run in its controller, which is another process than the driver that reports to
Tune; Ray's own bridge can hang when Tune reads late. Here the driver alone calls `tune.report`. Letters stay
in their boxes, so that a driver that died is followed by one that reads them all again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class _Mailbox:
    def __init__(self) -> None:
        self._boxes: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        self._came = asyncio.Condition()

    async def put(self, number: int, letter: dict[str, Any]) -> None:
        async with self._came:
            self._boxes[number].append(letter)
            self._came.notify_all()

    async def letter(self, number: int, index: int) -> dict[str, Any]:
        async with self._came:
            await self._came.wait_for(lambda: len(self._boxes[number]) > index)
        return self._boxes[number][index]

    async def letters(self, number: int, start: int) -> list[dict[str, Any]]:
        return self._boxes[number][start:]


class Mailbox:
    """A box for each trial number. Can be sent to other Ray processes."""

    def __init__(self) -> None:
        # Where the caller is: a node that dies must not take other nodes' letters with it.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        made = ray.remote(_Mailbox).options(
            num_cpus=0, max_concurrency=1000, scheduling_strategy=here
        )
        self._actor: Any = made.remote()

    def put(self, number: int, letter: dict[str, Any]) -> None:
        """Deliver; returns when it has arrived."""
        ray.get(self._actor.put.remote(number, letter))

    def letter(self, number: int, index: int) -> Any:
        """A reference to a trial's letter, counted from 0; it becomes ready when that one comes."""
        return self._actor.letter.remote(number, index)

    def letters(self, number: int, start: int) -> list[dict[str, Any]]:
        """Those that are there, from the one with number `start`."""
        found: list[dict[str, Any]] = ray.get(self._actor.letters.remote(number, start))
        return found

    def close(self) -> None:
        ray.kill(self._actor)
