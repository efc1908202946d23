"""Values that training never sees: kept for the split `test_values`, by a rule on the value itself.

A value is kept when a hash of it says so, whichever argument has it, so no list has to be carried along.
What a closed set holds (an enum, true and false) and dates, which mean another day in every row, are
never kept. Pure and seeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fcray.dataset.catalog import About, Catalog
from fcray.dataset.pools import Form
from fcray.dataset.speech import When
from fcray.dataset.split import short_hash
from fcray.dataset.templates import Template
from fcray.tools import Example, Language, canonical_json

ONE_IN = 10
"""One of so many values is kept."""

ENOUGH = 10
"""Distinct values from which some of an argument's can be spared."""


class UnseenValues:
    """What is kept of a catalog's values, and the catalog without it.

    Attributes
    ----------
    usual: The catalog without the kept values.
    """

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self._seed = seed
        self._catalog = catalog
        self._kept: dict[tuple[str, str, Language], tuple[Form, ...]] = {}
        usual: dict[tuple[str, str, Language], tuple[Form, ...]] = {}
        for tool, about in catalog.about.items():
            for argument, spoken in about.forms.items():
                schema = catalog.tools[tool].properties.get(argument, {})
                for language, forms in spoken.items():
                    kept = tuple(form for form in forms if self.is_kept(form.value))
                    if kept and _is_open(schema, forms) and len(kept) < len(forms):
                        usual[tool, argument, language] = tuple(
                            form for form in forms if not self.is_kept(form.value)
                        )
                        self._kept[tool, argument, language] = kept
        self.usual = self._limited(usual)

    def is_kept(self, value: Any) -> bool:
        """Whether a value, or an item of a list, is kept from training."""
        if isinstance(value, list):
            return any(map(self.is_kept, value))
        if isinstance(value, bool | When):
            return False
        return short_hash(f"{self._seed}/value/{canonical_json(value)}") % ONE_IN == 0

    def templates(self, tool: str, language: Language) -> tuple[Template, ...]:
        """The templates of a tool with a kept value in one of their gaps."""
        found: list[Template] = []
        for template in self._catalog.of(tool, language):
            for argument in template.forms:
                kept = self._kept.get((tool, argument, language))
                if kept:
                    found.append(template.limited({argument: kept}, f"/unseen {argument}"))
        return tuple(found)

    def leaks(self, example: Example) -> Iterator[str]:
        """The kept values that a row's calls have."""
        language = example.origin.language
        calls = [call for message in example.messages for call in message.tool_calls]
        for call in (*calls, *example.calls):
            for argument, value in call.arguments.items():
                if (call.name, argument, language) in self._kept and self.is_kept(value):
                    yield f"{call.name}.{argument}: {value!r} is kept for test_values"

    def _limited(self, usual: Mapping[tuple[str, str, Language], tuple[Form, ...]]) -> Catalog:
        def limited(template: Template) -> Template:
            forms = {
                name: usual[template.subject, name, template.language]
                for name in template.forms
                if (template.subject, name, template.language) in usual
            }
            return template.limited(forms, "/usual") if forms else template

        def about(tool: str, found: About) -> About:
            return replace(
                found,
                forms={
                    name: {
                        language: usual.get((tool, name, language), forms)
                        for language, forms in spoken.items()
                    }
                    for name, spoken in found.forms.items()
                },
                incomplete=tuple(map(limited, found.incomplete)),
                invalid=tuple(map(limited, found.invalid)),
                contrast=tuple(map(limited, found.contrast)),
            )

        return replace(
            self._catalog,
            templates=tuple(map(limited, self._catalog.templates)),
            about={tool: about(tool, found) for tool, found in self._catalog.about.items()},
        )


def _is_open(schema: Any, forms: tuple[Form, ...]) -> bool:
    closed = isinstance(schema, dict) and bool(schema.keys() & {"enum", "const"})
    items = schema.get("items") if isinstance(schema, dict) else None
    if isinstance(items, dict) and "enum" in items:
        closed = True
    if closed or isinstance(forms[0].value, bool | When):
        return False
    return len({canonical_json(form.value) for form in forms}) >= ENOUGH
