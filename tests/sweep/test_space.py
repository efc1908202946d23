"""The search space: the simplex, the seed points, and Optuna trials as configs."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.spec import ARTICLE_DEFAULTS, Choice, LogUniform, LoraConfig, SearchSpec, Simplex
from fcray.sweep import space

unit = st.floats(0, 1, allow_nan=False)


@given(u1=unit, u2=unit, minimum=st.floats(0, 0.33))
def test_every_point_of_the_square_is_a_point_of_the_simplex(
    u1: float, u2: float, minimum: float
) -> None:
    shares = space.shares_from_unit(u1, u2, minimum)
    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= minimum - 1e-9


@given(u1=st.floats(0, 0.999), u2=unit)
def test_shares_and_unit_square_are_inverse(u1: float, u2: float) -> None:
    back = space.unit_from_shares(space.shares_from_unit(u1, u2))
    assert back == pytest.approx((u1, u2), abs=1e-6)


def test_the_simplex_is_sampled_without_a_favourite_share() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    search = SearchSpec(shares=Simplex())
    drawn = [space.sample(study.ask(), search).shares for _ in range(600)]
    means = [sum(column) / len(drawn) for column in zip(*drawn, strict=True)]
    assert means == pytest.approx([1 / 3] * 3, abs=0.04)


def test_the_article_is_second_among_the_seed_points() -> None:
    own = LoraConfig(rank=8)
    assert space.seed_points(SearchSpec(first=(own,))) == [own, ARTICLE_DEFAULTS]
    assert space.seed_points(SearchSpec()) == [ARTICLE_DEFAULTS]
    assert space.seed_points(SearchSpec(first=(own,), baseline=False)) == [own]
    assert space.seed_points(SearchSpec(first=(ARTICLE_DEFAULTS,))) == [ARTICLE_DEFAULTS]


def test_an_enqueued_point_may_lie_outside_the_space() -> None:
    study = optuna.create_study()
    space.enqueue(study, ARTICLE_DEFAULTS)
    search = SearchSpec(learning_rate=LogUniform(log_uniform=(1e-3, 1e-2)))
    assert space.sample(study.ask(), search) == ARTICLE_DEFAULTS


def test_a_sample_lies_in_the_space_and_is_remembered() -> None:
    study = optuna.create_study()
    search = SearchSpec(
        rank=Choice(choice=(4, 8)),
        learning_rate=LogUniform(log_uniform=(1e-3, 1e-2)),
        target_modules=Choice(choice=("all-linear", ["q_proj"])),
        dropout=0.1,
    )
    for _ in range(20):
        trial = study.ask()
        config = space.sample(trial, search)
        assert config.rank in (4, 8)
        assert 1e-3 <= config.learning_rate <= 1e-2
        assert config.target_modules in ("all-linear", ("q_proj",))
        assert config.dropout == 0.1
        assert space.config_of(study.trials[trial.number]) == config
