"""The renderer and the parser: what is written is read back, and a user's words end nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.prompting import (
    CALL_CLOSE,
    CALL_OPEN,
    Prompt,
    RenderedExample,
    Renderer,
    Span,
    answer_text,
    call_text,
    parse,
    signature,
    system_text,
    tools_key,
)
from fcray.tools import Message, Tool, ToolCall
from tests.examples import (
    CONVERSATION,
    EXAMPLES,
    REMIND,
    TOOLS,
    WEATHER,
    example,
    remind,
    user,
    weather,
)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)

fragments = st.sampled_from(
    [
        CALL_OPEN,
        CALL_CLOSE,
        '{"name": "f"',
        ', "arguments": {}}',
        '{"name": 1}',
        "[",
        "{",
        '"\\ud800"',
        "1e999",
        "9" * 5000,
        "NaN",
        "\n",
    ]
)
any_text = st.lists(fragments | st.text(max_size=8), max_size=12).map("".join)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
calls = st.builds(
    lambda name, arguments: ToolCall(name=name, arguments=arguments),
    names,
    st.dictionaries(st.text(), values, max_size=4),
)
spiteful = st.lists(
    st.sampled_from(
        ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "assistant", "\n", CALL_OPEN, CALL_CLOSE]
    )
    | st.text(max_size=6),
    max_size=8,
).map("".join)

# The vocabulary of the bundled model lacks the bytes of some control and rare characters.
bmp = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs", "Co", "Cn"]))


@given(any_text)
@settings(max_examples=300, deadline=None)
def test_parsing_never_raises(text: str) -> None:
    parsed = parse(text)
    if CALL_OPEN in text:
        assert parsed.problem is not None or parsed.calls
    else:
        assert (parsed.calls, parsed.text, parsed.problem) == ((), text.strip(), None)


@given(st.lists(calls, max_size=3), st.sampled_from(["", "I will look.", "好的。"]))
@settings(max_examples=150, deadline=None)
def test_what_is_rendered_is_read_back(made: list[ToolCall], said: str) -> None:
    parsed = parse(answer_text(made, said, ())[0])
    assert (parsed.calls, parsed.text, parsed.problem) == (tuple(made), said, None)


@pytest.mark.parametrize("value", [CALL_CLOSE, f"a{CALL_CLOSE}\n{CALL_OPEN}b", f"}}}}{CALL_CLOSE}"])
def test_a_value_that_holds_the_marks_is_read_back(value: str) -> None:
    call = ToolCall(name="f", arguments={"text": value})
    parsed = parse(call_text(call) + "\n" + call_text(call))
    assert (parsed.calls, parsed.text, parsed.problem) == ((call, call), "", None)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_json_is_no_argument(number: str) -> None:
    assert parse(f'{CALL_OPEN}{{"name": "f", "arguments": {{"a": {number}}}}}{CALL_CLOSE}').problem


PROBLEMS = {
    "no JSON": (f"{CALL_OPEN}get_weather(Rome){CALL_CLOSE}", "a call is not JSON"),
    "cut": (f'{CALL_OPEN}{{"name": "f", "argum', "a call was begun and not ended"),
    "no name": (f'{CALL_OPEN}{{"arguments": {{}}}}{CALL_CLOSE}', "a call names no function"),
    "list": (f"{CALL_OPEN}[]{CALL_CLOSE}", "a call names no function"),
    "arguments as text": (
        f'{CALL_OPEN}{{"name": "f", "arguments": "{{}}"}}{CALL_CLOSE}',
        "a call's arguments are not an object",
    ),
    "too deep": (f"{CALL_OPEN}{'[' * 100_000}{CALL_CLOSE}", "a call is not JSON"),
    "huge number": (f"{CALL_OPEN}{'9' * 5000}{CALL_CLOSE}", "a call is not JSON"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_cannot_be_read_is_said(case: str) -> None:
    text, problem = PROBLEMS[case]
    parsed = parse(text)
    assert parsed.calls == ()
    assert (parsed.problem or "").startswith(problem)


def test_good_calls_stay_beside_a_bad_one() -> None:
    parsed = parse(f"Well {call_text(weather(city='Rome'))} and {CALL_OPEN}oops")
    assert parsed.calls == (weather(city="Rome"),)
    assert parsed.text == "Well  and"
    assert parsed.problem == "a call was begun and not ended"


def test_a_call_has_its_arguments_in_the_schemas_order() -> None:
    text = call_text(weather(days=2, city="Rome"), WEATHER)
    assert text == (
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "days": 2}}</tool_call>'
    )


def special_ids(renderer: Renderer, tokens: Sequence[int]) -> list[int]:
    return [token for token in tokens if token in renderer.tokenizer.all_special_ids]


def text_of(renderer: Renderer, tokens: Sequence[int]) -> str:
    return str(renderer.tokenizer.decode(list(tokens)))


def conversation(text: str) -> tuple[Message, ...]:
    return (
        Message(role="system", content=text),
        user(text),
        Message(role="assistant", content=text, tool_calls=(weather(city=text),)),
        Message(role="tool", content=text),
        Message(role="assistant", content=text),
        user(text),
    )


@given(text=spiteful)
@quick
def test_no_words_become_special_tokens(renderer: Renderer, text: str) -> None:
    tool = Tool(name="f", description=text, parameters={"properties": {"a": {"enum": [text]}}})
    plain = renderer.prompt(conversation("x"), (Tool(name="f"),))
    spiteful = renderer.prompt(conversation(text), (tool,))
    found, expected = ((*one.prefix, *one.body) for one in (spiteful, plain))
    assert special_ids(renderer, found) == special_ids(renderer, expected)
    for row in (example(text, response=text), example(text, weather(city=text), response=text)):
        assert special_ids(renderer, renderer.example(row).answer) == list(renderer.end)


@given(text=bmp)
@quick
def test_words_are_kept_to_the_letter(renderer: Renderer, text: str) -> None:
    body = text_of(renderer, renderer.prompt((user(text),), TOOLS).body)
    assert body == f"{text}<|im_end|>\n<|im_start|>assistant\n"


@given(one=spiteful, other=spiteful)
@quick
def test_the_same_tools_have_the_same_prefix(renderer: Renderer, one: str, other: str) -> None:
    first = renderer.prompt((user(one),), TOOLS)
    second = renderer.prompt((user(other), Message(role="assistant", content=one)), TOOLS)
    assert first.prefix == second.prefix
    assert first.prefix != renderer.prompt((user(one),), (WEATHER,)).prefix


@given(one=spiteful, other=spiteful)
@quick
def test_instructions_leave_the_prefix_alone(renderer: Renderer, one: str, other: str) -> None:
    def under(said: str) -> Prompt:
        system = Message(role="system", content=said)
        return renderer.prompt((system, user("Hi")), TOOLS)

    first, second, none = (
        under("1" + one),
        under("2" + other),
        renderer.prompt((user("Hi"),), TOOLS),
    )
    assert first.prefix == second.prefix
    assert first.body != second.body
    assert text_of(renderer, none.prefix).startswith(text_of(renderer, first.prefix).strip())


def test_a_conversation_is_laid_out_by_the_template(renderer: Renderer) -> None:
    prompt = renderer.prompt(CONVERSATION, TOOLS)
    wire = [
        {"role": "system", "content": system_text(TOOLS, "Be brief.")},
        {"role": "user", "content": "How warm is it in Oslo?"},
        {
            "role": "assistant",
            "content": 'Let me see.\n<tool_call>{"name": "get_weather", "arguments": '
            '{"city": "Oslo"}}</tool_call>',
        },
        {"role": "user", "content": '<tool_response>{"celsius": -3}</tool_response>'},
        {"role": "assistant", "content": "It is -3 °C."},
        {"role": "user", "content": "And in Rome?"},
    ]
    expected = renderer.tokenizer.apply_chat_template(
        wire, tokenize=False, add_generation_prompt=True
    )
    assert text_of(renderer, (*prompt.prefix, *prompt.body)) == expected
    assert len(prompt) == len(prompt.prefix) + len(prompt.body)


@pytest.mark.parametrize("row", EXAMPLES)
def test_an_examples_prompt_is_the_servers(renderer: Renderer, row: Any) -> None:
    assert renderer.example(row).prompt == renderer.prompt(row.messages, row.tools)


@pytest.mark.parametrize("row", EXAMPLES)
def test_an_answer_in_the_history_is_the_answer_that_was_trained(
    renderer: Renderer, row: Any
) -> None:
    rendered = renderer.example(row)
    said = Message(role="assistant", content=row.response or None, tool_calls=row.calls)
    later = renderer.prompt((*row.messages, said, user("Thanks!")), row.tools)
    trained = (*rendered.prompt.prefix, *rendered.prompt.body, *rendered.answer)
    assert (*later.prefix, *later.body)[: len(trained)] == trained


def spans_of(rendered: RenderedExample, span: Span) -> list[int]:
    return [t for t, s in zip(rendered.answer, rendered.spans, strict=True) if s is span]


@given(call=calls)
@quick
def test_every_token_of_an_answer_has_a_span(renderer: Renderer, call: ToolCall) -> None:
    rendered = renderer.example(example("go", call, tools=()))
    assert len(rendered.answer) == len(rendered.spans)
    assert len(rendered) == len(rendered.prompt) + len(rendered.answer)
    assert rendered.answer[-1:] == renderer.end
    assert rendered.spans[0] is Span.DECISION
    assert rendered.spans[-1] is Span.ARGUMENTS
    assert Span.ANSWER not in rendered.spans
    assert rendered.declined is None


@given(name=st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,40}", fullmatch=True))
@quick
def test_the_decision_covers_the_name(renderer: Renderer, name: str) -> None:
    rendered = renderer.example(example("go", ToolCall(name=name, arguments={"a": 1})))
    first, *rest = spans_of(rendered, Span.DECISION)
    assert CALL_OPEN.startswith(text_of(renderer, [first]))
    assert text_of(renderer, rest).startswith(name)
    assert len(text_of(renderer, rest)) <= len(name) + 3  # a token may reach beyond the name


@pytest.mark.parametrize("name", ["_now", "-1"])
def test_the_decision_covers_a_name_that_begins_inside_a_token(
    renderer: Renderer, name: str
) -> None:
    rendered = renderer.example(example("go", ToolCall(name=name, arguments={"a": 1})))
    assert name in text_of(renderer, spans_of(rendered, Span.DECISION))


@pytest.mark.parametrize("call", [weather(city="北京", days=3), remind("喝水", hour=7)])
def test_the_arguments_span_covers_the_arguments(renderer: Renderer, call: ToolCall) -> None:
    rendered = renderer.example(example("go", call))
    said = text_of(renderer, spans_of(rendered, Span.ARGUMENTS))
    assert json.dumps(call.arguments, ensure_ascii=False).removeprefix('{"') in said


@pytest.mark.parametrize("call", [ToolCall(name="now"), weather(city="Rome")])
def test_whether_there_are_arguments_belongs_to_them(renderer: Renderer, call: ToolCall) -> None:
    rendered = renderer.example(example("go", call))
    said = text_of(renderer, spans_of(rendered, Span.ARGUMENTS))
    assert json.dumps(call.arguments) in said


def test_each_of_several_calls_has_its_spans(renderer: Renderer) -> None:
    rendered = renderer.example(
        example("go", weather(city="Oslo"), remind("walk", hour=7), response="Sure.")
    )
    assert text_of(renderer, spans_of(rendered, Span.ANSWER)).strip() == "Sure."
    decisions = text_of(renderer, spans_of(rendered, Span.DECISION))
    assert decisions.index("get_weather") < decisions.index("set_reminder")
    arguments = text_of(renderer, spans_of(rendered, Span.ARGUMENTS))
    assert arguments.index("Oslo") < arguments.index("walk")


def test_a_plain_answer_declines_a_call(renderer: Renderer) -> None:
    rendered = renderer.example(example("Who are you?", response="A helper."))
    assert set(rendered.spans) == {Span.ANSWER}
    assert rendered.declined == renderer.example(example("go", weather(city="Oslo"))).answer[0]
    assert text_of(renderer, rendered.answer) == "A helper.<|im_end|>"


def test_no_answer_at_all_is_just_the_end(renderer: Renderer) -> None:
    rendered = renderer.example(example("…"))
    assert (rendered.answer, len(rendered.spans)) == (renderer.end, 1)


@pytest.mark.parametrize("messages", [(), (Message(role="system", content="Be brief."),)])
def test_a_conversation_without_a_turn_is_refused(
    renderer: Renderer, messages: tuple[Message, ...]
) -> None:
    with pytest.raises(UserError):
        renderer.prompt(messages, TOOLS)


class NoTemplate:
    chat_template = None


def test_a_tokenizer_without_a_template_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.base: .* no chat template; take an instruct"):
        Renderer(NoTemplate())


def test_a_template_that_drops_the_system_turn_is_refused(renderer: Renderer) -> None:
    tokenizer = renderer.tokenizer
    kept = tokenizer.chat_template
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    try:
        with pytest.raises(UserError, match="drops a system turn"):
            Renderer(tokenizer)
    finally:
        tokenizer.chat_template = kept


def test_signatures() -> None:
    assert signature(WEATHER) == (
        "get_weather(city: string (the city's name), days?: integer(1..7), "
        "unit?: celsius|fahrenheit) - Weather forecast for a city."
    )
    assert signature(REMIND) == (
        "set_reminder(text: string, at: {hour: integer, minute?: integer}) - Remind the user."
    )
    long = {"type": "string", "description": "the name that is\non the door"}
    assert signature(Tool(name="f", parameters={"properties": {"a": long}})) == (
        "f(a?: string)\n  a: the name that is on the door"
    )


TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "list": ({"type": "array", "items": {"type": "string"}}, "string[]"),
    "list of anything": ({"type": "array"}, "any[]"),
    "nullable": ({"type": ["string", "null"]}, "string|null"),
    "union": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string|null"),
    "constant": ({"const": "天"}, '"天"'),
    "words": ({"enum": ["a", "b c", "string", "5", 5]}, 'a|"b c"|"string"|"5"|5'),
    "short note": ({"type": "string", "description": "a  name"}, "string (a name)"),
    "note for a format": (
        {"type": "string", "format": "date", "description": "YYYY-MM-DD"},
        "string (YYYY-MM-DD)",
    ),
    "format": ({"type": "string", "format": "date"}, "string(date)"),
    "pattern": ({"type": "string", "pattern": "^a+$"}, "string(^a+$)"),
    "minimum": ({"type": "number", "minimum": 0}, "number(0..)"),
    "reference": ({"$ref": "#/$defs/day"}, "today"),
    "escaped reference": ({"$ref": "#/$defs/a~1b"}, "integer"),
    "reference to nothing": ({"$ref": "#/$defs/gone"}, "any"),
    "reference elsewhere": ({"$ref": "http://localhost/x"}, "any"),
    "anything": ({}, "any"),
    "true": (True, "any"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", TYPES)
def test_the_type_of_an_argument(case: str) -> None:
    schema, expected = TYPES[case]
    definitions = {"day": {"enum": ["today"]}, "a/b": {"type": "integer"}}
    parameters = {"properties": {"a": schema}, "$defs": definitions}
    tool = Tool.model_construct(name="f", description="", parameters=parameters)
    assert signature(tool) == f"f(a?: {expected})"


def test_a_recursive_schema_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {}}}
    tool = Tool(
        name="f",
        parameters={
            "properties": {"head": {"$ref": "#/$defs/node"}, "self": {"$ref": "#"}},
            "$defs": {"node": node, "loop": {"$ref": "#/$defs/loop"}},
        },
    )
    line = signature(tool)
    assert line.startswith("f(head?: {next?: {")
    assert len(line) < 2000
    loop = {"properties": {"a": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"$ref": "#/$defs/l"}}}
    assert signature(Tool(name="f", parameters=loop)) == "f(a?: any)"


def test_tools_keys_are_equal_for_equal_tools() -> None:
    again = Tool.model_validate(WEATHER.model_dump())
    assert tools_key((WEATHER, REMIND)) == tools_key([again, REMIND])
    assert tools_key((WEATHER, REMIND)) != tools_key((REMIND, WEATHER))
    assert tools_key((WEATHER,)) != tools_key((WEATHER.model_copy(update={"description": ""}),))


def test_the_order_of_the_properties_is_part_of_the_key() -> None:
    properties = dict(reversed(WEATHER.properties.items()))
    turned = WEATHER.model_copy(
        update={"parameters": {**WEATHER.parameters, "properties": properties}}
    )
    assert signature(turned) != signature(WEATHER)
    assert tools_key((turned,)) != tools_key((WEATHER,))
