"""Values just outside what a schema allows, in the request's own words, and how it is said that they are.

A number is put beyond its limit or made a fraction, a date made one that no month has. What a schema does
not limit cannot be spoiled: enums are spoken in words that nothing here knows. Pure.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from fcray.dataset.speech import When
from fcray.dataset.templates import Filled
from fcray.tools import Language

_NO_DAYS: Mapping[Language, tuple[str, ...]] = {
    "zh": ("2月30号", "2月31号", "4月31号", "6月31号", "9月31号", "11月31号"),
    "en": (
        *("on February 30", "on February 31", "on April 31", "on June 31"),
        *("on September 31", "on November 31"),
    ),
}

_WHY: Mapping[Language, Mapping[str, str]] = {
    "zh": {
        "whole": "{label}必须是整数，不能是{wrong}。",
        "range": "{label}要在{low}到{high}之间，不能是{wrong}。",
        "large": "{label}最大是{high}，不能是{wrong}。",
        "small": "{label}不能是{wrong}，太小了。",
    },
    "en": {
        "whole": "{label} has to be a whole number, not {wrong}.",
        "range": "{label} has to be from {low} to {high}, not {wrong}.",
        "large": "{label} can be {high} at most, not {wrong}.",
        "small": "{label} can't be {wrong}: that is too small.",
    },
}


def is_limited(schema: Any) -> bool:
    """Whether a schema forbids a value of its own type that can be said; `true` forbids nothing."""
    if not isinstance(schema, Mapping) or "enum" in schema or "const" in schema:
        return False
    if schema.get("type") in ("integer", "number"):
        return _low(schema) is not None or _high(schema) is not None or schema["type"] == "integer"
    return schema.get("format") == "date"


def spoilable(schema: Any, filled: Filled, argument: str) -> bool:
    """Whether an argument of a request can be spoiled: its words hold its number in digits."""
    value = filled.arguments[argument]
    if not is_limited(schema):
        return False
    if isinstance(value, When):
        return schema.get("format") == "date" and not value.time
    return _is_in_digits(value, filled.spoken[argument])


def _is_in_digits(value: Any, words: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    digits = "".join(c if c.isdigit() or c == "." else " " for c in words).split()
    return number and digits == [_plain(value)]


def spoiled(
    schema: Mapping[str, Any], filled: Filled, argument: str, rng: random.Random
) -> tuple[str, str]:
    """Words for a value that is not allowed, and a sentence that says why, with a gap `{label}`."""
    language = filled.template.language
    value, words = filled.arguments[argument], filled.spoken[argument]
    if isinstance(value, When):
        day = rng.choice(_NO_DAYS[language])
        if language == "zh":
            return day, f"没有{day}这一天，请换一个{{label}}。"
        return day, f"{{label}} can't be {day.removeprefix('on ')}: there is no such day."
    wrong = _wrong_number(schema, value, rng)
    said = words.replace(_plain(value), f"{_plain(wrong)}")
    return said, _reason(schema, wrong, language)


def _wrong_number(schema: Mapping[str, Any], value: float, rng: random.Random) -> float:
    low, high = _low(schema), _high(schema)
    found: list[float] = []
    if high is not None:
        step = max(1, round(high / 10))
        found += [high + step, high + 3 * step, high * 2 + 1]
    if low is not None and low > 0:
        found.append(0)
    if schema["type"] == "integer":
        found.append(int(value) + 0.5)
    return rng.choice(found or [(low or 0) - 10])


def _reason(schema: Mapping[str, Any], wrong: float, language: Language) -> str:
    low, high = _low(schema), _high(schema)
    if schema["type"] == "integer" and wrong != int(wrong):
        why = "whole"
    elif low is not None and high is not None:
        why = "range"
    else:
        why = "small" if high is None else "large"
    limits = {"low": _plain(low or 0), "high": _plain(high or 0), "wrong": _plain(wrong)}
    return _WHY[language][why].format(label="{label}", **limits)


def _low(schema: Mapping[str, Any]) -> float | None:
    return _finite(schema.get("minimum", schema.get("exclusiveMinimum")))


def _high(schema: Mapping[str, Any]) -> float | None:
    return _finite(schema.get("maximum", schema.get("exclusiveMaximum")))


def _finite(bound: float | None) -> float | None:
    return bound if bound is not None and math.isfinite(bound) else None  # YAML has .inf


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.10g}"
