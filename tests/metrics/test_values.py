"""Tests of when two argument values are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from fcray.metrics import comparison_key, flatten, normalise
from fcray.metrics.values import argument_keys

from .builders import scalars, values


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("New York", "new-york"),
        ("2024-01-02", "2024/01/02"),
        ("２０２４，０１", "2024,01"),
        ("北京　市", "北京市"),
        ("好的。", "好的"),
        ("Straße", "STRASSE"),
    ],
)
def test_normalised_reads_strings_by_what_they_say(left: str, right: str) -> None:
    assert comparison_key(left, "normalised") == comparison_key(right, "normalised")
    assert comparison_key(left, "strict") != comparison_key(right, "strict")


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, "1"), (1, True), (0, False), (None, ""), (None, "null"), ("*", "/"), ([], {}), (1, 2)],
)
def test_values_of_other_kinds_differ_in_both_modes(left: object, right: object) -> None:
    assert comparison_key(left, "normalised") != comparison_key(right, "normalised")
    assert comparison_key(left, "strict") != comparison_key(right, "strict")


def test_numbers_are_compared_by_value_in_both_modes() -> None:
    assert comparison_key(1, "strict") == comparison_key(1.0, "strict")
    assert comparison_key(2**53 + 1) != comparison_key(float(2**53))
    assert comparison_key(float("nan")) == comparison_key(float("nan"))
    assert comparison_key(10**400) != comparison_key(float("inf"))


def test_a_text_of_punctuation_keeps_it() -> None:
    assert normalise("－") == "-"
    assert normalise(" . ") == "."
    assert normalise("") == ""


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not a JSON scalar: set"):
        comparison_key({1})


def test_flatten_gives_leaves_by_path() -> None:
    arguments = {"to": ["a", "b"], "when": {"day": 1, "at": {}}, "note": None, "tags": []}
    assert flatten(arguments) == (
        (("to", 0), "a"),
        (("to", 1), "b"),
        (("when", "day"), 1),
        (("when", "at"), {}),
        (("note",), None),
        (("tags",), []),
    )
    assert flatten({}) == ()


def test_a_position_is_not_a_key() -> None:
    assert argument_keys({"a": ["x"]}) != argument_keys({"a": {"0": "x"}})


@given(scalars)
def test_a_value_equals_itself_in_both_modes(value: object) -> None:
    assert comparison_key(value, "strict") == comparison_key(value, "strict")
    assert comparison_key(value, "normalised") == comparison_key(value, "normalised")


@given(values, values)
def test_strict_is_json_equality(left: object, right: object) -> None:
    same = argument_keys({"a": left}, "strict") == argument_keys({"a": right}, "strict")
    assert same == (_one_number_type(left) == _one_number_type(right))


def _one_number_type(value: object) -> str:
    def convert(inner: object) -> object:
        if isinstance(inner, dict):
            return {k: convert(v) for k, v in inner.items()}
        if isinstance(inner, list):
            return [convert(v) for v in inner]
        return float(inner) if type(inner) is int else inner

    return json.dumps(convert(value), sort_keys=True)
