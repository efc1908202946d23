"""Keys and values: bounded by bytes, least recently used first; ragged batches compute as single rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.inference.cache import Batch, Prefix, PrefixCache, read_prefix
from fcray.models import BaseModel


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


tokens = st.lists(st.integers(3, 49_000), min_size=1, max_size=7)
turns = st.lists(st.lists(tokens, min_size=3, max_size=3), min_size=1, max_size=4)


@given(head=tokens, rounds=turns, gone=st.integers(0, 2), room=st.sampled_from([0, 3, 100]))
@settings(max_examples=25, deadline=None)
def test_ragged_rows_compute_as_single_ones(
    lively: BaseModel, head: list[int], rounds: list[list[list[int]]], gone: int, room: int
) -> None:
    """Three rows take turns of unequal length; after the first turn one of them ends."""
    causal = lively.model
    with torch.inference_mode():
        kept = read_prefix(causal.base_model, head, lively.device)
        batch = Batch(causal.base_model, causal.get_output_embeddings(), kept, 3, room)
        rows = [list(head) for _ in range(3)]
        alive = [0, 1, 2]
        for number, turn in enumerate(rounds):
            if number == 1:
                alive.remove(gone)
                batch.keep(alive)
            logits = batch.append([turn[row] for row in alive])
            for row, found in zip(alive, logits, strict=True):
                rows[row] += turn[row]
                expected = causal(torch.tensor([rows[row]])).logits[0, -1]
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_batch_leaves_its_prefix_as_it_was(lively: BaseModel) -> None:
    causal = lively.model
    with torch.inference_mode():
        kept = read_prefix(causal.base_model, [5, 6, 7], lively.device)
        before = [tensor.clone() for pair in kept.layers for tensor in pair]
        batch = Batch(causal.base_model, causal.get_output_embeddings(), kept, 2, 8)
        batch.append([[9, 10], [11]])
        batch.append([[12], [13]])
    after = [tensor for pair in kept.layers for tensor in pair]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert kept.length == 3


@pytest.mark.parametrize("sizes", [(1, 9), (9, 1), (4, 4)])
def test_holes_change_nothing(lively: BaseModel, sizes: tuple[int, int]) -> None:
    """The same row beside a shorter and a longer one says the same."""
    causal = lively.model
    with torch.inference_mode():
        kept = read_prefix(causal.base_model, [5, 6, 7], lively.device)
        first = Batch(causal.base_model, causal.get_output_embeddings(), kept, 2, 4)
        first.append([list(range(20, 20 + sizes[0])), list(range(40, 40 + sizes[1]))])
        found = first.append([[77], [78]])[0]
        whole = [5, 6, 7, *range(20, 20 + sizes[0]), 77]
        expected = causal(torch.tensor([whole])).logits[0, -1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
