"""The grammar: it takes every gold answer, and lets nothing else be called."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.inference import grammar
from fcray.inference.grammar import GrammarCompiler, Matcher, call_grammar
from fcray.models import BaseModel
from fcray.prompting import answer_text, call_text, parse
from fcray.tools import Tool, ToolCall
from tests.examples import EXAMPLES, REMIND, TOOLS, WEATHER, remind, weather
from tests.inference import schemas

CALL = call_text(weather(city="Rome", days=3))
AUTO = {"plain": True, "call": True, "parallel": True}
ONE = {"plain": False, "call": True, "parallel": False}
NONE = {"plain": True, "call": False, "parallel": False}


@pytest.fixture(scope="session")
def compiler(tiny_base: BaseModel) -> GrammarCompiler:
    return GrammarCompiler(tiny_base.tokenizer, len(tiny_base.tokenizer))


@pytest.fixture(scope="session")
def tokenizer(tiny_base: BaseModel) -> Any:
    return tiny_base.tokenizer


def ids_of(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    return ids


def allows(matcher: Matcher, ids: list[int]) -> bool:
    """Whether `ids` are a whole answer."""
    for token in ids:
        if not matcher.allowed()[token]:
            return False
        matcher.consume(token)
    return matcher.complete


def takes(matcher: Matcher, ids: list[int]) -> bool:
    """Whether `ids` are a whole answer, and the forced tokens those that the tokenizer takes."""
    read = matcher.forced()
    while read == ids[: len(read)] and len(read) < len(ids):
        token = ids[len(read)]
        if not matcher.allowed()[token]:
            return False
        matcher.consume(token)
        read = [*read, token, *matcher.forced()]
    return read == ids and matcher.complete


TAKEN = {
    "a call": (AUTO, CALL),
    "one call": (ONE, CALL),
    "calls": (AUTO, f"{CALL}\n{CALL}"),
    "words": (AUTO, "It is warm, < 30 °C.\n你好"),
    "words that almost call": (AUTO, "See <tool_cal and <<tool_call"),
    "words, then a call": (AUTO, f"I will look.\n{CALL}"),
    "words, then calls": (AUTO, f"I will look. {CALL}\n{CALL}"),
    "no call": (NONE, "Hello."),
}
REFUSED = {
    "an unknown function": (AUTO, CALL.replace("get_weather", "get_whether")),
    "an unknown argument": (AUTO, call_text(weather(city="Rome", country="Italy"))),
    "a missing argument": (AUTO, call_text(weather(days=3))),
    "another order": (AUTO, call_text(weather(days=3, city="Rome"))),
    "a wrong type": (AUTO, call_text(weather(city="Rome", days="3"))),
    "a value out of bounds": (AUTO, call_text(weather(city="Rome", days=8))),
    "a value not listed": (AUTO, call_text(weather(city="Rome", unit="kelvin"))),
    "an argument of another function": (AUTO, CALL.replace("get_weather", "set_reminder")),
    "other spacing": (AUTO, CALL.replace('": ', '":')),
    "half a call": (AUTO, CALL[:-1]),
    "words after a call": (AUTO, f"{CALL} Done."),
    "two calls for one": (ONE, f"{CALL}\n{CALL}"),
    "words for a call": (ONE, "Hello."),
    "words before the one call": (ONE, f"I will look.\n{CALL}"),
    "an unknown function after words": (AUTO, f"See {CALL.replace('weather', 'whether')}"),
    "a call for words": (NONE, CALL),
    "a call after words": (NONE, f"See {CALL}"),
    "the beginning of a call after words": (NONE, "See <tool_call>"),
    "nothing": (AUTO, ""),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken(case: str, compiler: GrammarCompiler, tokenizer: Any) -> None:
    options, text = TAKEN[case]
    assert takes(compiler.matcher(TOOLS, **options), ids_of(tokenizer, text))


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, compiler: GrammarCompiler, tokenizer: Any) -> None:
    options, text = REFUSED[case]
    assert not takes(compiler.matcher(TOOLS, **options), ids_of(tokenizer, text))


@pytest.mark.parametrize("row", EXAMPLES)
def test_every_gold_answer_is_taken(row: Any, compiler: GrammarCompiler, tokenizer: Any) -> None:
    text, _ = answer_text(row.calls, row.response, row.tools)
    assert takes(compiler.matcher(row.tools, **AUTO), ids_of(tokenizer, text))


@given(offered=schemas.tools, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_fitting_call_is_taken(
    compiler: GrammarCompiler, tokenizer: Any, offered: list[Tool], data: st.DataObject
) -> None:
    tool = data.draw(st.sampled_from(offered))
    arguments = data.draw(schemas.values(tool.parameters))
    assert tool.problems(arguments) == []
    call = ToolCall(name=tool.name, arguments=arguments)
    ids = ids_of(tokenizer, call_text(call, tool))
    assert allows(compiler.matcher(offered, **AUTO), ids)
    assert allows(compiler.matcher([tool], **ONE), ids)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=60, deadline=None)
def test_any_number_is_taken(compiler: GrammarCompiler, tokenizer: Any, number: float) -> None:
    tool = Tool(name="f", parameters={"properties": {"a": {"type": "number"}}})
    text = call_text(ToolCall(name="f", arguments={"a": number}))
    assert takes(compiler.matcher([tool], **ONE), ids_of(tokenizer, text))


def walk(matcher: Matcher, tokenizer: Any, begin: str, seed: int, steps: int) -> tuple[str, bool]:
    """A random answer that begins with `begin`, and whether it came to its end."""
    rng = random.Random(seed)
    ids = matcher.forced()
    for step in range(steps):
        allowed = matcher.allowed().nonzero()[0].tolist()
        token = ids_of(tokenizer, begin)[0] if begin and step == 0 else rng.choice(allowed)
        assert token in allowed
        if token == tokenizer.eos_token_id:
            return tokenizer.decode(ids), True
        matcher.consume(token)
        ids += [token, *matcher.forced()]
        if matcher.done:
            return tokenizer.decode(ids), True
    return tokenizer.decode(ids), False


@given(offered=schemas.tools, seed=st.integers(), parallel=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_is_drawn_is_a_fitting_call(
    compiler: GrammarCompiler, tokenizer: Any, offered: list[Tool], seed: int, parallel: bool
) -> None:
    matcher = compiler.matcher(offered, plain=True, call=True, parallel=parallel)
    text, whole = walk(matcher, tokenizer, "<", seed, 150)
    parsed = parse(text)
    by_name = {tool.name: tool for tool in offered}
    for call in parsed.calls:
        assert by_name[call.name].problems(call.arguments) == []
    if whole:
        assert parsed.calls and parsed.problem is None and parsed.text == ""
        assert parallel or len(parsed.calls) == 1


@given(seed=st.integers())
@settings(max_examples=10, deadline=None)
def test_whatever_is_drawn_as_words_is_no_call(
    compiler: GrammarCompiler, tokenizer: Any, seed: int
) -> None:
    text, _ = walk(compiler.matcher(TOOLS, **NONE), tokenizer, "", seed, 60)
    parsed = parse(text)
    assert (parsed.calls, parsed.problem) == ((), None)


def test_a_grammar_for_calls_needs_tools() -> None:
    with pytest.raises(ValueError, match="needs tools"):
        call_grammar([], plain=True, call=True, parallel=True)


def test_a_grammar_without_calls_needs_none(compiler: GrammarCompiler, tokenizer: Any) -> None:
    assert takes(compiler.matcher([], **NONE), ids_of(tokenizer, "Hello."))


@pytest.mark.parametrize("schema", [{"not": {"type": "string"}}, {"uniqueItems": True}])
def test_what_cannot_be_enforced_is_said(schema: dict[str, Any], compiler: GrammarCompiler) -> None:
    tool = Tool(name="f", parameters={"properties": {"a": schema}})
    with pytest.raises(UserError, match="the tools' schemas cannot be enforced") as caught:
        compiler.matcher([tool], **ONE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {"type": "boolean"}}, "required": ["a"]}]},
        {"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": {}}, "required": ["a"]}}},
    ],
)
def test_arguments_that_are_named_elsewhere_are_allowed(
    schema: dict[str, Any], compiler: GrammarCompiler, tokenizer: Any
) -> None:
    tool = Tool(name="f", parameters=schema)
    text = call_text(ToolCall(name="f", arguments={"a": True}))
    assert takes(compiler.matcher([tool], **ONE), ids_of(tokenizer, text))


def test_a_schema_may_allow_arguments_that_it_does_not_name(
    compiler: GrammarCompiler, tokenizer: Any
) -> None:
    tool = Tool(name="f", parameters={"properties": {}, "additionalProperties": True})
    text = call_text(ToolCall(name="f", arguments={"a": [1, "x"]}))
    assert takes(compiler.matcher([tool], **ONE), ids_of(tokenizer, text))


def test_what_a_single_function_leaves_open_is_forced(
    compiler: GrammarCompiler, tokenizer: Any
) -> None:
    forced = compiler.matcher([REMIND], **ONE).forced()
    whole = ids_of(tokenizer, call_text(remind("walk", hour=7)))
    assert forced == whole[: len(forced)]
    assert tokenizer.decode(forced).startswith('<tool_call>{"name": "set_reminder", "arguments":')
    assert compiler.matcher(TOOLS, **AUTO).forced() == []
    now = compiler.matcher([Tool(name="now")], **ONE)
    assert tokenizer.decode(now.forced()) == call_text(ToolCall(name="now"))
    assert now.complete


def test_the_order_of_the_arguments_has_its_own_grammar(
    compiler: GrammarCompiler, tokenizer: Any
) -> None:
    properties = dict(reversed(WEATHER.properties.items()))
    turned = WEATHER.model_copy(
        update={"parameters": {**WEATHER.parameters, "properties": properties}}
    )
    ids = ids_of(tokenizer, CALL)
    assert takes(compiler.matcher([WEATHER], **ONE), ids)
    assert not takes(compiler.matcher([turned], **ONE), ids)


def test_a_grammar_is_compiled_once_and_forgotten_in_time(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar, "_MAX_COMPILED", 2)
    compiler = GrammarCompiler(tokenizer, len(tokenizer))
    compiled = compiler._compiled
    compiler.matcher([WEATHER], **ONE)
    first = next(iter(compiled.values()))
    compiler.matcher([REMIND], **ONE)
    compiler.matcher([WEATHER], **ONE)
    assert list(compiled.values())[-1] is first
    compiler.matcher(TOOLS, **ONE)
    assert len(compiled) == 2
    assert first in compiled.values()


def test_matchers_of_one_grammar_are_apart(compiler: GrammarCompiler, tokenizer: Any) -> None:
    one, other = (compiler.matcher(TOOLS, **AUTO) for _ in range(2))
    one.consume(ids_of(tokenizer, "<")[0])
    assert takes(other, ids_of(tokenizer, "Hello."))


NOTE = Tool(
    name="send_note",
    description="Send a note.",
    parameters={
        "type": "object",
        "properties": {"text": {"type": "string"}, "to": {"type": "string"}},
        "required": ["text", "to"],
    },
)
OPEN = '<tool_call>{"name": "'
FORESEEN = {
    "the beginning of a call": ("", "<tool_call>", False, OPEN),
    "the only place for a quotation mark": (
        f'{OPEN}get_weather", "arguments": {{"city":',
        "",
        False,
        ' "',
    ),
    "a value goes on": (f'{OPEN}get_weather", "arguments": {{"city": "Ro', "me to", False, "me to"),
    "a value ends, and with it the call": (
        f'{OPEN}send_note", "arguments": {{"text": "go", "to": "An',
        "na",
        True,
        'na"}}</tool_call>',
    ),
    "a value ends, and the next begins": (
        f'{OPEN}send_note", "arguments": {{"text": "g',
        "o",
        True,
        'o", "to": "',
    ),
    "no words in a number": (
        f'{OPEN}get_weather", "arguments": {{"city": "Rome", "days": ',
        "three",
        True,
        "",
    ),
}


@pytest.mark.parametrize("case", FORESEEN)
def test_what_follows_is_foreseen(case: str, compiler: GrammarCompiler, tokenizer: Any) -> None:
    said, guess, closes, expected = FORESEEN[case]
    matcher = compiler.matcher((*TOOLS, NOTE), **AUTO)
    for token in ids_of(tokenizer, said):
        matcher.consume(token)
    matcher.forced()
    before = matcher.allowed()

    def encode(text: str) -> list[int]:
        return ids_of(tokenizer, text)

    found = matcher.foreseen(encode(guess), encode, closes=closes)
    assert tokenizer.decode(found) == expected
    assert (matcher.allowed() == before).all()


@settings(max_examples=60, deadline=None)
@given(
    cut=st.integers(0, 40),
    guess=st.one_of(st.text(max_size=6), st.sampled_from(["Rome", '"', '", "', "}}", " 3"])),
    closes=st.booleans(),
)
def test_what_is_foreseen_is_allowed(
    cut: int, guess: str, closes: bool, compiler: GrammarCompiler, tokenizer: Any
) -> None:
    matcher = compiler.matcher(TOOLS, **AUTO)
    for token in ids_of(tokenizer, CALL)[:cut]:
        matcher.consume(token)
    matcher.forced()
    found = matcher.foreseen(
        ids_of(tokenizer, guess), lambda text: ids_of(tokenizer, text), closes=closes
    )
    for token in found:
        assert matcher.allowed()[token]
        matcher.consume(token)
