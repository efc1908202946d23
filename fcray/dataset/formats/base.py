"""What a format is, and where a row comes from.

A format turns one row of a foreign file into examples and one example into a row. Knows nothing of files,
and no format by name: the package says which there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fcray.dataset.formats.values import Note, Row, RowError, checked
from fcray.tools import Example, Tool


@dataclass
class Source:
    """Where a row comes from, and what its format leaves to other files.

    Attributes
    ----------
    number: Position of the row in its file, from 0; part of ids that the row itself lacks.
    catalog: Tools that rows refer to by name, for formats whose rows do not carry them.
    answers: Gold answers by row id, for formats that keep them apart (BFCL).
    notes: What is wrong with the row although it could be read; readers append to it.
    """

    name: str
    number: int = 0
    domain: str = "imported"
    catalog: Mapping[str, Tool] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


class Format(ABC):
    """One foreign row format.

    Attributes
    ----------
    title: What it is, in a few words for a table.
    columns: Those by which its rows are told from other formats'.
    apart: A column that the format keeps in a file of its own beside the rows, by their ids.
    """

    name: str
    title: str
    columns: frozenset[str]
    apart: str = ""

    def read(self, row: Row, source: Source) -> list[Example]:
        """The examples of a row, one a gold answer.

        Raises
        ------
        RowError: The row is not of this format, or holds what is no JSON.
        """
        for column, value in row.items():
            checked(column, "a column's name")
            checked(value, column)
        if other := self._other(row):
            raise RowError(f"this is a row of the format {other}, not {self.name}")
        return self._read(row, source)

    def _other(self, row: Row) -> str | None:
        """The name of another format that a row clearly is of."""
        own, has = self.columns, row.keys()
        for other in FORMATS.values():
            columns = other.columns
            # None of its columns may speak for this format alone; a reader says better what is absent then.
            if columns != own and columns <= has and own & has <= columns:
                return other.name
        return None

    @abstractmethod
    def _read(self, row: Row, source: Source) -> list[Example]:
        """`read` of a row whose values are JSON and whose columns may be this format's."""

    @abstractmethod
    def write(self, example: Example) -> Row:
        """The row that holds `example`.

        Raises
        ------
        RowError: What would be left of it would be wrong.
        """


FORMATS: dict[str, Format] = {}
"""The formats that there are, by their names; the package fills it."""
