"""Rows beside the plain call: each kind is what it says, is verified, and stays where it was put."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from fcray.dataset.build import Dataset, build_from
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.draw import SPLITS
from fcray.dataset.results import is_failure
from fcray.dataset.split import normalise
from fcray.dataset.verify import Verifier, today_of
from fcray.domains import execute
from fcray.errors import UserError
from fcray.spec import DataSpec, Kind
from fcray.tools import Example, ToolCall
from tests.dataset.catalogs import DATA, plain

CATALOG = """
domain: dining
pools:
  when: {dates: relative}
  clock: {times: [11, 21]}
  people: {numerals: [1, 12]}
  side:
    - {value: true, zh: [靠窗, 靠窗的位子], en: by the window}
    - {value: false, zh: 不靠窗, en: away from the window}
  dish:
    - {zh: 麻婆豆腐, en: mapo tofu}
    - {zh: 宫保鸡丁, en: fried rice}
    - {zh: 红烧肉, en: dumplings}
    - {zh: 酸辣汤, en: hot soup}
  count: {range: [1, 30]}
tools:
  - name: book_table
    description: Book a table.
    parameters:
      type: object
      properties:
        date: {type: string, format: date}
        time: {type: string}
        guests: {type: integer, minimum: 1, maximum: 12}
        window: {type: boolean}
      required: [date, time, guests]
    values: {date: when, time: clock, guests: people, window: side}
    labels:
      date: {zh: 日期, en: date}
      time: {zh: 时间, en: time}
      guests: {zh: 人数, en: number of guests}
    templates:
      zh:
        - "{date}{time}订{guests}位"
        - "{guests}个人，{date}{time}，要{window}"
        - "订位，{date}{time}，{guests}人"
      en:
        - "Book a table for {guests} {date} at {time}."
        - "We are {guests}, {date} at {time}, {window}."
        - "Table {date} at {time} for {guests} please."
    incomplete:
      zh: ["{date}订个位子", "{guests}个人吃饭，订一桌"]
      en: ["Book a table {date}.", "I need a table for {guests}."]
    invalid:
      - say: {zh: "{date}{time}订五十个人的", en: "Book for fifty people {date} at {time}."}
        answer: {zh: 最多12位。, en: Twelve at most.}
    contrast:
      - say: {zh: "{date}订位难吗？", en: "Is it hard to get a table {date}?"}
        answer: {zh: 看日子。, en: It depends.}
    results:
      - {value: {ok: true, table: 7}, zh: 订好了，7号桌。, en: "Booked, table 7."}
  - name: order_dish
    description: Order a dish.
    parameters:
      type: object
      properties: {dish: {type: string}, count: {type: integer}}
      required: [dish, count]
    values: {dish: dish, count: count}
    templates:
      zh: ["来{count}份{dish}", "{dish}要{count}份", "点{count}个{dish}"]
      en: ["Order {count} {dish}.", "{count} times {dish}, please.", "I'd like {dish}, {count} of it."]
    incomplete:
      zh: ["来一点{dish}"]
      en: ["Order {dish}."]
"""
SHARES: dict[Kind, float] = dict.fromkeys(get_args(Kind), 0.06)
WORDS = {"invalid", "contrast", "missing", "after_result", "unknown_tool"}


@cache
def dining(folder: Path) -> Catalog:
    (folder / "tools.yaml").write_text(CATALOG, encoding="utf-8")
    return load_catalogs([folder, DATA / "chat"])


@cache
def made(folder: Path) -> Dataset:
    spec = plain("x", train=400, validation=40, test=80, kinds=SHARES)
    return build_from(spec, dining(folder))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dining")


def rows(folder: Path, kind: str) -> list[Example]:
    found = [row for row in made(folder).train if row.origin.kind == kind]
    assert found, kind
    return found


def test_every_kind_has_its_share(folder: Path) -> None:
    kinds = Counter(row.origin.kind for row in made(folder).train)
    few = {"contrast", "invalid", "missing", "slot_filling"}  # this catalog has few such sentences
    for kind in SHARES.keys() - few:
        assert abs(kinds[kind] - 0.06 * 400) <= 2, kind
    assert all(kinds[kind] > 0 for kind in few)
    audit = made(folder).audits["train"]
    assert sum(kinds.values()) == audit.accepted == 400 - audit.stages["near-duplicate"] >= 398


def test_every_row_is_verified(folder: Path) -> None:
    verifier = Verifier(dining(folder))
    for split in SPLITS:
        assert all(verifier.reasons(row) == [] for row in made(folder).rows(split))


def test_no_request_stands_twice(folder: Path) -> None:
    opening = [
        normalise(next(m.content or "" for m in row.messages if m.role == "user"))
        for split in SPLITS
        for row in getattr(made(folder), split)
    ]
    assert max(Counter(opening).values()) == 1


@pytest.mark.parametrize("kind", sorted(SHARES))
def test_calls_or_words(kind: str, folder: Path) -> None:
    for row in rows(folder, kind):
        assert bool(row.calls) != (kind in WORDS)
        assert bool(row.response) == (kind in WORDS)


def test_every_row_tells_the_day_where_one_tool_needs_it(folder: Path) -> None:
    for row in made(folder).train:
        assert row.messages[0].role == "system"
        assert row.messages[0].content is not None


def test_what_is_missing_is_asked_for_and_then_said(folder: Path) -> None:
    for row in rows(folder, "missing"):
        assert row.response.startswith(("请问", "Could you tell me the"))
    for row in rows(folder, "slot_filling"):
        assert [m.role for m in row.messages[1:]] == ["user", "assistant", "user"]
        tool = next(tool for tool in row.tools if tool.name == row.calls[0].name)
        assert tool.problems(row.calls[0].arguments) == []


@pytest.mark.parametrize("kind", ["correction", "follow_up"])
def test_one_argument_changes(kind: str, folder: Path) -> None:
    for row in rows(folder, kind):
        before = next(m.tool_calls[0] for m in row.messages if m.tool_calls)
        after = row.calls[0]
        assert before.name == after.name
        assert before.arguments.keys() == after.arguments.keys()
        changed = [n for n, value in after.arguments.items() if before.arguments[n] != value]
        assert len(changed) == 1


def test_two_requests_are_two_calls_at_once_or_in_turn(folder: Path) -> None:
    for row in rows(folder, "parallel"):
        assert len({call.name for call in row.calls}) == 2
    steps = Counter(len(row.messages) for row in rows(folder, "sequence"))
    assert set(steps) == {2, 4}  # nothing is done yet, or the first of the two
    for row in rows(folder, "sequence"):
        if len(row.messages) == 4:
            assert [m.role for m in row.messages[1:]] == ["user", "assistant", "tool"]
            assert row.messages[2].tool_calls[0].name != row.calls[0].name


def test_a_tool_that_is_not_offered_is_not_called(folder: Path) -> None:
    for row in rows(folder, "unknown_tool"):
        assert len(row.tools) == 1
        assert row.tools[0].name in row.response


def test_the_same_seed_gives_the_same_rows(folder: Path) -> None:
    spec = plain("x", train=400, validation=40, test=80, kinds=SHARES)
    assert build_from(spec, dining(folder)).sha256 == made(folder).sha256


def test_more_than_all_rows_is_too_much() -> None:
    with pytest.raises(ValueError, match=r"irrelevant and kinds together are 1\.12"):
        DataSpec(catalogs=("x",), kinds={"parallel": 0.5, "missing": 0.5})


WRONG = {
    "nothing is missing": (
        'zh: ["{date}订个位子"',
        'zh: ["{date}{time}订{guests}位吧"',
        r"tools\.yaml:\d+: tools\[0\]\.incomplete\.zh\[0\]: every required argument is mentioned",
    ),
    "no answer": (", en: Twelve at most.", "", r"invalid\[0\]\.say\.en: no answer in en"),
    "an unknown label": ("guests: {zh: 人数", "guest: {zh: 人数", r"labels\.guest: book_table has no"),
    "other dates": ("dates: relative", "dates: sometimes", r"pools\.when\.dates: dates are relative or past"),
    "other times": ("times: [11, 21]", "times: [11, 24]", r"clock\.times: times are \[first, last\]"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_catalog_that_is_wrong_names_file_and_line(case: str, tmp_path: Path) -> None:
    before, after, message = WRONG[case]
    assert before in CATALOG
    (tmp_path / "tools.yaml").write_text(CATALOG.replace(before, after), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load_catalogs([tmp_path])


@cache
def paired() -> Dataset:
    """Rows of several turns and of two requests, of a few shipped tools."""
    tools = ("calculate_bmi", "estimate_due_date", "assess_risk_preference", "create_note")
    kinds = {"after_result": 0.2, "sequence": 0.2, "parallel": 0.1, "unknown_tool": 0.2}
    kinds |= {"correction": 0.1, "follow_up": 0.1}
    spec = plain(tools=tools, train=1200, validation=120, test=120, irrelevant=0.1, kinds=kinds)
    return build_from(spec, load_catalogs([DATA], tools))


def steps(row: Example) -> list[tuple[ToolCall, object]]:
    """The calls of a row that were made, each with what came back."""
    return [
        (before.tool_calls[0], json.loads(after.content or ""))
        for before, after in pairwise(row.messages)
        if after.role == "tool"
    ]


def test_what_is_computed_follows_from_the_arguments() -> None:
    seen = Counter[tuple[str, bool]]()
    for row in paired().train:
        for call, value in steps(row):
            if call.name == "create_note":
                continue
            if not is_failure(value):
                assert value == execute(call.name, call.arguments, today_of(row)), row.id
            seen[call.name, is_failure(value)] += 1
    assert {name for name, failed in seen if not failed} == {
        *("calculate_bmi", "estimate_due_date", "assess_risk_preference")
    }


def test_nothing_follows_a_step_that_failed() -> None:
    second = [row for row in paired().train if row.origin.kind == "sequence" and steps(row)]
    assert second
    for row in second:
        assert not any(is_failure(value) for _, value in steps(row))


def test_a_number_that_may_mean_several_arguments_is_named() -> None:
    """No, 45: that could be the height, the weight or the age."""
    about = load_catalogs([DATA], ["calculate_bmi"]).about["calculate_bmi"]
    seen = 0
    for row in paired().train:
        kind, calls = row.origin.kind, row.calls
        if kind not in ("correction", "follow_up") or calls[0].name != "calculate_bmi":
            continue
        before = next(call for message in row.messages for call in message.tool_calls)
        for name, value in calls[0].arguments.items():
            if before.arguments[name] != value and isinstance(value, int | float):
                assert about.labels[name][row.origin.language] in row.request, row.request
                seen += 1
    assert seen > 10


def test_no_sentence_of_training_is_half_of_a_tested_pair() -> None:
    trained = {normalise(row.request) for row in paired().train if len(row.messages) <= 2}
    for row in (*paired().validation, *paired().test):
        if row.origin.kind in ("parallel", "sequence"):
            halves = re.split(
                r"另外，|还有，|然后，|做完以后，|先做这个：|再做这个：|两件事：|Also: |Two things\. |And: "
                r"|And one more thing: |After that: |When that is done: |First: |Then: ",
                row.request,
            )
            assert not {normalise(half) for half in halves if half.strip()} & trained, row.id
