"""YAML and JSON with line numbers, checked against a pydantic model with errors that point at the line.

Knows nothing of what the files mean. YAML's line numbers come from PyYAML's node graph (`yaml.compose`),
those of JSON from its tokens: YAML does not know all of JSON (surrogate pairs, 1e5).
"""

from __future__ import annotations

import codecs
import difflib
import json
import math
import re
from collections.abc import Iterator
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

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"\s]+')
_READ_AS_TEXT = {f"tag:yaml.org,2002:{of}" for of in ("bool", "int", "float", "null", "timestamp")}
"""What YAML takes keys such as `on`, `no` and `200` for; they are names, as they are in JSON."""


class YamlFile:
    """A parsed YAML or JSON document that remembers the line of every key.

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
        """Read and parse `path`: as JSON where it is named so, or is JSON; else as YAML.

        Raises
        ------
        UserError: The file is missing, is not UTF-8, is neither YAML nor JSON, or repeats a key.
        """
        path = Path(path)
        try:
            raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        except FileNotFoundError:
            raise UserError("there is no such file", file=path) from None
        except IsADirectoryError:
            raise UserError("this is a folder, not a file", file=path) from None
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", file=path) from None
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            message = f"not UTF-8 text (byte {error.start})"
            raise UserError(message, file=path, line=line) from None
        if path.suffix == ".json":
            return cls(path, *_read_json(text, path))
        if text.lstrip()[:1] in ("{", "["):
            try:
                return cls(path, *_read_json(text, path))
            except _NotJSON:
                pass  # YAML in flow style begins like it
        return cls(path, *_read_yaml(text, path))

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
        place = problems[0]["loc"]
        # What follows a top-level field may be the name of a union's variant: all of them are meant.
        depth = 1 if len(self._path(place)) == 1 and problems[0]["type"] != "missing" else 2
        first = max((p for p in problems if p["loc"][:depth] == place[:depth]), key=self._meant)
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


class _NotJSON(UserError):
    """A text that is no JSON; it may still be YAML."""


def _read_json(text: str, path: Path) -> tuple[Any, dict[Location, int]]:
    """The values of a JSON text, and the line of each."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[0].lower()}{error.msg[1:]} (column {error.colno})"
        raise _NotJSON(f"not valid JSON: {reason}", file=path, line=error.lineno) from None
    except RecursionError:
        raise UserError("not valid JSON: nested too deeply", file=path, line=1) from None
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"not valid JSON: {error}", file=path) from None
    return data, _json_lines(text, path)


def _json_lines(text: str, path: Path) -> dict[Location, int]:
    """The line of every place in a text that Python takes for JSON; what only Python takes is an error."""
    lines: dict[Location, int] = {}
    tokens = _json_tokens(text)

    def fault(message: str, line: int, at: Location) -> UserError:
        return UserError(message, file=path, line=line, field=dotted(at) or None)

    def text_of(token: str, line: int, at: Location) -> str:
        text: str = json.loads(token)
        if "\\u" in token and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise fault("not valid JSON: half of a surrogate pair stands alone", line, at)
        return text

    def value(at: Location, token: str, line: int, named_at: int) -> None:
        lines[at] = named_at
        if len(at) > MOST_NESTED:
            raise fault("not valid JSON: nested too deeply", line, ())
        if token == "{":
            for key, key_line in tokens:
                if key == "}":
                    return
                if key == ",":
                    continue
                place = (*at, text_of(key, key_line, at))
                if place in lines:
                    raise fault("this key stands twice", key_line, place)
                next(tokens)  # the colon
                value(place, *next(tokens), key_line)
        elif token == "[":
            index = 0
            for item, item_line in tokens:
                if item == "]":
                    return
                if item != ",":
                    value((*at, index), item, item_line, item_line)
                    index += 1
        elif token[0] == '"':
            text_of(token, line, at)
        elif token not in ("true", "false", "null") and not math.isfinite(float(token)):
            message = f"not valid JSON: {token} is no number, or too large"
            raise _NotJSON(message, file=path, line=line, field=dotted(at) or None)

    token, line = next(tokens)
    value((), token, line, line)
    return lines


def _json_tokens(text: str) -> Iterator[tuple[str, int]]:
    line, counted = 1, 0
    for match in _JSON_TOKEN.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        yield match[0], line


def _read_yaml(text: str, path: Path) -> tuple[Any, dict[Location, int]]:
    """The values of a YAML text, and the line of each."""
    lines: dict[Location, int] = {(): 1}
    try:
        _check_depth(text, path)
        node = yaml.compose(text, Loader=LOADER)
        if node is None:
            return None, lines
        _collect_lines(node, (), node.start_mark.line + 1, lines, path)
        return _Constructor().construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else None
        raise UserError(f"not valid YAML: {error.problem}", file=path, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not valid YAML: the character {error.character:#06x} may not stand in it"
        raise UserError(message, file=path, line=line) from None


class _Constructor(SafeConstructor):
    """Says where a value is that cannot be, such as the 30th of February."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # the latter two: !!bool maybe
            reason = str(error) if isinstance(error, ValueError) else f"this is no {node.tag}"
            raise yaml.MarkedYAMLError(None, None, reason, node.start_mark) from None


def _check_depth(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_NESTED:
            mark = event.start_mark
            line = mark.line + 1 if mark else None
            raise UserError("not valid YAML: nested too deeply", file=path, line=line)


def _collect_lines(
    node: yaml.Node, at: Location, line: int, lines: dict[Location, int], path: Path
) -> None:
    lines[at] = line
    if len(at) > MOST_NESTED:  # the text itself is not that deep
        raise yaml.MarkedYAMLError(None, None, "an anchor holds itself", node.start_mark)
    if isinstance(node, yaml.MappingNode):
        node.value = [(_as_name(key), value) for key, value in node.value]
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


def _as_name(key: yaml.Node) -> yaml.Node:
    """A key that YAML reads as a number, a truth value or a day, as the text that it is."""
    if key.tag not in _READ_AS_TEXT:
        return key
    return yaml.ScalarNode("tag:yaml.org,2002:str", key.value, key.start_mark, key.end_mark)


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
