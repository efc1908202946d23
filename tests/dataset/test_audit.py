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
            "on": {"type": "boolean"},
            "with_breakfast": {"type": "boolean"},
            "mood": {"$ref": "#/$defs/mood"},
            "view": {"anyOf": [{"enum": ["sea", "yard"]}, {"type": "null"}]},
            "anything": {"type": "array", "items": True},
            "nested": {"type": "object", "properties": {"any": True}},
            "at": {"type": "string"},
            "level": {"type": "number"},
        },
        "$defs": {"mood": {"enum": ["festive", "calm"]}},
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
    ("1,500 apples", {"seats": 1500}),
    ("two hundred and five people", {"seats": 205}),
    ("half an hour", {"seats": 30}),
    ("a minute and a half", {"seats": 90}),
    ("for 30 years", {"seats": 360}),
    ("1.65 m tall", {"seats": 165}),
    ("身高1米65", {"seats": 165}),
    ("36度5就行", {"level": 36.5}),
    ("打八折", {"seats": 20}),
    ("百分之五", {"level": 0.05}),
    ("the eighth floor", {"seats": 8}),
    ("-5 degrees", {"seats": -5}),
    ("account 6222 0212 3456", {"seats": 622202123456}),
    ("for October 7th", {"day": "2026-10-07"}),
    ("10月7号", {"day": "2026-10-07"}),
    ("on the 7th, next month", {"day": "2026-10-07"}),
    ("in 2012", {"day": "2012-12-31"}),
    ("at a quarter to five", {"at": "16:45"}),
    ("how much is 500美元", {"note": "USD"}),
    ("5 pounds in yen", {"note": "GBP", "at": "JPY"}),
    ("turn it off", {"on": False}),
    ("turn it off, then on again", {"on": True}),
    ("with breakfast, no sugar", {"with_breakfast": True}),
    ("a happy one by the water", {"mood": "festive", "view": "sea"}),
    ("x and 3", {"anything": ["x"], "nested": {"any": 3}}),
]
UNGROUNDED: list[tuple[str, dict[str, Any]]] = [
    ("for 12 people", {"seats": 13}),
    ("for some people", {"seats": 35}),
    ("ask for Ann", {"note": "Zaphod"}),
    ("whatever", {"unit": "Zlotys"}),
    ("Ann and Bob", {"names": ["Ann", "Zaphod"]}),
    ("in Rome", {"place": {"city": "Oslo"}}),
    ("1500 apples", {"seats": 5}),
    ("twenty-five apples", {"seats": 5}),
    ("三十五个人", {"seats": 5}),
    ("下周三", {"seats": 3}),
    ("October 7th", {"seats": 7}),
    ("for 5 people", {"seats": 300}),
    ("for some", {"level": float("nan")}),
    ("for some", {"level": float("inf")}),
    ("for some", {"seats": 10**400}),
    ("next Friday", {"day": "1776-07-04"}),
    ("October 7th", {"day": "2026-11-07"}),
    ("October 7th", {"day": "1776-10-07"}),
    ("as you like", {"day": "2026-10-07"}),
    ("as you like", {"at": "16:45"}),
    ("one hundred", {"note": "red"}),
    ("500 dollars", {"note": "EUR"}),
    ("turn it off", {"on": True}),
    ("without breakfast", {"with_breakfast": True}),
    ("I don't want a breakfast", {"with_breakfast": True}),
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
    language = "zh" if any("\u3400" <= c <= "\u9fff" for c in request_text) else "en"
    found = Auditor().first_problem(row(request_text, book(**arguments), language=language), "a")
    assert found is not None
    assert found[0] == "grounding"


def test_a_relative_day_is_near_the_one_that_is_told() -> None:
    told = Message(role="system", content="Today is 2026-01-01, Thursday.")
    for day, sound in (("2026-01-09", True), ("2040-01-09", False)):
        example = row("next Friday", book(day=day), messages=(told, user("next Friday")))
        assert (Auditor().first_problem(example, "a") is None) == sound


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
    # Of one split other words may be right; what another split asks must not be learnt at all.
    again = row("Well, " + long, response="I can't.")
    assert auditor.first_problem(again, "train") is None
    assert auditor.first_problem(again.model_copy(update={"id": "again"}), "test") is not None
    # Nearly the same words that ask for something else are a contrast, not a duplicate.
    assert auditor.first_problem(row(long + "s", book(seats=2)), "test") is not None
    assert auditor.first_problem(row(long + " for 2", book(seats=2)), "test") is None
    assert auditor.first_problem(row("Something else that nobody has said so far"), "test") is None


def test_the_same_words_with_another_answer_are_another_row_of_their_split() -> None:
    auditor = Auditor()
    assert auditor.first_problem(row("Hello there"), "train") is None
    assert auditor.first_problem(row("Hello there", response="Good day."), "train") is None
    found = auditor.first_problem(row("Hello there", response="What?"), "test")
    assert found is not None
    assert found[0] == "duplicate"


def test_turns_of_one_conversation_are_no_duplicates() -> None:
    auditor = Auditor()
    long = "I would like to know everything that there is to know about the weather in these parts"
    said = Message(role="assistant", content="Fine.")
    once = row(long)
    twice = row(long, messages=(user(long), said, user("OK.")))
    assert auditor.first_problem(once, "train") is None
    assert auditor.first_problem(twice, "train") is None
    # After other calls the same words are another row as well.
    for seats in (1, 2):
        made = Message(role="assistant", tool_calls=(book(seats=seats),))
        after = row(long, messages=(user(long), made, Message(role="tool", content="{}")))
        assert auditor.first_problem(after, "train") is None


def test_rows_that_were_built_pass() -> None:
    audit = Audit()
    passed = list(Auditor().accepted(rows(), "train", audit))
    assert audit.rejections == []
    assert len(passed) == len(rows())
    assert audit.unread == 0


def test_what_templates_say_in_words_of_their_own_is_counted() -> None:
    origin = Origin(generator="template", language="en", domain="d", kind="call")
    example = row("paint it", book(note="red"), origin=origin)
    audit = Audit()
    assert list(Auditor().accepted([example], "a", audit)) == [example]
    assert audit.unread == audit.as_json()["unread"] == 1
    audit = Audit()
    assert list(Auditor(checks=()).accepted([example], "a", audit)) == [example]
    assert audit.unread == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} with the published rows is absent")
def test_published_rows_are_mostly_sound() -> None:
    path = str(SHARED / "glaive_toolcall_en_demo.json")
    examples = transfer.read_examples(path, FORMATS["sharegpt"], transfer.Report())
    audit = Audit()
    for _ in Auditor().accepted(examples, "train", audit):
        pass
    # Small talk repeats itself in the source.
    again = audit.stages["duplicate"] + audit.stages["near-duplicate"]
    assert again < 0.2 * audit.rows
    assert audit.accepted + again > 0.98 * audit.rows
    assert audit.stages["schema"] == 1
