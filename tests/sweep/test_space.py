"""The search space: the simplex, the seed points, and Optuna trials as configs."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.spec import (
    ARTICLE_DEFAULTS,
    BudgetSpec,
    Choice,
    DataSpec,
    LogUniform,
    LoraConfig,
    ResourcesSpec,
    SamplerSpec,
    SearchSpec,
    Simplex,
    SweepSpec,
)
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
    search = SearchSpec(learning_rate=LogUniform(log_uniform=(1e-3, 1e-2)))
    space.enqueue(study, ARTICLE_DEFAULTS, search)
    trial = study.ask()
    assert space.sample(trial, search) == ARTICLE_DEFAULTS
    assert trial.params == {}


def test_the_sampler_learns_from_an_enqueued_point_of_the_space() -> None:
    study = optuna.create_study()
    search = SearchSpec(
        rank=Choice(choice=(8, 16)),
        learning_rate=LogUniform(log_uniform=(1e-3, 1e-2)),
        target_modules=Choice(choice=("all-linear", ["q_proj"])),
        shares=Simplex(),
    )
    point = LoraConfig(
        rank=16, learning_rate=2e-3, target_modules=("q_proj",), shares=(0.2, 0.3, 0.5)
    )
    space.enqueue(study, point, search)
    trial = study.ask()
    assert space.sample(trial, search) == point
    assert trial.params["rank"] == "16"
    assert trial.params["target_modules"] == '["q_proj"]'
    assert trial.params["learning_rate"] == 2e-3
    drawn = space.shares_from_unit(trial.params["shares_u1"], trial.params["shares_u2"])
    assert drawn == pytest.approx(point.shares)


CONDITIONAL = SearchSpec(
    lora_plus=LogUniform(log_uniform=(2, 16), when={"rslora": True, "rank": [8, 16]}),
    rslora=Choice(choice=(True, False), when={"dora": False}),
    dora=Choice(choice=(True, False)),
    rank=Choice(choice=(8, 16, 32)),
    batch=Choice(choice=(2, 4)),
)


def test_a_field_is_swept_only_when_its_condition_holds() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(200):
        trial = study.ask()
        config = space.sample(trial, CONDITIONAL)
        assert ("rslora" in trial.params) == (not config.dora)
        assert ("lora_plus" in trial.params) == (config.rslora and config.rank in (8, 16))
        assert (config.lora_plus > 1) == ("lora_plus" in trial.params)
        assert not (config.dora and config.rslora)
        assert space.parameters_of(config, CONDITIONAL) == trial.params
        seen.add((config.dora, config.rslora, config.rank))
    assert len(seen) == 9


def test_points_are_counted() -> None:
    assert space.count_points(SearchSpec(), 10) == 1
    assert space.count_points(SearchSpec(rank=Choice(choice=(8, 16, 8))), 3) == 2
    assert space.count_points(SearchSpec(shares=Simplex()), 10) is None
    conditional = SearchSpec(
        rank=Choice(choice=(8, 16)), dropout=Choice(choice=(0.0, 0.1, 0.2), when={"rank": 16})
    )
    assert space.count_points(conditional, 10) == 4
    assert space.count_points(conditional, 4) is None


@pytest.mark.parametrize(
    ("search", "trials", "message"),
    [
        (SearchSpec(), 3, "nothing is swept and 1 more are given, so that some of 3 trials"),
        (SearchSpec(baseline=False), 2, "nothing is swept, so that some of 2 trials"),
        (SearchSpec(rank=Choice(choice=(8, 16))), 4, "the space has 2 points and 1 more"),
    ],
)
def test_more_trials_than_points_are_refused(search: SearchSpec, trials: int, message: str) -> None:
    spec = SweepSpec(name="s", data=DataSpec(catalogs=("data",)), search=search)
    with pytest.raises(UserError, match=rf"budget\.trials: {message}"):
        space.check_search(spec.with_changes(budget=BudgetSpec(trials=trials)))
    space.check_search(spec.with_changes(budget=BudgetSpec(trials=trials - 1)))


def test_hours_of_gpus_without_gpus_are_refused() -> None:
    budget = BudgetSpec(trials=1, gpu_hours=2)
    spec = SweepSpec(name="s", data=DataSpec(catalogs=("data",)), budget=budget)
    with pytest.raises(UserError, match=r"budget\.gpu_hours: a trial uses no GPUs"):
        space.check_search(spec)
    space.check_search(spec.with_changes(resources=ResourcesSpec(gpus=1)))


def test_nsga2_wants_all_points_in_the_space() -> None:
    search = SearchSpec(learning_rate=LogUniform(log_uniform=(1e-3, 1e-2)))
    spec = SweepSpec(
        name="s",
        data=DataSpec(catalogs=("data",)),
        search=search,
        sampler=SamplerSpec(kind="nsga2"),
    )
    with pytest.raises(UserError, match=r"sampler\.kind: nsga2 cannot .* as the baseline is"):
        space.check_search(spec)
    alone = search.model_copy(update={"baseline": False})
    space.check_search(spec.with_changes(search=alone))


def test_conditions_compare_values_as_a_trial_has_them() -> None:
    search = SearchSpec(
        target_modules=Choice(choice=("all-linear", ["q_proj", "v_proj"])),
        rank=Choice(choice=("8", 16)),
        dropout=Choice(
            choice=(0.1, 0.2), when={"target_modules": [["q_proj", "v_proj"]], "rank": "8"}
        ),
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(60):
        trial = study.ask()
        config = space.sample(trial, search)
        swept = config.rank == 8 and config.target_modules == ("q_proj", "v_proj")
        assert (config.dropout > 0) == swept
        assert space.parameters_of(config, search) == trial.params


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
