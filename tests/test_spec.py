"""The sweep spec: its defaults, its limits, and what is said about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from fcray.errors import UserError
from fcray.spec import ARTICLE_DEFAULTS, LoraConfig, SweepSpec, check_shares

ROOT = Path(__file__).parent.parent
MINIMAL = "name: small\ndata:\n  catalogs: [cat]\n"

# What is added to a minimal spec → the line it is on, and what must be said.
BAD = {
    "misspelt section": ("trainin: {}", 4, r"trainin: unknown field; did you mean 'training'\?"),
    "misspelt field": (
        "training:\n  bacth: 3",
        5,
        r"training\.bacth: unknown field; did you mean 'batch'\?",
    ),
    "wrong type": ("training:\n  batch: many", 5, r"training\.batch: .*valid integer"),
    "below the limit": ("training:\n  batch: 0", 5, r"training\.batch: .*greater than or equal"),
    "section twice": ("data: {}", 4, "data: this key stands twice"),
    "unknown word": ("objective: best", 4, r"objective: .*'mean'"),
    "unknown goal": ("objective:\n- mean\n- speed", 6, r"objective\[1\]: .*'mean'"),
    "weight of nothing": ("objective: {mean: 0}", 4, r"objective\.mean: .*greater than 0"),
    "no goal": ("objective: {}", 4, r"objective: no metric is given"),
    "a cost decides": (
        "objective: [latency_p50, mean]",
        4,
        r"objective: the first one decides .*, so it cannot be latency_p50",
    ),
    "sampler": ("sampler: {kind: best}", 4, r"sampler\.kind: .*pattern"),
    "condition on nothing": (
        "search:\n  rank: {choice: [8, 16], when: {depth: 3}}",
        5,
        r"search\.rank: when: there is no other field 'depth'",
    ),
    "condition on a value that is none": (
        "search:\n  rank: {choice: [8, 16], when: {dora: maybe}}",
        5,
        r"search\.rank: when: dora is never 'maybe'",
    ),
    "condition that is never met": (
        "search:\n  rank: {choice: [8, 16]}\n  dropout: {uniform: [0, 0.1], when: {rank: 64}}",
        4,
        r"search: dropout\.when: rank is never 64 in this search",
    ),
    "conditions in a circle": (
        "search:\n  rank: {choice: [8, 16], when: {dora: true}}\n"
        "  dora: {choice: [true, false], when: {rank: 8}}",
        4,
        r"search: rank and dora are swept only when each other is",
    ),
    "rank out of bounds": ("search:\n  rank: 0", 5, r"search\.rank: .*greater than or equal to 1"),
    "choice out of bounds": ("search:\n  rank: {choice: [8, 0]}", 5, r"search\.rank: .*or equal"),
    "shares": (
        "search:\n  shares: [0.5, 0.5, 0.5]",
        5,
        r"search\.shares: the three shares must sum to 1, not to 1\.5",
    ),
    "shares of a first point": (
        "search:\n  first:\n  - {}\n  - {shares: [0.1, 0.1, 0.1]}",
        7,
        r"search\.first\[1\]\.shares: the three shares must sum to 1, not to 0\.3",
    ),
    "misspelt field of a first point": (
        "search:\n  first:\n  - {rnak: 3}",
        6,
        r"search\.first\[0\]\.rnak: unknown field",
    ),
    "registry name": ("promotion: {name: Call-v}", 4, r"promotion\.name: .*pattern"),
    "empty choice": (
        "search:\n  rank: {choice: []}",
        5,
        r"search\.rank\.choice: .*at least 1 item",
    ),
    "misspelt choice": (
        "search:\n  rank: {choise: [8]}",
        5,
        r"search\.rank\.choise: unknown field; did you mean 'choice'\?",
    ),
    "no number": ("search:\n  rank: eight", 5, r"search\.rank: .*valid integer"),
}

# The same, where the field is one of several kinds.
BAD_DOMAINS = {
    "reversed bounds": (
        "dropout: {uniform: [0.2, 0.1]}",
        r"search\.dropout: the lower bound 0\.2 must be below the upper bound 0\.1",
    ),
    "reversed bounds of a logarithm": (
        "learning_rate: {log_uniform: [0.1, 0.01]}",
        r"search\.learning_rate: needs 0 < lower bound < upper bound, not 0\.1 and 0\.01",
    ),
    "logarithm of nothing": (
        "learning_rate: {log_uniform: [0, 0.01]}",
        r"search\.learning_rate: needs 0 < lower bound",
    ),
    "minimum of the shares": (
        "shares: {simplex: true, minimum: 0.5}",
        r"search\.shares\.minimum: .*less than or equal to 0\.33",
    ),
}


def written(folder: Path, added: str) -> Path:
    (folder / "cat").mkdir(exist_ok=True)
    path = folder / "spec.yaml"
    path.write_text(MINIMAL + added + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("case", BAD)
def test_a_bad_spec_is_pointed_at(case: str, tmp_path: Path) -> None:
    added, line, message = BAD[case]
    with pytest.raises(UserError, match=rf"spec\.yaml:{line}: {message}"):
        SweepSpec.read(written(tmp_path, added))


@pytest.mark.parametrize("case", BAD_DOMAINS)
def test_a_bad_domain_is_pointed_at(case: str, tmp_path: Path) -> None:
    added, message = BAD_DOMAINS[case]
    with pytest.raises(UserError, match=rf"spec\.yaml:5: {message}"):
        SweepSpec.read(written(tmp_path, f"search:\n  {added}"))


@pytest.mark.parametrize("added", ["training: {epochs: .inf}", "search: {alpha_multiple: .inf}"])
def test_what_is_no_finite_number_is_refused(added: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        SweepSpec.read(written(tmp_path, added))


def test_a_missing_name(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("data: {catalogs: [x]}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"spec\.yaml:1: name: this field is required"):
        SweepSpec.read(path)


def test_a_missing_catalog_folder(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: x\ndata:\n  catalogs:\n  - .\n  - gone\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"spec\.yaml:5: data\.catalogs\[1\]: there is no folder 'gone'"
    ):
        SweepSpec.read(path)


def test_catalogs_lie_beside_the_spec(tmp_path: Path) -> None:
    spec = SweepSpec.read(written(tmp_path, ""))
    assert spec.data.catalogs == (str((tmp_path / "cat").resolve()),)


def test_an_error_of_a_later_check_points_at_the_line(tmp_path: Path) -> None:
    spec = SweepSpec.read(written(tmp_path, "training:\n  batch: 4"))
    error = spec.error("is too many", "training", "batch")
    assert str(error) == f"{tmp_path / 'spec.yaml'}:5: training.batch: is too many"
    loose = SweepSpec.model_validate(spec.model_dump())
    assert str(loose.error("is too many", "training", "batch")) == "training.batch: is too many"


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_sweep_loads_and_round_trips(path: Path) -> None:
    spec = SweepSpec.read(path)
    dumped = spec.model_dump()
    assert SweepSpec.model_validate(dumped).model_dump() == dumped
    text = spec.model_dump_json()
    assert SweepSpec.model_validate_json(text).model_dump_json() == text


def test_every_kind_of_domain_round_trips(tmp_path: Path) -> None:
    added = """search:
  rank: {choice: [8, 16]}
  alpha_multiple: {uniform: [1, 4]}
  dropout: 0.1
  target_modules: {choice: [all-linear, [q_proj, v_proj]]}
  learning_rate: {log_uniform: [0.0001, 0.01]}
  shares: {simplex: true, minimum: 0.1}
  first: [{rank: 8, target_modules: [q_proj]}]"""
    spec = SweepSpec.read(written(tmp_path, added))
    dumped = spec.model_dump()
    assert SweepSpec.model_validate(dumped).model_dump() == dumped
    text = spec.model_dump_json()
    assert SweepSpec.model_validate_json(text).model_dump_json() == text
    assert spec.search.first[0].target_modules == ("q_proj",)


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.1, 0.2, 0.7)])
def test_shares_that_sum_to_one(shares: tuple[float, float, float]) -> None:
    assert check_shares(shares) == shares


@pytest.mark.parametrize("shares", [(0.3, 0.3, 0.3), (-0.5, 0.5, 1.0), (float("nan"), 0.5, 0.5)])
def test_shares_that_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ValidationError):
        LoraConfig(shares=shares)


def test_the_articles_settings() -> None:
    assert ARTICLE_DEFAULTS.target_modules == ("q_proj", "v_proj")
    assert (ARTICLE_DEFAULTS.rank, ARTICLE_DEFAULTS.learning_rate) == (16, 3e-5)
    assert ARTICLE_DEFAULTS.shares == (0.3, 0.4, 0.3)
