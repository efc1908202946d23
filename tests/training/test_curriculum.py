"""The split of the steps into stages, for any shares and any number of steps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fcray.prompting import Span
from fcray.spec import (
    ARTICLE_DEFAULTS,
    ARTICLE_TRAINING,
    STAGE_WEIGHTS,
    LoraConfig,
    Shares,
    SweepSpec,
)
from fcray.training.curriculum import Curriculum, stage_ends

SWEEPS = Path(__file__).parents[2] / "sweeps"


@st.composite
def any_shares(draw: st.DrawFn) -> Shares:
    parts = draw(st.tuples(*[st.integers(0, 1000)] * 3).filter(any))
    first, second = parts[0] / sum(parts), parts[1] / sum(parts)
    return first, second, max(0.0, 1 - first - second)


@given(any_shares(), st.integers(1, 3000))
@example((1.0, 0.0, 0.0), 7)
@example((0.0, 1.0, 0.0), 7)
@example((0.0, 0.0, 1.0), 7)
@example((0.5, 0.5, 0.0), 1)
def test_no_step_is_lost(shares: Shares, total: int) -> None:
    first, second, third = stage_ends(shares, total)
    assert 0 <= first <= second <= third == total
    lengths = (first, second - first, third - second)
    for length, share in zip(lengths, shares, strict=True):
        assert abs(length - share * total) <= 1
    assert abs(second - (shares[0] + shares[1]) * total) <= 0.5 + 1e-6  # roundings do not add up


@given(any_shares(), st.integers(1, 300))
def test_stages_follow_one_another(shares: Shares, total: int) -> None:
    curriculum = Curriculum(shares, total)
    stages = [curriculum.stage(step) for step in range(total)]
    assert stages == sorted(stages)
    assert set(stages) <= {1, 2, 3}
    first, second, third = stage_ends(shares, total)
    counts = Counter(stages)
    assert (counts[1], counts[2], counts[3]) == (first, second - first, third - second)


@pytest.mark.parametrize("only", [1, 2, 3])
def test_a_share_of_nothing_leaves_its_stage_out(only: int) -> None:
    shares = tuple(float(stage == only) for stage in (1, 2, 3))
    curriculum = Curriculum(shares, 9)  # type: ignore[arg-type]
    assert {curriculum.stage(step) for step in range(9)} == {only}


def test_the_articles_split() -> None:
    assert stage_ends(ARTICLE_DEFAULTS.shares, 100) == (30, 70, 100)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0)])
def test_shares_that_do_not_sum_to_one_are_refused(shares: Shares) -> None:
    with pytest.raises(ValueError, match="must sum to 1"):
        stage_ends(shares, 10)


def test_each_stage_adds_to_what_is_learned() -> None:
    curriculum = Curriculum((0.3, 0.4, 0.3), 10)
    learned = [{s for s, w in curriculum.span_weights(i).items() if w > 0} for i in (0, 3, 9)]
    assert learned[0] < learned[1] < learned[2] == set(Span)
    assert Span.DECISION in learned[0]
    assert Span.ARGUMENTS not in learned[0] and Span.ANSWER not in learned[1]


def test_every_span_has_a_weight_in_every_stage() -> None:
    for weights in STAGE_WEIGHTS:
        assert len(weights) == len(Span)
        assert all(weight >= 0 for weight in weights)


@given(any_shares(), st.floats(0, 1), st.integers(1, 60))
def test_a_blend_lies_between_a_stage_and_those_before_it(
    shares: Shares, blend: float, total: int
) -> None:
    curriculum = Curriculum(shares, total, STAGE_WEIGHTS, blend)
    for step in range(total):
        stage = curriculum.stage(step) - 1
        weights = curriculum.span_weights(step)
        for index, span in enumerate(Span):
            known = [STAGE_WEIGHTS[earlier][index] for earlier in range(stage + 1)]
            assert min(known) - 1e-9 <= weights[span] <= max(known) + 1e-9


def test_a_whole_blend_is_what_came_before() -> None:
    curriculum = Curriculum((0.2, 0.2, 0.6), 10, STAGE_WEIGHTS, 1.0)
    assert list(curriculum.span_weights(0).values()) == list(STAGE_WEIGHTS[0])
    assert list(curriculum.span_weights(3).values()) == list(STAGE_WEIGHTS[0])
    assert list(curriculum.span_weights(9).values()) == pytest.approx([1.0, 0.5, 0.0, 0.1])


def test_the_articles_training() -> None:
    assert ARTICLE_DEFAULTS.target_modules == ("q_proj", "v_proj")
    assert (ARTICLE_DEFAULTS.rank, ARTICLE_DEFAULTS.learning_rate) == (16, 3e-5)
    assert (ARTICLE_TRAINING.epochs, ARTICLE_TRAINING.batch) == (3, 4)
    assert (ARTICLE_TRAINING.cutoff, ARTICLE_TRAINING.warmup_steps) == (512, 100)


def test_the_articles_sweep_is_the_preset() -> None:
    spec = SweepSpec.read(SWEEPS / "article.yaml")
    assert spec.training == ARTICLE_TRAINING
    fixed = {name: getattr(spec.search, name) for name in LoraConfig.model_fields}
    assert LoraConfig.model_validate(fixed) == ARTICLE_DEFAULTS
