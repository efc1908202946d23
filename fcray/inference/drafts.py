"""Guesses of how an answer goes on: arguments are mostly copied from what was said.

Prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding), on characters instead of tokens,
for a word has other tokens behind a quotation mark than behind a space. A guess changes no answer: the
engine keeps of it what the model would have said itself. Pure; knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

LONGEST = 24
"""Characters of the answer's end that are looked for, and at most that many more are guessed."""

_MARKS = re.compile(r"[^\w%)\]]+$")
"""What ends a sentence."""

_SPELLED = re.compile(r"[\x00-\u02ff]")
"""Scripts in which one letter tells too little to be looked for."""


def continuation(text: str, source: str) -> tuple[str, str]:
    """The longest end of `text` that stands in `source` too, and what stands behind it there.

    It must begin where a word begins in `source`; of spelled scripts two letters must match. Of several
    places the last counts.
    """
    for start in range(max(0, len(text) - LONGEST), len(text)):
        end = text[start:]
        if len(end) < 2 and _SPELLED.match(end):
            break
        if end[0].isspace():
            continue
        at = source.rfind(end)
        while at > 0 and _inside_word(source, at):
            at = source.rfind(end, 0, at + len(end) - 1)
        if at >= 0:
            return end, source[at + len(end) : at + len(end) + LONGEST]
    return "", ""


def _inside_word(source: str, at: int) -> bool:
    """Whether a place lies inside a word that is spelled with letters or digits."""
    around = source[at - 1 : at + 1]
    return around.isalnum() and all(_SPELLED.match(letter) for letter in around)


def draft(
    text: str, source: str, encode: Callable[[str], Sequence[int]], most: int
) -> tuple[tuple[int, ...], bool]:
    """At most `most` tokens that may follow `text`, and whether what was said ends behind them.

    Parameters
    ----------
    source: What was said, a line a message; a mark at a line's end is not copied.
    """
    found, follows = continuation(text, source) if most > 0 else ("", "")
    if not found:
        return (), False
    ends = "\n" in follows or source.endswith(found + follows)
    follows = follows.partition("\n")[0]
    if ends:
        follows = _MARKS.sub("", follows)
    # A word's rest has other tokens alone than behind its beginning.
    before, whole = tuple(encode(found)), tuple(encode(found + follows))
    tokens = whole[len(before) :] if whole[: len(before)] == before else tuple(encode(follows))
    return tokens[:most], ends and len(tokens) <= most
