"""Pools of values: what an argument may be, and how people say it in each language.

A pool is a finite list of forms a language; a form pairs a gold value with the words that stand in
the request. Knows nothing of tools or templates. The format is described in data/README.md.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from fcray.dataset import speech
from fcray.dataset.speech import When
from fcray.tools import Language, canonical_json
from fcray.yamlfile import Location, YamlFile

LANGUAGES: tuple[Language, ...] = get_args(Language)

LIMIT = 20_000
"""Most forms a pool may hold in one language: more would cost build time, not add variety."""

_COMMA: Mapping[Language, str] = {"zh": "、", "en": ", "}
_LAST: Mapping[Language, tuple[str, ...]] = {"zh": ("、", "和"), "en": (" and ", " and ", ", ")}
_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class Form:
    """One value as it is said.

    Attributes
    ----------
    value: The gold argument.
    spoken: The words that stand in the request.
    at: Where the entry stands in its file, for errors.
    """

    value: Any
    spoken: str
    at: Location


@dataclass(frozen=True)
class Pool:
    """The forms of one pool, language by language."""

    name: str
    forms: Mapping[Language, tuple[Form, ...]]


def slots(text: str) -> tuple[str, ...]:
    """The names in braces in `text`, in order.

    Raises
    ------
    ValueError: A brace that belongs to no name, or a name that stands twice.
    """
    names = tuple(_SLOT.findall(text))
    if "{" in (rest := _SLOT.sub("", text)) or "}" in rest:
        raise ValueError(f"a brace without a name in {text!r}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{{{twice[0]}}} stands twice in {text!r}")
    return names


def parse_pools(document: YamlFile) -> dict[str, Pool]:
    """The pools under `pools:` of a catalog file.

    Raises
    ------
    UserError: A pool or an entry of it cannot be used; names file, line and field.
    """
    raw: Mapping[str, Any] = document.data.get("pools", {})
    pools: dict[str, Pool] = {}
    # Lists and ranges first: `join` and `lists_of` refer to them, wherever they stand in the file.
    for name, body in sorted(raw.items(), key=lambda item: _rank(item[1])):
        pools[name] = _parse(document, name, body, pools)
        _check_unambiguous(document, pools[name])
    return pools


def _rank(body: Any) -> int:
    if not isinstance(body, dict):
        return 0
    return next((rank for rank, key in enumerate(_PARSERS, start=1) if key in body), 0)


def _parse(document: YamlFile, name: str, body: Any, known: Mapping[str, Pool]) -> Pool:
    at: Location = ("pools", name)
    if isinstance(body, list) and body:
        return _listed(document, name, body)
    if isinstance(body, list):
        raise document.error("this pool is empty", at)
    if isinstance(body, dict):
        for key, parser in _PARSERS.items():
            if key in body:
                return parser(document, name, body, known)
    raise document.error(
        f"a pool is a list of values, or a mapping with one of {', '.join(_PARSERS)}", at
    )


def _listed(document: YamlFile, name: str, entries: list[Any]) -> Pool:
    """A list of texts, numbers, or mappings of `zh`, `en` and perhaps a `value`."""
    forms: dict[Language, tuple[Form, ...]] = {}
    for language in LANGUAGES:
        forms[language] = tuple(
            form
            for index, entry in enumerate(entries)
            for form in _entry_forms(document, entry, language, ("pools", name, index))
        )
    return Pool(name, forms)


def _entry_forms(
    document: YamlFile, entry: Any, language: Language, at: Location
) -> Iterator[Form]:
    if not isinstance(entry, dict):
        text = _scalar(document, entry, at)
        yield Form(text, str(text), at)
        return
    unknown = [key for key in entry if key not in (*LANGUAGES, "value")]
    if unknown:
        raise document.error("unknown field; known here: value, zh, en", (*at, str(unknown[0])))
    if not any(key in entry for key in LANGUAGES):
        raise document.error("an entry says how a value is spoken, under zh, en or both", at)
    said = entry.get(language, [])
    for spoken in said if isinstance(said, list) else [said]:
        text = _scalar(document, spoken, (*at, language))
        yield Form(entry.get("value", text), str(text), at)


def _scalar(document: YamlFile, value: Any, at: Location) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise document.error(f"expected a text or a number, not {value!r}; quote a text", at)
    if isinstance(value, str) and (not value.strip() or value != value.strip()):
        raise document.error(f"a text may not be empty or end in spaces: {value!r}", at)
    return value


def _range(document: YamlFile, name: str, body: dict[str, Any], _: Mapping[str, Pool]) -> Pool:
    """Whole numbers from low to high, said in digits."""
    at: Location = ("pools", name)
    _only(document, body, ("range", "step"), at)
    bounds, step = body["range"], body.get("step", 1)
    usable = (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(type(number) is int for number in (*bounds, step))
        and bounds[0] <= bounds[1]
        and step > 0
    )
    if not usable:
        raise document.error("a range is [low, high] in whole numbers, with a step above 0", at)
    numbers = range(bounds[0], bounds[1] + 1, step)
    _check_size(document, len(numbers), at)
    return Pool(
        name, dict.fromkeys(LANGUAGES, tuple(Form(number, str(number), at) for number in numbers))
    )


def _join(document: YamlFile, name: str, body: dict[str, Any], known: Mapping[str, Pool]) -> Pool:
    """Every combination of other pools in one text, such as a device's kind and number."""
    at: Location = ("pools", name)
    _only(document, body, ("join",), at)
    pattern = body["join"]
    try:
        names = slots(pattern) if isinstance(pattern, str) else ()
    except ValueError as error:
        raise document.error(str(error), (*at, "join")) from None
    if not names:
        raise document.error("join is a text that names other pools in braces", (*at, "join"))
    parts = [_referred(document, known, part, (*at, "join")) for part in names]
    forms: dict[Language, tuple[Form, ...]] = {}
    for language in LANGUAGES:
        spoken = [[form.spoken for form in part.forms[language]] for part in parts]
        _check_size(document, math.prod(map(len, spoken)), at)
        texts = [
            pattern.format(**dict(zip(names, words, strict=True)))
            for words in itertools.product(*spoken)
        ]
        forms[language] = tuple(Form(text, text, at) for text in texts)
    return Pool(name, forms)


def _lists_of(
    document: YamlFile, name: str, body: dict[str, Any], known: Mapping[str, Pool]
) -> Pool:
    """Lists of another pool's values, for array arguments: `count` of them, each size alike."""
    at: Location = ("pools", name)
    _only(document, body, ("lists_of", "sizes", "count"), at)
    source = _referred(document, known, body["lists_of"], (*at, "lists_of"))
    if any(isinstance(form.value, When) for form in source.forms["zh"]):
        raise document.error("a list cannot hold relative dates", (*at, "lists_of"))
    sizes, count = body.get("sizes", [1, 2, 3]), body.get("count", 200)
    usable = isinstance(sizes, list) and sizes and all(type(s) is int and s > 0 for s in sizes)
    if not usable or type(count) is not int or count < 1:
        raise document.error("sizes are whole numbers from 1, count is a whole number from 1", at)
    _check_size(document, count, at)
    return Pool(
        name,
        {
            language: tuple(_some_lists(source.forms[language], language, sizes, count, at))
            for language in LANGUAGES
        },
    )


def _some_lists(
    items: tuple[Form, ...], language: Language, sizes: list[int], count: int, at: Location
) -> Iterator[Form]:
    # The lists belong to the catalog, not to one dataset, so they do not depend on its seed.
    rng = random.Random(f"lists/{language}/{count}")
    said: set[str] = set()
    for size in sizes:
        wanted = math.ceil(count / len(sizes))
        for _ in range(wanted * 20 if size <= len(items) else 0):
            chosen = rng.sample(items, size)
            spoken = _COMMA[language].join(form.spoken for form in chosen[:-1])
            spoken += (rng.choice(_LAST[language]) if size > 1 else "") + chosen[-1].spoken
            distinct = len({str(form.value) for form in chosen}) == size
            if spoken not in said and distinct:
                said.add(spoken)
                wanted -= 1
                yield Form([form.value for form in chosen], spoken, at)
            if not wanted:
                break


def _referred(document: YamlFile, known: Mapping[str, Pool], name: Any, at: Location) -> Pool:
    if name not in known:
        raise document.error(f"there is no pool {name!r} that this one could be made of", at)
    return known[name]


def _only(document: YamlFile, body: dict[str, Any], fields: tuple[str, ...], at: Location) -> None:
    for key in body:
        if key not in fields:
            raise document.error(f"unknown field; known here: {', '.join(fields)}", (*at, str(key)))


def _check_size(document: YamlFile, size: int, at: Location) -> None:
    if size > LIMIT:
        raise document.error(f"this pool would hold {size} values; at most {LIMIT} are allowed", at)


def _check_unambiguous(document: YamlFile, pool: Pool) -> None:
    """No words may mean two values: the gold answer could not be told from the request."""
    for language in LANGUAGES:
        meaning: dict[str, str] = {}
        for form in pool.forms[language]:
            value = str(form.value) if isinstance(form.value, When) else canonical_json(form.value)
            if form.spoken in meaning:
                other = meaning[form.spoken]
                problem = "stands twice" if other == value else f"means both {other} and {value}"
                raise document.error(f"{form.spoken!r} {problem} in {language}", form.at)
            meaning[form.spoken] = value


def _relative(document: YamlFile, name: str, body: dict[str, Any], _: Mapping[str, Pool]) -> Pool:
    """Dates, or dates with times, that mean something against the row's date."""
    at: Location = ("pools", name)
    key = "dates" if "dates" in body else "datetimes"
    _only(document, body, (key,), at)
    makers = {("dates", "relative"): speech.dates, ("dates", "past"): speech.past_dates}
    makers["datetimes", "relative"] = speech.datetimes
    known = [kind for name, kind in makers if name == key]
    if body[key] not in known:
        raise document.error(f"{key} are {' or '.join(known)}", (*at, key))
    return _pool_of(name, at, makers[key, body[key]])


def _times(document: YamlFile, name: str, body: dict[str, Any], _: Mapping[str, Pool]) -> Pool:
    """Half hours, as they are said and in digits."""
    at: Location = ("pools", name)
    low, high = _bounds(document, body, "times", at, 0, 23)
    return _pool_of(name, at, lambda language: speech.times(low, high, language))


def _numerals(document: YamlFile, name: str, body: dict[str, Any], _: Mapping[str, Pool]) -> Pool:
    """Whole numbers in digits and in words."""
    at: Location = ("pools", name)
    low, high = _bounds(document, body, "numerals", at, 0, 9999)
    return _pool_of(name, at, lambda language: speech.numerals(low, high, language))


def _bounds(
    document: YamlFile, body: dict[str, Any], key: str, at: Location, low: int, high: int
) -> tuple[int, int]:
    _only(document, body, (key,), at)
    bounds = body[key]
    whole = isinstance(bounds, list) and len(bounds) == 2 and all(type(b) is int for b in bounds)
    if not whole or not low <= bounds[0] <= bounds[1] <= high:
        message = f"{key} are [first, last] in whole numbers from {low} to {high}"
        raise document.error(message, (*at, key))
    return bounds[0], bounds[1]


def _pool_of(
    name: str, at: Location, said: Callable[[Language], Iterable[tuple[Any, str]]]
) -> Pool:
    """A pool of spoken values; words that two of them share belong to the first."""
    forms = {}
    for language in LANGUAGES:
        unique: dict[str, Form] = {}
        for value, words in said(language):
            unique.setdefault(words, Form(value, words, at))
        forms[language] = tuple(unique.values())
    return Pool(name, forms)


_PARSERS: Mapping[str, Callable[[YamlFile, str, dict[str, Any], Mapping[str, Pool]], Pool]] = {
    "range": _range,
    "join": _join,
    "dates": _relative,
    "datetimes": _relative,
    "times": _times,
    "numerals": _numerals,
    "lists_of": _lists_of,
}
