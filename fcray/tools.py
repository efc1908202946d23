"""The vocabulary of function calling: tools, calls, messages and examples.

Shapes follow OpenAI's chat API (github.com/openai/openai-openapi). Knows nothing of models,
prompts or files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, field_validator
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""OpenAI's rule for function names."""

Language = Literal["zh", "en"]
Role = Literal["system", "user", "assistant", "tool"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(_Frozen):
    """A function that the model may call: its name, what it does, and a JSON Schema of its arguments."""

    name: str = Field(pattern=TOOL_NAME)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})

    @field_validator("parameters")
    @classmethod
    def _is_object_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type", "object") != "object":
            raise ValueError(f"parameters must be a schema of type object, not {value['type']!r}")
        try:
            jsonschema.Draft202012Validator.check_schema(value)
        except jsonschema.SchemaError as error:
            at = "/".join(str(part) for part in error.absolute_path)
            raise ValueError(
                f"not a valid JSON Schema{f' at {at}' if at else ''}: {error.message}"
            ) from None
        missing = [n for n in value.get("required", []) if n not in value.get("properties", {})]
        if missing:
            raise ValueError(f"required names {missing[0]!r}, which is not among the properties")
        _check_references(value)
        return value

    @property
    def properties(self) -> dict[str, Any]:
        """Argument name → its schema, in the declared order."""
        return dict(self.parameters.get("properties", {}))

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.parameters.get("required", ()))

    def to_openai(self) -> dict[str, Any]:
        """The entry of OpenAI's `tools` list."""
        return {"type": "function", "function": self.model_dump()}

    def problems(self, arguments: dict[str, Any]) -> list[str]:
        """What is wrong with `arguments` by this tool's schema (Draft 2020-12); empty when nothing is."""
        return [error.message for error in self.violations(arguments)]

    def violations(self, arguments: dict[str, Any]) -> list[jsonschema.ValidationError]:
        """`problems` with what jsonschema knows of each: its keyword, its place."""
        # With a registry of its own jsonschema fetches nothing, whatever a schema refers to.
        validator = jsonschema.Draft202012Validator(self.parameters, registry=Registry())
        return list(validator.iter_errors(arguments))

    def ordered(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """`arguments` in the schema's order: the order that is trained and that the grammar allows."""
        ordered: dict[str, Any] = _ordered(arguments, self.parameters)
        return ordered


def _check_references(schema: dict[str, Any]) -> None:
    """Every `$ref` must lead somewhere inside the schema: nothing is fetched.

    Raises
    ------
    ValueError: One does not.
    """
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver()
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise ValueError(f"$ref {reference!r} leads nowhere inside the schema") from None


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(keyword), str):
                yield schema[keyword]
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)


def _ordered(value: Any, schema: Any) -> Any:
    """`value` with the keys of its objects in the order of `schema`'s properties, at every depth."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        return [_ordered(one, schema.get("items")) for one in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    known = {k: _ordered(value[k], properties[k]) for k in properties if k in value}
    return known | {k: v for k, v in value.items() if k not in known}


class ToolCall(_Frozen):
    """One call: which function, with which arguments."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Message(_Frozen):
    """One turn of a conversation. An assistant turn may hold text, calls, or both."""

    role: Role
    content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class Origin(_Frozen):
    """Where an example came from, so that scores can be split and a bad row traced."""

    generator: str
    template: str = ""
    seed: int = 0
    language: Language
    domain: str
    kind: str


class Example(_Frozen):
    """A request with its gold answer: calls, or none and a plain response.

    Attributes
    ----------
    messages: The conversation so far; the last turn is what the model must answer.
    tools: What the model is offered.
    calls: Gold calls in order; empty when none is right.
    response: The gold text where there is no call, or what is said beside one.
    """

    id: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    calls: tuple[ToolCall, ...] = ()
    response: str = ""
    origin: Origin

    @property
    def request(self) -> str:
        """The text of the last user turn."""
        return next((m.content or "" for m in reversed(self.messages) if m.role == "user"), "")


class ToolCatalog(Sequence[Tool]):
    """Tools in a fixed order, by name or by position; names are unique."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = tuple(tools)
        self._by_name = {tool.name: tool for tool in self._tools}
        if len(self._by_name) != len(self._tools):
            names = [tool.name for tool in self._tools]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two tools are named {twice!r}")

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __getitem__(self, key: Any) -> Any:
        return self._by_name[key] if isinstance(key, str) else self._tools[key]

    def __contains__(self, item: object) -> bool:
        """Whether a name, or this very tool, is among them."""
        if isinstance(item, Tool):
            own = self._by_name.get(item.name)
            return own is item or own == item
        return item in self._by_name

    def get(self, name: str) -> Tool | None:
        """The tool of this name, if there is one."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)


def referenced(reference: str, root: Any) -> Any:
    """What a `$ref` such as `#/$defs/point` leads to in the schema `root`: a JSON pointer (RFC 6901).

    Lists are not entered: what stands in one has no name.

    Returns
    -------
    `{}`, which says nothing, where a name is missing; None where one is asked of what is no object.
    """
    if reference == "#":
        return root
    for part in reference.removeprefix("#/").split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        root = root.get(name, {}) if isinstance(root, Mapping) else None
    return root


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no ASCII escapes, no spaces. For hashes and keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
