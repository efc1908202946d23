"""Tests of the BFCL match: its rules one by one, and that it agrees with `bfcl-eval` itself."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.metrics import bfcl_match, bfcl_problem
from fcray.tools import Tool, ToolCall

from . import bfcl_reference
from .bfcl_mutations import MUTATIONS, Call, concrete, mutated, right_calls
from .bfcl_reference import Reference, Row
from .builders import call


def a_tool(required: Sequence[str] = (), **properties: dict[str, Any]) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name="book", parameters=schema)


def one(schema: dict[str, Any], allowed: list[Any], value: object) -> bool:
    return bfcl_match([a_tool(x=schema)], [call(x=value)], [{"book": {"x": allowed}}], "simple")


NUMBER, WHOLE, TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string"}
NUMBERS = {"type": "array", "items": NUMBER}
OBJECTS = {"type": "array", "items": {"type": "object"}}


@pytest.mark.parametrize(
    ("schema", "allowed", "value", "passes"),
    [
        (NUMBER, [2.0], 2, True),
        (WHOLE, [2], 2.0, False),
        (WHOLE, [1], True, False),
        (WHOLE, [2], "2", False),
        (NUMBER, [1.0], 10**400, False),
        (WHOLE, [None, 2], None, True),
        (WHOLE, [2, None], None, False),
        (WHOLE, ["n"], "n", True),
        (WHOLE, ["n"], "N", False),
        (TEXT, ["New York, NY"], "new-york ny.", True),
        (TEXT, ["it's"], 'it"s', True),
        (TEXT, ["a"], "b", False),
        (NUMBERS, [[1.0, 2.0]], [1.0, 2.0], True),
        (NUMBERS, [[1.0, 2.0]], [2.0, 1.0], False),
        (NUMBERS, [[1.0]], [1], False),
        (NUMBERS, [[1.0], ""], [], True),
        ({"type": "object"}, [{"a": ["X"], "b": [1, ""]}], {"a": "x"}, True),
        ({"type": "object"}, [{"a": ["X"], "b": [1]}], {"a": "x"}, False),
        ({"type": "object"}, [{"a": ["X"]}], {"a": "x", "c": 1}, False),
        (OBJECTS, [[{"a": [1]}, {"a": [2]}]], [{"a": 1}, {"a": 2}], True),
        (OBJECTS, [[{"a": [1]}, {"a": [2]}]], [{"a": 2}, {"a": 1}], False),
        (OBJECTS, [[{"a": [1]}], ""], ["x"], False),
        (OBJECTS, [[{"a": [1]}], ""], [], True),
        ({"enum": ["a"]}, ["a"], "a", True),
        ({"enum": ["a"]}, ["a"], "A", False),
    ],
)
def test_values(schema: dict[str, Any], allowed: list[Any], value: object, passes: bool) -> None:
    assert one(schema, allowed, value) is passes


def test_arguments() -> None:
    tools = [a_tool(["x"], x=WHOLE, y=WHOLE, z=WHOLE)]
    answers = [{"book": {"x": [1], "y": [2, ""], "z": [3]}}]

    def problem(**arguments: object) -> str:
        return bfcl_problem(tools, [call(**arguments)], answers, "simple_python")

    assert problem(x=1, z=3) == problem(x=1, y=2, z=3) == ""
    assert problem(y=2, z=3) == "book lacks the argument 'x'"
    assert problem(x=1) == "book lacks the argument 'z'"
    assert problem(x=1, z=3, w=1) == "book has the unexpected argument 'w'"
    assert problem(x=1, y=3, z=3) == "book has the wrong value 3 for 'y'"


def test_calls() -> None:
    tools = [Tool(name="math_add"), a_tool(x=WHOLE)]
    answers = [{"math.add": {}}, {"book": {"x": [1]}}]
    assert bfcl_match(tools, [call(x=1), call("math_add")], answers, "parallel_multiple")
    assert not bfcl_match(tools, [call("math_add")], answers, "live_parallel")
    assert not bfcl_match(tools, [call("math.add")], answers[:1], "live_multiple")
    assert not bfcl_match(tools, [], answers[:1], "simple")


def test_irrelevance_and_relevance() -> None:
    assert bfcl_match([], [], [], "live_irrelevance")
    assert not bfcl_match([], [call()], [], "irrelevance")
    assert bfcl_match([], [call()], [], "live_relevance")
    assert not bfcl_match([], [], [], "live_relevance")


@pytest.mark.parametrize(
    ("category", "answers", "message"),
    [
        ("simple_java", [{"book": {}}], "BFCL category 'simple_java' cannot be checked"),
        ("multiple", [], "has one gold call, not 0"),
        ("multiple", [{"cook": {}}], "the gold answer calls 'cook', which is not among"),
    ],
)
def test_what_cannot_be_checked(category: str, answers: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        bfcl_match([a_tool()], [call()], answers, category)


@pytest.fixture(scope="session")
def reference() -> Reference:
    try:
        wheel = bfcl_reference.download()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"agreement with BFCL is NOT checked, its wheel could not be had: {error}")
    return bfcl_reference.load(wheel)


@cache
def _tool(function: str) -> Tool:
    return Tool(**bfcl_reference.tool_fields(json.loads(function)))


def _ours(row: Row, calls: list[Call]) -> bool:
    gold = {name for answer in row.answers for name in answer}
    functions = [function for function in row.functions if function["name"] in gold]
    tools = [_tool(json.dumps(function)) for function in functions]
    predicted = [ToolCall(name=name, arguments=arguments) for name, arguments in calls]
    return bfcl_match(tools, predicted, row.answers, row.category)


def _theirs(reference: Reference, row: Row, calls: list[Call]) -> bool | None:
    """What the published checker says; None where it breaks down on a value of an odd type."""
    try:
        return reference.passes(row, [{name: arguments} for name, arguments in calls])
    except (AttributeError, TypeError, KeyError, OverflowError):
        return None


def test_agrees_with_the_published_checker_on_its_own_data(reference: Reference) -> None:
    dice = random.Random(0)
    verdicts: Counter[bool | None] = Counter()
    for row in reference.rows():
        right = right_calls(row.answers, dice)
        for name, mutation in MUTATIONS.items():
            calls = mutated(right, mutation, dice)
            theirs = _theirs(reference, row, calls)
            verdicts[theirs] += 1
            if theirs is None:
                assert not _ours(row, calls)
            else:
                assert _ours(row, calls) is theirs, (row.id, name, calls, row.answers)
    assert verdicts[True] + verdicts[False] >= 50_000
    assert verdicts[True] >= 10_000
    assert verdicts[None] < 100


plain = st.sampled_from(["", "a", "A.", "b", "ab", 0, 1, 2, 1.0, 0.5, True, False, None])
lists = st.lists(plain, max_size=2) | st.lists(st.lists(plain, max_size=1), max_size=1)
objects = st.dictionaries(st.sampled_from("kl"), plain, max_size=2)
gold_objects = st.dictionaries(st.sampled_from("kl"), st.lists(plain, max_size=2), max_size=2)
some_value = plain | lists | objects | st.lists(objects, max_size=2)
some_gold = plain | lists | gold_objects | st.lists(gold_objects, max_size=2)


@st.composite
def golds_and_value(draw: st.DrawFn) -> tuple[list[Any], Any]:
    """Allowed values and a predicted one, which is often one of them."""
    allowed = draw(st.lists(some_gold, max_size=3))
    if allowed and draw(st.integers(0, 3)):
        seed = draw(st.integers(0, 9))
        return allowed, concrete(draw(st.sampled_from(allowed)), random.Random(seed))
    return allowed, draw(some_value)


some_type = st.sampled_from(["string", "integer", "float", "boolean", "dict", "any"])
some_schema = st.one_of(
    st.builds(lambda name: {"type": name}, some_type),
    st.builds(
        lambda name, inner: {"type": name, "items": {"type": inner}},
        st.sampled_from(["array", "tuple"]),
        some_type | st.just("array"),
    ),
)


@settings(max_examples=1500, deadline=None)
@given(some_schema, golds_and_value(), st.booleans())
def test_agrees_with_the_published_checker_on_odd_values(
    reference: Reference, schema: dict[str, Any], drawn: tuple[list[Any], Any], required: bool
) -> None:
    allowed, value = drawn
    assume("items" not in schema or not any(isinstance(answer, dict) for answer in allowed))
    parameters = {"type": "dict", "properties": {"x": schema}, "required": ["x"] * required}
    function = {"name": "f", "description": "", "parameters": parameters}
    row = Row("odd", "simple_python", [function], [{"f": {"x": allowed}}])
    for calls in ([("f", {"x": value})], [("f", {})]):
        theirs = _theirs(reference, row, calls)
        if theirs is not None:
            assert _ours(row, calls) is theirs
