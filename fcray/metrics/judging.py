"""One prediction against its gold answer: which decisions were right, call by call.

Knows nothing of averages over a set (`scores.py`) or of where predictions come from. The terms are
JointBERT's for ATIS and SNIPS (Chen, Zhuo and Wang 2019, arXiv:1902.10909), with a function for
the intent and an argument for the slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fcray.metrics.matching import CallPair, match_calls
from fcray.metrics.values import Mode, check_mode
from fcray.tools import Example, ToolCall

NO_CALL = "none"
"""What stands for the decision to call nothing, among function names."""

INVALID = "invalid"
"""What stands for an output that could not be parsed, among predicted function names."""


@dataclass(frozen=True)
class Outcome:
    """What a model answered to an example.

    Attributes
    ----------
    calls: Predicted calls in order; empty when it made none.
    text: The raw output.
    valid: Whether the output was parsed without an error.
    seconds: From when the engine took the request up to its finished answer, beside those of its batch; what
        it waited before is not in it.
    prompt_tokens, completion_tokens: Tokens read and written.
    """

    example: Example
    calls: tuple[ToolCall, ...]
    text: str
    valid: bool
    seconds: float
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Judgement:
    """An outcome with its calls matched to the gold calls one to one."""

    outcome: Outcome
    pairs: tuple[CallPair, ...]

    @cached_property
    def intent(self) -> bool:
        """Right functions, each as often as in the gold answer, or rightly none.

        An output that could not be parsed is never right, not even where no call is.
        """
        return self.outcome.valid and all(pair.matched for pair in self.pairs)

    @cached_property
    def frame(self) -> bool:
        """Right functions with every argument right, in any order of calls."""
        return self.outcome.valid and all(pair.exact for pair in self.pairs)

    @cached_property
    def shared(self) -> int:
        """(function, path, value) triples that are both predicted and gold."""
        return sum(pair.shared for pair in self.pairs)

    @cached_property
    def predicted_triples(self) -> int:
        return sum(pair.predicted_leaves for pair in self.pairs)

    @cached_property
    def gold_triples(self) -> int:
        return sum(pair.gold_leaves for pair in self.pairs)

    def confusions(self) -> list[tuple[str, str]]:
        """(gold name, predicted name) of every decision.

        Matched calls come first. What is left of both sides is paired in alphabetical order, and
        what then has no partner is set against `none`, or `invalid` if the output was not parsed.
        """
        nothing = NO_CALL if self.outcome.valid else INVALID
        same = [(pair.name, pair.name) for pair in self.pairs if pair.matched]
        gold = sorted(pair.name for pair in self.pairs if pair.predicted is None)
        ours = sorted(pair.name for pair in self.pairs if pair.gold is None)
        decisions = max(len(gold), len(ours), 0 if same else 1)
        gold += [NO_CALL] * (decisions - len(gold))
        ours += [nothing] * (decisions - len(ours))
        return same + list(zip(gold, ours, strict=True))

    def schema_valid(self) -> list[bool]:
        """For every predicted call: whether it names an offered tool and fits its schema."""
        tools = {tool.name: tool for tool in self.outcome.example.tools}
        return [
            call.name in tools and not tools[call.name].problems(call.arguments)
            for call in self.outcome.calls
        ]


def judge(outcome: Outcome, mode: Mode = "normalised") -> Judgement:
    """Match an outcome's calls to its gold calls; values are compared under `mode`."""
    check_mode(mode)
    return Judgement(outcome, match_calls(outcome.calls, outcome.example.calls, mode))
