"""Templates: sentences with named gaps, each gap filled from a pool.

A template's fillings are numbered from 0 to `size` - 1, so that they can be drawn without listing
them. Knows nothing of files or of how a dataset is divided.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

from fcray.dataset.pools import Form
from fcray.dataset.speech import resolved
from fcray.tools import Language

_SLOT = re.compile(r"\\\{\w+\\\}")
"""A gap in a text whose braces are escaped."""


@dataclass(frozen=True)
class Filled:
    """A template with every gap filled: the request and the arguments that it states."""

    template: Template
    request: str
    arguments: Mapping[str, Any]
    spoken: Mapping[str, str]

    def with_words(self, argument: str, words: str) -> str:
        """The request with other words in one gap."""
        return self.template.text.format(**{**self.spoken, argument: words})


class Pick(NamedTuple):
    """One filling of a template before it is made: what a row takes in memory until it is written."""

    template: Template
    number: int

    @property
    def filled(self) -> Filled:
        return self.template.fill(self.number)


@dataclass(frozen=True)
class Template:
    """One way to say a request in one language.

    Attributes
    ----------
    id: Tool (or `~chat`), language and position, such as `get_weather/zh/3`.
    tool: The tool that it calls; empty when none is to be called.
    text: The sentence; `{name}` is a gap.
    forms: Gap → the forms that may fill it, in the order of the text.
    answer: What is said when no tool is called.
    variant: What sets it apart from the template of the same id whose gaps hold other values.
    """

    id: str
    tool: str
    domain: str
    language: Language
    text: str
    forms: Mapping[str, tuple[Form, ...]]
    answer: str = ""
    variant: str = ""

    @property
    def subject(self) -> str:
        """The tool that the sentence is about, called or not."""
        return self.tool or self.id.partition("/")[0]

    @property
    def size(self) -> int:
        """How many fillings there are."""
        return math.prod(len(forms) for forms in self.forms.values())

    def fill(self, index: int) -> Filled:
        """Filling number `index`, in mixed radix over the gaps."""
        chosen: dict[str, Form] = {}
        for name, forms in self.forms.items():
            index, position = divmod(index, len(forms))
            chosen[name] = forms[position]
        spoken = {name: form.spoken for name, form in chosen.items()}
        stated = {name: form.value for name, form in chosen.items()} if self.tool else {}
        return Filled(self, self.text.format(**spoken), stated, spoken)

    def limited(self, forms: Mapping[str, tuple[Form, ...]], variant: str) -> Template:
        """The template with other values in some gaps."""
        return replace(self, forms={**self.forms, **forms}, variant=variant)

    def says(self, request: str, arguments: Mapping[str, Any], today: date | None = None) -> bool:
        """Whether `request` is this template with words that mean exactly `arguments` on `today`."""
        if self.tool and arguments.keys() != self.forms.keys():
            return False
        return self._is_said(
            request,
            lambda name, form: not self.tool or same(meant(form.value, today), arguments[name]),
        )

    def is_spoiled(self, request: str) -> bool:
        """Whether `request` is this template with words in a gap that none of its forms has."""
        pattern = _SLOT.sub(".+", re.escape(self.text))
        return bool(re.fullmatch(pattern, request)) and not self.is_said(request)

    def is_said(self, request: str) -> bool:
        """Whether `request` is this template with words of its forms, whatever they mean."""
        return self._is_said(request, lambda *_: True)

    def _is_said(self, request: str, fits: Callable[[str, Form], bool]) -> bool:
        spoken = [
            [form.spoken for form in forms if form.spoken in request and fits(name, form)]
            for name, forms in self.forms.items()
        ]
        return any(
            self.text.format(**dict(zip(self.forms, words, strict=True))) == request
            for words in itertools.product(*spoken)
        )


def meant(value: Any, today: date | None) -> Any:
    """`value` on `today`; a relative date without a day means nothing."""
    return value if today is None else resolved(value, today)


def same(left: Any, right: Any) -> bool:
    """Equal in JSON's sense: unlike in Python, 1 is not true."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
