"""Answers side by side in one row of tokens compute as if each were alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.inference import attention, batch
from fcray.inference.batch import Batch, Turn
from fcray.inference.cache import Prefix, read_prefix
from fcray.models import BaseModel

HEAD = [5, 6, 7]
NEAR = {"rtol": 1e-4, "atol": 1e-4}

tokens = st.lists(st.integers(3, 49_000), min_size=1, max_size=7)
turns = st.lists(st.lists(tokens, min_size=3, max_size=3), min_size=1, max_size=4)


def begun(base: BaseModel, head: list[int], room: int = 0) -> tuple[Batch, Prefix]:
    decoder = base.model.base_model
    prefix = read_prefix(decoder, head, base.device)
    return Batch(decoder, base.model.get_output_embeddings(), prefix, room), prefix


def expected(base: BaseModel, row: list[int], asked: int = 1) -> torch.Tensor:
    """What the model says to a whole row by itself."""
    scores: torch.Tensor = base.model(torch.tensor([row])).logits[0, -asked:]
    return scores


@pytest.fixture(autouse=True)
def _inference() -> object:
    with torch.inference_mode():
        yield


@given(head=tokens, rounds=turns, gone=st.integers(0, 2), room=st.sampled_from([0, 3, 100]))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("fast", [True, False], ids=["grouped", "sdpa"])
def test_ragged_rows_compute_as_single_ones(
    lively: BaseModel,
    fast: bool,
    head: list[int],
    rounds: list[list[list[int]]],
    gone: int,
    room: int,
) -> None:
    """Three answers take turns of unequal length; after the first one leaves, and another joins."""
    lively.model.set_attn_implementation(attention.NAME if fast else "sdpa")
    with torch.inference_mode():
        one, _ = begun(lively, head, room)
        rows = {one.join(): list(head) for _ in range(3)}
        for number, turn in enumerate(rounds):
            if number == 1:
                del rows[gone]
                one.leave(gone)
                rows[one.join()] = list(head)
            given = dict(zip(rows, turn, strict=True))
            found = one.read([Turn(row, given[row]) for row in rows])
            for row, scores in zip(rows, found, strict=True):
                rows[row] += given[row]
                torch.testing.assert_close(scores, expected(lively, rows[row]), **NEAR)


@pytest.fixture(autouse=True)
def _grouped(lively: BaseModel) -> None:
    attention.use(lively.model)


def test_the_scores_of_several_tokens(lively: BaseModel) -> None:
    one, _ = begun(lively, HEAD)
    first, second = one.join(), one.join()
    few, many = one.read([Turn(first, [9, 10]), Turn(second, [11, 12, 13], asked=3)])
    assert (len(few), len(many)) == (1, 3)
    torch.testing.assert_close(few, expected(lively, [*HEAD, 9, 10]), **NEAR)
    torch.testing.assert_close(many, expected(lively, [*HEAD, 11, 12, 13], 3), **NEAR)


@pytest.mark.parametrize("last", [True, False], ids=["at the end", "in the middle"])
def test_what_is_taken_back_was_never_read(lively: BaseModel, last: bool) -> None:
    one, _ = begun(lively, HEAD)
    first, second = one.join(), one.join()
    order = [Turn(second, [20]), Turn(first, [9, 10, 11])]
    one.read(order if last else order[::-1])
    one.take_back(first, 2)
    found, other = one.read([Turn(first, [12]), Turn(second, [21])])
    torch.testing.assert_close(found, expected(lively, [*HEAD, 9, 12]), **NEAR)
    torch.testing.assert_close(other, expected(lively, [*HEAD, 20, 21]), **NEAR)


def test_what_nobody_sees_is_swept_out(lively: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "GARBAGE", 6)
    one, _ = begun(lively, HEAD)
    stays, rows = one.join(), [*HEAD]
    sizes = []
    for step in range(12):
        leaves = one.join()
        turn = [30 + step]
        rows += turn
        found = one.read([Turn(leaves, [7, 8, 9, 10]), Turn(stays, turn)])[1]
        torch.testing.assert_close(found, expected(lively, rows), **NEAR)
        one.leave(leaves)
        sizes.append(one._stores[0].length)
    assert max(sizes) < len(HEAD) + 2 * 12 + 6 + 4
    assert len(one._owners) == sizes[-1]


def test_a_batch_leaves_its_prefix_as_it_was(lively: BaseModel) -> None:
    one, prefix = begun(lively, HEAD)
    before = [tensor.clone() for pair in prefix.layers for tensor in pair]
    one.read([Turn(one.join(), [9, 10]), Turn(one.join(), [11])])
    after = [tensor for pair in prefix.layers for tensor in pair]
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))
    assert prefix.length == 3
