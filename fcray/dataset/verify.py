"""The verification stage: each row is checked on its own before anything is trained on it.

A row passes when its gold call fits the tool's schema and every gold value can be read off the
request. Knows nothing of how the row was made, save by its `origin`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fcray.dataset.catalog import Catalog
from fcray.dataset.pools import Form
from fcray.dataset.templates import Template, same
from fcray.tools import Example, Language, ToolCall

_HAN = re.compile(r"[\u3400-\u9fff]")


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
        # A tool has one pool an argument, so any template that mentions it holds its forms.
        self._forms: dict[tuple[str, str, Language], tuple[Form, ...]] = {
            (template.tool, argument, template.language): forms
            for template in catalog.templates
            for argument, forms in template.forms.items()
        }

    def reasons(self, example: Example) -> list[str]:
        """What is wrong with `example`; empty when nothing is."""
        found = list(self._language(example))
        if not example.calls:
            if not example.response.strip():
                found.append("neither a call nor an answer")
            if example.origin.kind != "irrelevant":
                found.append(f"a row of kind {example.origin.kind!r} has no call")
            return found + self._wording(example, {})
        if example.origin.kind == "irrelevant":
            found.append(f"an irrelevant request calls {example.calls[0].name}")
        for call in example.calls:
            found += self._call(example, call)
        if len(example.calls) == 1:
            found += self._wording(example, example.calls[0].arguments)
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
        elif bool(_HAN.search(example.request)) != (example.origin.language == "zh"):
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
        request = example.request
        forms = self._forms.get((tool, argument, example.origin.language), ())
        meant: list[tuple[int, int]] = []
        others: list[tuple[int, int]] = []
        for form in forms:
            if form.spoken in request:
                spans = _spans(form.spoken, request)
                (meant if same(form.value, value) else others).extend(spans)
        return any(not _covered(span, others) for span in meant)

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
        if not template.says(example.request, arguments):
            return [f"the request is not {template.id} said with these arguments"]
        return []


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
