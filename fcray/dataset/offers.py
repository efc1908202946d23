"""Which tools a row is offered: those that it needs, and others that it must not be led astray by.

Half of the others are the most alike by their words. There are a few sets a tool, not one a row, so that
rows still share the prompt's beginning. Pure and seeded; knows nothing of what a row says.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, cached_property

from fcray.tools import Tool

SETS = 8
"""Different sets of other tools that one tool is offered with, for each number of them."""

NEAREST = 6
"""How many tools count as the most alike."""

_WORD = re.compile(r"[a-z]+|[\u3400-\u9fff]")
_COMMON = 200
"""A word in more tools than this tells nothing; leaving it out keeps ten thousand tools quick."""


class Offers:
    """Hands out sets of tools.

    Parameters
    ----------
    tools: All that may be offered, in the catalog's order.
    counts: How many tools a row is offered besides those that it needs, one drawn a row; None: all.
    seed: Chooses them.
    """

    def __init__(self, tools: Sequence[Tool], counts: Sequence[int | None], seed: int) -> None:
        self._tools = tuple(tools)
        self._counts = tuple(counts)
        self._seed = seed
        self._by_name = {tool.name: tool for tool in tools}
        self._near = cache(self._nearest)
        self._some = cache(self._set)

    def of(
        self, identity: str, needed: Sequence[str], *, without: str = "", alike: bool = True
    ) -> tuple[Tool, ...]:
        """The tools of the row `identity`.

        Parameters
        ----------
        needed: Tools that must be there; names of none of the tools are passed over.
        without: A tool that must not be there, nor any that might do in its place.
        alike: Whether tools that are like the ones needed may be there.
        """
        rng = random.Random(f"{self._seed}/{identity}/offered")
        count = rng.choice(self._counts)
        known = tuple(name for name in needed if name in self._by_name)
        if count is None:
            out = self._out(known, without, alike)
            return tuple(tool for tool in self._tools if tool.name not in out)
        # Where nothing is to be called there is something that could be.
        count = max(count, 0 if known else 1)
        return self._some(known, without, alike, count, rng.randrange(SETS))

    def _out(self, needed: Sequence[str], without: str, alike: bool) -> set[str]:
        """Tools that must not be there; the least alike of them stays where nothing else would."""
        out = {other for name in needed if not alike for other in self._near(name)} - {*needed}
        if without in self._by_name:
            near = self._near(without)
            left = len(self._tools) - 1 - len(near)
            out |= {without, *(near if left else near[:-1])}
        return out

    def _set(
        self, needed: tuple[str, ...], without: str, alike: bool, count: int, number: int
    ) -> tuple[Tool, ...]:
        rng = random.Random(f"{self._seed}/offered/{needed}/{without}/{alike}/{count}/{number}")
        out = {*needed, *self._out(needed, without, alike)}
        like = [other for name in needed for other in self._near(name)]
        near = [name for name in dict.fromkeys(like) if name not in out]
        chosen = rng.sample(near, min(len(near), math.ceil(count / 2)))
        out.update(chosen)
        others = [tool.name for tool in self._tools if tool.name not in out]
        chosen += rng.sample(others, min(len(others), count - len(chosen)))
        names = [*needed, *chosen]
        rng.shuffle(names)
        return tuple(self._by_name[name] for name in names)

    def _nearest(self, name: str) -> tuple[str, ...]:
        """The tools whose name, description and arguments share the most telling words with one."""
        words = self._words.get(name)
        scores: defaultdict[str, float] = defaultdict(float)
        for word in sorted(words or ()):
            holders = self._holders[word]
            if len(holders) <= max(_COMMON, len(self._tools) // 20):
                for other in holders:
                    scores[other] += math.log(len(self._tools) / len(holders)) / len(
                        self._words[other]
                    )
        scores.pop(name, None)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return tuple(other for other, score in best[:NEAREST] if score > 0)

    @cached_property
    def _words(self) -> dict[str, set[str]]:
        return {tool.name: _words_of(tool) for tool in self._tools}

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        holders: defaultdict[str, list[str]] = defaultdict(list)
        for name, words in self._words.items():
            for word in words:
                holders[word].append(name)
        return holders


def _words_of(tool: Tool) -> set[str]:
    text = " ".join([tool.name, tool.description, *tool.properties])
    return set(_WORD.findall(text.lower()))
