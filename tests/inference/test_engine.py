"""The engine says what the model says, and only what the tools accept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.inference import Completion, Engine, Request
from fcray.inference.attention import Step
from fcray.inference.row import Row
from fcray.inference.store import Store
from fcray.models import BaseModel
from fcray.tools import Message, Tool
from tests.examples import REMIND, TOOLS, WEATHER, user
from tests.inference import schemas
from tests.inference.asking import RAGGED, asked, texts

LOAD = Callable[[], BaseModel]


@pytest.fixture(scope="module")
def engine(lively: BaseModel) -> Engine:
    return Engine(lively, batch=4)


@pytest.fixture(scope="module")
def adapted(
    load_lively: LOAD, adapter_folder: Path, other_adapter_folder: Path
) -> Iterator[Engine]:
    """An engine with the adapters `one` and `two`."""
    engine = Engine(load_lively(), batch=4)
    engine.load_adapter("one", adapter_folder)
    engine.load_adapter("two", other_adapter_folder)
    yield engine


def generated(model: Any, engine: Engine, request: Request) -> list[int]:
    """What transformers' own loop says to the same prompt, up to the end token."""
    prompt = engine.renderer.prompt(request.messages, request.tools)
    ids = torch.tensor([[*prompt.prefix, *prompt.body]])
    (end,) = engine.renderer.end
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=request.max_tokens,
        eos_token_id=end,
        pad_token_id=end,
    )
    said: list[int] = out[0, ids.shape[1] :].tolist()
    return said[: said.index(end)] if end in said else said


def check_against_generate(model: Any, engine: Engine, requests: Sequence[Request]) -> None:
    tokenizer = engine.base.tokenizer
    for request, answer in zip(requests, engine.generate(requests), strict=True):
        expected = generated(model, engine, request)
        assert answer.text == tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.completion_tokens == len(expected)
        assert answer.steps <= request.max_tokens


def test_the_base_says_what_generate_says(engine: Engine, lively: BaseModel) -> None:
    check_against_generate(lively.model, engine, RAGGED)
    said = engine.generate(RAGGED[:1])[0].text
    assert len(set(said.split())) > 4, "the tiny model repeats itself: this test shows nothing"
    check_against_generate(lively.model, engine, RAGGED)


def test_an_adapter_says_what_generate_says(
    adapted: Engine, load_lively: LOAD, adapter_folder: Path
) -> None:
    import peft

    model = peft.PeftModel.from_pretrained(load_lively().model, str(adapter_folder)).eval()
    requests = [replace(request, adapter="one") for request in RAGGED]
    check_against_generate(model, adapted, requests)
    check_against_generate(model, adapted, requests)


def test_an_answer_ends_at_the_end_token(load_lively: LOAD) -> None:
    base = load_lively()
    engine = Engine(base)
    tokens = generated(base.model, engine, RAGGED[0])
    stop = next(i for i, token in enumerate(tokens) if i > 2 and token not in tokens[:i])
    engine.renderer.end = (tokens[stop],)
    answer = engine.generate(RAGGED[:1])[0]
    assert answer.text == base.tokenizer.decode(tokens[:stop])
    assert (answer.completion_tokens, answer.finish_reason) == (stop, "stop")
    assert answer.steps == stop + 1


def test_an_answer_that_is_cut_says_so(engine: Engine) -> None:
    answer = engine.generate([RAGGED[3]])[0]
    assert (answer.finish_reason, answer.completion_tokens, answer.steps) == ("length", 7, 7)


def test_no_requests_have_no_answers(engine: Engine) -> None:
    assert engine.generate([]) == []


def test_answers_come_in_the_order_of_the_requests(engine: Engine) -> None:
    alone = [engine.generate([request])[0].text for request in RAGGED]
    assert [answer.text for answer in engine.generate(RAGGED)] == alone
    assert [answer.text for answer in engine.generate(RAGGED[::-1])] == alone[::-1]


def test_a_second_request_reads_no_tools_again(lively: BaseModel) -> None:
    engine = Engine(lively)
    first = engine.generate([asked("Hello."), asked("Hi.")])
    assert [answer.cached_tokens for answer in first] == [0, 0]
    prefix = len(engine.renderer.prompt((user("x"),), TOOLS).prefix)
    second = engine.generate([asked("Rome?")])[0]
    assert second.cached_tokens == prefix < second.prompt_tokens
    other = engine.generate([asked("Rome?", REMIND)])[0]
    assert other.cached_tokens == 0
    assert (engine._prefixes.hits, engine._prefixes.misses) == (1, 2)


def test_without_room_nothing_is_kept(lively: BaseModel) -> None:
    engine = Engine(lively, prefix_bytes=0)
    first, second = (engine.generate([asked("Hello.")])[0] for _ in range(2))
    assert (first.text, second.cached_tokens) == (second.text, 0)


def test_adapters_and_base_in_one_batch_say_what_they_say_apart(adapted: Engine) -> None:
    names = ("one", None, "two", None, "two", "one")
    requests = [asked("Hello.", adapter=name, constrained=False) for name in names]
    requests += [asked("Rome?", adapter=name) for name in names]
    apart = [adapted.generate([request])[0].text for request in requests]
    assert texts(adapted.generate(requests)) == apart
    assert len(set(apart[:6])) == 3


def test_the_base_beside_adapters_is_the_base(adapted: Engine, engine: Engine) -> None:
    assert texts(adapted.generate(RAGGED)) == texts(engine.generate(RAGGED))


@given(
    tools=schemas.tools,
    choice=st.sampled_from(["auto", "required", "named"]),
    parallel=st.booleans(),
    seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=2),
)
@settings(max_examples=20, deadline=None)
def test_every_call_fits_its_tool(
    adapted: Engine, tools: list[Tool], choice: str, parallel: bool, seeds: list[int]
) -> None:
    named = tools[0].name if choice == "named" else choice
    request = asked("Go on.", *tools, tool_choice=named, parallel=parallel, max_tokens=60)
    drawn = [replace(request, temperature=3.0, seed=seed, adapter="one") for seed in seeds]
    by_name = {tool.name: tool for tool in tools}
    for answer in adapted.generate([request, *drawn]):
        for call in answer.calls:
            assert by_name[call.name].problems(call.arguments) == []
            assert choice != "named" or call.name == named
        assert parallel or len(answer.calls) <= 1
        if answer.finish_reason == "tool_calls":
            assert answer.calls and answer.problem is None
            assert choice == "auto" or answer.content == ""
        if choice != "auto":
            assert answer.finish_reason != "stop"
        assert answer.problem is None
        if answer.finish_reason == "length" and not answer.calls:
            assert answer.cut or choice == "auto"


@pytest.mark.parametrize("choice", ["none", "auto"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_words_stay_words(adapted: Engine, choice: str, temperature: float) -> None:
    requests = [
        asked(text, tool_choice=choice, adapter=name, temperature=temperature, seed=1)
        for text in ("Hello.", "<tool_call>", "天气")
        for name in (None, "one", "two")
    ]
    for answer in adapted.generate(requests):
        assert (answer.calls, answer.problem) == ((), None)
        assert not answer.text.startswith("<")


def test_a_required_call_is_begun(engine: Engine) -> None:
    answer = engine.generate([asked("Hello.", tool_choice="required", max_tokens=30)])[0]
    assert (answer.text + answer.cut).startswith('<tool_call>{"name": "')
    one = engine.generate([asked("Hello.", tool_choice="set_reminder", max_tokens=30)])[0]
    assert one.cut.startswith('<tool_call>{"name": "set_reminder", "arguments": {"text": "')


@pytest.mark.parametrize("tokens", [1, 2, 5, 24])
def test_half_a_call_is_no_call(engine: Engine, tokens: int) -> None:
    request = asked("Hello.", tool_choice="get_weather", max_tokens=tokens)
    answer = engine.generate([request])[0]
    assert (answer.finish_reason, answer.calls, answer.problem) == ("length", (), None)
    assert (answer.text, answer.content) == ("", "")
    assert answer.cut.startswith("<tool_call>"[: len(answer.cut)])


def test_the_calls_before_one_that_is_cut_are_whole(engine: Engine) -> None:
    switch = Tool(
        name="switch",
        parameters={"properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    )
    request = asked("Go.", switch, tool_choice="required", max_tokens=100)
    whole = engine.generate([replace(request, parallel=False)])[0]
    for left in range(1, 12):
        most = whole.completion_tokens + left
        drawn = [replace(request, max_tokens=most, temperature=2.0, seed=seed) for seed in range(4)]
        for answer in engine.generate(drawn):
            assert answer.problem is None
            assert [call.name for call in answer.calls] == ["switch"] * len(answer.calls)
            assert answer.text == "" or answer.text.endswith("</tool_call>")
            if answer.finish_reason == "length":
                assert answer.calls or answer.cut


@pytest.mark.parametrize("tokens", [1, 5, 24])
def test_an_answer_is_not_longer_than_was_asked(engine: Engine, tokens: int) -> None:
    choices = ("required", "set_reminder", "get_weather")
    requests = [asked("Hi.", tool_choice=choice, max_tokens=tokens) for choice in choices]
    for answer in engine.generate(requests):
        assert answer.completion_tokens <= tokens


def test_words_that_are_cut_say_so(engine: Engine) -> None:
    answer = engine.generate([asked("Hello.", max_tokens=5)])[0]
    assert answer.completion_tokens == 5
    assert answer.finish_reason == "length"


def test_a_call_that_just_fits_is_whole(engine: Engine) -> None:
    switch = Tool(
        name="switch",
        parameters={"properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    )
    request = asked("Go.", switch, tool_choice="required", parallel=False)
    answer = engine.generate([request])[0]
    assert answer.finish_reason == "tool_calls"
    again = engine.generate([replace(request, max_tokens=answer.completion_tokens)])[0]
    assert (again.calls, again.finish_reason) == (answer.calls, "tool_calls")


def test_what_is_forced_takes_no_steps(engine: Engine) -> None:
    switch = Tool(
        name="switch_the_light",
        parameters={
            "properties": {"on": {"type": "boolean"}, "room": {"enum": ["kitchen", "bath"]}},
            "required": ["on", "room"],
        },
    )
    answer = engine.generate([asked("Go.", switch, tool_choice="required", parallel=False)])[0]
    assert answer.finish_reason == "tool_calls"
    assert set(answer.calls[0].arguments) == {"on", "room"}
    assert answer.steps <= 4 < answer.completion_tokens


def test_what_is_forced_is_read(engine: Engine) -> None:
    """Forced or fed one by one: the model goes on in the same way."""
    request = asked("Go.", WEATHER, tool_choice="required", max_tokens=30)
    answer = engine.generate([request])[0]
    prompt = engine.renderer.prompt(request.messages, request.tools)
    matcher = engine._matcher(request)
    assert matcher is not None
    ids = [*prompt.prefix, *prompt.body]
    start = len(ids)
    ids += matcher.forced()
    with torch.inference_mode():
        while len(ids) - start < request.max_tokens:
            scores = engine.base.model(torch.tensor([ids])).logits[0, -1]
            allowed = torch.from_numpy(matcher.allowed())
            token = int(scores.masked_fill(~allowed, -torch.inf).argmax())
            matcher.consume(token)
            ids += [token, *matcher.forced()]
    read = ids[start : start + answer.completion_tokens]
    assert answer.text + answer.cut == engine.base.tokenizer.decode(read)
    assert len(read) >= request.max_tokens


def test_tools_that_cannot_be_enforced_are_said(engine: Engine) -> None:
    odd = Tool(name="odd", parameters={"properties": {"a": {"not": {"type": "string"}}}})
    with pytest.raises(UserError, match="the tools' schemas cannot be enforced"):
        engine.generate([asked("Go.", odd)])


def test_a_seed_repeats_a_draw(engine: Engine) -> None:
    requests = [
        asked("Hello.", temperature=2.0, seed=seed, constrained=False) for seed in (1, 2, 1)
    ]
    one, two, again = texts(engine.generate(requests))
    assert one == again != two
    assert texts(engine.generate(requests[::-1])) == [one, two, one]
    assert engine.generate(requests[1:2])[0].text == two


def test_draws_without_a_seed_differ(engine: Engine) -> None:
    request = asked("Hello.", temperature=3.0, constrained=False)
    assert len(set(texts(engine.generate([request] * 4)))) > 1


@pytest.mark.parametrize("options", [{"top_p": 0.0}, {"top_p": 1e-6}])
def test_a_narrow_draw_is_greedy(engine: Engine, options: dict[str, float]) -> None:
    greedy = replace(RAGGED[0], constrained=True)
    drawn = replace(greedy, temperature=1.0, seed=3, **options)  # type: ignore[arg-type]
    assert engine.generate([drawn])[0].text == engine.generate([greedy])[0].text


def test_tools_and_system_words_are_in_the_prompts_length(engine: Engine) -> None:
    messages = (Message(role="system", content="Be brief."), user("Hello."))
    request = Request(messages=messages, tools=TOOLS, max_tokens=2)
    prompt = engine.renderer.prompt(messages, TOOLS)
    assert engine.generate([request])[0].prompt_tokens == len(prompt)


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_guesses_change_no_answer(
    lively: BaseModel, monkeypatch: pytest.MonkeyPatch, constrained: bool, temperature: float
) -> None:
    """Every guess is either wrong, or what would have been said, or begins with that."""
    requests = [
        replace(one, constrained=constrained, temperature=temperature, seed=seed)
        for seed, one in enumerate(RAGGED)
    ]
    plain = Engine(lively, batch=3, guess=False).generate(requests)
    said = {id(one.request): one.output for one in _ended(Engine(lively, guess=False), requests)}
    for wrong_from in (0, 1, 3, 99):
        monkeypatch.setattr(Row, "guess_on", _knowing(said, wrong_from))
        guessing = Engine(lively, batch=3).generate(requests)
        assert texts(guessing) == texts(plain)
        saved = sum(one.steps for one in plain) - sum(one.steps for one in guessing)
        assert (saved == 0) == (wrong_from == 0)


def _ended(engine: Engine, requests: Sequence[Request]) -> list[Row]:
    return [row for _, row in engine._answer(requests, lambda _: False) if row.reason]


def _knowing(said: dict[int, list[int]], wrong_from: int) -> Callable[[Row, int], None]:
    """A `guess_on` that knows the answer, but for the tokens from the `wrong_from`-th on."""

    def guess_on(row: Row, most: int) -> None:
        if row.output:
            follows = said[id(row.request)][len(row.output) :][:most]
            row.guess = [*follows[:wrong_from], *(token ^ 1 for token in follows[wrong_from:])]

    return guess_on


def test_what_is_told_is_the_answer(adapted: Engine) -> None:
    requests = [
        *RAGGED,
        asked("Rome?", tool_choice="required", max_tokens=30),
        asked("罗马？", tool_choice="set_reminder", max_tokens=30, adapter="one"),
        asked("天气", constrained=False, temperature=2.0, seed=5, adapter="two"),
    ]
    told = [""] * len(requests)
    ended: dict[int, Completion] = {}
    for delta in adapted.stream(requests):
        assert delta.index not in ended
        told[delta.index] += delta.text
        assert delta.text or delta.completion
        if delta.completion:
            ended[delta.index] = delta.completion
    for index, answer in enumerate(adapted.generate(requests)):
        assert told[index] == answer.text + answer.cut == ended[index].text + ended[index].cut
        assert ended[index].finish_reason == answer.finish_reason
        assert 0 < ended[index].first_seconds <= ended[index].seconds


def test_a_letter_is_told_whole(lively: BaseModel) -> None:
    """A Chinese letter is three bytes, and often as many tokens."""
    engine = Engine(lively)
    tool = Tool(
        name="say", parameters={"properties": {"a": {"const": "龘靐齉"}}, "required": ["a"]}
    )
    deltas = list(engine.stream([asked("天气", tool, tool_choice="required", parallel=False)]))
    assert "龘靐齉" in "".join(delta.text for delta in deltas)
    assert not any("\ufffd" in delta.text for delta in deltas)


def test_between_two_steps_the_engine_may_be_asked_for_something_else(adapted: Engine) -> None:
    first = asked("Hello.", adapter="one", constrained=False)
    other = asked("Hello.", adapter="two", constrained=False)
    alone = texts(adapted.generate([first, other]))
    between = set()
    told = ""
    for delta in adapted.stream([first]):
        told += delta.text
        between.add(adapted.generate([other])[0].text)
        assert not torch.is_inference_mode_enabled()
    assert [told, *between] == alone


def test_what_is_not_wanted_ends(lively: BaseModel) -> None:
    engine = Engine(lively, batch=2)
    requests = [asked(text, constrained=False) for text in ("Hello.", "Hi.", "Rome?", "Oslo?")]
    whole = texts(engine.generate(requests))
    told = [""] * len(requests)
    ended: dict[int, Completion] = {}
    gone: set[int] = set()
    for delta in engine.stream(requests, cancelled=gone.__contains__):
        told[delta.index] += delta.text
        if len(told[0]) > 5:
            gone |= {0, 3}
        if delta.completion:
            ended[delta.index] = delta.completion
    assert [ended[i].finish_reason for i in range(4)] == [
        "cancelled",
        "length",
        "length",
        "cancelled",
    ]
    assert (ended[3].text, ended[3].steps) == ("", 0)
    assert 5 < len(ended[0].text) < len(whole[0])
    assert whole[0].startswith(ended[0].text)
    assert [told[1], told[2]] == whole[1:3]


def test_a_stream_that_is_left_leaves_nothing(lively: BaseModel) -> None:
    engine = Engine(lively, batch=2)
    request = asked("Hello.", constrained=False)
    whole = engine.generate([request])[0].text
    stream = engine.stream([request, request, request])
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert engine.generate([request])[0].text == whole


def test_many_requests_pass_through_few_places(lively: BaseModel) -> None:
    """As one ends the next begins; prompts that are long are read alone."""
    engine = Engine(lively, batch=3)
    words = ["tell me about " + "the weather in Rome and " * (60 * (i % 3)) for i in range(8)]
    requests = [
        asked(text, max_tokens=1 + i % 5, constrained=False) for i, text in enumerate(words)
    ]
    alone = [Engine(lively).generate([request])[0].text for request in requests]
    assert texts(engine.generate(requests)) == alone


@pytest.mark.parametrize(("prefix_bytes", "at_a_time"), [(1 << 30, 4), (0, 1)])
def test_several_lists_of_tools_are_answered_together(
    lively: BaseModel, monkeypatch: pytest.MonkeyPatch, prefix_bytes: int, at_a_time: int
) -> None:
    """As long as their keys and values have room."""
    under: list[int] = []
    plain = Step.__init__

    def seen(step: Step, store: Any, asking: Any, prefixes: Any, *rest: Any) -> None:
        under.append(len(prefixes))
        plain(step, store, asking, prefixes, *rest)

    monkeypatch.setattr(Step, "__init__", seen)
    alone = [Engine(lively).generate([request])[0].text for request in RAGGED]
    under.clear()
    assert texts(Engine(lively, prefix_bytes=prefix_bytes).generate(RAGGED)) == alone
    assert max(under) == at_a_time


def test_long_and_short_requests_take_turns(
    lively: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the room of the longest beside it, so they are apart, and neither waits for the other."""
    requests = [
        asked(text, constrained=False, max_tokens=6) for text in ("Hello.", "a b c " * 300, "Hi.")
    ]
    alone = [Engine(lively).generate([request])[0].text for request in requests]
    columns: set[int] = set()
    plain = Store.__init__

    def seen(store: Store, like: Any, places: int, room: int) -> None:
        columns.add(room)
        plain(store, like, places, room)

    monkeypatch.setattr(Store, "__init__", seen)
    told = [delta.index for delta in Engine(lively, guess=False).stream(requests) if delta.text]
    assert len(columns) == 2
    assert told.index(1) < len(told) - 1 - told[::-1].index(0)
    assert texts(Engine(lively).generate(requests)) == alone


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_the_bundled_model_says_what_generate_says(quantization: Any) -> None:
    """Batched and alone, with prefixes read anew and kept; in float32, where no two tokens score alike."""
    from fcray import models
    from fcray.spec import ModelSpec

    spec = ModelSpec(quantization=quantization, precision="fp32")
    base = models.load(spec, device=torch.device("cpu"))
    engine = Engine(base)
    requests = [replace(request, max_tokens=min(16, request.max_tokens)) for request in RAGGED]
    for asked_together in (requests, requests, *([request] for request in requests[:3])):
        check_against_generate(base.model, engine, asked_together)
