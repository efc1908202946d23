"""Spoken numbers, times and dates mean what people mean by them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset import speech
from fcray.dataset.speech import When
from fcray.tools import Language

FRIDAY = date(2026, 3, 13)
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def means(said: str, language: Language, today: date = FRIDAY) -> str:
    makers = (speech.dates, speech.past_dates, speech.datetimes)
    found = {words: when for make in makers for when, words in make(language)}
    return found[said].resolve(today)


SAID: list[tuple[Language, str, str]] = [
    ("zh", "今天", "2026-03-13"),
    ("zh", "后天", "2026-03-15"),
    ("zh", "五天后", "2026-03-18"),
    ("zh", "下周五", "2026-03-20"),
    ("zh", "下星期一", "2026-03-16"),
    ("zh", "上周日", "2026-03-08"),
    ("zh", "昨天", "2026-03-12"),
    ("zh", "明天下午三点", "2026-03-14T15:00"),
    ("zh", "下周三晚上8点", "2026-03-18T20:00"),
    ("zh", "后天中午十二点半", "2026-03-15T12:30"),
    ("en", "tomorrow", "2026-03-14"),
    ("en", "the day after tomorrow", "2026-03-15"),
    ("en", "in 7 days", "2026-03-20"),
    ("en", "next Friday at 3pm", "2026-03-20T15:00"),
    ("en", "next Sunday", "2026-03-22"),
    ("en", "last Monday", "2026-03-02"),
    ("en", "6 days ago", "2026-03-07"),
    ("en", "tomorrow at noon", "2026-03-14T12:00"),
]


@pytest.mark.parametrize(("language", "said", "meant"), SAID)
def test_dates(language: Language, said: str, meant: str) -> None:
    assert means(said, language) == meant


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.sampled_from(LANGUAGES))
def test_dates_lie_ahead_and_past_ones_behind(today: date, language: Language) -> None:
    for when, _ in speech.dates(language):
        assert today.isoformat() <= when.resolve(today) < (today + timedelta(days=366)).isoformat()
    for when, _ in speech.past_dates(language):
        assert (today - timedelta(days=15)).isoformat() < when.resolve(today) < today.isoformat()


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.sampled_from(LANGUAGES))
def test_the_day_is_told_and_read(today: date, language: Language) -> None:
    assert speech.date_in(speech.context(today, language)) == today


def test_no_day_is_none() -> None:
    assert speech.date_in("Be brief.") is None
    assert speech.date_in("9999-99-99") is None
    with pytest.raises(ValueError, match="without a date"):
        speech.resolved(When(days=1), None)
    assert speech.resolved([1], None) == [1]


@pytest.mark.parametrize(
    ("number", "zh", "en"),
    [
        (0, "零", "zero"),
        (10, "十", "ten"),
        (15, "十五", "fifteen"),
        (20, "二十", "twenty"),
        (42, "四十二", "forty-two"),
        (100, "一百", "one hundred"),
        (105, "一百零五", "one hundred and five"),
        (110, "一百一十", "one hundred and ten"),
        (1001, "一千零一", "one thousand and one"),
        (1010, "一千零一十", "one thousand and ten"),
        (2026, "二千零二十六", "two thousand and twenty-six"),
        (9999, "九千九百九十九", "nine thousand nine hundred and ninety-nine"),
    ],
)
def test_numbers(number: int, zh: str, en: str) -> None:
    assert (speech.chinese(number), speech.english(number)) == (zh, en)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_words_mean_two_numbers(language: Language) -> None:
    found = list(speech.numerals(0, 9999, language))
    meaning: dict[str, int] = {}
    for number, words in found:
        assert meaning.setdefault(words, number) == number


@pytest.mark.parametrize(
    ("language", "said", "meant"),
    [
        ("zh", "凌晨零点", "00:00"),
        ("zh", "早上八点半", "08:30"),
        ("zh", "上午9点", "09:00"),
        ("zh", "中午12点", "12:00"),
        ("zh", "下午两点", "14:00"),
        ("zh", "晚上十点半", "22:30"),
        ("en", "12 am", "00:00"),
        ("en", "8:30 am", "08:30"),
        ("en", "noon", "12:00"),
        ("en", "12:30 pm", "12:30"),
        ("en", "2pm", "14:00"),
        ("en", "10:30pm", "22:30"),
        ("en", "17:00", "17:00"),
    ],
)
def test_times(language: Language, said: str, meant: str) -> None:
    assert {words: value for value, words in speech.times(0, 23, language)}[said] == meant
