"""The plan visits every row once an epoch, within the budget; a pack's tensors say what they should."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.prompting import Prompt, RenderedExample, Renderer, Span
from fcray.training.packing import Pack, pack_rows, plan_steps, tensors, weight_of
from tests.examples import EXAMPLES

BUDGET = 40


@st.composite
def rendered(draw: st.DrawFn) -> RenderedExample:
    prefix = draw(st.sampled_from([(1, 2, 3), (1, 2), (9,) * 12]))
    body = tuple(draw(st.lists(st.integers(10, 99), min_size=1, max_size=12)))
    answer = tuple(draw(st.lists(st.integers(100, 199), min_size=1, max_size=12)))
    spans = tuple(draw(st.sampled_from(Span)) for _ in answer)
    return RenderedExample(Prompt(prefix, body), answer, spans)


plans = st.builds(
    lambda rows, batch, epochs, seed: (rows, batch, epochs, seed),
    st.lists(rendered(), min_size=1, max_size=14),
    st.integers(1, 6),
    st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0]),
    st.integers(0, 2**32),
)
Plan = tuple[list[RenderedExample], int, float, int]


def planned(plan: Plan) -> list[tuple[Pack, ...]]:
    rows, batch, epochs, seed = plan
    return plan_steps(rows, batch=batch, epochs=epochs, token_budget=BUDGET, seed=seed)


def rows_of(step: tuple[Pack, ...]) -> list[RenderedExample]:
    return [row for pack in step for row in pack.rows]


@given(plans)
@settings(deadline=None)
def test_every_epoch_visits_every_row_once(plan: Plan) -> None:
    rows, batch, epochs, _ = plan
    steps = planned(plan)
    in_epoch = -(-len(rows) // batch)
    assert len(steps) == max(1, round(in_epoch * epochs))
    for start in range(0, len(steps), in_epoch):
        epoch = steps[start : start + in_epoch]
        seen = Counter(id(row) for step in epoch for row in rows_of(step))
        if len(epoch) == in_epoch:
            assert seen == Counter(id(row) for row in rows)
        assert max(seen.values()) == 1


@given(plans)
@settings(deadline=None)
def test_steps_and_packs_keep_their_bounds(plan: Plan) -> None:
    _, batch, _, _ = plan
    for step in planned(plan):
        assert 1 <= len(rows_of(step)) <= batch
        for pack in step:
            assert pack.rows
            assert len(pack) <= BUDGET
            assert {row.prompt.prefix for row in pack.rows} == {pack.prefix}


@given(plans)
@settings(deadline=None, max_examples=30)
def test_the_same_seed_gives_the_same_plan(plan: Plan) -> None:
    assert planned(plan) == planned(plan)


def test_another_seed_and_another_epoch_give_another_order(renderer: Renderer) -> None:
    rows = [renderer.example(row) for row in EXAMPLES]
    one, other = (
        plan_steps(rows, batch=3, epochs=2, token_budget=4096, seed=seed) for seed in (0, 1)
    )
    assert one != other
    assert one[:3] != one[3:]


def test_rows_of_one_prefix_share_a_pack(renderer: Renderer) -> None:
    rows = [renderer.example(row) for row in EXAMPLES]
    packs = pack_rows(rows, 4096)
    assert len(packs) == len({row.prompt.prefix for row in rows}) == 3
    assert sum(map(len, packs)) < sum(map(len, rows))


def test_there_must_be_rows() -> None:
    with pytest.raises(ValueError, match="no rows to train on"):
        plan_steps([], batch=1, epochs=1, token_budget=10, seed=0)


@pytest.mark.parametrize("before", [0, 2])
def test_a_row_beyond_the_budget_is_refused(before: int) -> None:
    short = RenderedExample(Prompt((1,), (2,)), (3,), (Span.ANSWER,))
    long = RenderedExample(Prompt((1,), (2,) * 9), (3, 4), (Span.ANSWER,) * 2)
    assert len(pack_rows([*[short] * before, long], 11)) >= 1
    with pytest.raises(ValueError, match="a row of 11 tokens exceeds 10"):
        pack_rows([*[short] * before, long], 10)


@given(st.lists(rendered(), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_token_sees_the_prefix_and_its_own_row(rows: list[RenderedExample]) -> None:
    for pack in pack_rows(rows, BUDGET):
        found = tensors(pack)
        total = len(pack)
        assert found.input_ids.shape == found.position_ids.shape == (1, total)
        assert found.mask.shape == (1, 1, total, total)
        owner = [0] * len(pack.prefix)
        positions = list(range(len(pack.prefix)))
        for number, row in enumerate(pack.rows, 1):
            length = len(row.prompt.body) + len(row.answer) - 1
            owner += [number] * length
            positions += range(len(pack.prefix), len(pack.prefix) + length)
        expected = [
            [key <= query and owner[key] in (0, owner[query]) for key in range(total)]
            for query in range(total)
        ]
        assert found.mask[0, 0].tolist() == expected
        assert found.position_ids[0].tolist() == positions


@given(st.lists(rendered(), min_size=1, max_size=5), st.sampled_from([1, 8, 64]))
@settings(deadline=None)
def test_a_rounded_length_changes_nothing_that_is_seen(
    rows: list[RenderedExample], multiple: int
) -> None:
    for pack in pack_rows(rows, BUDGET):
        exact, rounded = tensors(pack), tensors(pack, "cpu", multiple)
        total = len(pack)
        assert rounded.input_ids.shape[1] == -(-total // multiple) * multiple
        assert torch.equal(rounded.mask[..., :total, :total], exact.mask)
        assert not rounded.mask[0, 0, :total, total:].any()
        assert rounded.mask[0, 0].any(dim=1).all()
        assert torch.equal(rounded.sources, exact.sources)
        assert torch.equal(rounded.labels, exact.labels)


@given(st.lists(rendered(), min_size=1, max_size=5))
@settings(deadline=None)
def test_each_token_of_an_answer_is_predicted_by_the_one_before(
    rows: list[RenderedExample],
) -> None:
    for pack in pack_rows(rows, BUDGET):
        found = tensors(pack)
        ids = found.input_ids[0].tolist()
        sources = iter(found.sources.tolist())
        labels = iter(zip(found.labels.tolist(), found.spans.tolist(), strict=True))
        for row in pack.rows:
            own = [next(sources) for _ in row.answer]
            assert own == list(range(own[0], own[0] + len(own)))
            assert ids[own[0]] == row.prompt.body[-1]
            assert [ids[source] for source in own[1:]] == list(row.answer[:-1])
            assert [next(labels) for _ in row.answer] == list(
                zip(row.answer, row.spans, strict=True)
            )
        assert next(sources, None) is next(labels, None) is None
        assert not found.declined.any()


def test_a_plain_answer_also_declines_a_call(renderer: Renderer) -> None:
    row = next(renderer.example(row) for row in EXAMPLES if not row.calls)
    found = tensors(Pack(row.prompt.prefix, (row,)))
    assert found.declined.sum() == 1
    assert found.labels[found.declined].tolist() == [row.declined]
    assert found.sources[found.declined].tolist() == found.sources[:1].tolist()
    assert found.spans[found.declined].tolist() == [Span.DECISION]


@given(st.lists(rendered(), min_size=1, max_size=5))
@settings(deadline=None)
def test_the_weight_of_packs_is_that_of_their_labels(rows: list[RenderedExample]) -> None:
    weights = {Span.DECISION: 1.0, Span.ARGUMENTS: 0.5, Span.ANSWER: 0.25, Span.FORMAT: 0.125}
    packs = pack_rows(rows, BUDGET)
    table = torch.tensor([weights[span] for span in Span])
    total = sum(float(table[tensors(pack).spans].sum()) for pack in packs)
    assert weight_of(packs, weights) == pytest.approx(total)


def test_the_weight_of_a_declined_call_counts(renderer: Renderer) -> None:
    rows = [renderer.example(row) for row in EXAMPLES]
    packs = pack_rows(rows, 4096)
    weights = dict.fromkeys(Span, 1.0)
    labels = sum(len(tensors(pack).labels) for pack in packs)
    assert weight_of(packs, weights) == labels
