"""What reference tools check of a single argument: numbers, texts, lists, days, devices.

Every check takes the argument's name and value, gives the value back in the type that is computed
with, and raises Refused for one that cannot be right. Types are checked again although a schema has
said them, so that a call that no schema has seen is refused and does not crash. Pure; knows no tool.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from fcray.domains.refused import refusal

_FAR = timedelta(days=2 * 366)
"""Nothing is booked further ahead."""

_YEARS = range(1900, 2200)
"""Other years are slips; and so no sum of days leaves what a date can hold."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")
_MOMENT = re.compile(rf"{_DAY.pattern}T{_CLOCK.pattern}")
_DEVICE = re.compile(r"([A-Za-z]+)-[1-9][0-9]{0,3}")
_ADDRESS = re.compile(
    r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}"
)

_IN_NAMES = " .,'’&·・-()（）/+"
"""What stands in names beside letters and digits."""

_When = TypeVar("_When", date, datetime, time)


def number(
    argument: str,
    value: Any,
    low: float,
    high: float,
    *,
    step: float | None = None,
    decimals: int | None = None,
) -> float:
    """A number within bounds.

    Parameters
    ----------
    step: It is a multiple of this power of two, such as 0.5.
    decimals: At most so many digits stand behind its point.
    """
    # `not low <= value` rather than `value < low`, so that NaN is out of bounds as well.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise refusal(argument, value, f"is not a number from {low} to {high}")
    if step is not None and value % step:
        raise refusal(argument, value, f"is not a multiple of {step}")
    if decimals is not None and round(value, decimals) != value:
        raise refusal(argument, value, f"has more than {decimals} decimals")
    return value


def whole(argument: str, value: Any, low: int, high: int) -> int:
    """A whole number within bounds; 5.0 is one, as in JSON Schema."""
    if number(argument, value, low, high) % 1:
        raise refusal(argument, value, "is not a whole number")
    return int(value)


def money(argument: str, value: Any, high: float = 1_000_000_000, low: float = 0.01) -> float:
    """An amount of money: no fraction of a cent."""
    return number(argument, value, low, high, decimals=2)


def text(argument: str, value: Any, longest: int = 200) -> str:
    """One line of words. A brace is the gap of a template that nobody filled."""
    if not isinstance(value, str) or not value.strip():
        raise refusal(argument, value, "says nothing")
    if value != value.strip() or not value.isprintable():
        raise refusal(argument, value, "has spaces around it or a character that cannot be printed")
    if "{" in value or "}" in value:
        raise refusal(argument, value, "has a brace in it")
    if len(value) > longest:
        raise refusal(argument, value, f"is longer than {longest} characters")
    return value


def name(argument: str, value: Any, *, digits: bool = True) -> str:
    """What a person, a company or a thing is called, in any script.

    Parameters
    ----------
    digits: Whether digits may stand in it; no city has one.
    """
    called = text(argument, value, longest=60)
    allowed = _IN_NAMES + ("0123456789" if digits else "")
    others = [one for one in called if not _is_letter(one)]
    if len(others) == len(called) or any(one not in allowed for one in others):
        raise refusal(argument, value, "is no name")
    return called


def _is_letter(character: str) -> bool:
    """A letter, or a mark that its script writes above or below one."""
    return unicodedata.category(character)[0] in "LM"


def address(argument: str, value: Any) -> str:
    """An e-mail address in the form that mail providers give out: RFC 5321's dot-string, no quotes."""
    written = text(argument, value, longest=254)
    if not _ADDRESS.fullmatch(written):
        raise refusal(argument, value, "is no e-mail address")
    return written


def one_of(argument: str, value: Any, known: Collection[str]) -> str:
    """One of the words that a tool can compute with."""
    if not isinstance(value, str) or value not in known:
        raise refusal(argument, value, f"is none of {', '.join(known)}")
    return value


def distinct(
    argument: str,
    value: Any,
    check: Callable[[str, Any], str] = text,
    least: int = 1,
) -> list[str]:
    """A list of texts, none of them twice, whatever its case."""
    if not isinstance(value, list) or len(value) < least:
        raise refusal(argument, value, f"is not a list of at least {least}")
    found = [check(f"{argument}[{index}]", one) for index, one in enumerate(value)]
    folded = [one.casefold() for one in found]
    twice = next((one for one in found if folded.count(one.casefold()) > 1), None)
    if twice is not None:
        raise refusal(argument, value, f"names {twice} twice")
    return found


def fields(argument: str, value: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """An object that holds exactly `names`."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise refusal(argument, value, f"does not hold exactly {', '.join(names)}")
    return value


def day(argument: str, value: Any) -> date:
    """A day of the calendar, from `YYYY-MM-DD`."""
    return _parsed(argument, value, _DAY, date.fromisoformat, "is no day of the form YYYY-MM-DD")


def clock(argument: str, value: Any) -> time:
    """A time of the day, from `HH:MM`."""
    return _parsed(argument, value, _CLOCK, time.fromisoformat, "is no time of the form HH:MM")


def moment(argument: str, value: Any) -> datetime:
    """A day with a time, from `YYYY-MM-DDTHH:MM`."""
    reason = "is no moment of the form YYYY-MM-DDTHH:MM"
    return _parsed(argument, value, _MOMENT, datetime.fromisoformat, reason)


def _parsed(
    argument: str, value: Any, form: re.Pattern[str], parse: Callable[[str], _When], reason: str
) -> _When:
    # fromisoformat takes far more than one form: "20260305" is a day to it.
    if not isinstance(value, str) or not form.fullmatch(value):
        raise refusal(argument, value, reason)
    try:
        found = parse(value)
    except ValueError:  # the form is right, but there is no February 30
        raise refusal(argument, value, reason) from None
    if isinstance(found, date) and found.year not in _YEARS:
        raise refusal(argument, value, f"is not in the years {_YEARS[0]} to {_YEARS[-1]}")
    return found


def open_at(argument: str, when: time, first: time, last: time) -> None:
    """`when` lies in opening hours, both ends included."""
    if not first <= when <= last:
        hours = f"{first:%H:%M} to {last:%H:%M}"
        raise refusal(argument, f"{when:%H:%M}", f"is outside the hours {hours}")


def ahead(argument: str, when: date, today: date | None) -> None:
    """`when` is not past, and not years away. Without a day nothing is said."""
    if today is not None and when < today:
        raise refusal(argument, str(when), f"is before today, {today}")
    if today is not None and when > today + _FAR:
        raise refusal(argument, str(when), f"is more than two years after today, {today}")


def period(start: Any, end: Any, today: date | None) -> tuple[date, date]:
    """The first and last day of a report, from the arguments `start_date` and `end_date`.

    It must have begun, since nothing is on record yet of days to come. It may end later ("this year"):
    the last day is then today.
    """
    first, last = day("start_date", start), day("end_date", end)
    if last < first:
        raise refusal("end_date", end, f"is before start_date {first}")
    if last.year - first.year > 10:
        raise refusal("end_date", end, f"is more than ten years after start_date {first}")
    if today is not None and first > today:
        raise refusal("start_date", start, f"is after today, {today}, so there is no record of it")
    return first, last if today is None else min(last, today)


def device(argument: str, value: Any) -> str:
    """The kind of a device from its id, such as `pump` from `pump-7`."""
    found = _DEVICE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refusal(argument, value, "is no device id such as pump-7")
    return found.group(1).lower()


def made_up(low: int, high: int, *seeds: Any) -> int:
    """A whole number from `low` to `high` that depends on `seeds` alone.

    Stands for what only a real backend knows: a price, a reading, the number of a record. The same
    call gives the same answer in every process, which Python's own `hash` of a text would not.
    """
    digest = hashlib.sha256(json.dumps(seeds, sort_keys=True).encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)
