"""Names that say nothing, so that a model reads descriptions and schemas rather than remembers names.

After Hammer (arxiv.org/abs/2410.04587): in some rows the tools and their arguments have random names. An
argument without a description gets its own name in words as one, or nothing would tell what it is. There
are a few sets of names, not one a row, so that masked rows share the prompt's beginning too. Pure and seeded.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fcray.dataset.derive import words_of
from fcray.tools import Example, Message, Tool, ToolCall

MASKS = 16
"""Different sets of names."""

_WORD = re.compile(r"[A-Za-z0-9_-]+")

MASKED = "masked template"
"""The generator of a row whose names are masked."""

_PLAIN = {"type", "properties", "required", "additionalProperties", "title", "description", "$defs"}
"""Keywords of a schema in which argument names stand as keys of `properties` and in `required` only."""


@dataclass(frozen=True)
class Mask:
    """One tool under another name."""

    tool: Tool
    arguments: Mapping[str, str]

    def call(self, call: ToolCall) -> ToolCall:
        renamed = {self.arguments.get(n, n): value for n, value in call.arguments.items()}
        return ToolCall(name=self.tool.name, arguments=renamed)


class Masks:
    """Masks a share of the rows.

    Parameters
    ----------
    seed, share: Which rows, and how many of them.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._masks: dict[tuple[str, int], Mask] = {}
        self._known: dict[str, tuple[Tool, Mask]] | None = None
        self._name = cache(self._random_name)

    def apply(self, example: Example) -> Example:
        """`example`, or the same with other names of tools and arguments."""
        rng = random.Random(f"{self._seed}/{example.id}/masked")
        if rng.random() >= self._share or not example.tools:
            return example
        number = rng.randrange(MASKS)
        masks = {tool.name: self._mask(tool, number) for tool in example.tools}
        return _renamed(example, masks, MASKED)

    def undone(self, example: Example, tools: Iterable[Tool]) -> Example | None:
        """The row that `apply` masked; None where its names are none of this seed's for `tools`."""
        if self._known is None:
            self._known = {
                mask.tool.name: (tool, mask)
                for tool in tools
                for mask in (self._mask(tool, number) for number in range(MASKS))
            }
        if any(tool.name not in self._known for tool in example.tools):
            return None
        found = {tool.name: self._known[tool.name] for tool in example.tools}
        back = {
            name: Mask(tool, {masked: bare for bare, masked in mask.arguments.items()})
            for name, (tool, mask) in found.items()
        }
        return _renamed(example, back, "template")

    def _mask(self, tool: Tool, number: int) -> Mask:
        key = (tool.name, number)
        if key not in self._masks:
            self._masks[key] = self._made(tool, number)
        return self._masks[key]

    def _made(self, tool: Tool, number: int) -> Mask:
        rng = random.Random(f"{self._seed}/mask/{number}/{tool.name}")
        schema = tool.parameters
        names = dict[str, str]()
        if schema.keys() <= _PLAIN and "#/properties" not in str(schema):
            for argument in tool.properties:
                names[argument] = _letters(rng, taken=set(names.values()))
        masked = {
            key: value for key, value in schema.items() if key not in ("properties", "required")
        }
        masked["properties"] = {
            names.get(name, name): _described(name, body) for name, body in tool.properties.items()
        }
        if "required" in schema:
            masked["required"] = [names.get(name, name) for name in tool.required]
        description = tool.description or " ".join(words_of(tool.name))
        # Not validated again: the schema differs in names only, and checking one takes milliseconds.
        made = Tool.model_construct(
            name=self._name(tool.name, number), description=description, parameters=masked
        )
        return Mask(made, names)

    def _random_name(self, name: str, number: int) -> str:
        # 26 ** 8 names: two tools of one row do not meet.
        return _letters(random.Random(f"{self._seed}/name/{number}/{name}"), size=8)


def _renamed(example: Example, masks: Mapping[str, Mask], generator: str) -> Example:
    def renamed(call: ToolCall) -> ToolCall:
        return masks[call.name].call(call) if call.name in masks else call

    response = example.response
    if example.origin.kind in ("unknown_tool", "irrelevant"):  # the answers that may name tools
        response = _WORD.sub(
            lambda word: masks[word[0]].tool.name if word[0] in masks else word[0], response
        )
    return example.model_copy(
        update={
            "messages": tuple(_message(message, renamed) for message in example.messages),
            "tools": tuple(masks[tool.name].tool for tool in example.tools),
            "calls": tuple(map(renamed, example.calls)),
            "response": response,
            "origin": example.origin.model_copy(update={"generator": generator}),
        }
    )


def _letters(rng: random.Random, *, taken: set[str] | None = None, size: int = 5) -> str:
    while True:
        name = "".join(rng.choices(string.ascii_lowercase, k=size))
        if name not in (taken or ()):
            return name


def _described(name: str, schema: Any) -> Any:
    """`schema` with the argument's own words in its description: without them from and to are alike."""
    if not isinstance(schema, dict):
        return schema
    words, told = " ".join(words_of(name)), schema.get("description", "")
    if all(word in told.lower() for word in words.split()):
        return schema
    return {**schema, "description": f"{words}: {told}" if told else words}


def _message(message: Message, renamed: Callable[[ToolCall], ToolCall]) -> Message:
    if not message.tool_calls:
        return message
    return message.model_copy(update={"tool_calls": tuple(map(renamed, message.tool_calls))})
