"""Planned rows, each in a few bytes: the kind it is meant to be of, and the fillings that it is made of.

Knows nothing of how rows are chosen or made.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from copy import copy
from typing import NamedTuple, overload

from fcray.dataset.templates import Pick, Template


class Drawn(NamedTuple):
    """A row to be: its kind, and one filling or two."""

    kind: str
    picks: tuple[Pick, ...]


class Rows(Sequence[Drawn]):
    """The rows of a split: 25 bytes each and 4 for its place, however much text they stand for."""

    def __init__(self) -> None:
        self._kinds: list[str] = []
        self._templates: list[Template] = []
        self._numbers: dict[int, int] = {}
        self._kind = array("B")
        self._first, self._second = array("I"), array("I")  # a template's number and 1; 0: none
        self._first_filling, self._second_filling = array("Q"), array("Q")
        self._order: Sequence[int] | None = None

    def append(self, kind: str, picks: Sequence[Pick]) -> int:
        """Add a row; its position."""
        if kind not in self._kinds:
            self._kinds.append(kind)
        self._kind.append(self._kinds.index(kind))
        first, second = picks[0], picks[1] if len(picks) > 1 else None
        self._first.append(self._number(first.template))
        self._first_filling.append(first.number)
        self._second.append(self._number(second.template) if second else 0)
        self._second_filling.append(second.number if second else 0)
        return len(self._kind) - 1

    def _number(self, template: Template) -> int:
        # By identity: a template can have a twin with other values.
        number = self._numbers.setdefault(id(template), len(self._templates) + 1)
        if number > len(self._templates):
            self._templates.append(template)
        return number

    def in_order(self, positions: Iterable[int]) -> Rows:
        """The rows at these positions, one after the other; what they are made of is shared."""
        found = copy(self)
        found._order = array("I", positions)
        return found

    def __len__(self) -> int:
        return len(self._kind if self._order is None else self._order)

    @overload
    def __getitem__(self, index: int) -> Drawn: ...
    @overload
    def __getitem__(self, index: slice) -> list[Drawn]: ...
    def __getitem__(self, index: int | slice) -> Drawn | list[Drawn]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index if self._order is None else self._order[index]
        picks = [Pick(self._templates[self._first[at] - 1], self._first_filling[at])]
        if self._second[at]:
            picks.append(Pick(self._templates[self._second[at] - 1], self._second_filling[at]))
        return Drawn(self._kinds[self._kind[at]], tuple(picks))
