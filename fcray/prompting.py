"""Messages and tools → token ids with named spans; model text → calls.

The one renderer and the one parser: training, evaluation and serving all come through here, so what
is trained is what is served. Knows nothing of models' weights, batching or Ray.

The call format is Hermes' `<tool_call>{"name": …, "arguments": …}</tool_call>`, which Qwen's
templates use too; tools are listed as typed signatures, which take a third of the tokens of their
JSON Schema. Turns are laid out by the tokenizer's own chat template. Message contents are tokenised
as plain text, so that a user who types `<|im_end|>` ends nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from fcray.errors import UserError
from fcray.tools import Example, Message, Tool, ToolCall

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"
_NAME = '"name": "'
_ARGUMENTS = '"arguments": '
_RESULT = "<tool_response>{}</tool_response>"
_INSTRUCTION = (
    'Answer in words, or call functions: <tool_call>{"name": ..., "arguments": {...}}</tool_call>\n'
)
_NO_TOOLS = "You are a helpful assistant."
_SENTINEL = "\uf8ff{}\uf8fe"  # private-use characters: no template touches them


class Span(IntEnum):
    """What a token of an answer decides; the curriculum weighs spans."""

    DECISION = 0
    """Which function, or none: a call's first token and its name."""
    ARGUMENTS = 1
    """A call's arguments, and whether another call follows."""
    ANSWER = 2
    """Plain words."""
    FORMAT = 3
    """What stands in every call, whichever it is."""


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt in two parts.

    Attributes
    ----------
    prefix: The tools in the system turn; the same for every request under the same tools.
    body: Instructions and conversation, up to where the answer begins.
    """

    prefix: tuple[int, ...]
    body: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prefix) + len(self.body)


@dataclass(frozen=True)
class RenderedExample:
    """A prompt with its gold answer.

    Attributes
    ----------
    spans: One for every token of the answer.
    declined: Of a plain answer, the token it must not begin with, for with it a call begins. That is its
        decision; which word it begins with instead decides nothing. None for an answer with calls.
    """

    prompt: Prompt
    answer: tuple[int, ...]
    spans: tuple[Span, ...]
    declined: int | None = None

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Parsed:
    """What a model's text says: calls, and the words outside them.

    Attributes
    ----------
    problem: Why a call could not be read; None when all could.
    unfinished: The call at the end that was begun and not ended.
    """

    calls: tuple[ToolCall, ...]
    text: str
    problem: str | None = None
    unfinished: str = ""


def call_text(call: ToolCall, tool: Tool | None = None) -> str:
    """One call as the model writes it; arguments stand in the order of the tool's schema."""
    arguments = tool.ordered(call.arguments) if tool else call.arguments
    body = json.dumps({"name": call.name, "arguments": arguments}, ensure_ascii=False)
    return f"{CALL_OPEN}{body}{CALL_CLOSE}"


def answer_text(
    calls: Sequence[ToolCall], response: str, tools: Sequence[Tool]
) -> tuple[str, list[tuple[int, Span]]]:
    """An assistant turn as text, and the spans in it as (start, span) in order of start."""
    by_name = {tool.name: tool for tool in tools}
    text, marks = response, [(0, Span.ANSWER)]
    for call in calls:
        text += "\n" if text else ""
        start = len(text)
        one = call_text(call, by_name.get(call.name))
        name = one.index(_NAME) + len(_NAME)
        arguments = one.index(_ARGUMENTS, name + len(call.name)) + len(_ARGUMENTS)
        marks += [
            (start, Span.DECISION),
            (start + 1, Span.FORMAT),
            (start + name, Span.DECISION),
            (start + name + len(call.name), Span.FORMAT),
            (start + arguments, Span.ARGUMENTS),
            (start + len(one) - len(CALL_CLOSE), Span.FORMAT),
        ]
        text += one
    return text, marks


def system_text(tools: Sequence[Tool], instructions: str = "") -> str:
    """The system turn: how to call, a signature for each tool, and the caller's own instructions."""
    return "".join(_system_parts(tools, instructions))


def _system_parts(tools: Sequence[Tool], instructions: str) -> tuple[str, str]:
    """What every request under these tools shares, and what is this one's own.

    Instructions differ from one request to the next (they tell the date, say), so they stand last:
    the tools before them are read once for all.
    """
    if not tools:
        return instructions or _NO_TOOLS, ""
    listing = _INSTRUCTION + "\n".join(signature(tool) for tool in tools)
    return (listing + "\n\n", instructions) if instructions else (listing, "")


def signature(tool: Tool) -> str:
    """`get_weather(city: string, day?: today|tomorrow) - Weather forecast for a city.`

    A short description of an argument stands behind its type, a long one on a line of its own.
    """
    parameters = tool.parameters
    line = f"{tool.name}({_fields(parameters, parameters, 0)})"
    if tool.description:
        line += " - " + " ".join(tool.description.split())
    for name, schema in tool.properties.items():
        if len(_described(schema)) > _SHORT:
            line += f"\n  {name}: {_described(schema)}"
    return line


_MAX_DEPTH = 6
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_TYPES = {
    "string",
    "integer",
    "number",
    "boolean",
    "array",
    "object",
    "any",
    "null",
    "true",
    "false",
}
_SHORT = 20


def _described(schema: Any) -> str:
    return " ".join(str(schema.get("description", "")).split()) if isinstance(schema, dict) else ""


def _fields(schema: dict[str, Any], root: dict[str, Any], depth: int) -> str:
    required = set(schema.get("required", ()))
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(value, root, depth + 1)}{_note(value)}"
        for name, value in schema.get("properties", {}).items()
    )


def _note(schema: Any) -> str:
    text = _described(schema)
    return f" ({text})" if 0 < len(text) <= _SHORT else ""


def _type(schema: Any, root: dict[str, Any], depth: int) -> str:  # noqa: PLR0911
    """A JSON Schema as a TypeScript-like type. A recursive schema ends in `any`."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return "any"
    if "$ref" in schema:
        return _type(_local(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return "|".join(_literal(value) for value in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return "|".join(dict.fromkeys(_type(s, root, depth + 1) for s in schema[union]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return "|".join(_type(schema | {"type": one}, root, depth) for one in kind)
    if kind == "array":
        return _type(schema.get("items", {}), root, depth + 1) + "[]"
    if kind == "object" and schema.get("properties"):
        return "{" + _fields(schema, root, depth) + "}"
    return str(kind) + _limits(schema)


def _literal(value: Any) -> str:
    """A value of an enum: a plain word stands without quotes, which would be half of its tokens."""
    if isinstance(value, str) and _WORD.fullmatch(value) and value not in _TYPES:
        return value
    return json.dumps(value, ensure_ascii=False)


def _limits(schema: dict[str, Any]) -> str:
    if "minimum" in schema or "maximum" in schema:
        return f"({schema.get('minimum', '')}..{schema.get('maximum', '')})"
    if ("format" in schema or "pattern" in schema) and not _note(schema):
        return f"({schema.get('format') or schema.get('pattern')})"
    return ""


def _local(reference: str, root: dict[str, Any]) -> Any:
    """The schema that a local `$ref` such as `#/$defs/point` names; anything else is unknown."""
    here: Any = root
    if not reference.startswith("#"):
        return {}
    for part in reference[1:].strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if key:
            here = here.get(key, {}) if isinstance(here, dict) else {}
    return here


def parse(text: str) -> Parsed:
    """Read a model's answer. Never raises: what cannot be read is said in `problem`."""
    calls, problem, words, at, unfinished = [], None, "", 0, ""
    while (start := text.find(CALL_OPEN, at)) >= 0:
        words += text[at:start]
        value, end, wrong = _read_json(text, start + len(CALL_OPEN))
        close = text.find(CALL_CLOSE, end)
        if close < 0:
            problem, at = problem or "a call was begun and not ended", len(text)
            unfinished = text[start:]
            break
        at = close + len(CALL_CLOSE)
        if not wrong and text[end:close].strip():
            wrong = "a call is not JSON: more stands behind it"
        call = wrong or _call(value)
        if isinstance(call, str):
            problem = problem or call
        else:
            calls.append(call)
    return Parsed(tuple(calls), (words + text[at:]).strip(), problem, unfinished)


def _read_json(text: str, at: int) -> tuple[Any, int, str]:
    """The JSON value that begins at `at`, where it ends, and what is wrong with it, if anything.

    Marks inside its strings are text, so they end no call.
    """
    at += len(text[at:]) - len(text[at:].lstrip())
    try:
        return *_JSON.raw_decode(text, at), ""
    except (ValueError, RecursionError) as error:
        return None, at, f"a call is not JSON: {error}"


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def _call(value: Any) -> ToolCall | str:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return "a call names no function"
    arguments = value.get("arguments", {})
    if not isinstance(arguments, dict):
        return "a call's arguments are not an object"
    return ToolCall(name=value["name"], arguments=arguments)


def tools_key(tools: Sequence[Tool]) -> str:
    """A hash that is equal for equal tool lists."""
    # The order of the properties counts: it is what is trained and what the grammar allows.
    text = json.dumps([tool.model_dump() for tool in tools], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Renderer:
    """Lays out conversations by a tokenizer's chat template.

    Parameters
    ----------
    tokenizer: A transformers tokenizer with a chat template.

    Raises
    ------
    UserError: The tokenizer has no chat template, or one that drops the system turn.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(
                "this model's tokenizer has no chat template; take an instruct model",
                field="model.base",
            )
        self.tokenizer = tokenizer
        self._prefixes: dict[str, tuple[int, ...]] = {}
        tail = self._layout([("system", ""), ("user", ""), ("assistant", "")], False)[-1]
        self.end: tuple[int, ...] = self._special(tail)[:1] or (tokenizer.eos_token_id,)
        """The token that ends an answer."""
        self._call_token = self._plain(CALL_OPEN)[0]

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Prompt:
        """A conversation up to where the answer begins.

        System messages of the caller's, wherever they stand, are one text behind the tools.
        """
        said = "\n".join(m.content or "" for m in messages if m.role == "system")
        shared, own = _system_parts(tools, said)
        turns = [("system", shared + own)]
        turns += [self._turn(m, tools) for m in messages if m.role != "system"]
        if len(turns) == 1:
            raise UserError("a conversation needs a turn beside its instructions", field="messages")
        pieces = self._layout(turns, True)
        body: list[int] = []
        for piece, (_, content) in zip(pieces[2:], [*turns[2:], ("", "")], strict=True):
            body += [*self._special(piece), *self._plain(content)]
        opening = self._plain(turns[1][1])
        if own:
            opening = (*self._plain(own), *self._special(pieces[1]), *opening)
        return Prompt(self._prefix(pieces[0], shared, "" if own else pieces[1]), (*opening, *body))

    def example(self, example: Example) -> RenderedExample:
        """An example's prompt and gold answer with its spans; the answer ends with the end token."""
        text, marks = answer_text(example.calls, example.response, example.tools)
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
        )
        spans = [_span_of(start, end, marks) for start, end in encoded["offset_mapping"]]
        last = Span.ARGUMENTS if example.calls else Span.ANSWER
        return RenderedExample(
            self.prompt(example.messages, example.tools),
            (*encoded["input_ids"], *self.end),
            (*spans, *([last] * len(self.end))),
            None if example.calls else self._call_token,
        )

    def _turn(self, message: Message, tools: Sequence[Tool]) -> tuple[str, str]:
        if message.role == "tool":  # as Hermes does: templates seldom know a tool role
            return "user", _RESULT.format(message.content or "")
        if message.tool_calls:
            return "assistant", answer_text(message.tool_calls, message.content or "", tools)[0]
        return message.role, message.content or ""

    def _prefix(self, before: str, shared: str, behind: str) -> tuple[int, ...]:
        key = "\0".join((shared, before, behind))
        if key not in self._prefixes:
            if len(self._prefixes) > 1024:
                self._prefixes.clear()
            ids = (*self._special(before), *self._plain(shared), *self._special(behind))
            self._prefixes[key] = ids
        return self._prefixes[key]

    def _layout(self, turns: Sequence[tuple[str, str]], generate: bool) -> list[str]:
        """The template's own text around the turns: one piece before, between and after each."""
        marked = [
            {"role": role, "content": _SENTINEL.format(i)} for i, (role, _) in enumerate(turns)
        ]
        text = self.tokenizer.apply_chat_template(
            marked, tokenize=False, add_generation_prompt=generate
        )
        pieces = []
        for i in range(len(turns)):
            before, found, text = text.partition(_SENTINEL.format(i))
            if not found:
                raise UserError(
                    f"this model's chat template drops a {turns[i][0]} turn", field="model.base"
                )
            pieces.append(before)
        return [*pieces, text]

    def _special(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _plain(self, text: str) -> tuple[int, ...]:
        return tuple(
            self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        )


def _span_of(start: int, end: int, marks: list[tuple[int, Span]]) -> Span:
    """The most telling span that a token reaches into, for a token may begin before a name does."""
    first = next(span for at, span in reversed(marks) if at <= start)
    touched = {first, *(span for at, span in marks if start < at < end)}
    return min(touched)
