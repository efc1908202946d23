"""BFCL's questions from its wheel: how they are asked, how answers are judged, and how the mean is formed.

The judging of Java and JavaScript is held against the published checker, which `tests/metrics` also uses.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.errors import UserError
from fcray.evaluation.bfcl import (
    VERSION,
    Case,
    bfcl_cases,
    bfcl_scores,
    case_problem,
    nearest_answer,
)
from fcray.evaluation.bfcl.languages import (
    JAVA,
    JAVASCRIPT,
    PYTHON,
    Language,
    language_of,
    read_call,
    shown,
)
from fcray.inference.grammar import GrammarCompiler
from fcray.metrics import Outcome
from fcray.models import BaseModel
from fcray.prompting import tools_key
from fcray.tools import ToolCall
from tests.evaluation.bfcl_sources import any_text, java_kinds, javascript_kinds
from tests.examples import example
from tests.metrics import bfcl_reference
from tests.metrics.bfcl_mutations import MUTATIONS, mutated, right_calls
from tests.metrics.bfcl_reference import Reference, Row

SIZES = {
    "simple_python": 400,
    "simple_java": 100,
    "simple_javascript": 50,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "irrelevance": 240,
}


@pytest.fixture(scope="session")
def reference(wheel: Path) -> Reference:
    return bfcl_reference.load(wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what `pip install --no-deps` leaves of the wheel's data."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if "/data/" in name or ".dist-info/" in name or name == "bfcl_eval/__init__.py":
                archive.extract(name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    importlib.invalidate_caches()


def test_the_grammar_can_hold_every_question_to_its_tools(
    installed: Path, tiny_base: BaseModel
) -> None:
    compiler = GrammarCompiler(tiny_base.tokenizer, len(tiny_base.tokenizer))
    lists = {
        tools_key(case.example.tools): case.example
        for cases in bfcl_cases().values()
        for case in cases
    }
    refused = {}
    for asked in lists.values():
        try:
            compiler.matcher(asked.tools, plain=True, call=True, parallel=True)
        except UserError as error:
            refused[asked.id] = str(error)
    assert not refused
    assert len(lists) > 1000


@pytest.fixture(scope="module")
def cases(installed: Path) -> dict[str, list[Case]]:
    return bfcl_cases()


def answered(case: Case, *calls: ToolCall, valid: bool = True) -> Outcome:
    return Outcome(example=case.example, calls=calls, text="", valid=valid, seconds=1.0)


def case_of(category: str, functions: list[dict[str, Any]], *answers: dict[str, Any]) -> Case:
    made = example("Please.")
    origin = made.origin.model_copy(update={"kind": category})
    gold = [
        ToolCall(name=name.replace(".", "_"), arguments={k: v[0] for k, v in allowed.items()})
        for answer in answers
        for name, allowed in answer.items()
    ]
    made = made.model_copy(update={"origin": origin, "calls": tuple(gold), "id": f"{category}_0"})
    return Case(made, tuple(functions), answers)


def function(name: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schemas = {
        key: {"description": f"The {key}.", **value} if isinstance(value, dict) else
        {"description": f"The {key}.", "type": value}
        for key, value in properties.items()
    }  # fmt: skip
    parameters = {"type": "dict", "properties": schemas, "required": list(required)}
    return {"name": name, "description": "Does it.", "parameters": parameters}


def test_all_questions_are_read(cases: dict[str, list[Case]]) -> None:
    assert {category: len(some) for category, some in cases.items()} == SIZES
    everything = [case for some in cases.values() for case in some]
    assert len({case.example.id for case in everything}) == len(everything)
    for case in everything:
        assert case.example.origin.kind == case.category
        assert len(case.example.tools) == len(case.functions)
        assert bool(case.answers) is (case.category != "irrelevance")
        assert [c.name for c in case.example.calls] == [
            next(iter(answer)).replace(".", "_") for answer in case.answers
        ]
        assert {c.name for c in case.example.calls} <= {t.name for t in case.example.tools}
    assert "bfcl_eval" not in sys.modules


def test_functions_are_shown_as_the_leaderboard_shows_them(
    wheel: Path, cases: dict[str, list[Case]]
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read("bfcl_eval/utils.py").decode()
    begin = source.index("def _get_language_specific_hint")
    end = source.index("def add_language_specific_hint_to_function_doc")
    theirs: dict[str, Any] = {
        "json": json,
        "is_java": lambda name: name == "simple_java",
        "is_js": lambda name: name == "simple_javascript",
    }
    exec("from __future__ import annotations\n" + source[begin:end], theirs)
    for category, some in cases.items():
        language = {"simple_java": JAVA, "simple_javascript": JAVASCRIPT}.get(category, PYTHON)
        for case in some:
            copied = json.loads(json.dumps(list(case.functions)))
            expected = theirs["_func_doc_language_specific_pre_processing"](copied, category)
            assert [shown(one, language) for one in case.functions] == expected


def test_right_answers_pass_and_the_mean_is_that_of_four(cases: dict[str, list[Case]]) -> None:
    """Every gold answer in Python passes, but for two that break the leaderboard's own rules."""
    outcomes = [answered(case, *case.example.calls) for some in cases.values() for case in some]
    scores = bfcl_scores(cases, outcomes)
    assert {name: one.cases for name, one in scores.categories.items()} == SIZES
    missed = {name: one.cases - one.passed for name, one in scores.categories.items()}
    assert {name: count for name, count in missed.items() if count and "java" not in name} == {
        "simple_python": 1,
        "parallel_multiple": 1,
    }
    share = {name: one.accuracy for name, one in scores.categories.items()}
    simple = (share["simple_python"] + share["simple_java"] + share["simple_javascript"]) / 3
    mean = (simple + share["multiple"] + share["parallel"] + share["parallel_multiple"]) / 4
    assert scores.non_live_ast == pytest.approx(mean)
    assert scores.interval is not None
    assert scores.interval.low <= mean <= scores.interval.high
    assert scores.version == bfcl_reference.VERSION == VERSION
    json.dumps(scores.to_dict(), allow_nan=False)


def test_the_mean_is_absent_while_a_category_is(cases: dict[str, list[Case]]) -> None:
    some = {"multiple": cases["multiple"][:4], "irrelevance": cases["irrelevance"][:2]}
    outcomes = [answered(case) for part in some.values() for case in part]
    scores = bfcl_scores(some, outcomes)
    assert scores.non_live_ast is None
    assert scores.interval is None
    assert scores.categories["multiple"].passed == 0
    assert scores.categories["irrelevance"].accuracy == 1.0
    with pytest.raises(ValueError, match="no outcome for"):
        bfcl_scores(some, outcomes[1:])


def texts(language: Language, value: Any, kind: str, inner: str, dice: random.Random) -> str:
    """One way to write a gold value as source text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        endings = {"long": "L", "float": "f"} if language is JAVA else {"Bigint": "n"}
        return f"{value}{endings.get(kind, '')}"
    if isinstance(value, list):
        items = [
            f'"{one}"'
            if isinstance(one, str) and (language is JAVASCRIPT or dice.random() < 0.5)
            else texts(language, one, inner, "", dice)
            for one in value
        ]
        return listed(language, items, kind, dice)
    if isinstance(value, dict):
        fields = {key: written(one, dice) for key, one in value.items()}
        if language is JAVASCRIPT:
            return "{" + ", ".join(f"'{key}': {one}" for key, one in fields.items()) + "}"
        put = "".join(f' put("{key}", {one});' for key, one in fields.items())
        return "new HashMap<String, Object>() {{" + put + " }}"
    return f'"{value}"' if dice.random() < 0.2 else str(value)


def listed(language: Language, items: list[str], kind: str, dice: random.Random) -> str:
    """One way to write a list."""
    if language is JAVASCRIPT:
        return f"[{', '.join(items)}]" if dice.random() < 0.7 else f"new Array({','.join(items)})"
    if kind == "Array":
        return f"new Object[]{{{', '.join(items)}}}"
    if dice.random() < 0.5:
        return f"new ArrayList<Object>(Arrays.asList({', '.join(items)}))"
    return "new ArrayList<>() {{" + "".join(f" add({one});" for one in items) + " }}"


def written(allowed: Any, dice: random.Random) -> str:
    """A field of an object: one of its allowed values as JSON, which both languages read."""
    values = [one for one in allowed if one != ""] if isinstance(allowed, list) else [allowed]
    return json.dumps(dice.choice(values)) if values else '""'


def spoilt(text: str, dice: random.Random) -> Any:
    """What a model may have made of it."""
    spelt = [text, text, text.upper(), text[:-1], f"{text} ", f'"{text}"', text.replace(", ", ",")]
    return dice.choice([*spelt, "", 5, [text], True, None])


@pytest.mark.parametrize("category", ["simple_java", "simple_javascript"])
def test_source_text_is_judged_as_the_published_checker_does(
    category: str, reference: Reference, cases: dict[str, list[Case]]
) -> None:
    language = JAVA if category == "simple_java" else JAVASCRIPT
    theirs_of = {JAVA.name: reference.language.JAVA, JAVASCRIPT.name: reference.language.JAVASCRIPT}
    dice = random.Random(0)
    verdicts: Counter[bool] = Counter()
    for case in cases[category]:
        ((name, allowed),) = case.answers[0].items()
        properties = case.functions[0]["parameters"]["properties"]
        for trial in range(40):
            arguments = {}
            for key, values in allowed.items():
                given = [value for value in values if value != ""]
                if not given or ("" in values and dice.random() < 0.3):
                    continue
                schema = properties.get(key, {"type": "any"})
                inner = schema.get("items", {}).get("type", "")
                arguments[key] = texts(language, dice.choice(given), schema["type"], inner, dice)
            if arguments and trial % 2:
                spoil = dice.choice(list(arguments))
                arguments[spoil] = spoilt(arguments[spoil], dice)
            call = ToolCall(name=name.replace(".", "_"), arguments=arguments)
            found = reference.check(
                list(case.functions),
                [{call.name: dict(arguments)}],
                list(case.answers),
                theirs_of[language.name],
                category,
                bfcl_reference.MODEL,
            )
            verdicts[found["valid"]] += 1
            ours = case_problem(case, answered(case, call))
            assert (not ours) is found["valid"], (case.example.id, arguments, ours, found)
    assert min(verdicts.values()) > 500


def test_json_arguments_are_judged_as_the_published_checker_does(
    reference: Reference, cases: dict[str, list[Case]]
) -> None:
    dice = random.Random(0)
    verdicts: Counter[bool] = Counter()
    for category in ("simple_python", "multiple", "parallel", "parallel_multiple"):
        for case in cases[category]:
            right = right_calls(list(case.answers), dice)  # type: ignore[arg-type]
            for mutation in MUTATIONS.values():
                calls = mutated(right, mutation, dice)
                row = Row(case.example.id, category, list(case.functions), list(case.answers))  # type: ignore[arg-type]
                try:
                    theirs = reference.passes(row, [{name: given} for name, given in calls])
                except (AttributeError, TypeError, KeyError, OverflowError):
                    continue  # it breaks down on a value of an odd type
                verdicts[theirs] += 1
                made = [ToolCall(name=name, arguments=given) for name, given in calls]
                assert (not case_problem(case, answered(case, *made))) is theirs
    assert min(verdicts.values()) > 5_000


given_arguments = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    any_text | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.text()),
)
allowed_values = st.lists(
    st.text(max_size=3) | st.integers() | st.floats() | st.booleans() | st.lists(st.integers()),
    min_size=1,
)


@settings(max_examples=500)
@given(st.data())
def test_no_argument_breaks_the_judging(data: st.DataObject) -> None:
    category, own = data.draw(
        st.sampled_from([("simple_java", java_kinds), ("simple_javascript", javascript_kinds)])
    )
    schema = st.builds(lambda kind, inner: {"type": kind, "items": {"type": inner}}, own, own)
    one = function("f", ("a",), a=data.draw(schema), b=data.draw(schema))
    call = ToolCall(name="f", arguments=data.draw(given_arguments))
    language = language_of(category)
    read = read_call(call, data.draw(st.sampled_from([one, None])), language)
    if all(isinstance(value, str) for value in call.arguments.values()):
        assert isinstance(read, ToolCall)
        assert read.name == call.name
        assert read.arguments.keys() == call.arguments.keys()
    else:
        assert isinstance(read, str)
        assert read.endswith(f"which is not {language.name} as text")
    case = case_of(category, [one], {"f": {name: data.draw(allowed_values) for name in "ab"}})
    problem = case_problem(case, answered(case, call))
    assert isinstance(problem, str)
    assert problem or isinstance(read, ToolCall)


def test_names_with_dots_are_compared_without_them() -> None:
    case = case_of(
        "multiple", [function("math.add", ("x",), x="integer")], {"math.add": {"x": [1]}}
    )
    assert case_problem(case, answered(case, ToolCall(name="math_add", arguments={"x": 1}))) == ""
    assert "calls 'math.add'" in case_problem(
        case, answered(case, ToolCall(name="math.add", arguments={"x": 1}))
    )


def test_what_cannot_be_parsed_is_no_call() -> None:
    called = case_of("simple_python", [function("f")], {"f": {}})
    assert case_problem(called, answered(called, ToolCall(name="f"))) == ""
    said = case_problem(called, answered(called, ToolCall(name="f"), valid=False))
    assert said == "the answer could not be parsed"
    none = case_of("irrelevance", [function("f")])
    assert "where no call is right" in case_problem(none, answered(none, ToolCall(name="f")))
    assert case_problem(none, answered(none, ToolCall(name="f"), valid=False)) == ""


def test_java_takes_every_argument_as_text() -> None:
    case = case_of("simple_java", [function("A.f", ("n",), n="long")], {"A.f": {"n": [5]}})
    assert case_problem(case, answered(case, ToolCall(name="A_f", arguments={"n": "5L"}))) == ""
    wrong = case_problem(case, answered(case, ToolCall(name="A_f", arguments={"n": "5"})))
    assert wrong == "A_f has the wrong value '5' for 'n'"
    number = case_problem(case, answered(case, ToolCall(name="A_f", arguments={"n": 5})))
    assert number == "A_f has 5 for 'n', which is not Java as text"
    other = case_problem(case, answered(case, ToolCall(name="g", arguments={"n": "5L"})))
    assert other == "calls 'g' instead of 'A_f'"


def test_the_right_answer_shown_is_the_nearest() -> None:
    tools = [function("f", ("a", "b"), a="string", b="integer", c="string", d="string")]
    answer = {"f": {"a": ["New York", "NYC"], "b": [1, 2], "c": ["", "x"], "d": ["u", ""]}}
    case = case_of("parallel", tools, answer, {"f": {"a": ["Rome"], "b": [3]}})
    case = Case(
        case.example.model_copy(
            update={
                "calls": (
                    ToolCall(name="f", arguments={"a": "New York", "b": 1, "d": "u"}),
                    ToolCall(name="f", arguments={"a": "Rome", "b": 3}),
                )
            }
        ),
        case.functions,
        case.answers,
    )
    rome = ToolCall(name="f", arguments={"a": "rome", "b": 9})
    york = ToolCall(name="f", arguments={"a": "NYC", "b": 9, "c": "x", "e": 1})
    assert nearest_answer(case, answered(case, rome, york)) == (
        ToolCall(name="f", arguments={"a": "NYC", "b": 1, "c": "x"}),
        ToolCall(name="f", arguments={"a": "rome", "b": 3}),
    )
    assert nearest_answer(case, answered(case)) == case.example.calls


def test_the_nearest_answer_is_always_right(cases: dict[str, list[Case]]) -> None:
    dice = random.Random(0)
    for category in ("simple_python", "multiple", "parallel", "parallel_multiple"):
        for case in cases[category]:
            if case_problem(case, answered(case, *case.example.calls)):
                continue  # no answer passes
            right = [(call.name, call.arguments) for call in case.example.calls]
            for mutation in MUTATIONS.values():
                calls = [
                    ToolCall(name=name, arguments=arguments)
                    for name, arguments in mutated(right, mutation, dice)
                ]
                outcome = answered(case, *calls)
                nearest = nearest_answer(case, outcome)
                assert not case_problem(case, answered(case, *nearest)), (case.example.id, calls)
                if category.startswith(("simple", "multiple")) and not case_problem(case, outcome):
                    assert nearest == outcome.calls


def test_without_the_wheel_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcray.evaluation.bfcl.cases.PACKAGE", "no_such_package_of_questions")
    with pytest.raises(UserError, match=r"pip install --no-deps bfcl-eval==2026\.3\.23"):
        bfcl_cases()
    with pytest.raises(UserError, match="known are simple_python, simple_java"):
        bfcl_cases(["live_simple"])


def test_files_that_are_none_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "other_eval" / "data"
    (data / "possible_answer").mkdir(parents=True)
    (tmp_path / "other_eval" / "__init__.py").write_text("")
    monkeypatch.setattr("fcray.evaluation.bfcl.cases.PACKAGE", "other_eval")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"BFCL_v4_multiple\.json: there is no such file"):
        bfcl_cases(["multiple"])
    name = "BFCL_v4_multiple.json"
    (data / "possible_answer" / name).write_text('{"id": "a", "ground_truth": [{"f": {}}]}\n')
    for row, said in [
        ("nonsense", r"BFCL_v4_multiple\.json:1: not a question of BFCL: not JSON"),
        ('{"id": "b"}', "no answer in the file of answers"),
        ('{"id": "a"}', "not a question of BFCL: 'function'"),
        ('{"id": "a", "function": [{"name": "f"}], "question": []}', "'description'"),
    ]:
        (data / name).write_text(f"{row}\n")
        with pytest.raises(UserError, match=said):
            bfcl_cases(["multiple"])
