"""The three-stage curriculum: which spans of an answer are learned at which optimizer step.

Stage 1 learns the decision which function, or none; stage 2 adds the arguments; stage 3 is joint, plain
answers included. Stages are shares of the steps (the article: 0.3 / 0.4 / 0.3). The rendered sequence is
the same in every stage, only the weights of its spans differ, so the format that is trained is the
format that is served. Pure; knows nothing of models.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from fcray.prompting import Span
from fcray.spec import STAGE_WEIGHTS, Shares, SpanWeights, check_shares


def stage_ends(shares: Shares, total_steps: int) -> tuple[int, int, int]:
    """The step at which each stage ends (exclusive); the last is `total_steps`.

    Cumulative rounding: no step is lost, and no stage is more than one step off its share.
    """
    check_shares(shares)
    first = round(shares[0] * total_steps)
    second = round((shares[0] + shares[1]) * total_steps)
    return first, max(first, min(second, total_steps)), total_steps


@dataclass(frozen=True)
class Curriculum:
    """The stages of one run.

    Parameters
    ----------
    shares: Share of the steps of each stage; a share of 0 leaves its stage out.
    total_steps: Optimizer steps of the run.
    weights: A weight for each span (in the order of `Span`), stage by stage.
    blend: How much of a stage's weights are those of the stages before it, on average; 0 is none.
    """

    shares: Shares
    total_steps: int
    weights: tuple[SpanWeights, SpanWeights, SpanWeights] = STAGE_WEIGHTS
    blend: float = 0.0

    def stage(self, step: int) -> int:
        """The stage (1, 2 or 3) of the optimizer step `step`, counted from 0."""
        ends = stage_ends(self.shares, self.total_steps)
        return min(bisect.bisect_right(ends[:2], step), 2) + 1

    def span_weights(self, step: int) -> dict[Span, float]:
        """The weight of each span at the optimizer step `step`, counted from 0."""
        stage = self.stage(step) - 1
        own, earlier = self.weights[stage], self.weights[:stage]
        if earlier and self.blend:
            means = (sum(weights) / len(earlier) for weights in zip(*earlier, strict=True))
            mixed = (
                (1 - self.blend) * now + self.blend * before
                for now, before in zip(own, means, strict=True)
            )
            return dict(zip(Span, mixed, strict=True))
        return dict(zip(Span, own, strict=True))
