"""Cases of the fault tolerance suite."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.dataset.audit import ANY_ROW
from fcray.dataset.build import build
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.faults import FAULTS, GENERATOR, fault_cases
from fcray.dataset.faults.clean import Clean, clean_rows
from fcray.dataset.faults.words import CONFUSED, TO_CHINESE, TO_ENGLISH
from fcray.dataset.results import is_failure
from fcray.dataset.split import normalise
from fcray.dataset.unseen import UnseenValues
from fcray.dataset.verify import Verifier
from fcray.metrics import Outcome, recovered, recovery
from fcray.metrics.recovery import (
    GOLD_CALL_FAULTS,
    PERMANENT_FAULTS,
    TRANSIENT_FAULTS,
    admits,
)
from fcray.spec import DataSpec, SweepSpec
from fcray.tools import Example
from tests.dataset.catalogs import DATA, plain, write_small

EACH = 24
SPECS = {
    "quickstart": SweepSpec.read(DATA.parent / "sweeps" / "quickstart.yaml").data,
    "all": DataSpec(catalogs=(str(DATA),)),
}
FAILURES = (*TRANSIENT_FAULTS, *PERMANENT_FAULTS)


@cache
def cases(name: str, seed: int = 0) -> tuple[Example, ...]:
    return tuple(fault_cases(SPECS[name], EACH, seed))


@cache
def clean(name: str) -> dict[str, Clean]:
    """The clean rows by their ids."""
    rows = clean_rows(SPECS[name], EACH, 0).rows
    return {row.example.id: row for found in rows.values() for row in found}


def of(name: str, *kinds: str) -> list[tuple[Example, Clean]]:
    """The cases of these kinds, each with its clean row."""
    return [
        (case, clean(name)[case.id.removeprefix(f"{case.origin.kind}-")])
        for case in cases(name)
        if case.origin.kind in kinds
    ]


every_spec = pytest.mark.parametrize("name", list(SPECS))


@every_spec
def test_every_kind_has_cases_in_both_languages_spread_over_tools(name: str) -> None:
    counts = Counter((case.origin.kind, case.origin.language) for case in cases(name))
    assert counts == {(kind, spoken): EACH // 2 for kind in FAULTS for spoken in ("zh", "en")}
    assert [*dict.fromkeys(case.origin.kind for case in cases(name))] == list(FAULTS)
    tools: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases(name):
        assert case.origin.generator == GENERATOR
        tools[case.origin.kind].add(case.origin.template.partition("/")[0])
    few = 4 if name == "quickstart" else 15
    assert min(map(len, tools.values())) >= few, {kind: len(found) for kind, found in tools.items()}


@every_spec
def test_the_seed_decides(name: str) -> None:
    assert fault_cases(SPECS[name], EACH) == list(cases(name))
    one, other = ({repr(case.messages) for case in cases(name, seed)} for seed in (0, 1))
    assert len(one & other) < len(one) / 10


@every_spec
def test_no_two_cases_are_the_same(name: str) -> None:
    assert len({case.id for case in cases(name)}) == len(cases(name))
    assert len({repr(case.messages) for case in cases(name)}) == len(cases(name))


@every_spec
def test_every_case_is_a_sound_row(name: str) -> None:
    for case in cases(name):
        assert [found for check in ANY_ROW for found in check(case, "test")] == [], case.id
        tools = {tool.name: tool for tool in case.tools}
        for call in case.calls:
            assert tools[call.name].problems(call.arguments) == []


@every_spec
def test_calls_are_right_where_they_should_be(name: str) -> None:
    for case, row in of(name, *FAULTS):
        if case.origin.kind in GOLD_CALL_FAULTS:
            assert case.calls == row.example.calls != ()
            assert not case.response
        else:
            assert case.calls == ()
            assert case.response.strip()


@every_spec
def test_sentences_are_unseen(name: str) -> None:
    dataset = build(SPECS[name])
    learned = {normalise(row.request) for row in (*dataset.train, *dataset.validation)}
    for case, row in of(name, *FAULTS):
        assert normalise(row.example.request) not in learned, case.id
        assert normalise(case.request) not in learned, case.id


def test_values_kept_for_a_test_and_held_out_tools_are_not_there() -> None:
    spec = SPECS["all"].model_copy(update={"held_out_tools": ("get_weather", "freeze_card")})
    assert spec.test_values
    unseen = UnseenValues(load_catalogs(spec.catalogs), spec.seed)
    found = fault_cases(spec, 12)
    assert len(found) == 12 * len(FAULTS)
    for case in found:
        assert list(unseen.leaks(case)) == []
        assert not {"get_weather", "freeze_card"} & {tool.name for tool in case.tools}


@every_spec
def test_disturbed_requests_differ_and_keep_every_value(name: str) -> None:
    for case, row in of(name, "noise", "typos", "code_switching"):
        assert case.request != row.filled.request
        assert case.messages[:-1] == row.example.messages[:-1]
        own = re.split(r"\{(\w+)\}", row.filled.template.text)
        values = [row.filled.spoken[name] for name in own[1::2]]
        in_order = ".*".join(map(re.escape, values))
        assert re.search(in_order, case.request, re.DOTALL), case.id


@every_spec
def test_the_catalog_still_reads_every_value_where_the_call_is_right(name: str) -> None:
    verifier = Verifier(load_catalogs(SPECS[name].catalogs, SPECS[name].tools))
    for case, _ in of(name, *GOLD_CALL_FAULTS):
        found = [one for one in verifier.findings(case) if one[0] in ("schema", "grounding")]
        assert found == [], case.id


@every_spec
def test_typing_errors_and_switched_words_are_those_of_the_lists(name: str) -> None:
    for case, row in of(name, "code_switching"):
        others = TO_ENGLISH if case.origin.language == "zh" else TO_CHINESE
        new = [one for found in others.values() for one in found if one in case.request]
        assert any(one not in row.filled.request for one in new), case.id
    for case, row in of(name, "typos"):
        if case.origin.language == "en":
            before, after = row.filled.request.split(), case.request.split()
            wrong = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
            assert 1 <= len(wrong) <= 4
            assert all(abs(len(one) - len(other)) <= 1 for one, other in wrong)
        else:
            assert abs(len(case.request) - len(row.filled.request)) <= 4


def test_the_lists_put_other_words_in_a_word_s_place() -> None:
    for words in (CONFUSED, TO_ENGLISH, TO_CHINESE):
        for word, others in words.items():
            assert others
            assert word not in others
    assert all(word == word.lower() for word in TO_CHINESE)


@every_spec
def test_long_conversations_end_with_the_clean_request(name: str) -> None:
    for case, row in of(name, "long_context"):
        assert row.filled.request in case.request
        system = [m for m in row.example.messages if m.role == "system"]
        assert list(case.messages[: len(system)]) == system
        turns = [m.role for m in case.messages[len(system) :]]
        assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        said = sum(len(m.content or "") for m in case.messages)
        assert (400 if case.origin.language == "zh" else 2000) < said < 6500, case.id


@every_spec
def test_a_contradiction_names_two_values_of_one_argument(name: str) -> None:
    catalog = load_catalogs(SPECS[name].catalogs, SPECS[name].tools)
    for case, row in of(name, "contradictory"):
        assert case.request.startswith(row.filled.request)
        added = case.request[len(row.filled.request) :]
        about = catalog.about[row.tool]
        twice = []
        for argument, value in row.filled.arguments.items():
            said = row.filled.spoken[argument]
            for form in about.forms[argument][row.language]:
                named = form.spoken in added.replace(said, "", 1) and form.value != value
                if named and said in added and form.spoken in case.response:
                    twice.append((said, form.spoken))
        assert twice, case.id
        assert any(said in case.response for said, _ in twice), case.id


@every_spec
def test_what_is_mistyped_was_a_required_argument(name: str) -> None:
    for case, row in of(name, "mistyped"):
        assert row.filled.template.is_spoiled(case.request), case.id
        tool = next(tool for tool in case.tools if tool.name == row.tool)
        lost = [n for n, words in row.filled.spoken.items() if words not in case.request]
        assert set(lost) <= set(tool.required), case.id


@every_spec
def test_what_cannot_be_called(name: str) -> None:
    for case, row in of(name, "unknown_tool"):
        assert row.tool not in {tool.name for tool in case.tools}
    for case, row in of(name, "missing", "out_of_range"):
        assert row.tool in {tool.name for tool in case.tools}


@every_spec
def test_a_failed_result_follows_the_clean_request_and_its_call(name: str) -> None:
    for case, row in of(name, *FAILURES):
        *before, called, result = case.messages
        assert tuple(before) == row.example.messages
        assert called.tool_calls == row.example.calls != ()
        assert (called.role, result.role) == ("assistant", "tool")
    said = defaultdict(set)
    for case, _ in of(name, *FAILURES):
        said[case.origin.kind].add(case.messages[-1].content)
    assert all(len(contents) >= 4 for contents in said.values())


@every_spec
def test_only_explicit_failures_say_that_they_are_some(name: str) -> None:
    words = ("error", "fail", "denied", "false", "错误", "失败", "超时", "try again", "retry")
    for case, _ in of(name, *FAILURES):
        content = (case.messages[-1].content or "").lower()
        explicit = case.origin.kind.startswith("explicit")
        assert explicit == any(word in content for word in words), content


@every_spec
def test_nothing_is_found_or_nothing_is_done(name: str) -> None:
    for case, row in of(name, "implicit_permanent"):
        result = json.loads(case.messages[-1].content or "")
        done = isinstance(result, dict) and not {"results", "rows", "value"} & result.keys()
        asked = row.tool.split("_")[0]
        assert done == (asked not in ("get", "check", "calculate", "screen", "extract", "assess",
            "query", "find", "read", "list", "track", "estimate"))  # fmt: skip


@every_spec
def test_the_case_s_own_answer_counts_as_recovery(name: str) -> None:
    for case in cases(name):
        assert recovered(
            Outcome(example=case, calls=case.calls, text=case.response, valid=True, seconds=0.0)
        ), case.response
    again = [
        Outcome(example=case, calls=case.messages[-2].tool_calls, text="", valid=True, seconds=0.0)
        for case, _ in of(name, *FAILURES)
    ]
    rates = recovery(again)
    assert [rates[kind].rate for kind in TRANSIENT_FAULTS] == [1.0, 1.0]
    assert [rates[kind].rate for kind in PERMANENT_FAULTS] == [0.0, 0.0]


def test_the_rule_on_words_agrees_with_what_the_catalogs_say_of_results() -> None:
    failed, sound = [], []
    for about in load_catalogs([DATA]).about.values():
        for result in about.results:
            if not result.computed and is_failure(result.value):
                failed += result.said.values()
            elif result.computed or _is_full(result.value):
                sound += result.said.values()
    assert len(failed) > 150
    assert sum(map(admits, failed)) / len(failed) > 0.95
    assert len(sound) > 250
    assert sum(map(admits, sound)) / len(sound) < 0.06


def _is_full(value: Any) -> bool:
    """Whether something came back: no null, no zero, no empty list."""
    return bool(value) and (not isinstance(value, dict) or all(value.values()))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    write_small(folder)
    return folder


@settings(max_examples=8, deadline=None)
@given(each=st.integers(0, 9), seed=st.integers(0, 3))
def test_small_catalogs_give_what_they_have(small: Path, each: int, seed: int) -> None:
    spec = plain(small, train=6, validation=2, test=4)
    found = fault_cases(spec, each, seed)
    counts = Counter((case.origin.kind, case.origin.language) for case in found)
    assert all(count <= (each + 1) // 2 for count in counts.values())
    assert len({repr(case.messages) for case in found}) == len(found)
    if each > 1:
        assert {"explicit_transient", "long_context", "contradictory"} <= {k for k, _ in counts}
