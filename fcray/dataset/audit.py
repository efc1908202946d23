"""Checks of rows that anybody made: what can be said of them without the catalog that they came from.

Stages: format, schema, grounding (every gold value can be read off the conversation), language, length,
duplicates within and across splits. Every rejected row has a stage and a reason. Rows that templates made
are checked more sharply while they are built (`verify`). Knows nothing of models: lengths come from outside.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fcray.dataset.formats.base import problems
from fcray.dataset.speech import chinese, english
from fcray.dataset.split import normalise
from fcray.errors import missing_extra
from fcray.tools import Example, Tool, canonical_json

STAGES = ("format", "schema", "grounding", "language", "length", "duplicate", "near-duplicate")

SHINGLE = 4
"""Characters of a piece that near-duplicates are compared by."""

PERMUTATIONS = 64
MIXED = 0.2
"""Least share of letters in the declared language."""


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
        self.rejections.append(rejection)

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
    length: Example → its tokens; None leaves the stage out.
    cutoff: Most tokens.
    near: Jaccard similarity from which two requests of different splits are nearly the same; None
        leaves the stage out.
    """

    def __init__(
        self,
        *,
        length: Callable[[Example], int] | None = None,
        cutoff: int = 1024,
        near: float | None = None,
    ) -> None:
        self._length = length
        self._cutoff = cutoff
        self._seen: dict[str, tuple[str, str]] = {}
        self._near = _Near(near) if near is not None else None

    def accepted(self, examples: Iterable[Example], split: str, audit: Audit) -> Iterator[Example]:
        """The rows that pass every stage; `audit` fills as they are taken."""
        for example in examples:
            audit.rows += 1
            found = self.first_problem(example, split)
            if found is None:
                audit.accepted += 1
                yield example
            else:
                audit.reject(Rejection(example.id, *found))

    def first_problem(self, example: Example, split: str) -> tuple[str, str] | None:
        """(stage, reason) of the first thing that is wrong; None where nothing is."""
        for stage, check in (
            ("format", _form),
            ("schema", _schema),
            ("grounding", _grounding),
            ("language", _language),
            ("length", self._too_long),
        ):
            if reason := next(iter(check(example)), None):
                return stage, reason
        return self._repeated(example, split)

    def _too_long(self, example: Example) -> Iterator[str]:
        if self._length is not None and (tokens := self._length(example)) > self._cutoff:
            yield f"{tokens} tokens, more than the {self._cutoff} of the cutoff"

    def _repeated(self, example: Example, split: str) -> tuple[str, str] | None:
        text = _conversation(example)
        key = normalise(text) + canonical_json([call.model_dump() for call in example.calls])
        if key in self._seen:
            identity, other = self._seen[key]
            where = "" if other == split else f" in {other}"
            return "duplicate", f"says the same as {identity}{where}"
        if self._near is not None and (found := self._near.other_split(example.id, text, split)):
            return "near-duplicate", f"is nearly {found[0]} in {found[1]}"
        self._seen[key] = (example.id, split)
        return None


class _Near:
    """MinHash signatures in a locality-sensitive index, a split at a time."""

    def __init__(self, threshold: float) -> None:
        try:
            from rensa import (  # type: ignore[attr-defined]
                RMinHash,
                RMinHashLSH,
            )
        except ImportError:
            raise missing_extra("rensa", "data", "finding near-duplicates") from None
        self._hash, self._index = RMinHash, RMinHashLSH
        self._threshold = threshold
        self._splits: dict[str, tuple[Any, list[str], list[Any]]] = {}

    def other_split(self, identity: str, text: str, split: str) -> tuple[str, str] | None:
        """A row of another split that is as similar as the threshold says; adds the row to its own."""
        plain = normalise(text)
        pieces = [plain[i : i + SHINGLE] for i in range(max(1, len(plain) - SHINGLE + 1))]
        signature = self._hash(num_perm=PERMUTATIONS, seed=1)
        signature.update(pieces)
        for other, (index, identities, signatures) in self._splits.items():
            for number in index.query(signature) if other != split else ():
                if signatures[number].jaccard(signature) >= self._threshold:
                    return identities[number], other
        if split not in self._splits:
            index = self._index(threshold=self._threshold, num_perm=PERMUTATIONS, num_bands=16)
            self._splits[split] = (index, [], [])
        index, identities, signatures = self._splits[split]
        index.insert(len(identities), signature)
        identities.append(identity)
        signatures.append(signature)
        return None


def _conversation(example: Example) -> str:
    return "\n".join(
        " ".join([m.content or "", *(canonical_json(c.model_dump()) for c in m.tool_calls)])
        for m in example.messages
        if m.role != "system"
    )


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


def _schema(example: Example) -> Iterator[str]:
    tools = {tool.name: tool for tool in example.tools}
    for call in example.calls:
        for note in problems(call, tools):
            yield note.text


def _grounding(example: Example) -> Iterator[str]:
    """Every gold value is said, follows from what is said, or is a default."""
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
    said = "".join(m.content or "" for m in example.messages if m.role == "user")
    letters = [character for character in said if character.isalpha()]
    if not letters:
        return
    han = sum("\u3400" <= letter <= "\u9fff" for letter in letters)
    if example.origin.language == "zh" and han == 0:
        yield "declared zh, and there is no Chinese character"
    if example.origin.language == "en" and han > (1 - MIXED) * len(letters):
        yield "declared en, and nearly all of it is Chinese"
