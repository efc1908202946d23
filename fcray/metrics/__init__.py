"""Measures of function calling: scores of predictions, and BFCL's match.

Pure rules over `fcray.tools`; knows nothing of models, files or Ray.
"""

from fcray.metrics.bfcl import Answer, bfcl_match, bfcl_problem
from fcray.metrics.intervals import Interval
from fcray.metrics.judging import INVALID, NO_CALL, Judgement, Outcome, judge
from fcray.metrics.matching import CallPair, match_calls
from fcray.metrics.recovery import FAULTS, Recovery, recovered, recovery
from fcray.metrics.scores import GroupKey, Latency, Scores, ToolScores, score, score_by
from fcray.metrics.values import Mode, comparison_key, flatten, normalise

__all__ = [
    "FAULTS",
    "INVALID",
    "NO_CALL",
    "Answer",
    "CallPair",
    "GroupKey",
    "Interval",
    "Judgement",
    "Latency",
    "Mode",
    "Outcome",
    "Recovery",
    "Scores",
    "ToolScores",
    "bfcl_match",
    "bfcl_problem",
    "comparison_key",
    "flatten",
    "judge",
    "match_calls",
    "normalise",
    "recovered",
    "recovery",
    "score",
    "score_by",
]
