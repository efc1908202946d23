"""Tests of what counts as recovery from a fault, and of the rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.metrics import FAULTS, Outcome, Recovery, recovered, recovery
from fcray.metrics.recovery import (
    GOLD_CALL_FAULTS,
    NO_CALL_FAULTS,
    PERMANENT_FAULTS,
    TRANSIENT_FAULTS,
    Z,
    admits,
    wilson,
)
from fcray.tools import Example, Message, Origin, ToolCall

from .builders import call, call_lists, outcome

FAILURES = (*TRANSIENT_FAULTS, *PERMANENT_FAULTS)
CALLED = call("book", city="Rome", guests=2)

SUCCESSES = (
    *("Done.", "All set!", "Your table is booked, the code is T58.", "The email is on its way."),
    *("Done, no problem.", "Booked. Don't worry, they will wait.", "It's at 22 degrees and sunny."),
    *(
        "It's down 2.8 percent at 47.30.",
        "Not a problem: the room is yours until 4 pm.",
        "Here you are.",
    ),
    *(
        "The reminder is set. Don’t forget your keys!",
        "That went through without any errors? Yes: done.",
    ),
    *(
        "好了。",
        "订好了，确认码是T58。",
        "邮件已经发出去了。",
        "没问题，已经设好了。",
        "晴天，31度。",
    ),
    *(
        "已经办好，别担心。",
        "好的，提醒设好了，一共3个。",
        "不客气，桌子订好了。",
        "查到了，汇率是7.1。",
    ),
)
ADMITTED = (
    *(
        "Sorry, that didn't work.",
        "I couldn't book it.",
        "The request failed.",
        "I was unable to do it.",
    ),
    *("There was an error.", "Please try again later.", "The service is down.", "It timed out."),
    *(
        "Nothing came back.",
        "No results came up.",
        "I’m afraid it wasn’t sent.",
        "It is still pending.",
    ),
    *("There is no room free.", "Access was denied.", "I did not get an answer."),
    *("抱歉，没有成功。", "预订失败了。", "没能发出去。", "我无法完成这个操作。", "系统出错了。"),
    *(
        "请稍后再试。",
        "没有查到结果。",
        "服务暂时不可用。",
        "请求超时了。",
        "还没处理完。",
        "未能保存。",
    ),
    *("权限不够，办不了。", "查不到这个账户。", "没问题才怪，系统连不上。"),
)


def answered(
    kind: str,
    predicted: Sequence[ToolCall] = (),
    text: str = "",
    *,
    valid: bool = True,
    failed: Sequence[ToolCall] = (CALLED,),
) -> Outcome:
    """An answer to a result that failed."""
    example = Example(
        id="e",
        messages=(
            Message(role="user", content="Book a table in Rome for 2."),
            Message(role="assistant", tool_calls=tuple(failed)),
            Message(role="tool", content='{"error": "timeout"}'),
        ),
        tools=(),
        response="Sorry, that didn't work.",
        origin=Origin(generator="fault suite", language="en", domain="d", kind=kind),
    )
    return Outcome(example=example, calls=tuple(predicted), text=text, valid=valid, seconds=1.0)


def asked(
    kind: str,
    gold: Sequence[ToolCall] = (),
    predicted: Sequence[ToolCall] = (),
    text: str = "",
    valid: bool = True,
) -> Outcome:
    origin = {"language": "en", "domain": "d", "kind": kind}
    return outcome(gold, predicted, origin=origin, text=text, valid=valid)


def test_the_kinds_are_all_there_once_and_in_order() -> None:
    groups = (*NO_CALL_FAULTS, *GOLD_CALL_FAULTS, *TRANSIENT_FAULTS, *PERMANENT_FAULTS)
    assert sorted(FAULTS) == sorted(groups)
    assert len(set(FAULTS)) == len(FAULTS) == 13
    assert (
        *("missing", "contradictory", "mistyped", "out_of_range", "unknown_tool"),
        *("noise", "typos", "code_switching", "long_context"),
        *("explicit_transient", "explicit_permanent", "implicit_transient", "implicit_permanent"),
    ) == FAULTS


@pytest.mark.parametrize("kind", NO_CALL_FAULTS)
def test_where_no_call_is_right_words_are(kind: str) -> None:
    assert recovered(asked(kind, text="Which city do you mean?"))
    assert recovered(asked(kind, text="哪个城市？"))
    assert not recovered(asked(kind, text=""))
    assert not recovered(asked(kind, text=" ?! "))
    assert not recovered(asked(kind, predicted=[CALLED], text="Booking it."))
    assert not recovered(asked(kind, text="Which city?", valid=False))


@pytest.mark.parametrize("kind", GOLD_CALL_FAULTS)
def test_where_a_call_is_right_its_frame_counts(kind: str) -> None:
    gold = [CALLED]
    assert recovered(asked(kind, gold, [call("book", guests=2, city="rome")]))
    assert not recovered(asked(kind, gold, [call("book", city="Oslo", guests=2)]))
    assert not recovered(asked(kind, gold, [call("cancel", city="Rome", guests=2)]))
    assert not recovered(asked(kind, gold, [CALLED, CALLED]))
    assert not recovered(asked(kind, gold, text="Sorry, I can't read that."))
    assert not recovered(asked(kind, gold, gold, valid=False))


@given(st.sampled_from(GOLD_CALL_FAULTS), call_lists)
def test_the_gold_answer_always_counts(kind: str, gold: list[ToolCall]) -> None:
    assert recovered(asked(kind, gold, gold))


@pytest.mark.parametrize("kind", TRANSIENT_FAULTS)
def test_after_a_transient_failure_the_same_call_may_be_made_again(kind: str) -> None:
    assert recovered(answered(kind, [call("book", guests=2, city="Rome")]))
    assert recovered(answered(kind, [CALLED], "Let me try that again."))
    assert not recovered(answered(kind, [call("book", city="Rome", guests=3)]))
    assert not recovered(answered(kind, [CALLED, CALLED]))
    assert not recovered(answered(kind, [call("cancel")], "Sorry, that failed."))
    assert not recovered(answered(kind, [CALLED], valid=False))
    assert not recovered(answered(kind, [CALLED], failed=()))
    two = (CALLED, call("cancel"))
    assert recovered(answered(kind, two[::-1], failed=two))
    assert not recovered(answered(kind, two[:1], failed=two))


@given(st.sampled_from(TRANSIENT_FAULTS), call_lists.filter(bool))
def test_the_calls_that_failed_always_count_after_a_transient_failure(
    kind: str, failed: list[ToolCall]
) -> None:
    assert recovered(answered(kind, failed, failed=failed))


@given(st.sampled_from(PERMANENT_FAULTS), call_lists.filter(bool), st.sampled_from(ADMITTED))
def test_no_call_counts_after_a_permanent_failure(
    kind: str, predicted: list[ToolCall], text: str
) -> None:
    assert not recovered(answered(kind, predicted, text))


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("text", ADMITTED)
def test_words_that_admit_a_failure_count(kind: str, text: str) -> None:
    assert recovered(answered(kind, text=text))
    assert not recovered(answered(kind, text=text, valid=False))


@given(st.sampled_from(FAILURES), st.lists(st.sampled_from(SUCCESSES), min_size=1, max_size=3))
def test_a_sentence_of_success_never_counts_after_a_failure(kind: str, said: list[str]) -> None:
    assert not recovered(answered(kind, text=" ".join(said)))


def test_no_words_admit_nothing() -> None:
    assert not admits("")
    assert not recovered(answered("explicit_transient"))


def test_other_kinds_are_no_faults() -> None:
    with pytest.raises(ValueError, match="'call' is no fault; faults are missing, contradictory"):
        recovered(asked("call"))


def test_recovery_by_kind_in_the_order_of_a_report() -> None:
    outcomes = [
        answered("implicit_permanent", text="Done."),
        answered("explicit_transient", [CALLED]),
        asked("call"),
        asked("missing", text="Which city?"),
        answered("explicit_transient", text="Done."),
        asked("missing", predicted=[CALLED]),
        asked("missing", text="When?"),
    ]
    found = recovery(outcomes)
    assert list(found) == ["missing", "explicit_transient", "implicit_permanent"]
    assert found["missing"] == Recovery(3, 2, 2 / 3, wilson(2, 3))
    assert found["explicit_transient"] == Recovery(2, 1, 0.5, wilson(1, 2))
    assert found["implicit_permanent"] == Recovery(1, 0, 0.0, wilson(0, 1))
    assert recovery([]) == {}


def test_wilson_s_interval_as_it_is_published() -> None:
    # Newcombe 1998 (Stat. Med. 17, 857-872), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(successes, trials)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_s_interval_holds_the_share_and_is_its_own_mirror(counts: tuple[int, int]) -> None:
    successes, trials = counts
    found, mirrored = wilson(successes, trials), wilson(trials - successes, trials)
    assert 0 <= found.low <= successes / trials <= found.high <= 1
    assert math.isclose(found.low, 1 - mirrored.high, abs_tol=1e-12)
    # Its ends are the shares p from which the observed one is Z standard errors away.
    for end in {found.low, found.high} - {0.0, 1.0}:
        distance = abs(successes / trials - end)
        assert math.isclose(distance, Z * math.sqrt(end * (1 - end) / trials), rel_tol=1e-6)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson(successes, trials)
    with pytest.raises(ValueError, match="successes of"):
        Recovery.of(successes, trials)
