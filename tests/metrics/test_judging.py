"""Tests of right and wrong for one prediction."""

from __future__ import annotations

import pytest

from fcray.metrics import judge

from .builders import call, outcome, tool


def test_intent_is_the_multiset_of_functions_and_frame_the_arguments_too() -> None:
    gold = [call("f", x=1), call("f", x=2)]
    right = judge(outcome(gold, [call("f", x=2), call("f", x=1)]))
    assert (right.intent, right.frame) == (True, True)
    argument_wrong = judge(outcome(gold, [call("f", x=1), call("f", x=3)]))
    assert (argument_wrong.intent, argument_wrong.frame) == (True, False)
    once_only = judge(outcome(gold, [call("f", x=1)]))
    assert (once_only.intent, once_only.frame) == (False, False)


def test_no_call_where_none_is_right() -> None:
    assert judge(outcome()).frame
    assert not judge(outcome(predicted=[call("f")])).intent
    assert not judge(outcome([call("f")])).intent


def test_an_unparsed_output_is_never_right() -> None:
    assert not judge(outcome(valid=False)).intent
    assert not judge(outcome([call("f")], [call("f")], valid=False)).frame


@pytest.mark.parametrize(
    ("gold", "predicted", "valid", "cells"),
    [
        ([], [], True, [("none", "none")]),
        ([], [], False, [("none", "invalid")]),
        (["f"], [], True, [("f", "none")]),
        (["f"], [], False, [("f", "invalid")]),
        ([], ["f"], True, [("none", "f")]),
        (["f"], ["f"], True, [("f", "f")]),
        (["f"], ["g"], True, [("f", "g")]),
        (["f", "g"], ["g", "h", "h"], True, [("g", "g"), ("f", "h"), ("none", "h")]),
    ],
)
def test_confusions(
    gold: list[str], predicted: list[str], valid: bool, cells: list[tuple[str, str]]
) -> None:
    one = outcome([call(n) for n in gold], [call(n) for n in predicted], valid=valid)
    assert judge(one).confusions() == cells


def test_schema_validity_asks_the_offered_tools() -> None:
    one = outcome(
        [],
        [call("f", x=1), call("f", x="1"), call("f", y=1), call("g")],
        tools=[tool("f", x="integer")],
    )
    assert judge(one).schema_valid() == [True, False, False, False]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of strict, normalised, not 'loose'"):
        judge(outcome(), "loose")  # type: ignore[arg-type]
