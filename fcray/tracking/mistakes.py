"""Wrong answers as a record holds them. Knows nothing of where they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from fcray.metrics import Outcome, judge
from fcray.tracking.record import MistakeRecord


def mistakes(outcomes: Sequence[Outcome]) -> list[MistakeRecord]:
    """The wrong answers beside the right ones."""
    return [
        MistakeRecord(
            request=o.example.request,
            gold=list(o.example.calls),
            predicted=list(o.calls),
            answer="" if o.calls else o.text,
            language=o.example.origin.language,
            domain=o.example.origin.domain,
        )
        for o in outcomes
        if not judge(o).frame
    ]
