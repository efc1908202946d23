"""Requests that no call answers: something is missing, said twice, or cannot be what it is said to be.

What is missing, out of range or not on offer are rows of the dataset's own kinds. A contradiction is put
behind a plain request, and a mistyped value in a required argument's place: an optional one might be passed
over. Pure; the generator of random numbers that comes with a row decides everything.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from fcray.dataset.faults.clean import Clean, CleanRows
from fcray.dataset.kinds import Made
from fcray.dataset.speech import When
from fcray.dataset.templates import same
from fcray.tools import Language

_CONTRADICTIONS: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "{request}（{label}是{one}。{label}是{other}。）",
        "{request}{label}只能是{one}，{label}只能是{other}。",
        "{request}说好了，{label}就是{one}，{label}就是{other}。",
    ),
    "en": (
        "{request} (The {label} is {one}. The {label} is {other}.)",
        "{request} The {label} is {one} and nothing else. The {label} is {other} and nothing else.",
        "{request} The {label} must be {one}, and the same {label} must be {other}.",
    ),
}
_WHICH: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "你说了两个{label}：{one}和{other}，请问到底是哪一个？",
        "{label}不能既是{one}又是{other}，用哪一个？",
    ),
    "en": (
        "You gave me two values for the {label}, {one} and {other}. Which one do you mean?",
        "The {label} can't be both {one} and {other}. Which one should it be?",
    ),
}
_STOP: Mapping[Language, str] = {"zh": "。", "en": "."}


def as_it_is(row: Clean, clean: CleanRows, rng: random.Random) -> Made:
    """The row is the case."""
    return Made(row.example.messages, response=row.example.response)


def contradictory(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """The same argument is given two values, neither of them last or least."""
    language = row.language
    names = list(row.filled.arguments)
    rng.shuffle(names)
    for name in names:
        value, one = row.filled.arguments[name], row.filled.spoken[name]
        others = [
            form.spoken
            for form in clean.forms(row, name)
            if _is_nameable(form.value, form.spoken, language) and not same(form.value, value)
        ]
        if not others or not _is_nameable(value, one, language):
            continue
        first, second = _quoted(one, rng.choice(others), language)
        said = {"label": clean.label(row, name), "one": first, "other": second}
        request = row.filled.request
        request += "" if request[-1] in "。？！.?!" else _STOP[language]
        text = rng.choice(_CONTRADICTIONS[language]).format(request=request, **said)
        return Made(row.said(text), response=rng.choice(_WHICH[language]).format(**said))
    return None


def _is_nameable(value: Any, words: str, language: Language) -> bool:
    """Whether "the city is …" can be said with these words: "the day is on Monday" cannot."""
    if isinstance(value, bool | When) or not isinstance(value, str | int | float):
        return False
    if language == "zh":
        return words != "两"
    return words == str(value) or words[0].isdigit()


def _quoted(one: str, other: str, language: Language) -> tuple[str, str]:
    """Both in quotes if one is long, or it could not be told where it ends."""
    long = 10 if language == "zh" else 20
    return (one, other) if max(len(one), len(other)) <= long else (f"“{one}”", f"“{other}”")


_NONSENSE: Mapping[Language, Mapping[str, tuple[str, ...]]] = {
    "zh": {
        "number": ("紫色", "香蕉", "若干", "蓝色", "随缘"),
        "date": ("星期十", "猴年马月", "某年某月某日"),
        "when": ("星期十", "猴年马月", "某年某月某日"),
        "time": ("香蕉点", "某点某分", "紫色点钟"),
        "moment": ("星期十香蕉点", "猴年马月某点"),
        "word": ("咕噜", "叽里呱啦", "哔哔啵"),
    },
    "en": {
        "number": ("purple", "banana", "cheese", "umpteen"),
        "date": ("Blursday", "the day of days"),
        "when": ("on Blursday", "on the day of days"),
        "time": ("banana o'clock", "purple past cheese"),
        "moment": ("on Blursday at banana o'clock", "on the day of days at purple past cheese"),
        "word": ("flurble", "wibbly", "blah-blah"),
    },
}
"""Words that are no value, by what should stand there. Relative dates in English carry their preposition."""

_UNREADABLE: Mapping[Language, tuple[str, ...]] = {
    "zh": ("“{words}”不能当作{label}，请问{label}是什么？", "{label}不能是“{words}”，请再说一遍。"),
    "en": (
        "“{words}” can't be the {label}. What should it be?",
        "I can't read “{words}” as the {label}. Could you tell me the {label} again?",
    ),
}

_PREPOSITIONS = ("on ", "in ", "at ", "by ", "per ")
_TIME = re.compile(r"\d{2}:\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def mistyped(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """Words that can be no value stand where a required argument was said."""
    tool = clean.catalog.tools[row.tool]
    sorts = {
        name: sort
        for name, value in row.filled.arguments.items()
        if name in tool.required and (sort := _sort(value, tool.properties.get(name)))
    }
    if not sorts:
        return None
    name = rng.choice(list(sorts))
    words = rng.choice(_NONSENSE[row.language][sorts[name]])
    answer = rng.choice(_UNREADABLE[row.language])
    response = answer.format(words=words.removeprefix("on "), label=clean.label(row, name))
    before = row.filled.spoken[name].lower()
    if sorts[name] == "word" and row.language == "en" and before.startswith(_PREPOSITIONS):
        words = f"{before.split()[0]} {words}"
    return Made(row.said(row.filled.with_words(name, words)), response=response)


def _sort(value: Any, schema: Any) -> str | None:  # noqa: PLR0911
    """What words for an argument must be; None where any would do, or none would be plainly wrong."""
    if isinstance(value, When):
        return "moment" if value.time else "when"
    if isinstance(value, bool) or not isinstance(schema, Mapping):
        return None
    if isinstance(value, int | float):
        return "number"
    if not isinstance(value, str):
        return None
    if "enum" in schema:
        return "word"
    if _TIME.fullmatch(value):
        return "time"
    if _DATE.fullmatch(value):
        return "date"
    return "word" if "pattern" in schema else None
