"""How often a model gets over a fault: by kind, with an interval.

A fault is a request that is wrong, hard to read or long, or a tool's result that failed. What counts as
recovery is ruled by calls and, after a failed result, by words: a sentence admits a failure when it holds
one of a short list of words, whatever else it says. "It didn't fail" therefore counts, and a failure told in
words that the list lacks does not. The four kinds of failed results are named as in ToolMaze (Zhu et al.
2026, arXiv:2606.05806); its measure follows whole tasks, this one looks at the next answer alone. Pure;
knows nothing of how cases are made (`fcray.dataset.faults`).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fcray.metrics.intervals import Interval
from fcray.metrics.judging import Outcome, judge
from fcray.metrics.matching import match_calls
from fcray.tools import Example, ToolCall

NO_CALL_FAULTS = ("missing", "contradictory", "mistyped", "out_of_range", "unknown_tool")
"""Requests that no call answers: words are right."""

GOLD_CALL_FAULTS = ("noise", "typos", "code_switching", "long_context")
"""Requests that are harder to read than their clean ones: the same call is right."""

TRANSIENT_FAULTS = ("explicit_transient", "implicit_transient")
"""Failed results after which the same call may do: to call again, or to admit it."""

PERMANENT_FAULTS = ("explicit_permanent", "implicit_permanent")
"""Failed results after which no call helps: to admit it."""

FAULTS = (
    *NO_CALL_FAULTS,
    *GOLD_CALL_FAULTS,
    *("explicit_transient", "explicit_permanent", "implicit_transient", "implicit_permanent"),
)
"""All kinds, in the order of a report."""

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution: 95 % lie between -Z and Z."""

_REASSURING = re.compile(
    r"\b(?:no (?:problem|worries|trouble|issues?|doubt)|not a problem|not at all|not only"
    r"|without (?:any |an? )?(?:problems?|trouble|issues?|errors?|fail)"
    r"|(?:don't|do not) (?:worry|forget|hesitate|mention)|why not)\b"
    "|没有?问题|没关系|没什么|没事|没错|有没有|别担心|不用担心|不客气"
)
"""Turns of phrase that hold a word of `ADMISSIONS` and admit nothing."""

ADMISSIONS = re.compile(
    # That it did not work, or that somebody is sorry for it.
    r"\b(?:sorry|apolog\w+|unfortunately|afraid|fail\w*|unable|not|cannot|error|errors|wrong|problem|problems"
    r"|trouble|nothing|none|nobody|neither|without success|to no avail)\b|n't\b"
    # What to do about it.
    r"|\b(?:try(?:ing)? (?:it |that |this |once )?again|retry\w*|again later)\b"
    # What happened.
    r"|\b(?:unavailable|offline|timed out|time-?out|denied|refused|rejected|forbidden|unsupported"
    r"|pending|incomplete|empty|blank|cut off|broke off|interrupted|unknown|unclear|unsure)\b"
    r"|\b(?:is|are|was|seems) (?:currently |temporarily )?down\b(?! (?:by )?\d)"
    r"|\b(?:there(?:'s| is| are| was| were)|so|came to|found|returned) no\b"
    r"|^no \w+ (?:is|are|was|were|came)\b"
    r"|\bno (?:results?|answer|reply|response|data|records?|match\w*|entr\w+|such|longer|reading"
    r"|figures?|figure|information|luck|change|access|permission)\b"
    "|抱歉|对不起|不好意思|遗憾|可惜|失败|出错|错误|故障|有误|出了?(?:点|些)?问题"
    "|没|未能|未成|未找|未查|未返回|未完成|尚未|无法|不能|不了|不到|不上|不成|不出|不可用|不存在|不支持|不确定|不行|不通"
    "|暂停|中断|超时|繁忙|拒绝|权限|注销|禁止|离线|为空|空的|还在处理"
    "|再试|重试|稍后|过(?:一会儿?|会儿)再|晚点再"
)
"""Words that admit that something did not work, in both languages, in lower case."""


@dataclass(frozen=True)
class Recovery:
    """How often a model recovered from one kind of fault.

    Attributes
    ----------
    cases: How many there were.
    recovered: Of these, how many ended well.
    rate: Their share.
    interval: Wilson's 95 % interval of the share.
    """

    cases: int
    recovered: int
    rate: float
    interval: Interval

    @classmethod
    def of(cls, well: int, cases: int) -> Recovery:
        """`well` of `cases`, with their share and its interval.

        Raises
        ------
        ValueError: There are no cases, or not between none and all of them ended well.
        """
        interval = wilson(well, cases)
        return cls(cases, well, well / cases, interval)


def recovered(outcome: Outcome) -> bool:
    """Whether an answer to a fault case is a sound one; an output that was not parsed never is.

    - A request that no call answers (`NO_CALL_FAULTS`): no call, and some words, whichever they are.
    - A request that is hard to read (`GOLD_CALL_FAULTS`): the semantic frame is right (`Judgement.frame`).
    - A transient failure (`TRANSIENT_FAULTS`): the very calls that failed and no others, or no call and
      words that admit the failure (`admits`).
    - A permanent one (`PERMANENT_FAULTS`): no call, and words that admit it.

    Raises
    ------
    ValueError: The example is of no kind in `FAULTS`.
    """
    kind = outcome.example.origin.kind
    if kind not in FAULTS:
        raise ValueError(f"{kind!r} is no fault; faults are {', '.join(FAULTS)}")
    if not outcome.valid:
        return False
    if kind in GOLD_CALL_FAULTS:
        return judge(outcome).frame
    if outcome.calls:
        return kind in TRANSIENT_FAULTS and _is_retried(outcome)
    if kind in NO_CALL_FAULTS:
        return any(character.isalnum() for character in outcome.text)
    return admits(outcome.text)


def admits(text: str) -> bool:
    """Whether words say that something did not work: a rule on words (`ADMISSIONS`), not on meaning.

    Phrases that reassure ("no problem", 没问题) are passed over.
    """
    plain = text.lower().replace("’", "'")  # a typographic apostrophe
    return bool(ADMISSIONS.search(_REASSURING.sub(" ", plain)))


def _is_retried(outcome: Outcome) -> bool:
    failed = _failed_calls(outcome.example)
    return bool(failed) and all(pair.exact for pair in match_calls(outcome.calls, failed))


def _failed_calls(example: Example) -> tuple[ToolCall, ...]:
    """The calls whose results stand last in the conversation."""
    return next((m.tool_calls for m in reversed(example.messages) if m.tool_calls), ())


def recovery(outcomes: Iterable[Outcome]) -> dict[str, Recovery]:
    """Recovery from every kind of fault that is there, in the order of `FAULTS`.

    Outcomes of examples that are no fault cases are passed over.
    """
    ended: defaultdict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.example.origin.kind in FAULTS:
            ended[outcome.example.origin.kind].append(recovered(outcome))
    return {
        kind: Recovery.of(sum(ended[kind]), len(ended[kind])) for kind in FAULTS if kind in ended
    }


def wilson(successes: int, trials: int) -> Interval:
    """The 95 % score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).

    With p = successes / trials and n = trials:

    (p + z²/2n ± z · sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)

    Unlike a bootstrap it has a width where all or none succeeded, and it stays between 0 and 1.

    Raises
    ------
    ValueError: There are no trials, or not between none and all of them succeeded.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    share, part = successes / trials, Z * Z / trials
    middle = share + part / 2
    reach = Z * math.sqrt(share * (1 - share) / trials + part / (4 * trials))
    low, high = (middle - reach) / (1 + part), (middle + reach) / (1 + part)
    # All and none are the ends themselves; rounding would miss them.
    return Interval(low if successes else 0.0, high if successes < trials else 1.0)
