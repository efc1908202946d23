"""Values for an argument, as a pool of a catalog file: one maker for each type of JSON.

What a text may be is told by its examples, format, description or name. Knows nothing of tools or sentences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from fcray.dataset.derive.labels import spoken_argument
from fcray.dataset.derive.meanings import FORMATS, MOMENTS, TOPIC, meaning_of
from fcray.dataset.derive.schemas import before_examples, description_of, followed, merged
from fcray.dataset.derive.words import full_words
from fcray.dataset.pools import LANGUAGES
from fcray.tools import Language

Values = list[Any] | dict[str, Any]
"""A pool as a catalog file holds it."""


def pool_of(name: str, schema: Any, root: Mapping[str, Any], depth: int = 0) -> Values | None:
    """Values for an argument, as a pool of a catalog file; None where its schema gives no idea.

    Parameters
    ----------
    root: The tool's whole schema, which references lead into.
    """
    schema = merged(schema, root)
    if schema is None or depth > 3:
        return None
    variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if variants:
        told = (_telling(one, schema, "description", "examples") for one in variants)
        pools = (pool_of(name, one, root, depth + 1) for one in told)
        return next((pool for pool in pools if pool is not None), None)
    if "const" in schema or "enum" in schema:
        values = [v for v in schema.get("enum", [schema.get("const")]) if v is not None]
        if values and all(isinstance(value, bool) for value in values):
            return [entry for entry in _BOOLEANS if entry["value"] in values]
        return [_said(value) for value in values] or None
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    maker = _MAKERS.get(kind)
    return maker(name, schema, root, depth) if maker else None


def _telling(part: Any, schema: Mapping[str, Any], *keys: str) -> Any:
    """A part of a schema, with what the whole says under `keys` where it says nothing itself."""
    told = {key: schema[key] for key in keys if key in schema}
    return {**told, **part} if isinstance(part, Mapping) else part


def _said(value: Any) -> Any:
    """A value and its words; a text or a number stands for itself."""
    if isinstance(value, str) and value.strip() == value and value:
        spoken = value.replace("_", " ")
        return value if spoken == value else {"value": value, "zh": spoken, "en": spoken}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _whole(value)
    return {"value": value, "zh": f"“{value}”", "en": f'"{value}"'}


def _whole(number: float) -> float:
    """A whole number without its point: nobody says 25000.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


# ------------------------------------------------------------------------------------ entries of pools


def value_of(entry: Any, language: Language) -> Any:
    """What an entry means, said in a language."""
    if not isinstance(entry, dict):
        return entry
    said = entry.get(language, "")
    return entry.get("value", said[0] if isinstance(said, list) else said)


def _spoken(entry: Any, language: Language) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    said = entry.get(language, entry.get("value", ""))
    return str(said[0] if isinstance(said, list) else said)


def speaks(entry: Any, language: Language) -> bool:
    """Whether a pool's entry can be said in a language."""
    return not isinstance(entry, dict) or language in entry


# --------------------------------------------------------------------------------- yes and no, numbers

_BOOLEANS = [{"value": True, "zh": "是", "en": "yes"}, {"value": False, "zh": "否", "en": "no"}]


def _booleans(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    return list(_BOOLEANS)


def _bounds(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The least and the greatest value, exclusive ones included; those of YAML may be infinite."""

    def finite(*keys: str) -> list[float]:
        return [schema[key] for key in keys if key in schema and math.isfinite(schema[key])]

    return (
        max(finite("minimum", "exclusiveMinimum"), default=None),
        min(finite("maximum", "exclusiveMaximum"), default=None),
    )


def _step(schema: Mapping[str, Any]) -> float | None:
    step: float | None = schema.get("multipleOf")
    return step if step is not None and math.isfinite(step) else None


_COUNTED: Mapping[str, list[Any]] = {
    "year": list(range(2015, 2027)), "month": list(range(1, 13)), "hour": list(range(24)),
    "minute": list(range(0, 60, 5)), "age": list(range(18, 81)), "page": list(range(1, 11)),
    "rating": list(range(1, 6)), "stars": list(range(1, 6)), "score": list(range(50, 101, 5)),
    "latitude": [39.9, 31.23, 51.51, 40.71, 48.86, -33.87, 35.68, 1.35],
    "longitude": [116.4, 121.47, -0.13, -74.01, 2.35, 151.21, 139.69, 103.82],
    **{of: [50, 80, 120, 200, 350, 500, 800, 1000, 1500, 2000, 5000, 8000]
       for of in ("price", "amount", "budget", "cost", "salary", "fee", "income")},
}  # fmt: skip
"""Numbers that fit a name, where its schema has no bounds."""


def _counted(name: str, schema: Mapping[str, Any]) -> list[Any] | None:
    words = full_words(name)
    known = next((_COUNTED[word] for word in reversed(words) if word in _COUNTED), None)
    if known is None or "multipleOf" in schema:
        return None
    low, high = _bounds(schema)
    within = [n for n in known if (low is None or n > low) and (high is None or n < high)]
    return within if len(within) > 3 else None


def _integers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    if (known := _counted(name, schema)) and all(isinstance(one, int) for one in known):
        return known
    low, high = _bounds(schema)
    if "exclusiveMinimum" in schema and low is not None:
        low += 1
    if "exclusiveMaximum" in schema and high is not None:
        high -= 1
    step = Fraction(str(_step(schema) or 1)).numerator  # whole multiples of 0.5 are all
    if low is None:
        low = 1 if high is None or high >= 1 else high - 20
    first = -(-math.ceil(low) // step) * step
    last = first + 50 * step if high is None else min(math.floor(high), first + 2000 * step)
    return {"range": [first, max(first, last)], **({"step": step} if step != 1 else {})}


def _numbers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    if known := _counted(name, schema):
        return known
    low, high = _bounds(schema)
    if step := _step(schema):
        start = -(-(low or 0) // step)
        found = [round((start + n) * step, 6) for n in range(1, 9)]
    elif low is not None and high is not None:
        found = sorted({round(low + (high - low) * part / 8, 4) for part in range(1, 8)})
    else:
        base = [0.5, 1.5, 2.25, 10.5, 37.2, 99.9, 120.75]
        found = [round((low or 0) + n if high is None else high - n, 2) for n in base]
    return [_whole(number) for number in found if math.isfinite(number)]


# ----------------------------------------------------------------------------------- lists and objects

_COMMA: Mapping[Language, str] = {"zh": "、", "en": ", "}


def _lists(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Lists of one to three items; lists of lists cannot be told apart when they are said."""
    inner = followed(schema.get("items", {"type": "string"}), root)
    told = _telling(inner, schema, "description")
    items = pool_of(name.removesuffix("s"), told, root, depth + 1)
    nested = isinstance(inner, Mapping) and inner.get("type") == "array"
    if not isinstance(items, list) or len(items) < 2 or nested:
        return None
    low = max(1, int(schema.get("minItems", 1)))
    high = max(low, min(int(schema.get("maxItems", 3)), 3))
    found = []
    for language, comma in _COMMA.items():
        usable = [one for one in items if speaks(one, language)]
        for size in range(low, high + 1):
            for start in range(len(usable) if size <= len(usable) else 0):
                chosen = [usable[(start + n) % len(usable)] for n in range(size)]
                said = comma.join(_spoken(one, language) for one in chosen)
                found.append({"value": [value_of(one, language) for one in chosen], language: said})
    return _distinct(found) or None


def _objects(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Objects with their required fields, or with all where none is required."""
    properties = schema.get("properties", {})
    names = [n for n in properties if n in schema.get("required", ())] or list(properties)[:3]
    pools = {n: _listed(pool_of(n, properties[n], root, depth + 1)) for n in names}
    if not names or any(not pool for pool in pools.values()):
        return None
    found = []
    for turn in range(8):
        entry = {
            n: pool[(turn + index) % len(pool)] for index, (n, pool) in enumerate(pools.items())
        }
        for language in LANGUAGES:
            spoken = _COMMA[language].join(
                f"{spoken_argument(n, properties[n], language)} {_spoken(e, language)}"
                for n, e in entry.items()
            )
            found.append(
                {"value": {n: value_of(e, language) for n, e in entry.items()}, language: spoken}
            )
    return _distinct(found)


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for entry in entries:
        language = "zh" if "zh" in entry else "en"
        if (language, entry[language]) not in seen:
            seen.add((language, entry[language]))
            kept.append(entry)
    return kept


def _listed(pool: Any) -> list[Any]:
    if isinstance(pool, dict):
        low, high = pool["range"]
        return list(range(low, high + 1, pool.get("step", 1)))[:12]
    return pool or []


# ----------------------------------------------------------------------------------------------- texts


def _strings(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Texts of what the examples, the format, the description or the name tell; topics where nothing does.

    None where a pattern or a format wants what nothing here knows: a guess would not match, and a wrong
    gold value is worse than none.
    """
    told = [e for e in schema.get("examples", []) if isinstance(e, str) and e and e.strip() == e]
    if len(told) > 1:
        return told
    if schema.get("format") in FORMATS:
        return list(FORMATS[schema["format"]])
    description = description_of(schema)
    known: list[Any] = _written(description) or _choices(description)
    if not known and (meaning := meaning_of(name, schema)):
        known = meaning.values
    if not known and not schema.keys() & {"pattern", "format"}:
        known = told or TOPIC.values
    return _fitting(known, schema)


_WRITTEN = re.compile(
    r"(?<![A-Za-z])(?:(?:YYYY|MM|DD|HH|SS)[-/.:T 年月日时分秒]{0,2})+Z?(?![A-Za-z])", re.IGNORECASE
)
"""How a description says that a date or time is to be written: YYYY-MM-DD."""


def _written(description: str) -> list[str] | None:
    """Dates and times as a description wants them written."""
    for match in _WRITTEN.finditer(description):
        pattern = match[0].strip(" -/.:")
        parts = _PART.findall(pattern)
        if len(parts) > 1 or parts[0] == "YYYY":
            moments = [datetime.fromisoformat(one) for one in MOMENTS]
            return list(dict.fromkeys(_in_pattern(pattern, moment) for moment in moments))
    return None


def _in_pattern(pattern: str, moment: datetime) -> str:
    before = ""

    def part(match: re.Match[str]) -> str:
        nonlocal before
        token = match[0].upper()
        if token == "MM" and before == "HH":
            token = "minutes"
        before = token
        return moment.strftime(_DIRECTIVES[token])

    return _PART.sub(part, pattern)


_PART = re.compile("YYYY|MM|DD|HH|SS", re.IGNORECASE)
_DIRECTIVES = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "minutes": "%M", "SS": "%S"}
_QUOTED = re.compile(r"""(?<!\w)['"`‘“「]([^'"`‘’“”「」\n]{1,30})['"`’”」](?!\w)""")


def _choices(description: str) -> list[str]:
    """What a description quotes, if it quotes several: the values that it names."""
    told = dict.fromkeys(_QUOTED.findall(before_examples(description)))
    found = [one for one in told if one.strip() == one]
    return found if len(found) > 1 else []


def _fitting(entries: list[Any], schema: Mapping[str, Any]) -> list[Any] | None:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 10_000)
    kept = [e for e in entries if all(low <= len(_spoken(e, one)) <= high for one in LANGUAGES)]
    return kept or None


_MAKERS: Mapping[Any, Callable[..., Values | None]] = {
    "boolean": _booleans,
    "integer": _integers,
    "number": _numbers,
    "array": _lists,
    "object": _objects,
    "string": _strings,
}
