"""The suites of an evaluation, without models or Ray: what is asked, and what comes of answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset import store
from fcray.dataset.build import build
from fcray.errors import UserError
from fcray.evaluation import suites
from fcray.evaluation.suites import (
    BFCL_TOKENS,
    Suite,
    data_suite,
    fault_suite,
    result_of,
    split_suite,
    suite_named,
)
from fcray.metrics import FAULTS, Outcome, recovered, recovery, score, score_by
from fcray.spec import SweepSpec
from fcray.tools import Example, ToolCall
from tests.dataset.catalogs import DATA, plain
from tests.metrics.builders import outcomes


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    data = plain(DATA / "iot", DATA / "chat", train=40, validation=12, test=20)
    return SweepSpec(name="small", data=data.model_copy(update={"kinds": {"missing": 0.2}}))


def answered(example: Example, right: bool) -> Outcome:
    calls = example.calls if right else (ToolCall(name="nothing_like_it"),)
    return Outcome(example, calls, "" if calls else "Which one?", valid=True, seconds=1.0)


def test_a_split_is_what_a_whole_build_has(spec: SweepSpec) -> None:
    built = build(spec.data)
    for split in ("validation", "test"):
        suite = split_suite(spec, split)
        assert suite.examples == built.rows(split)
        assert (suite.whole, suite.is_part) == (len(built.rows(split)), False)
    part = split_suite(spec, "test", 3)
    assert part.examples == built.test[:3]
    assert part.title == "test of small: a part, the first 3, 3 of 20 requests"
    assert split_suite(spec, "test", 99).title == "test of small: 20 requests"


def test_a_written_dataset_has_the_same_rows(spec: SweepSpec, tmp_path: Path) -> None:
    built = build(spec.data)
    for kind in ("jsonl", "parquet"):
        folder = tmp_path / kind
        store.write(built, folder, kind)  # type: ignore[arg-type]
        assert data_suite(str(folder)).examples == built.test
        assert data_suite(f"{folder}/", "validation", 2).examples == built.validation[:2]
        assert data_suite(str(folder / f"test.{kind}")).examples == built.test
    with pytest.raises(UserError, match="has no split 'test_tools'; it has validation, test"):
        data_suite(str(tmp_path / "jsonl"), "test_tools")
    with pytest.raises(UserError, match="--split: there is no split 'train' to score"):
        data_suite(str(tmp_path / "jsonl"), "train")
    broken = tmp_path / "broken.jsonl"
    broken.write_text((tmp_path / "jsonl" / "test.jsonl").read_text() + "{}\n")
    with pytest.raises(UserError, match=r"broken\.jsonl:1: "):  # no manifest has its tools
        data_suite(str(broken))


def test_a_limit_takes_the_first_of_every_fault_in_both_languages(spec: SweepSpec) -> None:
    whole, part = fault_suite(spec), fault_suite(spec, 4)
    kinds = Counter(example.origin.kind for example in part.examples)
    assert list(kinds) == [kind for kind in FAULTS if kind in kinds]
    assert set(kinds.values()) <= {1, 2, 3, 4}
    spoken = Counter((one.origin.kind, one.origin.language) for one in part.examples)
    assert spoken["noise", "zh"] == spoken["noise", "en"] == 2
    assert {example.id for example in part.examples} < {example.id for example in whole.examples}
    assert part.whole == len(whole.examples)
    assert "a part, the first 4 of each kind" in part.title
    assert not whole.is_part


def test_scores_of_faults_are_their_recovery(spec: SweepSpec) -> None:
    suite = fault_suite(spec, 6)
    found = [answered(one, right=index % 3 > 0) for index, one in enumerate(suite.examples)]
    result = result_of(suite, found)
    assert result.recovery == recovery(found)
    assert not result.groups
    assert [one.outcome for one in result.wrong] == [one for one in found if not recovered(one)]
    for groups in result.recovery_by.values():
        assert sum(one.cases for one in groups.values()) == len(found)
        assert sum(one.recovered for one in groups.values()) == sum(map(recovered, found))
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(written["recovery"]) == {"kind", "language", "domain"}
    assert "intent_accuracy" not in written["scores"]


@given(outcomes)
def test_scores_of_a_split_are_those_of_metrics(found: list[Outcome]) -> None:
    examples = tuple(one.example for one in found)
    result = result_of(Suite("split", "made up", examples, len(examples)), found, bootstrap=10)
    assert result.scores == score(found, bootstrap=10)
    assert result.groups["domain"] == score_by(found, "domain", bootstrap=10)
    right = round(result.scores.frame_accuracy * len(found))
    assert len(result.wrong) == len(found) - right
    json.dumps(result.to_dict(), allow_nan=False)


@given(st.text(max_size=8))
def test_only_three_suites_have_a_name(name: str) -> None:
    if name in suites.SUITES:
        assert suite_named(name) == name
        return
    with pytest.raises(UserError, match="known are split, faults, bfcl"):
        suite_named(name)


def test_answers_to_bfcl_may_be_long() -> None:
    assert BFCL_TOKENS >= 424  # the longest right answer, in tokens of the bundled model


def test_no_suite_needs_ray_or_torch() -> None:
    program = """
import sys
import fcray.evaluation.suites, fcray.tracking.scorepage
sys.exit("ray" in sys.modules or "torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
