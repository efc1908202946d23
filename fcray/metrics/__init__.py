"""Measures of function calling: scores of predictions, and BFCL's match.

Pure rules over `fcray.tools`; knows nothing of models, files or Ray.
"""

from fcray.metrics.bfcl import Answer, bfcl_match, bfcl_problem
from fcray.metrics.intervals import Interval
from fcray.metrics.judging import INVALID, NO_CALL, Judgement, Outcome, judge
from fcray.metrics.matching import CallPair, match_calls
from fcray.metrics.scores import Latency, Scores, ToolScores, score, score_by
from fcray.metrics.values import Mode, comparison_key, flatten, normalise

__all__ = [
    "INVALID",
    "NO_CALL",
    "Answer",
    "CallPair",
    "Interval",
    "Judgement",
    "Latency",
    "Mode",
    "Outcome",
    "Scores",
    "ToolScores",
    "bfcl_match",
    "bfcl_problem",
    "comparison_key",
    "flatten",
    "judge",
    "match_calls",
    "normalise",
    "score",
    "score_by",
]
