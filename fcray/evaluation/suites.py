"""What an adapter is scored on, and what comes of its answers: a split, faulty requests, or BFCL.

A suite is made before anything runs, so that what is wrong with it is said at once; its outcomes are then
scored as the suite asks for. Knows nothing of models, Ray or printing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, zip_longest
from typing import TypeVar, get_args

from fcray.dataset import store, transfer
from fcray.dataset.build import ORDER, Construction
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.draw import SPLITS
from fcray.dataset.faults import fault_cases
from fcray.dataset.formats import FORMATS
from fcray.errors import UserError
from fcray.evaluation.bfcl import (
    BfclScores,
    Case,
    bfcl_cases,
    bfcl_scores,
    bfcl_version,
    case_problem,
    nearest_answer,
)
from fcray.metrics import Outcome, Recovery, Scores, judge, recovered, recovery, score, score_by
from fcray.metrics.scores import GroupKey
from fcray.metrics.values import Mode
from fcray.spec import SweepSpec
from fcray.tools import Example, ToolCall

_Measured = TypeVar("_Measured", Scores, Recovery)

SUITES = ("split", "faults", "bfcl")

SCORED = SPLITS[1:]
"""Splits that may be scored: an adapter was trained on the first."""

GROUPS: tuple[GroupKey, ...] = tuple(key for key in get_args(GroupKey) if key != "tool")

FAULTS_EACH = 20
"""Requests of each kind of fault."""

COMMON = ("parse_validity", "schema_validity", "latency", "tokens_per_second")
"""Scores that mean the same in every suite."""

BFCL_TOKENS = 512
"""Bound on an answer to BFCL, whose parallel calls are long."""


@dataclass(frozen=True)
class Suite:
    """What is asked.

    Attributes
    ----------
    name: One of `SUITES`.
    source: Where the requests come from, for people.
    examples: The requests.
    whole: How many there are without a limit.
    limit: Only so many of each split, kind or category are asked; None: all.
    tokens: An answer may have so many, should the spec allow fewer.
    cases: BFCL's questions by category.
    failures: Why requests that were asked have no answer; they are not among the examples then.
    """

    name: str
    source: str
    examples: tuple[Example, ...]
    whole: int
    limit: int | None = None
    tokens: int = 0
    cases: Mapping[str, Sequence[Case]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()

    def answered(self, outcomes: Sequence[Outcome], failures: Sequence[str]) -> Suite:
        """What is left of the suite where requests have no answer."""
        if not failures:
            return self
        known = {outcome.example.id for outcome in outcomes}
        cases = {
            name: [case for case in some if case.example.id in known]
            for name, some in self.cases.items()
        }
        examples = tuple(outcome.example for outcome in outcomes)
        return replace(self, examples=examples, cases=cases, failures=tuple(failures))

    @property
    def is_part(self) -> bool:
        return len(self.examples) < self.whole

    @property
    def title(self) -> str:
        """The source, how many requests, and of how many these are a part."""
        count = len(self.examples)
        if self.failures:
            return f"{self.source}: the {count:,} of {self.whole:,} requests that were answered"
        if not self.is_part:
            return f"{self.source}: {count:,} requests"
        of = {"faults": " of each kind", "bfcl": " of each category"}.get(self.name, "")
        return f"{self.source}: a part, the first {self.limit}{of}, {count:,} of {self.whole:,} requests"


@dataclass(frozen=True)
class Wrong:
    """A wrong answer.

    Attributes
    ----------
    right: The right calls; of several right answers the one nearest to the model's.
    reason: What is wrong, where the suite says it.
    """

    suite: str
    outcome: Outcome
    right: tuple[ToolCall, ...]
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What came of a suite.

    Attributes
    ----------
    scores: Over all outcomes. Of a suite with measures of its own those in `COMMON` alone mean what they
        say: BFCL allows several values, and after some faults a call and words are both right.
    groups: Language, domain and kind → group → its scores; of the suite split only.
    wrong: What a person will want to look at, in the order of the requests.
    recovery: Of the suite faults: fault → how many were recovered from.
    recovery_by: Language and domain → group → the same over all faults.
    bfcl: Of the suite bfcl.
    """

    suite: Suite
    outcomes: tuple[Outcome, ...]
    scores: Scores
    wrong: tuple[Wrong, ...]
    groups: Mapping[str, Mapping[str, Scores]] = field(default_factory=dict)
    recovery: Mapping[str, Recovery] = field(default_factory=dict)
    recovery_by: Mapping[str, Mapping[str, Recovery]] = field(default_factory=dict)
    bfcl: BfclScores | None = None

    def to_dict(self) -> dict[str, object]:
        """The result as JSON holds it."""
        scores = self.scores.to_dict()
        about: dict[str, object] = {
            "data": self.suite.source,
            "examples": len(self.suite.examples),
            "of": self.suite.whole,
            "limit": self.suite.limit,
            "part": self.suite.is_part,
            "failures": list(self.suite.failures),
            "wrong": len(self.wrong),
        }
        if self.suite.name == "split":
            return {**about, "scores": scores, "groups": _dicts(self.groups, Scores.to_dict)}
        about["scores"] = {name: scores[name] for name in COMMON}
        if self.bfcl is not None:
            return {**about, "bfcl": self.bfcl.to_dict()}
        by_kind = {"kind": self.recovery, **self.recovery_by}
        return {**about, "recovery": _dicts(by_kind, asdict)}


def _dicts(
    groups: Mapping[str, Mapping[str, _Measured]], to_dict: Callable[[_Measured], object]
) -> dict[str, dict[str, object]]:
    return {key: {name: to_dict(one) for name, one in some.items()} for key, some in groups.items()}


def suite_named(name: str) -> str:
    """`name`, which is a suite's.

    Raises
    ------
    UserError: It is none.
    """
    if name not in SUITES:
        raise UserError(
            f"there is no suite {name!r}; known are {', '.join(SUITES)}", field="--suite"
        )
    return name


def split_suite(spec: SweepSpec, split: str = "test", limit: int | None = None) -> Suite:
    """A split of the spec's own data; of the training split no row is made.

    Raises
    ------
    UserError: There is no such split to score, the spec asks for no rows of it, or its data cannot be built.
    """
    _check_split(split)
    making = Construction(spec.data, load_catalogs(spec.data.catalogs, spec.data.tools))
    rows: list[Example] = []
    for one in ORDER[: ORDER.index(split) + 1]:  # later splits are checked against earlier ones
        rows = list(making.rows(one))
    if not rows:
        raise UserError(f"the spec asks for no rows of {split}", field=f"data.{split}")
    return Suite("split", f"{split} of {spec.name}", tuple(rows[:limit]), len(rows), limit)


def _check_split(split: str) -> None:
    if split not in SCORED:
        known = ", ".join(SCORED)
        raise UserError(f"there is no split {split!r} to score; take {known}", field="--split")


def data_suite(place: str, split: str | None = None, limit: int | None = None) -> Suite:
    """The rows of a file, or of a split of a dataset's folder.

    Parameters
    ----------
    place: fcray's own rows (`.jsonl`, `.json`, `.parquet`) or a dataset's folder; a path or an fsspec URL.
    split: Of a folder: which split, `test` unless it is said. A file has none.

    Raises
    ------
    UserError: There are no such rows, or they cannot be read.
    """
    url, source = place, place
    if store.is_dataset(place):
        split = split or "test"
        _check_split(split)
        files = store.row_files(place)
        if split not in files:
            known = ", ".join(name for name in SCORED if name in files)
            raise UserError(f"{place} has no split {split!r}; it has {known}", field="--split")
        url, source = files[split], f"{split} of {place}"
    elif split is not None:
        raise UserError(
            f"{place} is a file of rows; splits are those of a spec or of a dataset's folder",
            field="--split",
        )
    tools = store.tools_beside(url)
    native = FORMATS["fcray"]
    rows = list(transfer.read_examples(url, native, transfer.Report(), catalog=tools, strict=True))
    return Suite("split", source, tuple(rows[:limit]), len(rows), limit)


def fault_suite(spec: SweepSpec, limit: int | None = None) -> Suite:
    """Faulty requests made from the spec's data; an example's kind says which fault it has.

    Raises
    ------
    UserError: The spec's data cannot be built.
    """
    cases = fault_cases(spec.data, FAULTS_EACH)
    title = f"faults in requests of {spec.name}"
    return Suite("faults", title, tuple(_first_of_kinds(cases, limit)), len(cases), limit)


def _first_of_kinds(cases: Iterable[Example], limit: int | None) -> Iterator[Example]:
    """The first `limit` cases of every kind, whose languages take turns."""
    kinds: dict[str, dict[str, list[Example]]] = {}
    for case in cases:
        spoken = kinds.setdefault(case.origin.kind, {})
        spoken.setdefault(case.origin.language, []).append(case)
    for spoken in kinds.values():
        turns = (one for turn in zip_longest(*spoken.values()) for one in turn if one is not None)
        yield from islice(turns, limit)


def bfcl_suite(limit: int | None = None) -> Suite:
    """The single-turn questions of BFCL that are not live.

    Raises
    ------
    UserError: They are not installed.
    """
    cases = bfcl_cases()
    asked = {category: some[:limit] for category, some in cases.items()}
    return Suite(
        "bfcl",
        f"BFCL non-live, bfcl-eval {bfcl_version()}".strip(),
        tuple(case.example for some in asked.values() for case in some),
        sum(len(some) for some in cases.values()),
        limit,
        BFCL_TOKENS,
        asked,
    )


def result_of(
    suite: Suite,
    outcomes: Sequence[Outcome],
    *,
    failures: Sequence[str] = (),
    mode: Mode = "normalised",
    bootstrap: int = 1000,
) -> Result:
    """Score the answers to a suite.

    Parameters
    ----------
    outcomes: In the order of the suite's examples.
    failures: Why some of them have none.
    mode: How the values of arguments are compared; faults and BFCL have ways of their own.
    bootstrap: Resamples behind the intervals of the general scores.
    """
    answers = tuple(outcomes)
    suite = suite.answered(answers, failures)
    if suite.name == "bfcl":
        wrong, found = _wrong_of_bfcl(suite, answers), bfcl_scores(suite.cases, answers)
        return Result(suite, answers, score(answers, bootstrap=0), wrong, bfcl=found)
    if suite.name == "faults":
        return Result(
            suite,
            answers,
            score(answers, bootstrap=0),
            _wrong(suite, answers, recovered),
            recovery=recovery(answers),
            recovery_by={key: _recovery_by(answers, key) for key in GROUPS if key != "kind"},
        )
    return Result(
        suite,
        answers,
        score(answers, mode=mode, bootstrap=bootstrap),
        _wrong(suite, answers, lambda one: judge(one, mode).frame),
        groups={key: score_by(answers, key, mode=mode, bootstrap=bootstrap) for key in GROUPS},
    )


def _wrong(
    suite: Suite, outcomes: Sequence[Outcome], is_right: Callable[[Outcome], bool]
) -> tuple[Wrong, ...]:
    return tuple(Wrong(suite.name, one, one.example.calls) for one in outcomes if not is_right(one))


def _wrong_of_bfcl(suite: Suite, outcomes: Sequence[Outcome]) -> tuple[Wrong, ...]:
    cases = {case.example.id: case for some in suite.cases.values() for case in some}
    found = []
    for outcome in outcomes:
        case = cases[outcome.example.id]
        if reason := case_problem(case, outcome):
            found.append(Wrong(suite.name, outcome, nearest_answer(case, outcome), reason))
    return tuple(found)


def _recovery_by(outcomes: Sequence[Outcome], key: str) -> dict[str, Recovery]:
    """Recovery from all faults together, by language or domain."""
    ended: defaultdict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        ended[getattr(outcome.example.origin, key)].append(recovered(outcome))
    return {name: Recovery.of(sum(some), len(some)) for name, some in sorted(ended.items())}
