"""Random small tools, and arguments that fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fcray.tools import Tool

Schema = dict[str, Any]

_NAMES = st.sampled_from(["a", "city", "at_2", "城市", "x y", 'q"uote', "name"])
# No value ends in a quote: the compiler then forces other tokens than the tokenizer takes.
_WORDS = st.sampled_from(["today", "明天", "a b", 'say "hi" now', "back\\slash", "", "<tool_call>"])
_EXACT = st.integers(-(2**53), 2**53)  # the grammar compiler rounds what is larger to floats
_BOUNDS = st.tuples(st.integers(-120, 120), st.integers(0, 300))
_LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 5)),
    st.builds(lambda v: {"enum": v}, st.lists(_WORDS, min_size=1, max_size=3, unique=True)),
    st.builds(lambda v: {"enum": v}, st.lists(_EXACT, min_size=1, max_size=3, unique=True)),
    st.builds(lambda b: {"type": "integer", "minimum": b[0], "maximum": sum(b)}, _BOUNDS),
    st.builds(lambda v: {"const": v}, _WORDS),
    st.just({"type": ["boolean", "null"]}),
    st.just({"type": "string", "minLength": 2, "maxLength": 4}),
    st.just({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,3}$"}),
    st.just({"type": "string", "format": "date"}),
    st.just({"type": "number", "minimum": -1.5, "maximum": 2.5}),
    st.just({"anyOf": [{"type": "boolean"}, {"type": "string", "maxLength": 3}]}),
)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Schema] = _LEAVES) -> Schema:
    """The schema of an object with up to three properties, some of them required."""
    properties = draw(st.dictionaries(_NAMES, inner, max_size=3))
    required = [name for name in properties if draw(st.booleans())]
    return {"type": "object", "properties": properties, "required": required}


def _closed(schema: Schema) -> Schema:
    return {**schema, "additionalProperties": False}


_ANY: st.SearchStrategy[Schema] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        objects(inner).map(_closed),
        st.builds(
            lambda items, n: {"type": "array", "items": items, "maxItems": n},
            inner,
            st.integers(0, 2),
        ),
    ),
    max_leaves=4,
)

tools = st.lists(
    st.builds(
        lambda name, schema: Tool(name=name, parameters=schema),
        st.sampled_from(["f", "get_weather", "call-2", "_x", "get"]),
        objects(_ANY),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
)


@st.composite
def values(draw: st.DrawFn, schema: Schema) -> Any:  # noqa: PLR0911
    """A value that fits `schema`, its objects in the schema's order."""
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return draw(values(draw(st.sampled_from(schema["anyOf"]))))
    if "pattern" in schema:
        return draw(st.from_regex(schema["pattern"].strip("^$"), fullmatch=True))
    if "format" in schema:
        return str(draw(st.dates()))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kind = schema["type"]
    if kind == "object":
        return {
            name: draw(values(inner))
            for name, inner in schema["properties"].items()
            if name in schema["required"] or draw(st.booleans())
        }
    if kind == "array":
        count = draw(st.integers(0, schema["maxItems"]))
        return [draw(values(schema["items"])) for _ in range(count)]
    if kind == "string":
        return draw(
            st.text(TEXT, min_size=schema.get("minLength", 0), max_size=schema["maxLength"])
        )
    if kind == "number":
        return draw(st.sampled_from([-1.5, -1, 0, 0.25, 1.0, 2.5]))
    if kind == "integer":
        return draw(st.integers(schema["minimum"], schema["maximum"]))
    return draw(st.booleans() if kind == "boolean" else st.sampled_from([True, False, None]))


# The grammar compiler wants U+007F escaped, which JSON does not.
TEXT = st.characters(
    max_codepoint=0xFFFF, exclude_categories=["Cs", "Co", "Cn"], exclude_characters="\x7f"
)
