"""The verification stage: each row is checked on its own before anything is trained on it.

A row passes when its gold call fits the tool's schema and every gold value can be read off the
request. Knows nothing of how the row was made, save by its `origin`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from fcray.dataset.catalog import Catalog
from fcray.dataset.kinds import AS_WRITTEN, DONE, OFFERED, WORDS, dumps, label_of, question
from fcray.dataset.pools import Form
from fcray.dataset.speech import date_in, is_chinese
from fcray.dataset.templates import Template, meant, same
from fcray.tools import Example, Language, ToolCall


class Verifier:
    """Checks rows against the catalog that they were made from.

    Parameters
    ----------
    catalog: The tools, and the pools whose words the requests are made of.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
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
        if example.origin.generator == "template":
            template = self._templates.get(example.origin.template)
            if template is None:
                yield "wording", f"there is no template {example.origin.template!r}"
                return
            yield from (("wording", reason) for reason in _wording(example, template))
            yield from (("wording", reason) for reason in self._answer(example, template))

    def _language(self, example: Example) -> Iterator[tuple[str, str]]:
        if not example.request.strip():
            yield "format", "the request is empty"
            return
        # A catalog's sentences are in their language whatever fills their gaps, Chinese names too.
        template = self._templates.get(example.origin.template)
        if example.origin.generator == "template" and template is not None:
            spoken = template.language
        else:
            spoken = "zh" if is_chinese(said_in(example)) else "en"
        if spoken != example.origin.language:
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

    def _answer(self, example: Example, template: Template) -> Iterator[str]:
        """The words of a row must be those that its template, question or result calls for."""
        kind, said, language = example.origin.kind, example.response, example.origin.language
        if example.calls:
            return
        if kind == "missing":
            tool = self._catalog.tools[template.tool]
            absent = [name for name in tool.required if name not in template.forms]
            labels = [label_of(self._catalog, tool.name, name, language) for name in absent]
            if not absent or said != question(labels, language):
                yield "the answer does not ask for what is missing"
        elif kind == "after_result":
            given = next((m.content for m in example.messages if m.role == "tool"), "")
            results = self._catalog.about[template.tool].results or DONE
            if not any(dumps(r.value) == given and r.said[language] == said for r in results):
                yield "the answer is not what the tool's result says"
        elif kind == "unknown_tool":
            offered = {tool.name for tool in example.tools}
            if template.tool in offered:
                yield f"{template.tool} is offered after all"
            if not offered & set(_NAME.findall(said)):
                yield "the answer names no tool that is offered"
        elif template.answer and not _is_answer(said, template.answer):
            yield f"the answer is not that of {template.id}"


_NAME = re.compile(r"[A-Za-z0-9_-]+")


def _is_answer(said: str, answer: str) -> bool:
    before, gap, behind = answer.partition(OFFERED)
    if not gap:
        return said == answer
    return said.startswith(before) and said.endswith(behind) and len(said) > len(before + behind)


def _wording(example: Example, template: Template) -> Iterator[str]:
    """The row's template, said with the gold arguments, must be the request."""
    kind, calls = example.origin.kind, example.calls
    if kind in ("missing", "unknown_tool") or (kind == "invalid" and template.tool):
        spoiled = kind == "invalid"
        if spoiled and not template.is_spoiled(example.request):
            yield f"the request is {template.id} with values that it may have"
        if not spoiled and not template.is_said(example.request):
            yield f"the request is not {template.id}"
        return
    if kind not in AS_WRITTEN or len(calls) > 1:
        return
    called = calls[0].name if calls else ""
    arguments = calls[0].arguments if calls else {}
    if template.tool != called:
        yield f"{template.id} does not call {called or 'nothing'}"
    elif not template.says(example.request, arguments, today_of(example)):
        yield f"the request is not {template.id} said with these arguments"


def _kind(example: Example) -> Iterator[str]:
    """Whether calls and words are what a row of its kind has."""
    kind, calls = example.origin.kind, example.calls
    if not calls and not example.response.strip():
        yield "neither a call nor an answer"
    if not calls and kind not in (*WORDS, "contrast"):
        yield f"a row of kind {kind!r} has no call"
    if calls and kind in WORDS:
        what = "an irrelevant request" if kind == "irrelevant" else f"a row of kind {kind!r}"
        yield f"{what} calls {calls[0].name}"
    if len(calls) > 1 and kind != "parallel":
        yield f"a row of kind {kind!r} has {len(calls)} calls"
    if len(calls) == 1 and kind == "parallel":
        yield "a row of kind 'parallel' has one call"
    before = [call for message in example.messages for call in message.tool_calls]
    if any(call in before for call in calls):
        yield "the call has been made already"


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
