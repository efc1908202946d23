"""The verification stage: each row is checked on its own before anything is trained on it.

A row passes when its gold call fits the tool's schema and every gold value can be read off the
request. Knows nothing of how the row was made, save by its `origin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from fcray.dataset.catalog import Catalog
from fcray.dataset.kinds import AS_WRITTEN, WORDS
from fcray.dataset.pools import Form
from fcray.dataset.speech import date_in, is_chinese
from fcray.dataset.templates import Template, meant, same
from fcray.tools import Example, Language, ToolCall


@dataclass(frozen=True)
class Rejection:
    """A row that was turned away, and why."""

    id: str
    reasons: tuple[str, ...]


class Verifier:
    """Checks rows against the catalog that they were made from.

    Parameters
    ----------
    catalog: The tools, and the pools whose words the requests are made of.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._tools = catalog.tools
        self._templates = {t.id: t for t in (*catalog.templates, *catalog.chat)}
        for about in catalog.about.values():
            more = (*about.incomplete, *about.invalid, *about.contrast)
            self._templates |= {template.id: template for template in more}
        self._forms: dict[tuple[str, str, Language], tuple[Form, ...]] = {
            (tool, argument, language): forms
            for tool, about in catalog.about.items()
            for argument, spoken in about.forms.items()
            for language, forms in spoken.items()
        }

    def reasons(self, example: Example) -> list[str]:
        """What is wrong with `example`; empty when nothing is."""
        return [reason for _, reason in self.findings(example)]

    def findings(self, example: Example) -> Iterator[tuple[str, str]]:
        """(stage, what is wrong); nothing when nothing is."""
        yield from self._language(example)
        yield from (("kind", reason) for reason in _kind(example))
        for call in example.calls:
            yield from self._call(example, call)
        if example.origin.kind in AS_WRITTEN and len(example.calls) <= 1:
            yield from (("wording", reason) for reason in self._wording(example))

    def split(
        self, examples: Iterable[Example]
    ) -> tuple[tuple[Example, ...], tuple[Rejection, ...]]:
        """`examples` as (accepted, rejected)."""
        accepted: list[Example] = []
        rejected: list[Rejection] = []
        for example in examples:
            if reasons := self.reasons(example):
                rejected.append(Rejection(example.id, tuple(reasons)))
            else:
                accepted.append(example)
        return tuple(accepted), tuple(rejected)

    def _language(self, example: Example) -> Iterator[tuple[str, str]]:
        if not example.request.strip():
            yield "format", "the request is empty"
        elif is_chinese(said_in(example)) != (example.origin.language == "zh"):
            yield "language", f"the request is not in {example.origin.language}"

    def _call(self, example: Example, call: ToolCall) -> Iterator[tuple[str, str]]:
        offered = next((tool for tool in example.tools if tool.name == call.name), None)
        if offered is None:
            yield "schema", f"{call.name} is not among the tools offered"
            return
        for problem in offered.problems(call.arguments):
            yield "schema", f"{call.name}: {problem}"
        for name, value in call.arguments.items():
            if not self._stands(example, call.name, name, value):
                reason = f"{call.name}.{name}: {value!r} cannot be read off the request"
                yield "grounding", reason

    def _stands(self, example: Example, tool: str, argument: str, value: Any) -> bool:
        """Whether words for `value` stand in the request and are no part of words for another."""
        request, today = said_in(example), today_of(example)
        forms = self._forms.get((tool, argument, example.origin.language), ())
        right: list[tuple[int, int]] = []
        others: list[tuple[int, int]] = []
        for form in forms:
            if form.spoken in request:
                spans = _spans(form.spoken, request)
                (right if same(meant(form.value, today), value) else others).extend(spans)
        return any(not _covered(span, others) for span in right)

    def _wording(self, example: Example) -> Iterator[str]:
        """The row's own template, said with these arguments, must be the request."""
        if example.origin.generator != "template":
            return
        template: Template | None = self._templates.get(example.origin.template)
        if template is None:
            yield f"there is no template {example.origin.template!r}"
            return
        if example.origin.kind == "invalid" and template.tool:
            if not template.is_spoiled(example.request):
                yield f"the request is {template.id} with values that it may have"
            return
        called = example.calls[0].name if example.calls else ""
        arguments = example.calls[0].arguments if example.calls else {}
        if template.tool != called:
            yield f"{template.id} does not call {called or 'nothing'}"
        elif not template.says(example.request, arguments, today_of(example)):
            yield f"the request is not {template.id} said with these arguments"


def _kind(example: Example) -> Iterator[str]:
    """Whether calls and words are what a row of its kind has."""
    kind, calls = example.origin.kind, example.calls
    if not calls and not example.response.strip():
        yield "neither a call nor an answer"
    if not calls and kind not in WORDS:
        yield f"a row of kind {kind!r} has no call"
    if calls and kind in WORDS:
        what = "an irrelevant request" if kind == "irrelevant" else f"a row of kind {kind!r}"
        yield f"{what} calls {calls[0].name}"
    if len(calls) > 1 and kind != "parallel":
        yield f"a row of kind {kind!r} has {len(calls)} calls"
    if len(calls) == 1 and kind == "parallel":
        yield "a row of kind 'parallel' has one call"


def said_in(example: Example) -> str:
    """What the user said, in all turns."""
    return "\n".join(m.content or "" for m in example.messages if m.role == "user")


def today_of(example: Example) -> date | None:
    """The day that the row's system message tells."""
    told = (date_in(m.content or "") for m in example.messages if m.role == "system")
    return next((day for day in told if day), None)


def _spans(words: str, request: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = request.find(words)
    while start >= 0:
        spans.append((start, start + len(words)))
        start = request.find(words, start + 1)
    return spans


def _covered(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    """Whether `span` is part of a longer one of `others`, as 三点 is of 三点半."""
    start, end = span
    return any(low <= start and end <= high and end - start < high - low for low, high in others)
