"""What goes into which split: unseen values, held-out tools, and rows where sentences run out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fcray.dataset.audit import Auditor
from fcray.dataset.build import ORDER, Construction, Dataset, build, build_from
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.draw import LEARNED, SPLITS
from fcray.dataset.kinds import WORDS
from fcray.dataset.near import NearDuplicates, sign
from fcray.dataset.split import normalise
from fcray.dataset.store import read, write_construction
from fcray.dataset.unseen import UnseenValues
from fcray.errors import UserError
from fcray.spec import USUAL_KINDS, DataSpec
from fcray.tools import Example
from tests.dataset.catalogs import DATA, plain, shipped, write_small

HELD_OUT = ("track_package", "get_balance")


@cache
def usual() -> Dataset:
    """What a spec gives that leaves everything as it is, but for two tools that are held out."""
    spec = DataSpec(catalogs=(str(DATA),), train=1500, held_out_tools=HELD_OUT)
    return build_from(spec, shipped())


def rows(*splits: str) -> list[Example]:
    return [row for split in splits or SPLITS for row in usual().rows(split)]


def values(row: Example) -> set[tuple[str, str, str]]:
    calls = [call for m in row.messages for call in m.tool_calls]
    return {(c.name, n, repr(v)) for c in (*calls, *row.calls) for n, v in c.arguments.items()}


def test_the_usual_shares_are_those_of_the_spec() -> None:
    kinds = Counter(row.origin.kind for row in usual().train)
    assert abs(kinds["irrelevant"] - 0.12 * 1500) <= 1
    for kind, share in USUAL_KINDS.items():
        # Where a value cannot be changed, spoiled or asked for, the row is a plain call.
        assert 0.6 * share * 1500 <= kinds[kind] <= share * 1500 + 2, kind
    assert all("plain calls" in note for note in usual().notes)
    assert all(audit.accepted >= audit.rows - 2 for audit in usual().audits.values())


def test_no_request_is_in_two_splits() -> None:
    said = {
        split: {normalise(row.request) for row in rows(split) if len(row.messages) <= 2}
        for split in SPLITS
    }
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not said[one] & said[other]


def test_a_row_of_test_values_has_a_value_that_training_lacks() -> None:
    trained = {value for row in rows(*LEARNED) for value in values(row)}
    assert len(usual().test_values) == 48
    for row in usual().test_values:
        assert values(row) - trained
        assert row.origin.kind == "unseen_value"
    assert {row.origin.language for row in usual().test_values} == {"zh", "en"}


def test_held_out_tools_are_called_in_their_split_and_offered_nowhere_else() -> None:
    for row in rows(*LEARNED, "test_values"):
        assert not {tool.name for tool in row.tools} & set(HELD_OUT)
    assert {row.calls[0].name for row in usual().test_tools} == set(HELD_OUT)
    assert any(len(row.tools) > 1 for row in usual().test_tools)


def test_a_row_that_leaks_is_caught() -> None:
    spec = DataSpec(catalogs=(str(DATA),), train=300, held_out_tools=HELD_OUT)
    making = Construction(spec, shipped())
    unseen = next(iter(usual().test_values))
    assert "kept for test_values" in str(list(making._leaks(unseen, "train")))
    held = next(iter(usual().test_tools))
    assert "held out for test_tools" in str(list(making._leaks(held, "train")))
    assert list(making._leaks(unseen, "test_values")) == []
    assert list(making._leaks(held, "test_tools")) == []


def test_values_are_kept_by_themselves() -> None:
    unseen = UnseenValues(shipped(), seed=5)
    for tool, about in unseen.usual.about.items():
        for argument, spoken in about.forms.items():
            before = shipped().about[tool].forms[argument]
            for language, forms in spoken.items():
                assert forms
                dropped = [form for form in before[language] if form not in forms]
                assert all(unseen.is_kept(form.value) for form in dropped)
                if "enum" in shipped().tools[tool].properties[argument]:
                    assert not dropped
    assert unseen.templates("get_weather", "zh")
    assert not unseen.is_kept(True)


def test_what_is_held_out_must_be_there_and_leave_something() -> None:
    with pytest.raises(UserError, match=r"data\.held_out_tools: there is no tool 'get_wether'"):
        build(plain(held_out_tools=("get_wether",)))
    names = shipped().tools.names
    with pytest.raises(UserError, match="no tool is left to train on"):
        build_from(plain(held_out_tools=names), shipped())


def test_rows_of_a_tool_with_few_sentences_go_to_others() -> None:
    tools = ("get_stock_quote", "calculate_loan_payment")  # 520 and 24 million sentences in Chinese
    dataset = build(plain(tools=tools, train=4000, irrelevant=0.05))
    assert len(dataset.train) == 4000
    called = Counter(row.calls[0].name for row in dataset.train if row.calls)
    assert called["get_stock_quote"] < 1100 < called["calculate_loan_payment"]
    assert any("of other tools than planned" in note for note in dataset.notes)
    zh = sum(row.origin.language == "zh" for row in dataset.train)
    assert abs(2 * zh - 4000) <= 1
    check_no_near_duplicates(dataset)


def check_no_near_duplicates(dataset: Dataset) -> None:
    auditor = Auditor(checks=())
    for split in ORDER:
        for row in dataset.rows(split):
            if row.origin.generator == "template":
                assert auditor.first_problem(row, split) is None, (split, row)


@pytest.mark.parametrize(
    ("tools", "noted"),
    [
        (("get_stock_quote", "set_reminder", "check_temperature"), "of other tools than planned"),
        ((), "meant to be of kind 'invalid' are plain calls"),
    ],
)
def test_a_large_training_split_has_no_near_duplicates(tools: tuple[str, ...], noted: str) -> None:
    """Not where a tool's turn comes again, nor among rows that become plain calls."""
    dataset = build(DataSpec(catalogs=(str(DATA),), tools=tools, train=6000, masked=0))
    assert any(noted in note for note in dataset.notes), dataset.notes
    check_no_near_duplicates(dataset)


def test_small_talk_that_runs_out_becomes_requests_for_what_is_not_offered() -> None:
    tools = ("set_reminder", "calculate_loan_payment")
    whole = load_catalogs([DATA], tools)
    little = replace(whole, chat=tuple(t for t in whole.chat if "{" not in t.text))
    assert {template.language for template in little.chat} == {"zh", "en"}
    dataset = build_from(plain(tools=tools, train=6000, irrelevant=0.3), little)
    words = [row for row in dataset.train if not row.calls]
    assert len(words) == 1800 - sum(dataset.audits["train"].stages.values())
    assert {row.origin.kind for row in words} == {"irrelevant", "unknown_tool"}
    assert any("no more small talk" in note for note in dataset.notes)


def test_a_small_catalog_has_what_it_has(tmp_path: Path) -> None:
    write_small(tmp_path)
    counts: dict[str, Any] = {"train": 6, "validation": 2, "test": 4, "irrelevant": 0}
    dataset = build(plain(tmp_path, test_values=10, **counts))
    assert dataset.test_values == ()
    assert dataset.notes == ("test_values: 0 rows of 10: the catalogs have no more",)


def test_a_split_can_be_taken_twice_and_in_any_process() -> None:
    spec = DataSpec(catalogs=(str(DATA),), train=200)
    first = {split: list(Construction(spec, shipped()).rows(split)) for split in ("test",)}
    making = Construction(spec, shipped())
    second = {split: list(making.rows(split)) for split in ORDER}
    assert first["test"] == second["test"]


def test_near_duplicates_have_the_same_gold() -> None:
    near = NearDuplicates()
    one = "Please remind me to water the plants in the office at three"
    near.add(sign(one, "a"), "first")
    assert near.find(sign(one + "!", "a")) == "first"
    assert near.find(sign(one.replace("three", "thre"), "a")) == "first"
    assert near.find(sign(one + "!", "b")) is None
    assert near.find(sign("What is the weather like in Beijing today?", "a")) is None
    near.add(sign("麻烦明天下午三点提醒我去给办公室的绿植浇水", "c"), "zh")
    assert near.find(sign("麻烦明天下午三点提醒我去给办公室的绿植浇浇水", "c")) == "zh"


def test_built_rows_have_no_near_duplicates() -> None:
    check_no_near_duplicates(usual())


def test_words_answer_where_words_are_right() -> None:
    for row in rows():
        assert bool(row.calls) != bool(row.response)
        if row.origin.kind != "contrast":
            assert bool(row.calls) != (row.origin.kind in WORDS)


def test_small_talk_is_in_every_split_however_large_training_is() -> None:
    dataset = build(plain(tools=("set_reminder", "calculate_loan_payment"), train=9000))
    for split in LEARNED:
        kinds = Counter(row.origin.kind for row in dataset.rows(split))
        assert kinds["irrelevant"] > 0, split


def test_a_missing_argument_is_asked_for_where_no_like_tool_would_do() -> None:
    like = {"set_medication_reminder": "set_reminder", "read_sensor": "check_temperature"}
    spec = DataSpec(catalogs=(str(DATA),), train=1000, tools=(*like, *like.values(), "send_email"))
    asked = [row for row in build(spec).train if row.origin.kind == "missing"]
    for row in asked:
        offered = {tool.name for tool in row.tools}
        assert like.get(row.origin.template.partition("/")[0]) not in offered
    assert len(asked) > 50


def test_a_dataset_that_verification_emptied_can_be_read(tmp_path: Path) -> None:
    making = Construction(plain(train=20), shipped(), length=lambda row: 99, cutoff=40)
    written = write_construction(making, tmp_path / "out")
    assert written.summary.rows == 0
    assert read(tmp_path / "out").train == ()
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["verification"]["train"]["stages"] == {"length": 20}
