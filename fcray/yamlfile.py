"""YAML read with line numbers, and checked against a pydantic model with errors that point at the line.

Knows nothing of what the files mean. Line numbers come from PyYAML's node graph (`yaml.compose`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import SafeConstructor

from fcray.errors import UserError

Location = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML has it: ten times as fast, which a catalog of a thousand tools needs."""

MOST_NESTED = 100
"""Levels of a document; libyaml's own composer would end the process at a few thousand."""


class YamlFile:
    """A parsed YAML document that remembers the line of every key.

    Attributes
    ----------
    path: The file it came from.
    data: The document as plain Python values.
    """

    def __init__(self, path: Path, data: Any, lines: dict[Location, int]) -> None:
        self.path = path
        self.data = data
        self._lines = lines

    @classmethod
    def read(cls, path: str | Path) -> YamlFile:
        """Read and parse `path`.

        Raises
        ------
        UserError: The file is missing, is not UTF-8, is not YAML, or repeats a key.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError("there is no such file", file=path) from None
        except IsADirectoryError:
            raise UserError("this is a folder, not a YAML file", file=path) from None
        except UnicodeDecodeError as error:
            raise UserError(f"not UTF-8 text (byte {error.start})", file=path) from None
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", file=path) from None
        try:
            _check_depth(text)
            node = yaml.compose(text, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            raise _invalid(error, path) from None
        except (yaml.YAMLError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"not valid YAML: {reason}", file=path) from None
        except RecursionError:
            raise UserError("not valid YAML: nested too deeply", file=path) from None
        lines: dict[Location, int] = {}
        try:
            if node is not None:
                _collect_lines(node, (), node.start_mark.line + 1, lines, path)
            data = None if node is None else SafeConstructor().construct_document(node)
        except RecursionError:
            raise UserError("not valid YAML: an anchor holds itself", file=path) from None
        except yaml.MarkedYAMLError as error:
            raise _invalid(error, path) from None
        except ValueError as error:
            raise UserError(f"not valid YAML: {error}", file=path) from None
        return cls(path, data, lines)

    def line(self, location: Location) -> int | None:
        """The line (from 1) of `location`, or of its nearest known parent."""
        while location:
            if location in self._lines:
                return self._lines[location]
            location = location[:-1]
        return self._lines.get(())

    def error(self, message: str, location: Location = ()) -> UserError:
        """A UserError that points into this file."""
        return UserError(
            message, file=self.path, line=self.line(location), field=dotted(location) or None
        )

    def validate(self, model: type[ModelT]) -> ModelT:
        """The document as a `model`.

        Raises
        ------
        UserError: The first field that does not fit, with its line and the nearest right name.
        """
        if not isinstance(self.data, dict):
            raise self.error("expected a mapping of fields at the top of the file")
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise self._first_problem(error, model) from None

    def _first_problem(self, error: ValidationError, model: type[BaseModel]) -> UserError:
        problems = error.errors(include_url=False)
        field = problems[0]["loc"][:2]
        first = max((p for p in problems if p["loc"][:2] == field), key=self._meant)
        location = self._path(first["loc"])
        if first["type"] == "missing":
            location = (*location, first["loc"][-1])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown field"
            known = _fields_at(model, location[:-1])
            close = difflib.get_close_matches(str(location[-1]), known, n=1)
            if close:
                message += f"; did you mean {close[0]!r}?"
            elif known:
                message += f"; known here: {', '.join(sorted(known))}"
        elif first["type"] == "missing":
            message = "this field is required"
        return self.error(message[0].lower() + message[1:], location)

    def _meant(self, problem: ErrorDetails) -> tuple[bool, bool, int]:
        """How surely a union's complaint is about the variant that was meant.

        A broken rule of a variant, then a wrong value inside one, then the deepest.
        """
        depth = len(self._path(problem["loc"]))
        fits = problem["type"] not in ("missing", "extra_forbidden")
        return problem["type"] == "value_error", fits and depth > 2, depth

    def _path(self, loc: Location) -> Location:
        """A pydantic location as a place in this document: without the names of a union's variants."""
        path: Location = ()
        for part in loc:
            if (*path, part) in self._lines:
                path = (*path, part)
        return path


def dotted(location: Location) -> str:
    """`("search", "rank", 0)` as `search.rank[0]`."""
    out = ""
    for part in location:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else str(part))
    return out


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_NESTED:
            raise RecursionError


def _invalid(error: yaml.MarkedYAMLError, path: Path) -> UserError:
    mark = error.problem_mark
    return UserError(
        f"not valid YAML: {error.problem}", file=path, line=mark.line + 1 if mark else None
    )


def _collect_lines(
    node: yaml.Node, at: Location, line: int, lines: dict[Location, int], path: Path
) -> None:
    lines[at] = line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if (*at, name) in lines:
                raise UserError(
                    "this key stands twice",
                    file=path,
                    line=key.start_mark.line + 1,
                    field=dotted((*at, name)),
                )
            _collect_lines(value, (*at, name), key.start_mark.line + 1, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*at, index), value.start_mark.line + 1, lines, path)


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """The field names of the models that may sit at `location` inside `model`."""
    current = [model]
    for part in location:
        if isinstance(part, int):  # a list's items are of the type that its field names
            continue
        fields = [one.model_fields[part] for one in current if part in one.model_fields]
        current = [found for field in fields for found in _models_in(field.annotation)]
    return [name for one in current for name in one.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a type names, directly or in a union, a list or a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
