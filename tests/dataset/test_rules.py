"""The pure rules: shuffling, spreading, planning, holding out, interleaving, pools."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.audit import _Numbers
from fcray.dataset.near import NearDuplicates, sign
from fcray.dataset.planned import Drawn, Rows
from fcray.dataset.pools import Form, parse_pools
from fcray.dataset.split import hold_out, interleave, normalise, plan, spread
from fcray.dataset.synthesize import Source, fillings, shuffled_indices
from fcray.dataset.templates import Pick, Template, same
from fcray.yamlfile import YamlFile
from tests.dataset.catalogs import shipped


@given(st.integers(0, 300), st.integers())
def test_shuffled_indices_are_a_permutation(size: int, seed: int) -> None:
    assert sorted(shuffled_indices(size, random.Random(seed))) == list(range(size))


def test_a_huge_range_is_shuffled_lazily() -> None:
    stream = shuffled_indices(10**15, random.Random(0))
    assert len({next(stream) for _ in range(100)}) == 100


@given(st.integers(1, 30), st.integers(0, 500))
def test_spread_is_even_and_exact(cells: int, total: int) -> None:
    counts = spread(range(cells), total)
    assert sum(counts.values()) == total
    assert max(counts.values()) - min(counts.values()) <= 1


@given(st.integers(1, 12), st.integers(1, 400), st.floats(0, 1), st.integers())
def test_a_plan_is_level_in_tools_and_languages(
    tools: int, total: int, irrelevant: float, seed: int
) -> None:
    names = [f"tool_{index}" for index in range(tools)]
    counts = plan(dict.fromkeys(names, 1), total, irrelevant, random.Random(seed))
    assert sum(counts.values()) == total
    assert min(counts.values()) >= 0
    zh = sum(count for cell, count in counts.items() if cell.language == "zh")
    assert abs(2 * zh - total) <= 1
    by_tool = [sum(n for cell, n in counts.items() if cell.tool == name) for name in names]
    assert max(by_tool) - min(by_tool) <= 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 400), st.integers())
def test_a_plan_gives_each_tool_its_share(weights: list[int], total: int, seed: int) -> None:
    tools = {f"tool_{index}": weight for index, weight in enumerate(weights)}
    counts = plan(tools, total, 0.15, random.Random(seed))
    assert sum(counts.values()) == total
    calls = sum(n for cell, n in counts.items() if cell.tool)
    for name, weight in tools.items():
        pair = [n for cell, n in counts.items() if cell.tool == name]
        assert abs(sum(pair) - calls * weight / sum(weights)) < 1
        assert max(pair) - min(pair) <= 1


@given(st.lists(st.sets(st.sampled_from("abc")), min_size=1, max_size=30), st.integers())
def test_what_is_held_out_keeps_its_arguments_in_training(
    arguments: list[set[str]], seed: int
) -> None:
    form = (Form("x", "x", ()),)
    templates = [
        Template(f"t/zh/{n}", "t", "d", "zh", "", dict.fromkeys(sorted(names), form))
        for n, names in enumerate(arguments)
    ]
    trained, held = hold_out(templates, seed)
    assert sorted(t.id for t in (*trained, *held)) == sorted(t.id for t in templates)
    left = {frozenset(t.forms) for t in trained}
    assert all(frozenset(t.forms) in left for t in held)


@given(st.dictionaries(st.integers(), st.lists(st.integers(), min_size=1)), st.integers())
def test_interleaving_keeps_every_row(groups: dict[int, list[int]], seed: int) -> None:
    rows = list(interleave(groups, random.Random(seed)))
    assert Counter(rows) == Counter(row for group in groups.values() for row in group)


@given(st.sampled_from(shipped().templates), st.data())
def test_a_filling_is_what_its_template_says(template: Template, data: st.DataObject) -> None:
    filled = template.fill(data.draw(st.integers(0, template.size - 1)))
    assert template.says(filled.request, filled.arguments)
    assert not template.says(filled.request + "x", filled.arguments)


@given(st.integers())
def test_a_source_never_repeats_a_sentence_and_runs_dry(seed: int) -> None:
    chat = shipped().of("", "zh")[:20]
    drawn = Source(seed).draw(chat, 10_000)
    assert len({normalise(pick.filled.request) for pick in drawn}) == len(drawn)
    every = {normalise(p.filled.request) for template in chat for p in fillings(template, 0)}
    assert len(drawn) == len(every)


def test_a_source_takes_one_of_two_spellings() -> None:
    times = tuple(Form("09:30", spoken, ()) for spoken in ("9:30 am", "9.30AM", "half past nine"))
    one = Template("t/en/0", "t", "d", "en", "Wake me at {time}.", {"time": times})
    two = Template("t/en/1", "t", "d", "en", "wake me at {time}", {"time": times})
    drawn = Source(0).draw([one, two], 10)
    assert {normalise(pick.filled.request) for pick in drawn} == {
        "wakemeat930am",
        "wakemeathalfpastnine",
    }
    assert len(drawn) == 2


@given(st.integers())
def test_interleaving_spreads_a_small_group(seed: int) -> None:
    groups = {"large": ["large"] * 90, "small": ["small"] * 10}
    rows = list(interleave(groups, random.Random(seed)))
    for start in range(0, 80):
        assert "small" in rows[start : start + 21]


def test_a_tool_whose_turn_comes_again_goes_on_where_it_was() -> None:
    templates = shipped().of("get_weather", "en")
    whole = Source(3).draw(templates, 300, "train")
    source = Source(3)
    first = source.draw(templates, 200, "train")
    source.turn_to_another_tool()
    source.draw(shipped().of("set_reminder", "en"), 50, "train")
    source.turn_to_another_tool()
    source.remember(first, "train", words=False)
    again = source.draw(templates, 100, "train")
    assert len(again) == 100
    said = Counter(normalise(pick.filled.request) for pick in (*first, *again))
    assert max(said.values()) == 1
    near = NearDuplicates()
    for pick in (*first, *again):
        signed = sign(pick.filled.request, repr(pick.filled.arguments))
        assert near.find(signed) is None
        near.add(signed, "")
    assert first == whole[:200]


def test_a_row_that_may_be_answered_in_words_is_no_near_duplicate_of_a_call() -> None:
    forms = {"city": (Form("Berlin", "Berlin", ()),)}
    text = "Could you please tell me what the weather is going to be like in {city} tomorrow"
    one = Template("t/en/0", "t", "d", "en", f"{text}?", forms)
    other = Template("t/en/1", "t", "d", "en", f"{text} then?", forms)
    for first, then in ((False, True), (True, False), (True, True)):
        source = Source(0)
        assert len(source.draw([one], 1, "train", words=first)) == 1
        assert source.draw([other], 1, "train", words=then) == []


CELLS = st.tuples(
    st.sampled_from(["call", "invalid", "parallel"]),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**63 - 1)), min_size=1, max_size=2),
)


@given(st.lists(CELLS, max_size=40), st.randoms())
def test_planned_rows_are_what_was_planned(
    wanted: list[tuple[str, list[tuple[int, int]]]], rng: random.Random
) -> None:
    templates = shipped().templates
    expected = [
        Drawn(kind, tuple(Pick(templates[at], number) for at, number in picks))
        for kind, picks in wanted
    ]
    rows = Rows()
    assert [rows.append(one.kind, one.picks) for one in expected] == list(range(len(wanted)))
    assert list(rows) == expected
    order = rng.sample(range(len(wanted)), len(wanted) // 2)
    assert list(rows.in_order(order)) == [expected[at] for at in order]
    assert list(rows) == expected


def test_a_template_may_have_more_fillings_than_64_bits_number() -> None:
    forms = tuple(Form(str(n), str(n), ()) for n in range(1000))
    gaps = {f"g{n}": forms for n in range(8)}
    template = Template("t/en/0", "t", "d", "en", " ".join(f"{{{gap}}}" for gap in gaps), gaps)
    assert template.size > 2**64
    rows = Rows()
    for pick in Source(0).draw([template], 20):
        rows.append("call", [pick])
    assert len({row.picks[0].filled.request for row in rows}) == 20


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.integers(1, 5))
def test_numbers_are_a_set(added: list[int], times: int) -> None:
    numbers, known = _Numbers(), set[int]()
    for _ in range(times):
        for number in added:
            assert (number in numbers) == (number in known)
            numbers.add(number)
            known.add(number)
            if len(known) % 7 == 0:
                numbers.settle()
    assert all(number in numbers for number in known)
    assert 5 not in numbers or 5 in known


def test_normalise_drops_case_width_spaces_and_punctuation() -> None:
    assert normalise("  What's UP，北京？ ") == normalise("whats up北京") == "whatsup北京"
    assert normalise("Ａ１") == "a1"


def test_same_tells_numbers_from_truth_values() -> None:
    assert same(1, 1.0)
    assert same(["a"], ["a"])
    assert not same(1, True)
    assert not same([1], [True])
    assert not same(["a", "b"], ["b", "a"])


def test_pools_of_pools(tmp_path: Path) -> None:
    path = tmp_path / "pools.yaml"
    path.write_text(
        "pools:\n"
        "  several: {lists_of: device, sizes: [1, 2], count: 8}\n"
        '  device: {join: "{kind}-{number}"}\n'
        "  kind: [pump, {zh: 风扇, en: fan}]\n"
        "  number: {range: [1, 5], step: 2}\n",
        encoding="utf-8",
    )
    pools = parse_pools(YamlFile.read(path))
    assert [form.value for form in pools["number"].forms["en"]] == [1, 3, 5]
    assert "风扇-3" in {form.value for form in pools["device"].forms["zh"]}
    assert "fan-3" in {form.spoken for form in pools["device"].forms["en"]}
    lists = pools["several"].forms["zh"]
    assert Counter(len(form.value) for form in lists) == {1: 4, 2: 4}
    for form in lists:
        assert all(value in form.spoken for value in form.value)
