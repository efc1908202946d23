"""What a tool gives back in a row, and what is then said of it.

A catalog lists results by heart; where the outcome follows from the arguments, a body mass index say, it
leaves the value to the reference tool (`fcray.domains`) and words the sentence around it. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from fcray.dataset.catalog import About, Result
from fcray.dataset.speech import spoken_date
from fcray.domains import Refused, execute
from fcray.tools import Language, ToolCall

DONE = (Result({"ok": True}, {"zh": "好了。", "en": "Done."}),)
"""What a tool gives back of which the catalog does not say."""

_GAP = re.compile(r"\{(\w+)\}")
_FAILED = ("error", "reason", "conflicts")
_DONE = ("ok", "success", "sent", "saved", "confirmed", "active", "accepted", "done")


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def given_back(
    about: About, call: ToolCall, today: date | None, language: Language
) -> Iterator[tuple[Any, str]]:
    """(value, what is then said) of every result that `call` may have."""
    outcome: Any = None
    for result in about.results or DONE:
        if not result.computed:
            yield result.value, result.said[language]
            continue
        if outcome is None:
            try:
                outcome = execute(call.name, call.arguments, today)
            except Refused:
                outcome = {}
        text = _said(result, outcome, language)
        if text is not None:
            yield outcome, text


def _said(result: Result, outcome: Mapping[str, Any], language: Language) -> str | None:
    """The sentence with the outcome's fields; None where it has not all of them."""
    text = result.said[language]
    values = {name: outcome.get(name) for name in _GAP.findall(text)}
    if not values or None in values.values():
        return None
    return _GAP.sub(lambda gap: _spoken(result, values[gap[1]], language), text)


def _spoken(result: Result, value: Any, language: Language) -> str:
    if isinstance(value, str):
        word = result.words.get(value, {}).get(language)
        return word or spoken_date(value, language)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def is_failure(value: Any) -> bool:
    """Whether a result says that nothing was done."""
    if not isinstance(value, dict):
        return False
    return any(name in value for name in _FAILED) or any(value.get(n) is False for n in _DONE)
