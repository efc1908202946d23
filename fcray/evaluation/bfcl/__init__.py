"""BFCL, the Berkeley Function Calling Leaderboard: its questions, what is right, and its mean.

Of its questions those that are not live and have one turn. Each module here knows those before it alone:
`literals`, `languages`, `cases`, `scores`. Knows nothing of models or Ray.
"""

from fcray.evaluation.bfcl.cases import (
    CATEGORIES,
    IRRELEVANCE,
    SIMPLE,
    VERSION,
    Case,
    bfcl_cases,
    bfcl_version,
    case_problem,
    nearest_answer,
)
from fcray.evaluation.bfcl.scores import BfclScores, CategoryScore, bfcl_scores

__all__ = [
    "CATEGORIES",
    "IRRELEVANCE",
    "SIMPLE",
    "VERSION",
    "BfclScores",
    "Case",
    "CategoryScore",
    "bfcl_cases",
    "bfcl_scores",
    "bfcl_version",
    "case_problem",
    "nearest_answer",
]
