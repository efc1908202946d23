"""What a format is, and the small parts that several share.

A format turns one row of a foreign file into examples and one example into a row. What it cannot hold
is found by reading back what was written, never by a list kept by hand. Knows nothing of files.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError
from referencing.exceptions import Unresolvable

from fcray.dataset.speech import is_chinese
from fcray.errors import first_problem
from fcray.tools import (
    Example,
    Language,
    Message,
    Origin,
    Tool,
    ToolCall,
    canonical_json,
)

Row = dict[str, Any]

MOST_DEPTH = 100
"""How deep a row may be nested; what pydantic and the JSON writer can go through is not much more."""

MOVED = "system message, moved into the query"
"""What a format without a place for instructions loses of them."""

COLUMNS: Mapping[str, frozenset[str]] = {
    "fcray": frozenset({"messages", "calls", "origin"}),
    "openai": frozenset({"messages"}),
    "sharegpt": frozenset({"conversations"}),
    "alpaca": frozenset({"instruction"}),
    "hermes": frozenset({"conversations"}),
    "xlam": frozenset({"query", "answers"}),
    "bfcl": frozenset({"question", "function"}),
    "seal": frozenset({"query", "calling"}),
}
"""The columns by which a row of each format is told from the others'."""


class Note(NamedTuple):
    """What is wrong with a row that could be read: of what kind, for counting, and in words."""

    kind: str
    text: str


class RowError(ValueError):
    """A row cannot be read, or cannot be written; the message is the reason."""


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
    apart: A column that the format keeps in a file of its own beside the rows, by their ids.
    """

    name: str
    title: str
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
        if other := _belongs(row, self.name):
            raise RowError(f"this is a row of the format {other}, not {self.name}")
        return self._read(row, source)

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


def _belongs(row: Row, name: str) -> str | None:
    """The format that a row clearly is of, where that is not the one of this name."""
    own, has = COLUMNS[name], row.keys()
    for other, columns in COLUMNS.items():
        # None of its columns may speak for this format alone; a reader says better what is absent then.
        if columns != own and columns <= has and own & has <= columns:
            return other
    return None


def checked(value: Any, what: str) -> Any:
    """`value`, which JSON can hold as it is.

    Raises
    ------
    RowError: It cannot; the message names `what`.
    """
    _check(value, what, MOST_DEPTH)
    return value


def _check(value: Any, what: str, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise RowError(f"{what} holds half of a character (a lone surrogate), which is no text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise RowError(f"{what} holds {value}, which is no JSON number")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise RowError(f"{what} is nested more than {MOST_DEPTH} deep")
        inner = value if isinstance(value, list) else (*value, *value.values())
        for one in inner:
            _check(one, what, depth - 1)
    elif value is not None and not isinstance(value, int):
        raise RowError(f"{what} holds a {type(value).__name__}, which is no JSON value")


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def language_of(text: str) -> Language:
    """`zh` where there is a Chinese character, else `en`."""
    return "zh" if is_chinese(text) else "en"


def loads(text: Any, what: str) -> Any:
    """JSON inside a row.

    Raises
    ------
    RowError: `text` is not JSON; the message names `what`.
    """
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RowError(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise RowError(f"{what} is nested more than {MOST_DEPTH} deep") from None
    return checked(value, what)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def text_of(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowError(f"{what} is not a text")
    return value


def listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowError(f"{what} is not a list")
    return value


def mapped(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RowError(f"{what} is not an object")
    return value


def safe_name(name: str) -> str:
    """`name` by OpenAI's rule: what may not stand in it is an underscore (as BFCL's runners do to dots)."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]


def read_call(value: Any, what: str = "a call") -> ToolCall:
    """`{"name": …, "arguments": {…} or its JSON text}`."""
    value = mapped(value, what)
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise RowError(f"{what} names no function")
    arguments = value.get("arguments", {})
    if arguments in (None, ""):
        arguments = {}
    return ToolCall(
        name=safe_name(name),
        arguments=mapped(loads(arguments, f"{what}'s arguments"), f"{what}'s arguments"),
    )


def read_calls(value: Any, what: str = "a call") -> tuple[ToolCall, ...]:
    """One call or a list of them."""
    if value is None:
        return ()
    return tuple(read_call(one, what) for one in (value if isinstance(value, list) else [value]))


def call_value(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def read_tool(value: Any, notes: list[Note]) -> Tool:
    """A tool in OpenAI's shape, wrapped (`type: function`) or bare, with what people leave out put right.

    Raises
    ------
    RowError: It stays invalid.
    """
    value = mapped(value, "a tool")
    if "function" in value:
        value = mapped(value["function"], "a tool")
    name = value.get("name")
    parameters = value.get("parameters") or {"type": "object", "properties": {}}
    parameters = dict(mapped(parameters, f"the parameters of {name!r}"))
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})
    drop_undescribed(name, parameters, notes)
    return make_tool(name, value.get("description"), parameters, notes)


def drop_undescribed(name: Any, parameters: dict[str, Any], notes: list[Note]) -> None:
    """Take arguments that are required but not described out of `parameters`, and note them."""
    properties, required = parameters.get("properties"), parameters.get("required", [])
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    # What is no name at all is left for the schema's own check to refuse.
    absent = [one for one in required if isinstance(one, str) and one not in properties]
    if absent:
        text = f"{name} requires {absent[0]!r}, which it does not describe"
        notes.append(Note("required, not described", text))
        parameters["required"] = [one for one in required if one not in absent]


def make_tool(name: Any, description: Any, parameters: dict[str, Any], notes: list[Note]) -> Tool:
    """A tool under a name that is allowed.

    Raises
    ------
    RowError: It has none, or its schema is invalid.
    """
    allowed = safe_name(name) if isinstance(name, str) else name
    if allowed != name:
        notes.append(Note("tool renamed", f"the tool {name!r} is called {allowed!r} here"))
    try:
        return Tool(name=allowed, description=description or "", parameters=parameters)
    except ValidationError as error:
        message, _ = first_problem(error)
        raise RowError(f"the tool {name!r} is invalid: {message}") from None


def read_tools(
    value: Any, notes: list[Note], catalog: Mapping[str, Tool] | None = None
) -> tuple[Tool, ...]:
    """A list of tools, or its JSON text; empty or absent for none. A repeated name counts once.

    Parameters
    ----------
    catalog: Tools that may stand by their names.
    """
    if value in (None, "", []):
        return ()
    tools: dict[str, Tool] = {}
    for one in listed(loads(value, "tools"), "tools"):
        tool = _named(one, catalog or {}) if isinstance(one, str) else read_tool(one, notes)
        if tool.name in tools:
            notes.append(Note("tool listed twice", f"the tool {tool.name!r} is listed twice"))
        tools.setdefault(tool.name, tool)
    return tuple(tools.values())


def _named(name: str, catalog: Mapping[str, Tool]) -> Tool:
    if name not in catalog:
        raise RowError(f"no manifest beside the rows holds the tool {name!r}")
    return catalog[name]


def tool_value(tool: Tool) -> dict[str, Any]:
    return tool.model_dump()


def kind_of(messages: Sequence[Message], calls: Sequence[ToolCall], tools: Sequence[Tool]) -> str:
    """A row's kind as far as its shape tells it."""
    if messages and messages[-1].role == "tool":
        return "after_result" if not calls else "sequence"
    if len(calls) > 1:
        return "parallel"
    return "call" if calls else "irrelevant" if tools else "chat"


def targets(
    messages: Sequence[Message],
    tools: Sequence[Tool],
    source: Source,
    *,
    identity: str = "",
    trained: Sequence[bool] | None = None,
) -> list[Example]:
    """One example for each assistant turn of a conversation: what stands before it, and the turn as gold.

    Parameters
    ----------
    identity: The row's own id; else one is made of the source's name and number.
    trained: For each message, whether it is gold at all; default: every assistant turn is.

    Raises
    ------
    RowError: No turn is.
    """
    examples: list[Example] = []
    identity = identity or f"{source.name}-{source.number:06}"
    wanted = [
        index
        for index, message in enumerate(messages)
        if message.role == "assistant" and index and (trained is None or trained[index])
    ]
    if not wanted:
        raise RowError("no turn of the assistant answers anything")
    known = {tool.name: tool for tool in tools}
    source.notes.extend(_results_of_nothing(messages))
    for turn, index in enumerate(wanted):
        message = messages[index]
        for call in message.tool_calls:
            source.notes.extend(problems(call, known))
        before = tuple(messages[:index])
        said = " ".join(m.content or "" for m in before if m.role == "user")
        examples.append(
            Example(
                id=identity if len(wanted) == 1 else f"{identity}-{turn}",
                messages=before,
                tools=tuple(tools),
                calls=message.tool_calls,
                response=message.content or "",
                origin=Origin(
                    generator=source.name,
                    language=language_of(said),
                    domain=source.domain,
                    kind=kind_of(before, message.tool_calls, tools),
                ),
            )
        )
    return examples


def _results_of_nothing(messages: Sequence[Message]) -> Iterator[Note]:
    """Tool results with no call before them."""
    calls = 0
    for message in messages:
        if message.role != "tool":
            calls = len(message.tool_calls)
        elif calls == 0:
            yield Note("result without a call", "a tool's result follows no call")


def problems(call: ToolCall, tools: Mapping[str, Tool]) -> Iterator[Note]:
    """What a gold call has wrong by the tools that its row offers."""
    if call.name not in tools:
        yield Note("tool not offered", f"calls {call.name!r}, which is not offered")
        return
    tool = tools[call.name]
    try:
        violations = tool.violations(call.arguments)
    except (RecursionError, ArithmeticError, Unresolvable):
        # It refers to itself without end, or nowhere, or divides what cannot be divided.
        raise RowError(f"{call.name}: its arguments cannot be checked by its schema") from None
    for error in violations:
        yield Note(f"against the schema: {error.validator}", f"{call.name}: {error.message}")
    if tool.parameters.get("additionalProperties") in (None, False):
        for name in call.arguments:
            if name not in tool.properties:
                yield Note("unknown argument", f"{call.name}: {name!r} is not among its parameters")


def extra(example: Example) -> Row:
    """Columns of ours that readers of tolerant formats pass over: id, origin, and which turns are gold."""
    row: Row = {"id": example.id, "origin": example.origin.model_dump()}
    if any(message.role == "assistant" for message in example.messages):
        row["last_turn_only"] = True
    return row


def restored(examples: list[Example], row: Row) -> list[Example]:
    """`examples` with the id and origin that `extra` wrote, where it did."""
    if row.get("last_turn_only") is True:
        examples = examples[-1:]
    if len(examples) != 1 or "origin" not in row:
        return examples
    identity = identity_of(row) or examples[0].id
    origin = read_origin(row["origin"])
    return [examples[0].model_copy(update={"id": identity, "origin": origin})]


def identity_of(row: Row) -> str:
    """A row's own id, a number or a text; empty where it has none."""
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise RowError("id is neither a text nor a number")
    return "" if value is None else str(value)


def read_origin(value: Any) -> Origin:
    """An origin as `extra` and fcray's own rows hold it."""
    try:
        origin = Origin.model_validate(value)
    except ValidationError as error:
        message, where = first_problem(error)
        raise RowError(f"{'.'.join(map(str, ('origin', *where)))}: {message}") from None
    if abs(origin.seed) >= 2**63:
        raise RowError("origin.seed has more than the 64 bits of its column")
    return origin


def instructions_of(example: Example) -> str:
    """The texts of all system messages."""
    return "\n".join(m.content or "" for m in example.messages if m.role == "system")


def turns_of(example: Example) -> Iterator[Message | list[str]]:
    """The turns of a row and its answer without instructions; results that follow each other are one."""
    answer = Message(role="assistant", content=example.response, tool_calls=example.calls)
    results: list[str] = []
    for message in (*example.messages, answer):
        if message.role == "tool":
            results.append(message.content or "")
        elif message.role != "system":
            if results:
                yield results
                results = []
            yield message


def examples_of(
    row: Row, messages: Sequence[Message], tools: Sequence[Tool], source: Source
) -> list[Example]:
    """`targets` of a row that may carry its id, and what `extra` wrote."""
    return restored(targets(messages, tools, source, identity=identity_of(row)), row)


def single_turn(example: Example, name: str) -> tuple[str, str]:
    """The instructions and the request of an example with no other turns.

    Raises
    ------
    RowError: It has more, and the request alone would not mean the same.
    """
    others = [m for m in example.messages if m.role != "system"]
    if len(others) != 1 or others[0].role != "user":
        raise RowError(f"{name} holds one turn, this row has {len(others)}")
    return instructions_of(example), example.request


def query_of(example: Example, name: str) -> str:
    """The one text of a format that holds no instructions: those of the row, and the request.

    Raises
    ------
    RowError: It has other turns, and the request alone would not mean the same.
    """
    instructions, request = single_turn(example, name)
    return f"{instructions}\n{request}" if instructions else request


COMPARED: Mapping[str, Callable[[Example], Any]] = {
    "messages": lambda e: [m.model_dump() for m in e.messages],
    "tools": lambda e: [t.model_dump() for t in e.tools],
    "calls": lambda e: [c.model_dump() for c in e.calls],
    "response": lambda e: e.response,
    "id": lambda e: e.id,
    "origin": lambda e: e.origin.model_dump(),
}
"""What a format may lose, by the words that are said of it."""


def losses(form: Format, example: Example, row: Row, source: Source) -> list[str]:
    """Which parts of `example` do not come back when `row`, written from it, is read again."""
    try:
        back = form.read(row, source)
    except RowError as error:
        return [f"everything: {error}"]
    if len(back) != 1:
        return ["messages"]
    lost = [
        part
        for part, value in COMPARED.items()
        # Not `==`: an integer is not the number that equals it.
        if canonical_json(value(example)) != canonical_json(value(back[0]))
    ]
    if "messages" in lost and _is_moved(example, back[0]):
        lost[lost.index("messages")] = MOVED
    return lost


def _is_moved(example: Example, back: Example) -> bool:
    """Whether all that changed in the messages is that the instructions stand in the request."""
    if len(back.messages) != 1 or not instructions_of(example):
        return False
    try:
        return back.messages[0].content == query_of(example, "")
    except RowError:
        return False
