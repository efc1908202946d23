"""Conversations: the examples that one holds, and the turns of an example as formats write them.

Knows nothing of how a format spells a turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from fcray.dataset.formats.base import Source
from fcray.dataset.formats.calls import problems
from fcray.dataset.formats.values import Note, Row, RowError
from fcray.dataset.speech import is_chinese
from fcray.errors import first_problem
from fcray.tools import Example, Language, Message, Origin, Tool, ToolCall


def language_of(text: str) -> Language:
    """`zh` where there is a Chinese character, else `en`."""
    return "zh" if is_chinese(text) else "en"


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


def examples_of(
    row: Row, messages: Sequence[Message], tools: Sequence[Tool], source: Source
) -> list[Example]:
    """`targets` of a row that may carry its id, and what `extra` wrote."""
    return restored(targets(messages, tools, source, identity=identity_of(row)), row)


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
