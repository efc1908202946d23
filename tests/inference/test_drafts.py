"""What is said is looked up for how an answer goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.inference.drafts import LONGEST, continuation, draft

SAID = "Book Room Blue in Shanghai for 12 people. 把明天下午三点的会议室订下来。"


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ('"city": "Sh', "anghai for 12 people. 把明"),
        ('"room": "Room B', "lue in Shanghai for 12 p"),
        ('"time": "明', "天下午三点的会议室订下来。"),
        ('"time": "下午三', "点的会议室订下来。"),
        ("hanghai", ""),  # within a word
        ('"S', ""),  # one letter says too little
        ('"city": "', ""),
        ("", ""),
        ("来。", ""),
    ],
)
def test_what_follows(text: str, follows: str) -> None:
    assert continuation(text, SAID)[1] == follows


def test_the_last_place_counts() -> None:
    assert continuation("to", "to Rome or to Oslo") == ("to", " Oslo")


@given(st.text(max_size=60), st.text(max_size=60))
def test_it_is_copied(text: str, source: str) -> None:
    found, follows = continuation(text, source)
    assert text.endswith(found)
    assert found + follows in source
    assert len(follows) <= LONGEST


def test_a_word_keeps_the_tokens_that_it_has_as_a_whole() -> None:
    def encode(text: str) -> list[int]:
        """`Sh` and `anghai` are tokens; other letters are their own."""
        if text.startswith("Shanghai"):
            return [1, 2, *map(ord, text[8:])]
        return [1] if text == "Sh" else [*map(ord, text)]

    assert draft("Sh", "in Shanghai now", encode, 8) == ((1 + 1, *map(ord, " now")), True)
    assert draft("Sh", "in Shanghai now", encode, 1) == ((2,), False)
    assert draft("Shan", "in Shanghai now", encode, 4) == (tuple(map(ord, "ghai")), False)
    assert draft("Sh", "in Shanghai now", encode, 0) == ((), False)
    assert draft("Oslo", "in Shanghai now", encode, 8) == ((), False)


@pytest.mark.parametrize(
    ("said", "source", "follows", "ends"),
    [
        ("Ro", "Go to Rome", "me", True),
        ("Ro", "Go to Rome.", "me", True),
        ("Ro", "Go to Rome?!\nI am there", "me", True),
        ("Ro", "Go to Rome (or so)", "me (or so)", True),
        ("Rome", "Go to Rome。", "", True),
        ("罗", "去罗马吧！\n好", "马吧", True),
        ("ro", "from rome to somewhere far behind the hills", "me to somewhere far beh", False),
    ],
)
def test_it_ends_with_what_was_said(said: str, source: str, follows: str, ends: bool) -> None:
    tokens, found = draft(said, source, lambda text: [*map(ord, text)], 30)
    assert found == ends
    assert "".join(map(chr, tokens)).startswith(follows)
    assert not ends or len(tokens) == len(follows)
