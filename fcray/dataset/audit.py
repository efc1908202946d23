"""Checks of rows that anybody made: what can be said of them without the catalog that they came from.

Stages: format, schema, grounding (every gold value can be read off the conversation), language, length,
duplicates within and across splits. Every rejected row has a stage and a reason. Rows that templates made
are checked more sharply while they are built (`verify`). Knows nothing of models: lengths come from outside.
"""

from __future__ import annotations

import inspect
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from fcray import domains
from fcray.dataset.formats.base import problems
from fcray.dataset.masking import MASKED
from fcray.dataset.near import NEAR, NearDuplicates, sign
from fcray.dataset.speech import chinese, chinese_in, english
from fcray.dataset.split import normalise, short_hash
from fcray.dataset.verify import said_in, today_of
from fcray.tools import Example, Tool, canonical_json

STAGES = (
    *("format", "schema", "kind", "grounding", "wording", "language", "execution", "leakage"),
    *("length", "duplicate", "near-duplicate"),
)

TEMPLATED = ("template", MASKED)
"""Generators of rows whose every word a catalog knows."""

MIXED = 0.2
"""Least share of letters in the declared language."""

KEPT_REJECTIONS = 1_000
"""Most rejections that are kept with their reasons; the counts go on."""

Finding = tuple[str, str]
"""A stage, and what it found."""

Check = Callable[[Example, str], Iterator[Finding]]
"""What one stage, or several, find in a row of a split."""


@dataclass(frozen=True)
class Rejection:
    """A row that should not be trained on."""

    id: str
    stage: str
    reason: str


@dataclass
class Audit:
    """What was found.

    Attributes
    ----------
    stages: Stage → how many rows it rejected; a row counts once, at its first stage.
    """

    rows: int = 0
    accepted: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, rejection: Rejection) -> None:
        self.stages[rejection.stage] += 1
        if len(self.rejections) < KEPT_REJECTIONS:
            self.rejections.append(rejection)

    def reject_row(self, identity: str, stage: str, reason: str) -> None:
        self.reject(Rejection(identity, stage, reason))

    def reject_line(self, line: int, reason: str) -> None:
        """A row that could not even be read."""
        self.reject(Rejection(f"line {line}", "format", reason))

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "stages": dict(self.stages),
            "rejections": [vars(one) for one in self.rejections],
        }


class Auditor:
    """Checks rows one after the other; remembers what it saw, for the duplicates.

    Parameters
    ----------
    checks: What a row is checked for before its length; None: what can be checked in any row.
    length: Example → its tokens; None leaves the stage out.
    cutoff: Most tokens.
    near: Similarity from which two requests that ask for the same are too alike; None leaves the stage out.
    last: A split whose rows are compared with the others but not remembered, as none comes behind them: a
        large one then takes no memory.
    """

    def __init__(
        self,
        *,
        checks: Sequence[Check] | None = None,
        length: Callable[[Example], int] | None = None,
        cutoff: int = 1024,
        near: float | None = NEAR,
        last: str = "",
    ) -> None:
        self._checks = (ANY_ROW if checks is None else tuple(checks), (self._too_long,))
        self._seen: dict[int, str] = {}
        self._seen_last: set[int] = set()
        self._length = length
        self._cutoff = cutoff
        self._near = NearDuplicates(near) if near is not None else None
        self._last = last

    def accepted(self, examples: Iterable[Example], split: str, audit: Audit) -> Iterator[Example]:
        """The rows that pass every stage; `audit` fills as they are taken."""
        for example in examples:
            audit.rows += 1
            found = self.first_problem(example, split)
            if found is None:
                audit.accepted += 1
                yield example
            else:
                audit.reject_row(example.id, *found)

    def first_problem(self, example: Example, split: str) -> Finding | None:
        """The first thing that is wrong; None where nothing is."""
        for checks in self._checks:
            for check in checks:
                if found := next(check(example, split), None):
                    return found
        return self._repeated(example, split)

    def _too_long(self, example: Example, _: str) -> Iterator[Finding]:
        if self._length is not None and (tokens := self._length(example)) > self._cutoff:
            yield "length", f"{tokens} tokens, more than the {self._cutoff} of the cutoff"

    def _repeated(self, example: Example, split: str) -> Finding | None:
        text = _conversation(example)
        gold = canonical_json([call.model_dump() for call in example.calls])
        key = short_hash(normalise(text) + gold)
        name = f"{example.id} in {split}"
        if key in self._seen:
            return "duplicate", f"says the same as {self._seen[key]}"
        if key in self._seen_last:
            return "duplicate", f"says the same as an earlier row of {split}"
        if self._near is not None:
            signed = sign(text, gold)
            if found := self._near.find(signed):
                return "near-duplicate", f"says nearly the same as {found}"
            if split != self._last:
                self._near.add(signed, name)
        if split == self._last:
            self._seen_last.add(key)
        else:
            self._seen[key] = name
        return None


def _conversation(example: Example) -> str:
    return "\n".join(
        " ".join([m.content or "", *(canonical_json(c.model_dump()) for c in m.tool_calls)])
        for m in example.messages
        if m.role != "system"
    )


def form(example: Example, _: str) -> Iterator[Finding]:
    """Whether a row is a conversation that waits for an answer, and has one."""
    yield from (("format", reason) for reason in _form(example))


def schema(example: Example, _: str) -> Iterator[Finding]:
    """Whether gold calls fit the tools that are offered."""
    tools = {tool.name: tool for tool in example.tools}
    for call in example.calls:
        for note in problems(call, tools):
            yield "schema", note.text


def grounding(example: Example, _: str) -> Iterator[Finding]:
    """Whether every gold value is said, follows from what is said, or is a default.

    What a template says in words that only its catalog knows (36度5, five foot seven) cannot be read here:
    `build.checks_against` can.
    """
    if example.origin.generator in TEMPLATED:
        return
    yield from (("grounding", reason) for reason in _grounding(example))


def language(example: Example, _: str) -> Iterator[Finding]:
    """Whether the user speaks the language that the row declares."""
    yield from (("language", reason) for reason in _language(example))


def execution(example: Example, _: str) -> Iterator[Finding]:
    """Whether the reference tool, where there is one, takes the gold call."""
    tools = {tool.name: tool for tool in example.tools}
    for call in example.calls:
        tool = tools.get(call.name)
        if tool is None or not _has_reference(call.name, tuple(tool.properties)):
            continue
        try:
            domains.execute(call.name, call.arguments, today_of(example))
        except domains.Refused as error:
            yield "execution", f"{call.name}: {error}"


@cache
def _has_reference(name: str, arguments: tuple[str, ...]) -> bool:
    """Whether there is a reference; a tool of the same name with other arguments is another tool."""
    if name not in domains.REFERENCES:
        return False
    known = inspect.signature(domains.REFERENCES[name]).parameters
    return {one for one in known if one != "today"} == set(arguments)


ANY_ROW: tuple[Check, ...] = (form, schema, grounding, language, execution)
"""What can be checked in a row that anybody made."""


def _form(example: Example) -> Iterator[str]:
    if not any(m.role == "user" and (m.content or "").strip() for m in example.messages):
        yield "no user says anything"
    if not example.calls and not example.response.strip():
        yield "there is neither a call nor an answer"
    if example.messages[-1].role == "assistant":
        yield "the last turn is the assistant's, so nothing is to be answered"
    open_calls = 0
    for message in example.messages:
        if message.role == "tool":
            if open_calls == 0:
                yield "a tool's result follows no call"
            open_calls -= 1
        else:
            open_calls = len(message.tool_calls)


def _grounding(example: Example) -> Iterator[str]:
    text = _Text(example)
    tools = {tool.name: tool for tool in example.tools}
    for call in example.calls:
        for name, value in call.arguments.items():
            schema = _property(tools.get(call.name), name)
            if not _grounded(value, schema, text):
                yield f"{call.name}.{name}: {value!r} cannot be read off the conversation"


def _property(tool: Tool | None, name: str) -> Mapping[str, Any]:
    schema = tool.properties.get(name, {}) if tool else {}
    return schema if isinstance(schema, Mapping) else {}


class _Text:
    """What values are looked for in: all that was said or given back, folded."""

    def __init__(self, example: Example) -> None:
        said = " ".join(
            (m.content or "") + " ".join(canonical_json(c.arguments) for c in m.tool_calls)
            for m in example.messages
        )
        self.plain = _folded(said)
        self.dense = normalise(said)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _grounded(value: Any, schema: Mapping[str, Any], text: _Text) -> bool:
    # An enum's value and a yes or no are meant by words of any kind: nothing can be said of them.
    if isinstance(value, bool) or value is None or "enum" in schema or "const" in schema:
        return True
    if "default" in schema and schema["default"] == value:
        return True
    if isinstance(value, list):
        return all(_grounded(one, schema.get("items") or {}, text) for one in value)
    if isinstance(value, dict):
        inner = schema.get("properties") or {}
        return all(_grounded(one, inner.get(name) or {}, text) for name, one in value.items())
    if isinstance(value, int | float):
        return _number_stands(value, text)
    return _text_stands(str(value), text)


def _number_stands(value: float, text: _Text) -> bool:
    """Whether a number is said, in digits or words, or as it would be in another unit."""
    # Minutes of hours, cents, thousands and 万: 120 is said as two hours, 12000 as 1.2万.
    others = [value, *(value / f for f in _FACTORS), *(value * f for f in _FACTORS)]
    return any(word in text.plain for other in others for word in _number_words(other))


_FACTORS = (60, 100, 1000, 10_000)


def _number_words(value: float) -> set[str]:
    words = {f"{value:g}", str(value)}
    if value == int(value):
        words |= {str(int(value)), f"{int(value):,}"}
        if 0 <= value <= 9999:
            words |= {chinese(int(value)), english(int(value))}
        if value == 2:
            words |= {"两", "both", "couple"}
    return words


def _text_stands(value: str, text: _Text) -> bool:
    plain = normalise(value)
    if not plain or plain in text.dense:
        return True
    if _is_time(value):  # said in too many ways to be found here
        return True
    # Free text may be put in other words, but not in words that have nothing to do with it.
    pieces = [word for word in _folded(value).split() if len(word) > 2]
    return bool(pieces) and sum(piece[:5] in text.plain for piece in pieces) * 2 >= len(pieces)


def _is_time(value: str) -> bool:
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return len(value) in (4, 5, 8) and value.replace(":", "").isdigit() and ":" in value
    return True


def _language(example: Example) -> Iterator[str]:
    said = said_in(example)
    letters = sum(character.isalpha() for character in said)
    han = chinese_in(said)
    if letters and example.origin.language == "zh" and han == 0:
        yield "declared zh, and there is no Chinese character"
    if letters and example.origin.language == "en" and han > (1 - MIXED) * letters:
        yield "declared en, and nearly all of it is Chinese"
