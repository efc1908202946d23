"""More rows from rows that one has: an argument's value exchanged in the request and in the gold call alike.

Only a value that stands in the request word for word, once, and nowhere else in the conversation can be
exchanged without guessing. It gets one that the same argument has in another row of the same language, that
nobody has said yet, and that keeps its order with the other values: a minimum stays below its maximum. Rows
from templates need none of this: their values are drawn anew. Pure and seeded.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from fcray.dataset.audit import Auditor
from fcray.dataset.split import normalise, short_hash
from fcray.tools import Example, Language, Message, ToolCall, canonical_json

PERTURBED = "perturbed"
"""The generator of such a row, before that of the row that it was made of."""

MOST_VALUES = 500
"""Values of one argument that are remembered; more would add memory, not variety."""


class Perturber:
    """Exchanges values.

    Parameters
    ----------
    examples: Where other values are taken from.
    seed: Chooses what is exchanged.
    """

    def __init__(self, examples: Iterable[Example], seed: int) -> None:
        self._seed = seed
        self._said: set[int] = set()
        values: defaultdict[tuple[str, str, Language], dict[str, Any]] = defaultdict(dict)
        for example in examples:
            self._said.add(_key(example))
            for name, value, words in _literal(example):
                known = values[example.calls[0].name, name, example.origin.language]
                if len(known) < MOST_VALUES:
                    known[words] = value
        self._values = {key: list(found.items()) for key, found in values.items()}

    def of(self, example: Example, copies: int) -> Iterator[Example]:
        """Up to `copies` rows like `example` with another value; all of them sound and different."""
        rng = random.Random(f"{self._seed}/{example.id}")
        sound = Auditor(near=None)
        made = 0
        for _ in range(copies * 5):
            if made == copies:
                return
            found = self._exchanged(example, f"{example.id}-{made + 1}", rng)
            if found is None or _key(found) in self._said:
                continue
            if sound.first_problem(found, "") is None:
                self._said.add(_key(found))
                made += 1
                yield found

    def _exchanged(self, example: Example, identity: str, rng: random.Random) -> Example | None:
        places = list(_literal(example))
        if not places:
            return None
        name, old, words = rng.choice(places)
        call = example.calls[0]
        text = _said(example).casefold()
        rest = [other for key, other in call.arguments.items() if key != name]
        others = [
            (said, value)
            for said, value in self._values.get((call.name, name, example.origin.language), ())
            # What has been said or called already would be asked for twice.
            if value != old
            and not _places(said.casefold(), text)
            and all(_order(old, other) == _order(value, other) for other in rest)
        ]
        if not others:
            return None
        said, value = rng.choice(others)
        messages = tuple(
            message.model_copy(update={"content": _put(message, words, said)})
            if message.role == "user"
            else message
            for message in example.messages
        )
        changed = ToolCall(name=call.name, arguments={**call.arguments, name: value})
        origin = example.origin
        return example.model_copy(
            update={
                "id": identity,
                "messages": messages,
                "calls": (changed,),
                "origin": origin.model_copy(
                    update={"generator": f"{PERTURBED} {origin.generator}"}
                ),
            }
        )


def _literal(example: Example) -> Iterator[tuple[str, Any, str]]:
    """(argument, value, words) of each value that stands in what the user says, once, and nowhere else."""
    if len(example.calls) != 1:
        return
    said = _said(example)
    asked = "\n".join(m.content or "" for m in example.messages if m.role == "user")
    taken = [str(value) for value in example.calls[0].arguments.values()]
    for name, value in example.calls[0].arguments.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        words = str(value)
        once = words and len(_places(words, said)) == len(_places(words, asked)) == 1
        # A value that is part of another one's words would be exchanged in both.
        if once and sum(words in other for other in taken) == 1:
            yield name, value, words


def _said(example: Example) -> str:
    """All that is said, called before or given back in a row."""
    texts = [example.response]
    for message in example.messages:
        texts.append(message.content or "")
        texts += [canonical_json(call.arguments) for call in message.tool_calls]
    return "\n".join(texts)


def _order(one: Any, other: Any) -> int | None:
    """Which of two numbers, or texts of one shape such as dates, is less; None of other values."""
    if isinstance(one, str) and isinstance(other, str):
        shape, second = (re.sub(r"\d", "0", text) for text in (one, other))
        if "0" not in shape or shape != second:
            return None
    elif any(isinstance(v, bool) or not isinstance(v, int | float) for v in (one, other)):
        return None
    return int(one > other) - int(one < other)


def _key(example: Example) -> int:
    return short_hash(normalise("\n".join(m.content or "" for m in example.messages)))


def _places(words: str, text: str) -> list[int]:
    """Where `words` stand as words of their own: 5 is not in 15, nor Ann in Anna."""
    pattern = re.escape(words)
    if words[0].isascii() and words[0].isalnum():
        pattern = rf"(?<![A-Za-z0-9.]){pattern}"
    if words[-1].isascii() and words[-1].isalnum():
        pattern = rf"{pattern}(?![A-Za-z0-9]|\.\d)"
    return [found.start() for found in re.finditer(pattern, text)]


def _put(message: Message, words: str, said: str) -> str:
    text = message.content or ""
    for start in _places(words, text):
        return text[:start] + said + text[start + len(words) :]
    return text
