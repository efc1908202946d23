"""Requests that are hard to read: noise, typing errors, words of the other language.

Only words of the template are touched, never those of a value, so the clean row's call stays right. Pure; the
generator of random numbers that comes with a row decides everything.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import NamedTuple

from fcray.dataset.faults.clean import Clean, CleanRows
from fcray.dataset.faults.words import CONFUSED, TO_CHINESE, TO_ENGLISH
from fcray.dataset.kinds import Made
from fcray.dataset.speech import SMALL_NUMBERS, TENS, is_chinese
from fcray.dataset.templates import Filled
from fcray.tools import Language


class Place(NamedTuple):
    """What may be put into a request: characters of its literal piece number `piece`, and other words."""

    piece: int
    start: int
    end: int
    words: str


def noise(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """Filler words, emoji, stray spaces and signs, letters held down too long."""
    pieces = _pieces(row.filled)
    places: list[Place] = []
    for inside in (_gaps, _fillers) if row.language == "zh" else (_gaps, _stretched):
        found = list(inside(pieces, row.language, rng))
        places += _some(found, 2, rng)
    places += _ends(pieces, row.language, rng)
    return _disturbed(row, pieces, _some(places, rng.randint(2, 4), rng))


def typos(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """English letters swapped, dropped or doubled; Chinese characters that are taken for one another."""
    pieces = _pieces(row.filled)
    if row.language == "en":
        places = list(_misspelt(pieces, rng))
    else:
        places = list(_replaced(pieces, _CONFUSED, CONFUSED, rng)) or list(_swapped(pieces))
    return _disturbed(row, pieces, _some(places, rng.randint(2, 4), rng))


def code_switching(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """Some words are said in the other language."""
    pieces = _pieces(row.filled)
    if row.language == "en":
        places = _some(list(_replaced(pieces, _ENGLISH, TO_CHINESE, rng)), rng.randint(1, 3), rng)
    else:
        found = list(_replaced(pieces, _CHINESE, TO_ENGLISH, rng))
        places = _spaced(_some(found, rng.randint(1, 3), rng), pieces)
    made = _disturbed(row, pieces, places)
    if made is None or not is_chinese(made.messages[-1].content or ""):
        return None  # nothing but English would be left
    return made


def _pieces(filled: Filled) -> list[str]:
    """The request as the template's own words and those of its values, in turn: own words stand even."""
    pieces: list[str] = []
    for words, name, _, _ in Formatter().parse(filled.template.text):
        pieces += [words, filled.spoken[name] if name else ""]
    return pieces


def _own(pieces: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The template's own words, each piece with its number."""
    return ((number, piece) for number, piece in enumerate(pieces) if number % 2 == 0)


def _some(places: Sequence[Place], most: int, rng: random.Random) -> list[Place]:
    return rng.sample(places, min(most, len(places)))


def _disturbed(row: Clean, pieces: Sequence[str], places: Sequence[Place]) -> Made | None:
    """The row with these places filled; None where there are none."""
    if not places:
        return None
    said = list(pieces)
    for place in sorted(places, reverse=True):
        own = said[place.piece]
        said[place.piece] = own[: place.start] + place.words + own[place.end :]
    return Made(row.said("".join(said)), row.example.calls)


# --------------------------------------------------------------------------------------------- noise

_HAN = "[\u3400-\u9fff]"
_GAP: Mapping[Language, re.Pattern[str]] = {
    "zh": re.compile(f"(?<={_HAN})(?={_HAN})"),
    "en": re.compile(r"(?<=\S) (?=\S)"),
}
_IN_GAPS: Mapping[Language, tuple[str, ...]] = {
    "zh": (" ", "  ", "…", "~"),
    "en": (" uh, ", " um... ", "   ", " -- ", " 😅 ", " er ", " you know, ", " ... "),
}
_COMMA = re.compile(f"(?<={_HAN})[，：](?={_HAN})")
_AFTER_COMMAS = ("，嗯，", "，那个，", "，，，", "，呃……", "，😅")
_LONG_WORD = re.compile(r"(?<![\w'])[A-Za-z]{4,}(?![\w'])")
_BEGINNINGS: Mapping[Language, tuple[str, ...]] = {
    "zh": ("嗯……", "那个，", "喂喂，", "😂 ", "咳咳，", "在吗在吗，"),
    "en": ("uhh ", "hey so ", "😅 ", "... ", "ok sooo ", "hellooo?? "),
}
_BEGINS: Mapping[Language, re.Pattern[str]] = {
    "zh": re.compile(_HAN),
    "en": re.compile(r"[A-Za-z]"),
}
_ENDINGS: Mapping[Language, tuple[str, ...]] = {
    "zh": ("！！！", "～～", "……😂", "？！！", " 🙏🙏", "。。。"),
    "en": ("!!!", " ...", " 😂😂", "?!?!", " 🙏", " !!1!"),
}
_ENDS: Mapping[Language, re.Pattern[str]] = {
    "zh": re.compile(f"(?<={_HAN})[。？！]?$"),
    "en": re.compile(r"(?<=[A-Za-z])[.?!]?$"),
}


def _gaps(pieces: Sequence[str], language: Language, rng: random.Random) -> Iterator[Place]:
    """Between two words of the template: a filler beside a value might be taken for a part of it."""
    for number, piece in _own(pieces):
        for gap in _GAP[language].finditer(piece):
            yield Place(number, gap.start(), gap.end(), rng.choice(_IN_GAPS[language]))


def _fillers(pieces: Sequence[str], language: Language, rng: random.Random) -> Iterator[Place]:
    for number, piece in _own(pieces):
        for comma in _COMMA.finditer(piece):
            yield Place(number, comma.start(), comma.end(), rng.choice(_AFTER_COMMAS))


def _stretched(pieces: Sequence[str], language: Language, rng: random.Random) -> Iterator[Place]:
    for number, piece in _own(pieces):
        for word in _LONG_WORD.finditer(piece):
            longer = word[0] + word[0][-1] * rng.randint(2, 3)
            yield Place(number, word.start(), word.end(), longer)


def _ends(pieces: Sequence[str], language: Language, rng: random.Random) -> Iterator[Place]:
    """Before the first word and behind the last, where these are the template's own."""
    if _BEGINS[language].match(pieces[0]):
        yield Place(0, 0, 0, rng.choice(_BEGINNINGS[language]))
    for number, piece in _own(pieces):
        end = _ENDS[language].search(piece)
        if end and not any(pieces[number + 1 :]):
            yield Place(number, end.start(), end.end(), end[0] + rng.choice(_ENDINGS[language]))


# --------------------------------------------------------------------------------------------- typos

_SPELLED = re.compile(r"[A-Za-z]{4,}")
_NUMBERS = {*SMALL_NUMBERS, *TENS}
_RUN = re.compile(f"{_HAN}{{4,}}")


def _misspelt(pieces: Sequence[str], rng: random.Random) -> Iterator[Place]:
    for number, piece in _own(pieces):
        for word in _SPELLED.finditer(piece):
            wrong = _misspellings(word[0])
            yield Place(number, word.start(), word.end(), rng.choice(wrong))


def _misspellings(word: str) -> list[str]:
    """`word` with one inner letter dropped, doubled, or swapped with the next; none of them a number."""
    found: set[str] = set()
    for at in range(1, len(word) - 1):
        found.add(word[:at] + word[at + 1 :])
        found.add(word[: at + 1] + word[at:])
        found.add(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    return sorted(wrong for wrong in found - {word} if wrong.lower() not in _NUMBERS)


def _swapped(pieces: Sequence[str]) -> Iterator[Place]:
    """Two neighbouring characters, neither the first nor the last of its run, have changed places."""
    for number, piece in _own(pieces):
        for run in _RUN.finditer(piece):
            for at in range(run.start() + 1, run.end() - 2, 2):
                if piece[at] != piece[at + 1]:
                    yield Place(number, at, at + 2, piece[at + 1] + piece[at])


# ---------------------------------------------------------------------------------- words for others


def _any_of(words: Mapping[str, object], *, whole: bool = False) -> re.Pattern[str]:
    """One of these, the longest that stands there."""
    longest = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"\b(?:{longest})\b" if whole else longest, re.IGNORECASE)


_CONFUSED = _any_of(CONFUSED)
_CHINESE = _any_of(TO_ENGLISH)
_ENGLISH = _any_of(TO_CHINESE, whole=True)


def _replaced(
    pieces: Sequence[str],
    pattern: re.Pattern[str],
    others: Mapping[str, tuple[str, ...]],
    rng: random.Random,
) -> Iterator[Place]:
    for number, piece in _own(pieces):
        for word in pattern.finditer(piece):
            other = rng.choice(others[word[0].lower()])
            yield Place(number, word.start(), word.end(), other)


def _spaced(places: Sequence[Place], pieces: Sequence[str]) -> list[Place]:
    """English words with spaces where they would touch what stands beside them."""
    ends = {(place.piece, place.end) for place in places}
    spaced: list[Place] = []
    for place in places:
        own, words = pieces[place.piece], place.words
        behind = "".join([*pieces[: place.piece], own[: place.start]])[-1:]
        ahead = "".join([own[place.end :], *pieces[place.piece + 1 :]])[:1]
        # Another word exchanged just before it brings its own space.
        apart = behind.isalnum() and (place.piece, place.start) not in ends
        left = " " if words[0].isascii() and apart else ""
        right = " " if words[-1].isascii() and ahead.isalnum() else ""
        spaced.append(place._replace(words=f"{left}{words}{right}"))
    return spaced
