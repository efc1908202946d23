"""The fault tolerance suite: what goes wrong in requests and in results, made of a spec's catalogs.

Every case is one fault in a conversation that is sound without it, and says what is right then: the clean
request's call, or words. How answers are scored is in `fcray.metrics.recovery`. Knows nothing of models or
files. The modules know those before them alone: `clean`, `words`, `requests`, `disturbed`, `passages`,
`background`, `results`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from fcray.dataset.faults.background import long_context
from fcray.dataset.faults.clean import Clean, CleanRows, clean_rows
from fcray.dataset.faults.disturbed import code_switching, noise, typos
from fcray.dataset.faults.requests import as_it_is, contradictory, mistyped
from fcray.dataset.faults.results import failed
from fcray.dataset.kinds import Made
from fcray.metrics import FAULTS
from fcray.spec import DataSpec
from fcray.tools import Example, Language

__all__ = ["FAULTS", "GENERATOR", "fault_cases"]

GENERATOR = "fault suite"
"""The generator of every case."""

_Maker = Callable[[Clean, CleanRows, random.Random], Made | None]

_MAKERS: Mapping[str, tuple[str, _Maker]] = {
    "missing": ("missing", as_it_is),
    "contradictory": ("call", contradictory),
    "mistyped": ("call", mistyped),
    "out_of_range": ("invalid", as_it_is),
    "unknown_tool": ("unknown_tool", as_it_is),
    "noise": ("call", noise),
    "typos": ("call", typos),
    "code_switching": ("call", code_switching),
    "long_context": ("call", long_context),
    "explicit_transient": ("call", failed("explicit_transient")),
    "explicit_permanent": ("call", failed("explicit_permanent")),
    "implicit_transient": ("call", failed("implicit_transient")),
    "implicit_permanent": ("call", failed("implicit_permanent")),
}
"""Fault → the kind of clean rows that it is made of, and how; None where it cannot be made of a row."""


def fault_cases(spec: DataSpec, each: int, seed: int = 0) -> list[Example]:
    """Up to `each` cases of every fault, in the order of `FAULTS`, Chinese ones before English ones.

    Their sentences are in neither the training nor the validation split of `spec`. Tools take turns, and
    faults in plain calls begin with the same calls, so that their rates can be compared.

    Parameters
    ----------
    spec: The data that a model was, or will be, trained on.
    each: Half of them in each language; fewer where the catalogs hold fewer sentences that the fault can
        be put into.
    seed: Chooses sentences and faults.

    Returns
    -------
    Examples whose `origin.kind` is the fault and whose `origin.generator` is `GENERATOR`. `calls` is empty
    where words are right, with `response` as one way to say them; after a failed result too, though calling
    again may be right there.

    Raises
    ------
    UserError: A catalog cannot be used, or holds too few sentences for `spec` itself.
    """
    if each < 1:
        return []
    clean = clean_rows(spec, each, seed)
    shares: Mapping[Language, int] = {"zh": each - each // 2, "en": each // 2}
    return [
        case
        for fault in FAULTS
        for language, share in shares.items()
        for case in islice(_cases(fault, language, clean, seed), share)
    ]


def _cases(fault: str, language: Language, clean: CleanRows, seed: int) -> Iterator[Example]:
    kind, make = _MAKERS[fault]
    for row in clean.of(kind, language):
        made = make(row, clean, random.Random(f"{seed}/{fault}/{row.example.id}"))
        if made is not None:
            yield _case(fault, row.example, made)


def _case(fault: str, clean: Example, made: Made) -> Example:
    return clean.model_copy(
        update={
            "id": f"{fault}-{clean.id}",
            "messages": made.messages,
            "calls": made.calls,
            "response": made.response,
            "origin": clean.origin.model_copy(update={"generator": GENERATOR, "kind": fault}),
        }
    )
