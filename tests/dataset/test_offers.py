"""Which tools a row is offered, under which names, and values just outside the schema."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.dataset import limits
from fcray.dataset.audit import Auditor
from fcray.dataset.build import build_from, checks_against
from fcray.dataset.masking import MASKED, Masks
from fcray.dataset.offers import SETS, Offers
from fcray.dataset.templates import Filled
from fcray.dataset.verify import Verifier
from fcray.spec import DataSpec
from fcray.tools import Example, Tool, ToolCall
from tests.dataset.catalogs import DATA, plain, shipped

TOOLS = tuple(shipped().tools)
NAMES = shipped().tools.names


@given(st.integers(0, 12), st.sampled_from(NAMES), st.integers(), st.text(max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_row_is_offered_what_it_needs_and_as_many_others(
    count: int, needed: str, seed: int, identity: str
) -> None:
    offers = Offers(TOOLS, [count], seed)
    found = [tool.name for tool in offers.of(identity, [needed])]
    assert needed in found
    assert len(set(found)) == len(found) == count + 1
    assert offers.of(identity, [needed]) == Offers(TOOLS, [count], seed).of(identity, [needed])


def test_all_means_all_in_the_catalogs_order() -> None:
    offers = Offers(TOOLS, [None], 0)
    assert offers.of("x", ["get_weather"]) == TOOLS
    without = [tool.name for tool in offers.of("x", [], without="set_reminder")]
    assert not {"set_reminder", "set_medication_reminder"} & set(without)
    assert without == [name for name in NAMES if name in without]
    assert len(without) > len(NAMES) - 10
    pair = Offers([t for t in TOOLS if "reminder" in t.name], [None], 0)
    assert len(pair.of("x", [], without="set_reminder")) == 1  # rather a like one than none


def test_what_must_not_be_there_is_not_and_nothing_like_it() -> None:
    offers = Offers(TOOLS, [3], 0)
    for number in range(50):
        found = {tool.name for tool in offers.of(str(number), [], without="check_temperature")}
        assert len(found) == 3
        assert not found & {"check_temperature", "set_target_temperature", "read_sensor"}


def test_others_are_alike_by_half_and_sets_are_few() -> None:
    offers = Offers(TOOLS, [4], 0)
    found = [offers.of(str(number), ["set_reminder"]) for number in range(200)]
    sets = {tuple(tool.name for tool in tools) for tools in found}
    assert len(sets) <= SETS
    assert any("set_medication_reminder" in names for names in sets)
    assert any(names[0] != "set_reminder" for names in sets)  # its place tells nothing


def test_a_request_without_a_call_is_offered_something() -> None:
    assert len(Offers(TOOLS, [0], 0).of("x", ["chat"])) == 1
    assert len(Offers(TOOLS[:1], [5], 0).of("x", [TOOLS[0].name])) == 1


def test_ten_thousand_tools_are_offered_quickly() -> None:
    tools = [
        Tool(
            name=f"{verb}_{noun}_{number}",
            description=f"{verb} the {noun} of department {number}",
            parameters={"type": "object", "properties": {f"{noun}_id": {"type": "string"}}},
        )
        for number in range(100)
        for verb in ("get", "set", "list", "drop", "make", "send", "copy", "move", "find", "open")
        for noun in (
            "user",
            "order",
            "bill",
            "ticket",
            "mail",
            "page",
            "file",
            "job",
            "note",
            "tag",
        )
    ]
    began = time.perf_counter()
    offers = Offers(tools, [7], 0)
    for number in range(300):
        found = offers.of(str(number), [tools[number * 33].name])
        assert len(found) == 8
    assert time.perf_counter() - began < 20


def masked_rows() -> list[tuple[Example, Example]]:
    spec = DataSpec(catalogs=(str(DATA),), train=400, masked=0)
    bare = build_from(spec, shipped()).train
    masks = Masks(spec.seed, 1.0)
    return [(row, masks.apply(row)) for row in bare]


def test_a_masked_row_is_the_same_row_under_other_names() -> None:
    auditor = Auditor(checks=())
    for bare, masked in masked_rows():
        assert masked.origin.generator == MASKED
        assert len(masked.tools) == len(bare.tools)
        assert not {tool.name for tool in masked.tools} & set(NAMES)
        names = dict(zip((t.name for t in bare.tools), (t.name for t in masked.tools), strict=True))
        assert [c.name for c in masked.calls] == [names[c.name] for c in bare.calls]
        for before, after in zip(bare.calls, masked.calls, strict=True):
            assert list(before.arguments.values()) == list(after.arguments.values())
            tool = next(tool for tool in masked.tools if tool.name == after.name)
            assert tool.problems(after.arguments) == []
            assert not set(after.arguments) & set(before.arguments)
        for message in masked.messages:
            assert all(call.name in names.values() for call in message.tool_calls)
        for name in names:
            assert name not in masked.response
        assert auditor.first_problem(masked, "train") is None


def test_every_masked_argument_is_described() -> None:
    for _, masked in masked_rows()[:50]:
        for tool in masked.tools:
            assert tool.description
            assert all(schema.get("description") for schema in tool.properties.values())


def test_masks_are_few_and_seeded() -> None:
    pairs = masked_rows()
    lists = {json.dumps([t.name for t in masked.tools]) for _, masked in pairs}
    assert lists == {json.dumps([t.name for t in masked.tools]) for _, masked in masked_rows()}
    assert Masks(0, 0.0).apply(pairs[0][0]) is pairs[0][0]
    share = sum(Masks(3, 0.25).apply(row) is not row for row, _ in pairs) / len(pairs)
    assert 0.15 < share < 0.35


def test_a_masked_row_can_be_unmasked_and_checked_again() -> None:
    spec = DataSpec(catalogs=(str(DATA),), train=400, masked=1)
    masks = Masks(spec.seed, 1.0)
    check = checks_against(spec, shipped())[1]
    for bare, masked in masked_rows():
        back = masks.undone(masked, shipped().tools)
        assert back is not None
        assert back.model_dump() == bare.model_dump()
        assert list(check(masked, "x")) == []
        if masked.calls and masked.calls[0].arguments:
            name = next(iter(masked.calls[0].arguments))
            wrong = {**masked.calls[0].arguments, name: [[None]]}
            call = ToolCall(name=masked.calls[0].name, arguments=wrong)
            spoiled = masked.model_copy(update={"calls": (call, *masked.calls[1:])})
            assert list(check(spoiled, "x"))
    other = Masks(spec.seed + 1, 1.0)
    assert other.undone(masked_rows()[0][1], shipped().tools) is None


def test_arguments_that_a_schema_names_elsewhere_keep_their_names() -> None:
    tool = Tool(
        name="pay",
        parameters={
            "type": "object",
            "properties": {"card": {"type": "string"}, "code": {"type": "string"}},
            "dependentRequired": {"card": ["code"]},
        },
    )
    row = masked_rows()[0][0].model_copy(update={"tools": (tool,), "calls": (), "messages": ()})
    masked = Masks(0, 1.0).apply(row).tools[0]
    assert masked.name != "pay"
    assert list(masked.properties) == ["card", "code"]


LIMITS: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "integer", "minimum": 1, "maximum": 12}, 5, "5"),
    ({"type": "integer"}, 40, "40 pieces"),
    ({"type": "number", "minimum": 0.5, "maximum": 24}, 2.5, "2.5 hours"),
    ({"type": "number", "exclusiveMinimum": 0}, 300, "$300"),
    ({"type": "number", "minimum": -40}, -3, "-3"),
]


@pytest.mark.parametrize(("schema", "value", "words"), LIMITS)
def test_a_spoiled_number_is_not_allowed(schema: dict[str, Any], value: Any, words: str) -> None:
    template = shipped().of("set_reminder", "en")[0]
    filled = Filled(template, "", {"x": value}, {"x": words})
    if value == -3:  # its sign is not among the digits
        assert not limits.spoilable(schema, filled, "x")
        return
    assert limits.spoilable(schema, filled, "x")
    tool = Tool(name="t", parameters={"type": "object", "properties": {"x": schema}})
    for seed in range(20):
        said, why = limits.spoiled(schema, filled, "x", random.Random(seed))
        number = float("".join(c for c in said if c.isdigit() or c in ".-"))
        assert tool.problems({"x": int(number) if number == int(number) else number})
        assert "{label}" in why
        assert said != words


def test_what_has_no_limit_is_not_spoiled() -> None:
    assert not limits.is_limited({"type": "string"})
    assert not limits.is_limited({"enum": [1, 2]})
    assert not limits.is_limited({"type": "number"})
    assert limits.is_limited({"type": "string", "format": "date"})


def test_a_valid_request_is_no_invalid_row() -> None:
    verifier = Verifier(shipped())
    spec = plain(train=400, kinds={"invalid": 0.3})
    found = [r for r in build_from(spec, shipped()).train if r.origin.kind == "invalid"]
    derived = [row for row in found if "/invalid/" not in row.origin.template]
    assert len(derived) > 10
    for row in derived:
        template = next(t for t in shipped().templates if t.id == row.origin.template)
        valid = template.fill(0).request
        last = row.messages[-1].model_copy(update={"content": valid})
        spoiled = row.model_copy(update={"messages": (*row.messages[:-1], last)})
        assert any("with values that it may have" in why for why in verifier.reasons(spoiled))
