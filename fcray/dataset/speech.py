"""How people say numbers, times and dates in Chinese and English, with the value that is meant.

A relative date means something only on a day, so its value is a rule (`When`) that is resolved against the
row's own date. "Next Friday" and 下周五 are the Friday of the week after this one, "last Friday" and
上周五 that of the week before, weeks beginning on Monday. Pure; knows nothing of pools or files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from fcray.tools import Language

CHINESE_DIGITS = "零一二三四五六七八九"
SMALL_NUMBERS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
"""0 … 19 in English."""
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
"""Each at its digit: the third is twenty."""
_WEEKDAYS = ("一", "二", "三", "四", "五", "六", "日")
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
]
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_HAN = re.compile(r"[\u3400-\u9fff]")


def chinese_in(text: str) -> int:
    """How many Chinese characters there are."""
    return len(_HAN.findall(text))


def is_chinese(text: str) -> bool:
    """Whether there is a Chinese character."""
    return bool(_HAN.search(text))


@dataclass(frozen=True)
class When:
    """A date, or a date with a time, as it was said.

    Attributes
    ----------
    days: Days from today.
    weekday: A weekday (0 is Monday) of another week, and which one: 1 is the next, -1 the last.
    month, day: The next such date, today included.
    time: `HH:MM`, or empty for a date alone.
    """

    days: int | None = None
    weekday: int | None = None
    week: int = 1
    month: int = 0
    day: int = 0
    time: str = ""

    def resolve(self, today: date) -> str:
        """`YYYY-MM-DD`, or `YYYY-MM-DDTHH:MM`."""
        if self.days is not None:
            found = today + timedelta(days=self.days)
        elif self.weekday is not None:
            found = today + timedelta(days=7 * self.week - today.weekday() + self.weekday)
        else:
            found = date(today.year, self.month, self.day)
            if found < today:
                found = found.replace(year=today.year + 1)
        return found.isoformat() + (f"T{self.time}" if self.time else "")


def resolved(value: Any, today: date | None) -> Any:
    """`value`, or what it means on `today`.

    Raises
    ------
    ValueError: It is relative and there is no date.
    """
    if not isinstance(value, When):
        return value
    if today is None:
        raise ValueError("a relative date in a row without a date")
    return value.resolve(today)


def context(today: date, language: Language) -> str:
    """What a system message says of the date."""
    if language == "zh":
        return f"今天是{today.isoformat()}，星期{_WEEKDAYS[today.weekday()]}。"
    return f"Today is {today.isoformat()}, {_DAYS[today.weekday()]}."


def date_in(text: str) -> date | None:
    """The date that a system message tells, if one does."""
    found = _ISO.search(text)
    try:
        return date.fromisoformat(found.group()) if found else None
    except ValueError:
        return None


def spoken_date(text: str, language: Language) -> str:
    """`YYYY-MM-DD` as it is said; any other text as it is."""
    if not _ISO.fullmatch(text):
        return text
    day = date.fromisoformat(text)
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def chinese(number: int) -> str:
    """0 … 9999 in Chinese numerals, as they are counted."""
    if number < 10:
        return CHINESE_DIGITS[number]
    text, gap = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            text += ("零" if gap and text else "") + CHINESE_DIGITS[digit] + name
        gap = not digit
    return text.removeprefix("一") if text.startswith("一十") else text


def english(number: int) -> str:
    """0 … 9999 in English words."""
    if number < 20:
        return SMALL_NUMBERS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{SMALL_NUMBERS[ones]}" if ones else "")
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    many, rest = divmod(number, unit)
    joint = " and " if 0 < rest < 100 else " "
    return f"{english(many)} {name}" + (joint + english(rest) if rest else "")


def numerals(low: int, high: int, language: Language) -> Iterator[tuple[int, str]]:
    """Each number in digits and in words."""
    for number in range(low, high + 1):
        yield number, str(number)
        if language == "en":
            yield number, english(number)
        else:  # 两, not 二, stands before what is counted
            yield number, "两" if number == 2 else chinese(number)


def times(low: int, high: int, language: Language) -> Iterator[tuple[str, str]]:
    """Half hours from `low`:00 to `high`:00 as `HH:MM`, in the ways they are said."""
    for half in range(low * 2, high * 2 + 1):
        hour, minute = half // 2, 30 * (half % 2)
        value = f"{hour:02}:{minute:02}"
        spoken = _zh_time(hour, minute) if language == "zh" else _en_time(hour, minute)
        for words in (*spoken, value):
            yield value, words


def _zh_time(hour: int, minute: int) -> tuple[str, str]:
    part = next(name for end, name in _ZH_PARTS if hour < end)
    twelve = hour - 12 if hour > 12 else hour
    said = "两" if twelve == 2 else chinese(twelve)
    half = "半" if minute else ""
    return f"{part}{said}点{half}", f"{part}{twelve}点{half}"


_ZH_PARTS = ((6, "凌晨"), (9, "早上"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上"))


def _en_time(hour: int, minute: int) -> tuple[str, str]:
    if hour == 12 and not minute:
        return "noon", "12 pm"
    half = "am" if hour < 12 else "pm"
    clock = f"{(hour - 1) % 12 + 1}" + (f":{minute:02}" if minute else "")
    return f"{clock} {half}", f"{clock}{half}"


def dates(language: Language) -> Iterator[tuple[When, str]]:
    """Relative dates; English ones carry their preposition."""
    near = ("今天", "明天", "后天", "大后天") if language == "zh" else (
        "today", "tomorrow", "the day after tomorrow")  # fmt: skip
    for days, words in enumerate(near):
        yield When(days=days), words
    for days in range(4, 11):
        if language == "zh":
            yield When(days=days), f"{days}天后"
            yield When(days=days), f"{chinese(days)}天后"
        else:
            yield When(days=days), f"in {days} days"
    for weekday in range(7):
        if language == "zh":
            for week in ("周", "星期"):
                yield When(weekday=weekday), f"下{week}{_WEEKDAYS[weekday]}"
        else:
            yield When(weekday=weekday), f"next {_DAYS[weekday]}"
    for month in range(1, 13):
        day = 7 * month % 27 + 1  # one a month, so that near dates are not drowned
        if language == "zh":
            said = f"{month}月{day}号" if month % 2 else f"{chinese(month)}月{chinese(day)}号"
        else:
            said = f"on {MONTHS[month - 1]} {day}"
        yield When(month=month, day=day), said


def datetimes(language: Language) -> Iterator[tuple[When, str]]:
    """Relative dates with a time of the day, from 8 to 20 o'clock."""
    joint = "" if language == "zh" else " at "
    for when, day in dates(language):
        for time, clock in times(8, 20, language):
            said = f"{day}{joint}{clock}"
            yield replace(when, time=time), said


def past_dates(language: Language) -> Iterator[tuple[When, str]]:
    """Dates before today; English ones need no preposition."""
    near = {"zh": ("昨天", "前天", "大前天"), "en": ("yesterday", "the day before yesterday")}
    for days, words in enumerate(near[language], start=1):
        yield When(days=-days), words
    for days in range(4, 11):
        if language == "zh":
            yield When(days=-days), f"{days}天前"
            yield When(days=-days), f"{chinese(days)}天前"
        else:
            yield When(days=-days), f"{days} days ago"
    for weekday in range(7):
        if language == "zh":
            for week in ("周", "星期"):
                yield When(weekday=weekday, week=-1), f"上{week}{_WEEKDAYS[weekday]}"
        else:
            yield When(weekday=weekday, week=-1), f"last {_DAYS[weekday]}"
