"""Answers side by side in one row of tokens compute as if each were alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.errors import FcrayError
from fcray.inference import attention, batch, store
from fcray.inference.attention import attention_with_weight
from fcray.inference.batch import Batch, Turn
from fcray.inference.cache import Prefix, read_prefix
from fcray.models import BaseModel

HEAD = [5, 6, 7]
NEAR = {"rtol": 1e-4, "atol": 1e-4}

tokens = st.lists(st.integers(3, 49_000), min_size=1, max_size=12)
turns = st.lists(st.lists(tokens, min_size=3, max_size=3), min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def _as_in_an_engine(lively: BaseModel) -> object:
    attention.use(lively.model)
    with torch.inference_mode():
        yield


def begun(base: BaseModel, places: int = 8, columns: int = 1) -> Batch:
    return Batch(base.model.base_model, base.model.get_output_embeddings(), places, columns)


def prefix_of(base: BaseModel, head: list[int]) -> Prefix:
    return read_prefix(base.model.base_model, head, base.device)


def expected(base: BaseModel, row: list[int], asked: int = 1) -> torch.Tensor:
    """What the model says to a whole row by itself."""
    scores: torch.Tensor = base.model(torch.tensor([row])).logits[0, -asked:]
    return scores


@given(
    heads=st.lists(tokens, min_size=1, max_size=3),
    rounds=turns,
    gone=st.integers(0, 2),
    columns=st.sampled_from([1, 100]),
    widths=st.sampled_from([(8, 64), (2, 5), (100,)]),
    padded=st.sampled_from([1, 4, 32]),
)
@settings(max_examples=40, deadline=None)
def test_ragged_rows_compute_as_single_ones(
    lively: BaseModel,
    heads: list[list[int]],
    rounds: list[list[list[int]]],
    gone: int,
    columns: int,
    widths: tuple[int, ...],
    padded: int,
) -> None:
    """Three answers under up to three prefixes take turns of unequal length; after the first one leaves,
    and another joins."""
    prefixes = [prefix_of(lively, head) for head in heads]
    before = attention.WIDTHS, batch.ROWS
    attention.WIDTHS, batch.ROWS = (*widths, 1 << 30), padded
    try:
        with torch.inference_mode():
            one = begun(lively, 3, columns)
            rows = {one.join(prefixes[i % len(heads)]): [*heads[i % len(heads)]] for i in range(3)}
            for number, turn in enumerate(rounds):
                if number == 1:
                    leaves = list(rows)[gone]
                    del rows[leaves]
                    one.leave(leaves)
                    rows[one.join(prefixes[0])] = [*heads[0]]
                given = dict(zip(rows, turn, strict=True))
                found = one.read([Turn(row, given[row]) for row in rows])
                for row, scores in zip(rows, found, strict=True):
                    rows[row] += given[row]
                    torch.testing.assert_close(scores, expected(lively, rows[row]), **NEAR)
    finally:
        attention.WIDTHS, batch.ROWS = before


def test_the_scores_of_several_tokens(lively: BaseModel) -> None:
    one, prefix = begun(lively), prefix_of(lively, HEAD)
    first, second = one.join(prefix), one.join(prefix)
    few, many = one.read([Turn(first, [9, 10]), Turn(second, [11, 12, 13], asked=3)])
    assert (len(few), len(many)) == (1, 3)
    torch.testing.assert_close(few, expected(lively, [*HEAD, 9, 10]), **NEAR)
    torch.testing.assert_close(many, expected(lively, [*HEAD, 11, 12, 13], 3), **NEAR)


@pytest.mark.parametrize("last", [True, False], ids=["at the end", "in the middle"])
def test_what_is_taken_back_was_never_read(lively: BaseModel, last: bool) -> None:
    one, prefix = begun(lively), prefix_of(lively, HEAD)
    first, second = one.join(prefix), one.join(prefix)
    order = [Turn(second, [20]), Turn(first, [9, 10, 11])]
    one.read(order if last else order[::-1])
    one.take_back(first, 2)
    found, other = one.read([Turn(first, [12]), Turn(second, [21])])
    torch.testing.assert_close(found, expected(lively, [*HEAD, 9, 12]), **NEAR)
    torch.testing.assert_close(other, expected(lively, [*HEAD, 20, 21]), **NEAR)


def test_the_place_of_one_that_left_is_taken_again(lively: BaseModel) -> None:
    one, prefix = begun(lively, places=2), prefix_of(lively, HEAD)
    stays, rows = one.join(prefix), [*HEAD]
    for step in range(12):
        leaves = one.join(prefix)
        rows.append(30 + step)
        found = one.read([Turn(leaves, [7, 8, 9, 10]), Turn(stays, rows[-1:])])[1]
        torch.testing.assert_close(found, expected(lively, rows), **NEAR)
        one.leave(leaves)
    assert (one._store.places, one._store.columns) == (2, store.COLUMNS)


@pytest.mark.parametrize("asked", [1, 4])
def test_a_long_prompt_is_read_in_parts(
    lively: BaseModel, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    monkeypatch.setattr(batch, "READ", 5)
    sizes = []
    plain = attention.Step.__init__

    def seen(step: Any, store: Any, asking: Any, *rest: Any) -> None:
        sizes.append(sum(part.count for part in asking))
        plain(step, store, asking, *rest)

    monkeypatch.setattr(attention.Step, "__init__", seen)
    one, prefix = begun(lively), prefix_of(lively, HEAD)
    prompt = list(range(40, 63))
    long, short = one.read([Turn(one.join(prefix), prompt, asked), Turn(one.join(prefix), [9], 1)])
    torch.testing.assert_close(long, expected(lively, [*HEAD, *prompt], asked), **NEAR)
    torch.testing.assert_close(short, expected(lively, [*HEAD, 9]), **NEAR)
    assert max(sizes) <= 5 + asked + 1


def test_a_batch_leaves_its_prefix_as_it_was(lively: BaseModel) -> None:
    one, prefix = begun(lively), prefix_of(lively, HEAD)
    before = [tensor.clone() for pair in prefix.layers for tensor in pair]
    one.read([Turn(one.join(prefix), [9, 10]), Turn(one.join(prefix), [11])])
    after = [tensor for pair in prefix.layers for tensor in pair]
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))
    assert prefix.length == 3


@pytest.mark.parametrize("biased", [True, False])
def test_attention_and_its_weight(biased: bool) -> None:
    """The CPU's own kernel and the plain formula, which other devices take, say the same."""
    torch.manual_seed(1)
    query, key = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8)
    value = torch.randn(2, 3, 7, 8)
    bias = torch.zeros(2, 1, 5, 7).masked_fill_(torch.rand(2, 1, 5, 7) > 0.8, -torch.inf)
    given = bias if biased else None
    found = attention_with_weight(query, key, value, 0.3, given)
    wide = torch.cat((value, value), dim=-1)  # another width is for no kernel
    plain, weight = attention_with_weight(query, key, wide, 0.3, given)
    torch.testing.assert_close(found, (plain[..., :8], weight))
    scores = query @ key.transpose(-1, -2) * 0.3 + (bias if biased else 0)
    torch.testing.assert_close(found, (scores.softmax(-1) @ value, scores.logsumexp(-1)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("softcap", "has a softcap, which the engine does not know"),
        ("s_aux", "has a s_aux, which the engine does not know"),
        ("sliding_window", "sees 3 tokens, fewer than 4"),
    ],
)
def test_an_attention_of_another_kind_is_refused(name: str, said: str) -> None:
    step: Any = SimpleNamespace(longest=4)
    with pytest.raises(FcrayError, match=said):
        attention._attend(None, *[torch.zeros(1)] * 3, step, 1.0, {name: 3})


def test_a_batch_is_bounded_by_bytes(lively: BaseModel) -> None:
    prefix = prefix_of(lively, HEAD)
    each = 64 * prefix.bytes // prefix.length
    for most, room, places in ((8, 3 * each, 3), (2, 3 * each, 2), (8, 1, 1)):
        model = lively.model
        one = Batch(model.base_model, model.get_output_embeddings(), most, 64, room)
        joined = 0
        while not one.full:
            one.join(prefix)
            joined += 1
        assert joined == places
