"""Keys and values of tool lists: bounded by bytes, the least recently used goes first."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fcray.inference.cache import Prefix, PrefixCache


def prefix(length: int) -> Prefix:
    """A prefix of 8 bytes a token: one layer, one head, four bytes each for a key and a value."""
    states = torch.zeros(1, 1, length, 1)
    return Prefix(((states, states),), length)


def absent() -> Prefix:
    raise AssertionError("computed again")


def test_bytes_are_counted() -> None:
    assert prefix(10).bytes == 80


def test_what_was_computed_is_kept() -> None:
    cache = PrefixCache(100)
    first, cached = cache.get("a", lambda: prefix(10))
    assert not cached
    assert cache.get("a", absent) == (first, True)
    assert (cache.hits, cache.misses, cache.bytes) == (1, 1, 80)


def test_the_least_recently_used_goes_first() -> None:
    cache = PrefixCache(3 * 80)
    for key in "abc":
        cache.get(key, lambda: prefix(10))
    cache.get("a", absent)
    cache.get("d", lambda: prefix(10))
    assert [cache.get(key, absent)[1] for key in "acd"] == [True] * 3
    assert not cache.get("b", lambda: prefix(10))[1]
    assert cache.bytes == 3 * 80


def test_the_latest_keys() -> None:
    cache = PrefixCache(1000)
    for key in [("a", 1), ("a", 2), ("b", 2), ("b", 3), ("a", 1)]:
        cache.get(key, lambda: prefix(1))
    assert cache.latest(lambda key: key[1], 2) == [3, 1]
    assert cache.latest(lambda key: key[1], 9) == [2, 3, 1]


def test_a_large_one_drives_out_several() -> None:
    cache = PrefixCache(3 * 80)
    for key in "abc":
        cache.get(key, lambda: prefix(10))
    cache.get("d", lambda: prefix(25))
    assert cache.bytes == 25 * 8
    assert not cache.get("c", lambda: prefix(5))[1]
    assert cache.get("d", absent)[1]


def test_one_that_is_too_large_is_used_and_not_kept() -> None:
    cache = PrefixCache(100)
    cache.get("a", lambda: prefix(10))
    assert cache.get("b", lambda: prefix(13))[0].length == 13
    assert not cache.get("b", lambda: prefix(13))[1]
    assert cache.get("a", absent)[1]
    assert cache.bytes == 80


def test_what_is_forgotten_is_computed_again() -> None:
    cache = PrefixCache(1000)
    for key in (("one", 1), ("one", 2), ("two", 1)):
        cache.get(key, lambda: prefix(10))
    cache.forget(lambda key: key[0] == "one")
    assert cache.bytes == 80
    assert cache.get(("two", 1), absent)[1]
    assert not cache.get(("one", 1), lambda: prefix(10))[1]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 40)), max_size=60))
def test_the_bound_holds(asked: list[tuple[int, int]]) -> None:
    cache = PrefixCache(400)
    lengths: dict[int, int] = {}
    for key, length in asked:
        found, cached = cache.get(key, lambda length=length: prefix(length))  # type: ignore[misc]
        if cached:
            assert found.length == lengths[key]
        lengths[key] = found.length
        assert cache.bytes <= 400
        assert cache.bytes == sum(entry.bytes for entry in cache._entries.values())
    assert cache.hits + cache.misses == len(asked)
