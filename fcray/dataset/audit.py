"""Checks of rows that anybody made: what can be said of them without the catalog that they came from.

Stages: format, schema, grounding (every gold value can be read off the conversation), language, length,
duplicates within and across splits. Every rejected row has a stage and a reason. Rows that templates made
are checked more sharply while they are built (`verify`): where their catalog is not there, what cannot be
read off them is only counted. Knows nothing of models: lengths come from outside.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from fcray import domains
from fcray.dataset.formats.calls import problems
from fcray.dataset.grounding import unread
from fcray.dataset.masking import MASKED
from fcray.dataset.near import NEAR, NearDuplicates, Signed, sign
from fcray.dataset.speech import chinese_in
from fcray.dataset.split import normalise, short_hash
from fcray.dataset.verify import said_in, today_of
from fcray.tools import Example, canonical_json

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
    unread: Accepted rows that templates made, and that hold a value which only their catalog can read.
    """

    rows: int = 0
    accepted: int = 0
    unread: int = 0
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
            "unread": self.unread,
            "stages": dict(self.stages),
            "rejections": [vars(one) for one in self.rejections],
        }


class _Numbers:
    """A set of 64-bit numbers, all but the latest in 8 bytes each."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def __contains__(self, number: int) -> bool:
        if number in self._recent:
            return True
        at = int(np.searchsorted(self._sorted, np.uint64(number)))
        return at < len(self._sorted) and int(self._sorted[at]) == number

    def add(self, number: int) -> None:
        self._recent.add(number)
        if len(self._recent) > max(1024, len(self._sorted) // 16):
            self.settle()

    def settle(self) -> None:
        """Move what was added lately to the rest."""
        recent = np.fromiter(self._recent, dtype=np.uint64)
        self._sorted = np.sort(np.concatenate((self._sorted, recent)), kind="stable")
        self._recent.clear()


class Auditor:
    """Checks rows one after the other; remembers what it saw, for the duplicates.

    Parameters
    ----------
    checks: What a row is checked for before its length; None: what can be checked in any row.
    length: Example → its tokens; None leaves the stage out.
    cutoff: Most tokens.
    near: Similarity from which two requests that ask for the same are too alike; None leaves the stage out.
    last: A split whose rows are not remembered, as none comes behind them: a large one then takes little
        memory. They are compared with the other splits', and among themselves only word for word.
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
        self._unread = checks is None
        self._seen: dict[int, tuple[str, str]] = {}
        self._seen_here: dict[int, str] = {}
        self._seen_last = _Numbers()
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
                if self._unread and example.origin.generator in TEMPLATED:
                    audit.unread += any(unread(example))
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
        words = normalise(text) + canonical_json([call.model_dump() for call in example.calls])
        asked = short_hash(words)
        whole = short_hash(f"{split}/{words}/{normalise(example.response)}")
        name = f"{example.id} in {split}"
        if whole in self._seen_here:
            return "duplicate", f"says the same as {self._seen_here[whole]}"
        if whole in self._seen_last:
            return "duplicate", f"says the same as an earlier row of {split}"
        # What is right may be said in other words, but not of what another split asks.
        other, where = self._seen.get(asked, ("", split))
        if where != split:
            return "duplicate", f"says the same as {other}"
        if self._near is not None:
            signed = signature(example, split)
            if found := self._near.find(signed):
                return nearly(found)
            if split != self._last:
                self._near.add(signed, name)
        if split == self._last:
            self._seen_last.add(whole)
        else:
            self._seen[asked] = (name, split)
            self._seen_here[whole] = name
        return None


def signature(example: Example, split: str) -> Signed:
    """What a row is compared by with those that are nearly the same."""
    return sign(_said(example), _steps(example), answer=example.response, split=split)


def nearly(name: str) -> Finding:
    """What is wrong with a row that says nearly the same as the one of this name."""
    return "near-duplicate", f"says nearly the same as {name}"


def _conversation(example: Example) -> str:
    return "\n".join(
        " ".join([m.content or "", *(canonical_json(c.model_dump()) for c in m.tool_calls)])
        for m in example.messages
        if m.role != "system"
    )


def _said(example: Example) -> str:
    """What was said in words: calls and what they gave back would make unlike requests alike."""
    return "\n".join(m.content or "" for m in example.messages if m.role in ("user", "assistant"))


def _steps(example: Example) -> str:
    """Which turn of the conversation it is, and the calls up to it and of it."""
    made = [m.tool_calls for m in example.messages if m.role != "system"]
    return canonical_json(
        [[call.model_dump() for call in calls] for calls in (*made, example.calls)]
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

    A template may say a value in words that only its catalog knows (five foot seven), so rows of templates
    are not rejected here: `build.checks_against` can tell.
    """
    if example.origin.generator not in TEMPLATED:
        yield from (("grounding", reason) for reason in unread(example))


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


def _language(example: Example) -> Iterator[str]:
    said = said_in(example)
    letters = sum(character.isalpha() for character in said)
    han = chinese_in(said)
    if letters and example.origin.language == "zh" and han == 0:
        yield "declared zh, and there is no Chinese character"
    if letters and example.origin.language == "en" and han > (1 - MIXED) * letters:
        yield "declared en, and nearly all of it is Chinese"
