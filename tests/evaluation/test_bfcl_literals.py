"""Source text is read as the published converters read it, and no text breaks its reader."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.evaluation.bfcl.languages import JAVA
from fcray.evaluation.bfcl.literals import java_value, javascript_value
from tests.evaluation.bfcl_sources import any_text, java_kinds, javascript_kinds, sources

kinds = java_kinds | javascript_kinds


@pytest.fixture(scope="session")
def converters(wheel: Path) -> dict[str, Any]:
    """The published converters, run from their source; their one import is of a table of types."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(wheel) as archive:
        types = archive.read("bfcl_eval/constants/type_mappings.py").decode()
        for name in ("java", "js"):
            path = f"bfcl_eval/eval_checker/ast_eval/type_convertor/{name}_type_converter.py"
            source = archive.read(path).decode().replace("from bfcl_eval", "# from bfcl_eval")
            space: dict[str, Any] = {"__name__": name}
            exec(types, space)
            exec(source, space)
            found[name] = space[f"{name}_type_converter"]
    return found


@settings(max_examples=1500)
@given(sources, java_kinds, java_kinds)
def test_java_is_read_as_the_published_converter_reads_it(
    converters: dict[str, Any], text: str, kind: str, inner: str
) -> None:
    theirs = converters["java"](text, kind, inner if kind in JAVA.lists else None)
    if not text.endswith("\n"):
        assert repr(java_value(text, kind, inner)) == repr(theirs)


@settings(max_examples=1500)
@given(sources, javascript_kinds, javascript_kinds)
def test_javascript_is_read_as_the_published_converter_reads_it(
    converters: dict[str, Any], text: str, kind: str, inner: str
) -> None:
    theirs = converters["js"](text, kind, inner if kind == "array" else None)
    if not text.endswith("\n"):
        assert repr(javascript_value(text, kind, inner if kind == "array" else "")) == repr(theirs)


JAVA_SAYS: dict[str, type] = {
    **dict.fromkeys(("byte", "short", "integer", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("Array", "ArrayList"), list),
    "boolean": bool,
    "HashMap": dict,
}
JAVASCRIPT_SAYS: dict[str, type] = {
    **dict.fromkeys(("integer", "Bigint"), int),
    "float": float,
    "Boolean": bool,
    "array": list,
    "dict": dict,
}


def words(value: Any) -> Iterator[str]:
    """Every string in a value, which must be one of JSON's and hold no null."""
    assert type(value) in (str, bool, int, float, list, dict)
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from words(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            assert type(key) is str
            yield key
            yield from words(one)


def assert_read(text: str, value: Any, says: type | None) -> None:
    """`value` is the text itself, or a value of the type that its kind says, in the text's own words."""
    assert type(value) is says or value in (text, text.strip())
    assert all(word in text for word in words(value))


@settings(max_examples=1500)
@given(any_text, java_kinds, kinds | st.just(""))
def test_no_text_breaks_the_reader_of_java(text: str, kind: str, inner: str) -> None:
    assert_read(text, java_value(text, kind, inner), JAVA_SAYS.get(kind))


@settings(max_examples=1500)
@given(any_text, javascript_kinds, kinds | st.just(""))
def test_no_text_breaks_the_reader_of_javascript(text: str, kind: str, inner: str) -> None:
    value = javascript_value(text, kind, inner)
    if kind == "String" and text[:1] in ("'", '"') and text[0] == text[-1]:
        assert value == text[1:-1]
    else:
        assert_read(text, value, JAVASCRIPT_SAYS.get(kind))


def test_source_text_that_is_cut_off_is_read_at_once() -> None:
    """Its parts must not be tried in all combinations; the values are those of the published converter."""
    rows = ", ".join(["[1, 2]"] * 500)
    assert javascript_value(f"[{rows}", "array") == ["[1", 2]
    assert javascript_value(f"new Array({rows}", "array") == f"new Array({rows}"
    assert javascript_value(f"[{rows}]", "array") == [[1, 2]] * 500
    assert javascript_value(f"new Array({rows})", "array") == [[1, 2]] * 500
    assert java_value("new HashMap<>() {" + " " * 2000, "HashMap") == {}


def test_numbers_too_long_for_python_stay_text() -> None:
    assert (
        java_value("9" * 5000, "integer") == javascript_value("9" * 5000, "integer") == "9" * 5000
    )
