"""One small async actor through which a trial's workers talk to its Tune driver.

Ray Train's callbacks run in its controller, which is another process than the driver that reports to
Tune; Ray's own bridge can hang when Tune reads late. Here the driver alone calls `tune.report`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import ray


class _Mailbox:
    def __init__(self) -> None:
        self._boxes: defaultdict[int, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)

    async def put(self, number: int, letter: dict[str, Any]) -> None:
        self._boxes[number].put_nowait(letter)

    async def next(self, number: int) -> dict[str, Any]:
        return await self._boxes[number].get()

    async def drain(self, number: int) -> list[dict[str, Any]]:
        box = self._boxes.pop(number, None)
        return [box.get_nowait() for _ in range(box.qsize())] if box else []


class Mailbox:
    """A box for each trial number. Can be sent to other Ray processes."""

    def __init__(self) -> None:
        self._actor: Any = ray.remote(_Mailbox).options(num_cpus=0, max_concurrency=1000).remote()

    def put(self, number: int, letter: dict[str, Any]) -> None:
        """Deliver; returns when it has arrived."""
        ray.get(self._actor.put.remote(number, letter))

    def next(self, number: int) -> Any:
        """A reference to the next letter; it becomes ready when one comes."""
        return self._actor.next.remote(number)

    def drain(self, number: int) -> list[dict[str, Any]]:
        """What is left in the box, which is then gone."""
        letters: list[dict[str, Any]] = ray.get(self._actor.drain.remote(number))
        return letters

    def close(self) -> None:
        ray.kill(self._actor)
