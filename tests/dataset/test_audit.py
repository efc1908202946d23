"""The audit of rows that anybody made: which stage turns them away, and that sound ones pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fcray.dataset import transfer
from fcray.dataset.audit import Audit, Auditor
from fcray.dataset.formats import FORMATS
from fcray.tools import Example, Message, Origin, Tool, ToolCall
from tests.dataset.catalogs import shipped
from tests.dataset.test_corruption import rows
from tests.examples import WEATHER, user

SHARED = Path(__file__).parents[3] / "shared" / "data"
BOOK = Tool(
    name="book",
    parameters={
        "type": "object",
        "properties": {
            "seats": {"type": "integer"},
            "note": {"type": "string"},
            "day": {"type": "string", "format": "date"},
            "size": {"enum": ["s", "m"]},
            "quiet": {"type": "boolean"},
            "unit": {"type": "string", "default": "CNY"},
            "names": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    },
)


def row(request: str, *calls: ToolCall, language: str = "en", **changes: Any) -> Example:
    values: dict[str, Any] = {
        "id": request[:20] or "x",
        "messages": (user(request),),
        "tools": (WEATHER, BOOK),
        "calls": calls,
        "response": "" if calls else "Fine.",
        "origin": Origin(generator="t", language=language, domain="d", kind="call"),  # type: ignore[arg-type]
    }
    return Example(**values | changes)


def book(**arguments: Any) -> ToolCall:
    return ToolCall(name="book", arguments=arguments)


GROUNDED: list[tuple[str, dict[str, Any]]] = [
    ("for 12 people", {"seats": 12}),
    ("for twelve people", {"seats": 12}),
    ("三十五个人", {"seats": 35}),
    ("两个人", {"seats": 2}),
    ("two hours", {"seats": 120}),
    ("1.2万", {"seats": 12000}),
    ("ask for Ann-Marie", {"note": "Ann Marie"}),
    ("tomorrow", {"day": "2026-01-02"}),
    ("a tiny one", {"size": "s", "quiet": True}),
    ("whatever", {"unit": "CNY"}),
    ("Ann and Bob in Rome", {"names": ["Ann", "Bob"], "place": {"city": "Rome"}}),
]
UNGROUNDED: list[tuple[str, dict[str, Any]]] = [
    ("for 12 people", {"seats": 13}),
    ("for some people", {"seats": 35}),
    ("ask for Ann", {"note": "Zaphod"}),
    ("whatever", {"unit": "Zlotys"}),
    ("Ann and Bob", {"names": ["Ann", "Zaphod"]}),
    ("in Rome", {"place": {"city": "Oslo"}}),
]


@pytest.mark.parametrize(("request_text", "arguments"), GROUNDED)
def test_what_is_said_is_grounded(request_text: str, arguments: dict[str, Any]) -> None:
    language = "zh" if any("\u3400" <= c <= "\u9fff" for c in request_text) else "en"
    assert (
        Auditor().first_problem(row(request_text, book(**arguments), language=language), "a")
        is None
    )


@pytest.mark.parametrize(("request_text", "arguments"), UNGROUNDED)
def test_what_is_not_said_is_rejected(request_text: str, arguments: dict[str, Any]) -> None:
    found = Auditor().first_problem(row(request_text, book(**arguments)), "a")
    assert found is not None
    assert found[0] == "grounding"


RATE = shipped().tools["get_exchange_rate"]
SAME = ToolCall(name="get_exchange_rate", arguments={"from_currency": "CNY", "to_currency": "CNY"})
CALLED = Message(role="assistant", tool_calls=(book(seats=1),))
BAD: dict[str, tuple[Example, str, str]] = {
    "no words": (row(" "), "format", "no user says anything"),
    "no answer": (row("Hi", response=" "), "format", "neither a call nor an answer"),
    "a last word": (
        row("Hi", messages=(user("Hi"), Message(role="assistant", content="x"))),
        "format",
        "nothing is to be answered",
    ),
    "a result of nothing": (
        row("Hi", messages=(user("Hi"), Message(role="tool", content="x"))),
        "format",
        "follows no call",
    ),
    "two results of one call": (
        row("Hi", messages=(user("1"), CALLED, *[Message(role="tool", content="x")] * 2)),
        "format",
        "follows no call",
    ),
    "an unknown tool": (row("Hi", ToolCall(name="fly")), "schema", "not offered"),
    "a wrong type": (row("1", book(seats="1")), "schema", "not of type 'integer'"),
    "an unknown argument": (row("1", book(chairs=1)), "schema", "not among its parameters"),
    "nonsense": (row("CNY to CNY", SAME, tools=(RATE,)), "execution", "the same as from_currency"),
    "no Chinese": (row("Hi", language="zh"), "language", "no Chinese character"),
    "nearly all Chinese": (row("你好吗朋友"), "language", "nearly all of it is Chinese"),
    "too long": (row("Hi " * 50), "length", "more than the 40 of the cutoff"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_stage_rejects(case: str) -> None:
    example, stage, reason = BAD[case]
    auditor = Auditor(length=lambda e: len(e.request.split()), cutoff=40)
    found = auditor.first_problem(example, "train")
    assert found is not None
    assert found[0] == stage
    assert reason in found[1]


def test_another_tool_of_the_same_name_is_not_executed() -> None:
    other = RATE.model_copy(
        update={"parameters": {"type": "object", "properties": {"pair": {"type": "string"}}}}
    )
    call = ToolCall(name=RATE.name, arguments={"pair": "CNY CNY"})
    assert Auditor().first_problem(row("CNY CNY", call, tools=(other,)), "a") is None


def test_a_row_counts_once_in_all_splits() -> None:
    auditor = Auditor()
    assert auditor.first_problem(row("Hello there"), "train") is None
    assert auditor.first_problem(row("hello, there!"), "train") == (
        "duplicate",
        "says the same as Hello there in train",
    )
    assert auditor.first_problem(row("Hello there"), "test") == (
        "duplicate",
        "says the same as Hello there in train",
    )
    # The same words with another answer are another row.
    assert auditor.first_problem(row("Hello there", book()), "train") is None


def test_near_duplicates_are_found_within_and_across_splits() -> None:
    auditor = Auditor(near=0.7)
    long = "Please book a quiet table by the window for the whole family, and ask for the cook"
    assert auditor.first_problem(row(long), "train") is None
    for other, split in ((long + "s", "train"), ("Oh, " + long, "test")):
        found = auditor.first_problem(row(other), split)
        assert found is not None
        assert found[0] == "near-duplicate"
    # Nearly the same words that ask for something else are a contrast, not a duplicate.
    assert auditor.first_problem(row(long + "s", book(seats=2)), "test") is not None
    assert auditor.first_problem(row(long + " for 2", book(seats=2)), "test") is None
    assert auditor.first_problem(row("Something else that nobody has said so far"), "test") is None


def test_rows_that_were_built_pass() -> None:
    audit = Audit()
    passed = list(Auditor().accepted(rows(), "train", audit))
    assert audit.rejections == []
    assert len(passed) == len(rows())


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} with the published rows is absent")
def test_published_rows_are_mostly_sound() -> None:
    path = str(SHARED / "glaive_toolcall_en_demo.json")
    examples = transfer.read_examples(path, FORMATS["sharegpt"], transfer.Report())
    audit = Audit()
    for _ in Auditor().accepted(examples, "train", audit):
        pass
    # Small talk repeats itself in the source.
    again = audit.stages["duplicate"] + audit.stages["near-duplicate"]
    assert audit.accepted + again > 0.95 * audit.rows
    assert audit.stages["schema"] == 1
