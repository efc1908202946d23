"""Values exchanged in request and gold call alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.perturb import PERTURBED, Perturber, _order
from fcray.tools import Example, Message, Origin, Tool, ToolCall
from tests.examples import user

BOOK = Tool(
    name="book",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "guests": {"type": "integer", "maximum": 20},
            "quiet": {"type": "boolean"},
        },
    },
)


def row(request: str, identity: str, language: str = "en", **arguments: Any) -> Example:
    return Example(
        id=identity,
        messages=(user(request),),
        tools=(BOOK,),
        calls=(ToolCall(name="book", arguments=arguments),),
        origin=Origin(generator="log", language=language, domain="d", kind="call"),  # type: ignore[arg-type]
    )


ROWS = [
    row("A table for 5 in Boston", "a", city="Boston", guests=5),
    row("Book in London for 15 people", "b", city="London", guests=15),
    row("Paris, 2 of us", "c", city="Paris", guests=2),
    row("北京，订3位", "d", "zh", city="北京", guests=3),
    row("上海吃饭，8个人", "e", "zh", city="上海", guests=8),
]


@given(st.sampled_from(ROWS), st.integers(1, 4), st.integers())
def test_request_and_gold_change_together(example: Example, copies: int, seed: int) -> None:
    made = list(Perturber(ROWS, seed).of(example, copies))
    assert 1 <= len(made) <= copies
    assert made == list(Perturber(ROWS, seed).of(example, copies))
    for found in made:
        before, after = example.calls[0].arguments, found.calls[0].arguments
        changed = [name for name in before if before[name] != after[name]]
        assert len(changed) == 1
        assert str(after[changed[0]]) in found.request
        assert str(before[changed[0]]) not in found.request.replace(str(after[changed[0]]), "")
        assert found.origin.generator == f"{PERTURBED} log"
        assert found.id.startswith(example.id + "-")
    assert len({found.request for found in made}) == len(made)


def test_a_value_comes_from_the_same_language_and_fits_the_schema() -> None:
    many = row("Lima, 90 guests", "f", city="Lima", guests=90)
    for seed in range(40):
        for found in Perturber([*ROWS, many], seed).of(ROWS[0], 3):
            assert found.calls[0].arguments["city"] in ("Boston", "London", "Paris", "Lima")
            assert found.calls[0].arguments["guests"] != 90


def test_what_cannot_be_exchanged_safely_is_left() -> None:
    twice = row("Boston, yes Boston", "x", city="Boston")
    part = row("5 of 5th street", "y", guests=5, city="5th street")
    unsaid = row("the usual place", "z", city="Boston", quiet=True)
    made = Perturber(ROWS, 0)
    for example in (twice, unsaid):
        assert list(made.of(example, 3)) == []
    assert all(found.calls[0].arguments["guests"] == 5 for found in made.of(part, 3))
    words = row("hello", "w").model_copy(update={"calls": (), "response": "Hi."})
    assert list(made.of(words, 3)) == []


def test_a_number_is_not_found_inside_another() -> None:
    example = row("15 or 5 guests in Rome", "n", guests=5, city="Rome")
    requests = {
        found.request
        for seed in range(30)
        for found in Perturber(ROWS, seed).of(example, 3)
        if found.calls[0].arguments["city"] == "Rome"
    }
    assert requests
    assert requests <= {"15 or 15 guests in Rome", "15 or 2 guests in Rome"}


def test_earlier_turns_keep_what_was_said_there() -> None:
    example = ROWS[0].model_copy(
        update={
            "messages": (
                user("I am in Boston"),
                Message(role="assistant", content="What can I do?"),
                user("A table for 5"),
            )
        }
    )
    for seed in range(20):
        for found in Perturber(ROWS, seed).of(example, 2):
            text = json.dumps([m.content for m in found.messages])
            for value in found.calls[0].arguments.values():
                assert str(value) in text


RANGE = Tool(
    name="book",
    parameters={
        "type": "object",
        "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
    },
)


def test_a_minimum_stays_below_its_maximum() -> None:
    rows = [
        row(f"A number from {low} to {high}", f"{low}-{high}", low=low, high=high).model_copy(
            update={"tools": (RANGE,)}
        )
        for low, high in ((1, 100), (50, 90), (200, 300), (150, 1000))
    ]
    found = [
        made.calls[0].arguments
        for seed in range(20)
        for example in rows
        for made in Perturber(rows, seed).of(example, 3)
    ]
    assert {(one["low"], one["high"]) for one in found} > {(1, 90), (50, 100), (1, 300)}
    assert all(one["low"] < one["high"] for one in found)


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (1, 2.5, -1),
        ("2026-03-05", "2026-03-04", 1),
        ("09:30", "10:00", -1),
        ("09:30", "2026-03-04", None),
        ("Rome", "Oslo", None),
        (True, 5, None),
        (5, "5", None),
    ],
)
def test_what_has_an_order(one: Any, other: Any, order: int | None) -> None:
    assert _order(one, other) == order


def test_what_was_said_or_called_before_is_not_asked_for_again() -> None:
    call = ToolCall(name="book", arguments={"city": "Paris", "guests": 15})
    example = ROWS[1].model_copy(
        update={
            "messages": (
                user("A table for 5 in boston"),
                Message(role="assistant", content="Where?"),
                user("the usual place"),
                Message(role="assistant", tool_calls=(call,)),
                Message(role="tool", content="full"),
                user("Then book in London for 15 people"),
            )
        }
    )
    # 15 was called before, so the history would not agree; Boston and Paris were asked for.
    lima = row("Lima, 9 guests", "l", city="Lima", guests=9)
    cities = {
        (found.calls[0].arguments["city"], found.calls[0].arguments["guests"])
        for seed in range(30)
        for found in Perturber([*ROWS, lima], seed).of(example, 3)
    }
    assert cities == {("Lima", 15)}


def test_rows_are_perturbed_while_they_are_imported(tmp_path: Path) -> None:
    from tests.test_cli import fcray

    lines = [
        {
            "messages": [
                {"role": "user", "content": f"{how} {city}?"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "w", "arguments": json.dumps({"city": city})},
                        }
                    ],
                },
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "w",
                        "parameters": {
                            "type": "object",
                            "properties": {"city": {"type": "string"}},
                        },
                    },
                }
            ],
        }
        for how, city in (
            ("Weather in", "Oslo"),
            ("Weather in", "Rome"),
            ("Will it rain in", "Cairo"),
        )
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out = tmp_path / "rows.jsonl"
    done = fcray(
        "data", "import", "openai", str(path), "--out", str(out), "--perturb", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    requests = [json.loads(line)["messages"][0]["content"] for line in out.open(encoding="utf-8")]
    made = json.loads(done.stdout)["perturbed"]
    assert made >= 2
    assert len(requests) == len(set(requests)) == 3 + made
