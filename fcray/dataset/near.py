"""Nearly the same requests, found by MinHash in a locality-sensitive index.

Two rows are near-duplicates when their words nearly agree *and* the same is right for both: a pair that
differs in one value, or asks for another call, is a contrast to learn from. Knows nothing of files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rensa import RMinHash, RMinHashLSH  # type: ignore[attr-defined]

from fcray.dataset.speech import is_chinese
from fcray.dataset.split import normalise, short_hash

NEAR = 0.85
"""Jaccard similarity from which two requests are nearly the same."""

PERMUTATIONS = 64
BANDS = 16


class Signed(NamedTuple):
    """A request's MinHash signature, and what is right for it."""

    signature: Any
    gold: int
    answer: int
    split: str

    def asks_as(self, other: Signed) -> bool:
        """Whether the same is right for both. What a test asks must not be learnt, in whatever words."""
        alike = self.answer == other.answer or self.split != other.split
        return self.gold == other.gold and alike

    def asking(self, gold: str) -> Signed:
        """The same words with something else that is right for them."""
        return self._replace(gold=short_hash(gold))


def sign(text: str, gold: str, *, answer: str = "", split: str = "") -> Signed:
    """What requests are compared by.

    Parameters
    ----------
    gold: One spelling of what is right; rows of different gold are never near-duplicates.
    answer: The words that are right, where there are any; of one split, rows of different ones are none.
    """
    plain = normalise(text)
    # Two Chinese characters say about as much as four letters.
    size = 2 if is_chinese(plain) else 4
    signature = RMinHash(num_perm=PERMUTATIONS, seed=1)
    signature.update([plain[i : i + size] for i in range(max(1, len(plain) - size + 1))])
    return Signed(signature, short_hash(gold), short_hash(normalise(answer)), split)


class NearDuplicates:
    """The requests seen so far."""

    def __init__(self, threshold: float = NEAR) -> None:
        self._threshold = threshold
        self._index = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=BANDS)
        self._seen: list[tuple[Signed, str]] = []

    def find(self, signed: Signed) -> str | None:
        """The name of a request seen that is nearly this one."""
        numbers: list[int] = self._index.query(signed.signature)
        for number in numbers:
            other, name = self._seen[number]
            similarity: float = other.signature.jaccard(signed.signature)
            if other.asks_as(signed) and similarity >= self._threshold:
                return name
        return None

    def add(self, signed: Signed, name: str) -> None:
        self._index.insert(len(self._seen), signed.signature)
        self._seen.append((signed, name))
