"""BFCL's questions that are not live and have one turn: read from the installed `bfcl-eval`, and judged.

The package's data files are read, its code is never run: it asks for dozens of vendors' clients. What the
leaderboard does around its check is done here as `bfcl-eval` 2026.3.23 does it:

- A function's description says in which language's syntax it is, and a Java or JavaScript function takes
  every argument as source text, which is read back before it is compared (`languages`).
- Functions are shown as `fcray data import bfcl` reads them. Names have underscores where OpenAI's rule
  forbids a character, dots above all; answers are compared under these names.
- An answer that cannot be parsed is none: wrong where a call is asked for, right where none is.

Knows nothing of models, Ray or how answers are counted (`scores`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcray.dataset import files
from fcray.dataset.formats import FORMATS, RowError, Source
from fcray.dataset.formats.calls import safe_name
from fcray.dataset.transfer import answers_in
from fcray.errors import UserError
from fcray.evaluation.bfcl.languages import Function, judged, language_of, read_call, shown
from fcray.metrics import Answer, Outcome, bfcl_problem
from fcray.tools import Example, ToolCall

PACKAGE = "bfcl_eval"
DISTRIBUTION = "bfcl-eval"
VERSION = "2026.3.23"
"""The version of `bfcl-eval` that this was written from and tested against."""

SIMPLE = ("simple_python", "simple_java", "simple_javascript")
IRRELEVANCE = "irrelevance"
CATEGORIES = (*SIMPLE, "multiple", "parallel", "parallel_multiple", IRRELEVANCE)


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes
    ----------
    example: What the model is asked. Its gold calls have the first of the allowed values, and its origin's
        kind is the category.
    functions: What is offered, as the file has it.
    answers: The possible answers, as the file has them; none where no call is right.
    """

    example: Example
    functions: tuple[Function, ...]
    answers: tuple[Answer, ...] = ()

    @property
    def category(self) -> str:
        return self.example.origin.kind


def bfcl_version() -> str:
    """The version of the installed `bfcl-eval`; empty where the package does not say."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return ""


def bfcl_cases(categories: Sequence[str] | None = None) -> dict[str, list[Case]]:
    """The questions of `categories` (None: of all) by category, in the order of the files.

    Raises
    ------
    UserError: `bfcl-eval` is not installed, a category is unknown, or a file of it cannot be read.
    """
    wanted = list(CATEGORIES if categories is None else categories)
    for category in wanted:
        if category not in CATEGORIES:
            raise UserError(
                f"there is no BFCL category {category!r} here; known are {', '.join(CATEGORIES)}"
            )
    folder = _data_folder()
    return {category: list(_cases(folder, category)) for category in wanted}


def _data_folder() -> Path:
    """Where the installed package has its data; it is looked for, not imported."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise UserError(
            "BFCL's questions stand in a package that is not installed: "
            f"pip install --no-deps {DISTRIBUTION}=={VERSION}",
            field="bfcl",
        )
    return Path(places[0]) / "data"


def _cases(folder: Path, category: str) -> Iterator[Case]:
    name = f"BFCL_v4_{category}.json"
    url = str(folder / name)
    answers = {} if category == IRRELEVANCE else answers_in(str(folder / "possible_answer" / name))
    for number, record in enumerate(files.read(url)):
        try:
            if record.problem:
                raise RowError(record.problem)
            yield _case(record.value, category, Source("bfcl", number, "bfcl", answers=answers))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"not a question of BFCL: {error}"
            raise UserError(reason, file=url, line=record.line) from None


def _case(row: Mapping[str, Any], category: str, source: Source) -> Case:
    if category != IRRELEVANCE and row["id"] not in source.answers:
        raise RowError("it has no answer in the file of answers")
    language = language_of(category)
    changed = {**row, "function": [shown(one, language) for one in row["function"]]}
    (example,) = FORMATS["bfcl"].read(changed, source)
    origin = example.origin.model_copy(update={"kind": category})
    return Case(
        example.model_copy(update={"origin": origin}),
        tuple(row["function"]),
        tuple(source.answers.get(row["id"], ())),
    )


def case_problem(case: Case, outcome: Outcome) -> str:
    """The first reason why an answer does not pass; empty when it does."""
    if case.category == IRRELEVANCE:
        return bfcl_problem((), outcome.calls if outcome.valid else (), (), IRRELEVANCE)
    if not outcome.valid:
        return "the answer could not be parsed"
    return _problem(case, outcome.calls, case.answers)


def _problem(case: Case, calls: Sequence[ToolCall], answers: Sequence[Answer]) -> str:
    language = language_of(case.category)
    functions = {safe_name(one["name"]): one for one in reversed(case.functions)}
    values = []
    for call in calls:
        read = read_call(call, functions.get(call.name), language)
        if isinstance(read, str):
            return read
        values.append(read)
    tools = [judged(name, one, language) for name, one in functions.items()]
    named = [{safe_name(name): allowed for name, allowed in one.items()} for one in answers]
    return bfcl_problem(
        tools, values, named, "simple" if case.category in SIMPLE else case.category
    )


def nearest_answer(case: Case, outcome: Outcome) -> tuple[ToolCall, ...]:
    """The right calls with the model's own values where these are allowed, to be shown beside its calls."""
    free = list(outcome.calls)
    right = []
    for gold, answer in zip(case.example.calls, case.answers, strict=True):
        alone = _alone(case, answer)
        fitting = {
            index: [name for name in call.arguments if _fits(alone, call, answer, name)]
            for index, call in enumerate(free)
            if call.name == gold.name
        }
        if fitting:
            passing = {index: not _problem(alone, [free[index]], [answer]) for index in fitting}
            best = max(fitting, key=lambda index: (passing[index], len(fitting[index])))
            right.append(_nearest(gold, free.pop(best), fitting[best], alone))
        else:
            right.append(gold)
    return tuple(right)


def _alone(case: Case, answer: Answer) -> Case:
    """A question for one of the answers alone, which offers its function only."""
    (name,) = answer
    function = next(one for one in case.functions if one["name"] == name)
    return Case(case.example, (function,), (answer,))


def _fits(alone: Case, call: ToolCall, answer: Answer, argument: str) -> bool:
    """Whether one argument of a call is right, whatever the others are."""
    ((name, allowed),) = answer.items()
    (function,) = alone.functions
    properties = function["parameters"]["properties"]
    if argument not in allowed or argument not in properties:
        return False
    bare = {"name": name, "parameters": {"properties": {argument: properties[argument]}}}
    said = ToolCall(name=call.name, arguments={argument: call.arguments[argument]})
    return not _problem(
        Case(alone.example, (bare,)), [said], [{name: {argument: allowed[argument]}}]
    )


def _nearest(gold: ToolCall, said: ToolCall, fitting: Sequence[str], alone: Case) -> ToolCall:
    """The gold call without what the model rightly left out, with the values that it has right."""
    ((allowed,),) = (answer.values() for answer in alone.answers)
    required = alone.functions[0]["parameters"].get("required", ())
    arguments = {
        name: value
        for name, value in gold.arguments.items()
        if name in said.arguments or name in required or "" not in allowed[name]
    }
    fits = {name: said.arguments[name] for name in fitting}
    return ToolCall(name=gold.name, arguments=arguments | fits)
