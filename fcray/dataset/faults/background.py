"""Long conversations before a request: small talk, and pasted text that has nothing to do with it.

Lengths are estimated from characters, as no tokenizer is known here. Pure; the generator of random numbers
that comes with a row decides everything.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from fcray.dataset.faults.clean import Clean, CleanRows
from fcray.dataset.faults.passages import PASSAGES
from fcray.dataset.kinds import Made
from fcray.tools import Language, Message

LENGTH = (700, 1200)
"""Tokens, about, of what stands before the request, the list of tools not counted."""

_CHARACTERS: Mapping[Language, float] = {"zh": 0.7, "en": 4.2}
"""Characters a token in SmolLM2's vocabulary; one with more Chinese words needs fewer tokens for Chinese."""

_TURN = 5
"""Tokens, about, that a turn takes beside its words."""

_PASTED: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "这是我刚才读的一篇文章，先贴在这里：\n\n{text}\n\n好了，说正事：{request}",
        "{text}\n\n上面是同事转来的文章，跟下面的事无关。{request}",
    ),
    "en": (
        "Here is something I have just been reading:\n\n{text}\n\nAnyway, back to work. {request}",
        "{text}\n\nThat was an article a friend sent me; never mind it. {request}",
    ),
}


def long_context(row: Clean, clean: CleanRows, rng: random.Random) -> Made | None:
    """Small talk, pasted paragraphs or both stand before the request."""
    language, wanted = row.language, rng.randint(*LENGTH)
    passages = rng.sample(PASSAGES[language], len(PASSAGES[language]))
    count = rng.randint(0, len(passages) - 1)
    pasted, spare = passages[:count], passages[count:]
    left = wanted - sum(_tokens(text, language) for text in pasted)
    talk: list[Message] = []
    chat = list(clean.of("irrelevant", language))
    for one in rng.sample(chat, len(chat)):
        if left <= 0:
            break
        turns = _exchange(one)
        talk += turns
        left -= sum(_tokens(turn.content or "", language) for turn in turns)
    while left > 0 and spare:  # small catalogs have little small talk
        pasted.append(spare.pop())
        left -= _tokens(pasted[-1], language)
    request = row.filled.request
    if pasted:
        frame = rng.choice(_PASTED[language])
        request = frame.format(text="\n\n".join(pasted), request=request)
    *before, asked = row.said(request)
    return Made((*before, *talk, asked), row.example.calls)


def _exchange(one: Clean) -> tuple[Message, Message]:
    return (
        Message(role="user", content=one.example.request),
        Message(role="assistant", content=one.example.response),
    )


def _tokens(text: str, language: Language) -> int:
    return round(len(text) / _CHARACTERS[language]) + _TURN
