"""Examples, outcomes and hypothesis strategies that the tests of `fcray.metrics` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from fcray.metrics import Outcome
from fcray.tools import Example, Message, Origin, Tool, ToolCall

ORIGIN = {"language": "en", "domain": "travel", "kind": "single"}


def tool(name: str = "book", **properties: str) -> Tool:
    """A tool whose arguments have the given JSON Schema types; all are optional."""
    schema = {"type": "object", "properties": {k: {"type": t} for k, t in properties.items()}}
    return Tool(name=name, parameters={**schema, "additionalProperties": False})


def call(name: str = "book", **arguments: object) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def outcome(
    gold: Sequence[ToolCall] = (),
    predicted: Sequence[ToolCall] = (),
    tools: Sequence[Tool] = (),
    origin: Mapping[str, str] = ORIGIN,
    **measured: object,
) -> Outcome:
    """An outcome that was parsed in a second, unless `measured` says otherwise."""
    example = Example(
        id="e",
        messages=(Message(role="user", content="go"),),
        tools=tuple(tools),
        calls=tuple(gold),
        origin=Origin.model_validate({"generator": "test", **origin}),
    )
    fields = {"text": "", "valid": True, "seconds": 1.0, **measured}
    return Outcome(example=example, calls=tuple(predicted), **fields)  # type: ignore[arg-type]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.0]),
    st.sampled_from(["", "a", "A", "a b", "北京", "１", "1", "-", "*"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("kl"), inner),
    max_leaves=4,
)
calls = st.builds(
    lambda name, arguments: ToolCall(name=name, arguments=arguments),
    st.sampled_from(["f", "g"]),
    st.dictionaries(st.sampled_from("xyz"), values, max_size=3),
)
call_lists = st.lists(calls, max_size=4)
outcomes = st.lists(
    st.builds(lambda g, p, v: outcome(g, p, valid=v), call_lists, call_lists, st.booleans()),
    max_size=5,
)
