"""Keeps what is served in step with a registry's aliases, so that a promotion is a change of names.

A version is loaded by every engine replica before a name stands for it, and forgotten long after the last
name has left it: requests under way end on the version with which they began, and until then it may be asked
for by its own name. What cannot be loaded is not served; the names stay as they were. Knows nothing of HTTP,
Ray or files.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from fcray.errors import FcrayError
from fcray.serving.backend import Backend
from fcray.serving.names import ModelNames

logger = logging.getLogger("ray.serve")


AGAIN = 60.0
"""Seconds until aliases that could not be served are tried again, if they have not changed before."""

Wanted = tuple[tuple[str, str], ...]


class Follower:
    """The names that are served now.

    Parameters
    ----------
    names: Those to begin with.
    read: The registry's aliases; called in a thread.
    backend: Whose replicas load and forget.
    every: Seconds between two looks at the registry.
    linger: Seconds that a version stays loaded when no name stands for it any more.

    Attributes
    ----------
    names: What may be asked for.
    """

    def __init__(
        self,
        names: ModelNames,
        read: Callable[[], Mapping[str, str]],
        backend: Backend,
        *,
        every: float,
        linger: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.names = names
        self._read = read
        self._backend = backend
        self._every = every
        self._linger = linger
        self._clock = clock
        self._left: dict[str, float] = {}
        self._refused: tuple[Wanted, float] = (), 0.0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.look()
            except Exception as error:  # whatever it was, the next look is another one
                logger.error("following the registry failed: %s", type(error).__name__)

    async def look(self) -> None:
        """Follow the registry by one step; what goes wrong is logged, and tried again at the next."""
        try:
            aliases = dict(await asyncio.to_thread(self._read))
        except (FcrayError, OSError) as error:
            logger.warning("the registry cannot be read: %s", error)
            return
        now = tuple(sorted(aliases.items()))
        refused, since = self._refused
        waits = refused == now and self._clock() - since < AGAIN
        if aliases and now != self.names.aliases and not waits:
            await self._follow(aliases, now)
        await self._forget()

    async def _follow(self, aliases: Mapping[str, str], wanted: Wanted) -> None:
        versions = frozenset(aliases.values())
        try:
            ModelNames.build(self.names.base, versions, aliases)
            await self._backend.load(sorted(versions))
        except FcrayError as error:
            self._refused = wanted, self._clock()
            logger.error("%s; the names stay as they were", error)
            return
        except Exception as error:  # a replica died meanwhile: the next look tries again
            logger.warning("versions were not loaded everywhere: %s", type(error).__name__)
            return
        now = self._clock()
        gone = self.names.versions - versions
        self._left = {version: self._left.get(version, now) for version in gone}
        self.names = ModelNames.build(self.names.base, versions | gone, aliases)
        logger.warning("aliases are now %s", ", ".join(f"{a}={v}" for a, v in wanted))

    async def _forget(self) -> None:
        gone = [v for v, since in self._left.items() if self._clock() - since >= self._linger]
        if not gone:
            return
        with suppress(Exception):  # a replica that died has forgotten; one that did not may keep it
            await self._backend.forget(gone)
        for version in gone:
            del self._left[version]
        names = self.names
        self.names = ModelNames.build(names.base, names.versions - {*gone}, dict(names.aliases))
