"""The verification stage: each row is checked on its own before anything is trained on it.

A row passes when its gold call fits the tool's schema and every gold value can be read off the
request. Knows nothing of how the row was made, save by its `origin`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from fcray.dataset.catalog import Catalog
from fcray.dataset.pools import Form
from fcray.dataset.speech import date_in
from fcray.dataset.templates import Template, meant, same
from fcray.tools import Example, Language, ToolCall

_HAN = re.compile(r"[\u3400-\u9fff]")


WORDS = ("irrelevant", "contrast", "invalid", "missing", "after_result", "unknown_tool")
"""Kinds whose right answer is words."""

AS_WRITTEN = ("call", "unseen_template", "irrelevant", "contrast", "invalid")
"""Kinds whose request is one template, word for word."""


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
        kind = example.origin.kind
        found = list(self._language(example))
        if not example.calls and not example.response.strip():
            found.append("neither a call nor an answer")
        if not example.calls and kind not in WORDS:
            found.append(f"a row of kind {kind!r} has no call")
        if example.calls and kind in WORDS:
            what = "an irrelevant request" if kind == "irrelevant" else f"a row of kind {kind!r}"
            found.append(f"{what} calls {example.calls[0].name}")
        if len(example.calls) > 1 and kind != "parallel":
            found.append(f"a row of kind {kind!r} has {len(example.calls)} calls")
        if len(example.calls) == 1 and kind == "parallel":
            found.append("a row of kind 'parallel' has one call")
        for call in example.calls:
            found += self._call(example, call)
        if kind in AS_WRITTEN and len(example.calls) <= 1:
            arguments = example.calls[0].arguments if example.calls else {}
            found += self._wording(example, arguments)
        return found

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

    def _language(self, example: Example) -> Iterable[str]:
        if not example.request.strip():
            yield "the request is empty"
        elif bool(_HAN.search(_said(example))) != (example.origin.language == "zh"):
            yield f"the request is not in {example.origin.language}"

    def _call(self, example: Example, call: ToolCall) -> list[str]:
        offered = next((tool for tool in example.tools if tool.name == call.name), None)
        if offered is None:
            return [f"{call.name} is not among the tools offered"]
        found = [f"{call.name}: {problem}" for problem in offered.problems(call.arguments)]
        for name, value in call.arguments.items():
            if not self._stands(example, call.name, name, value):
                found.append(f"{call.name}.{name}: {value!r} cannot be read off the request")
        return found

    def _stands(self, example: Example, tool: str, argument: str, value: Any) -> bool:
        """Whether words for `value` stand in the request and are no part of words for another."""
        request, today = _said(example), _today(example)
        forms = self._forms.get((tool, argument, example.origin.language), ())
        right: list[tuple[int, int]] = []
        others: list[tuple[int, int]] = []
        for form in forms:
            if form.spoken in request:
                spans = _spans(form.spoken, request)
                (right if same(meant(form.value, today), value) else others).extend(spans)
        return any(not _covered(span, others) for span in right)

    def _wording(self, example: Example, arguments: dict[str, Any]) -> list[str]:
        """Whether the row's own template, said with these arguments, is the request."""
        if example.origin.generator != "template":
            return []
        template: Template | None = self._templates.get(example.origin.template)
        if template is None:
            return [f"there is no template {example.origin.template!r}"]
        called = example.calls[0].name if example.calls else ""
        if template.tool != called:
            return [f"{template.id} does not call {called or 'nothing'}"]
        if not template.says(example.request, arguments, _today(example)):
            return [f"the request is not {template.id} said with these arguments"]
        return []


def _said(example: Example) -> str:
    """What the user said, in all turns."""
    return "\n".join(m.content or "" for m in example.messages if m.role == "user")


def _today(example: Example) -> date | None:
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
