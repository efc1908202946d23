"""Reference tools fit the shipped catalogs: the same arguments, and no clean call is refused."""

from __future__ import annotations

import copy
import inspect
import json
import random
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.dataset.pools import LANGUAGES
from fcray.dataset.speech import resolved
from fcray.dataset.templates import Template
from fcray.domains import REFERENCES, Refused, execute
from tests.dataset.catalogs import shipped

WITHOUT_REFERENCE = {"screen_funds", "list_alarms", "track_package"}
"""Their schemas say all that there is to check."""

FILLINGS = 40
"""Random fillings of a template."""

TODAYS = (
    date(2024, 1, 1),  # rows play on days from here
    date(2024, 2, 29),
    date(2024, 12, 31),
    date(2025, 6, 15),  # a Sunday
    date(2025, 11, 3),  # a Monday
    date(2026, 3, 13),
    date(2027, 1, 1),  # to here
)

Said = tuple[str, dict[str, Any], date]
"""Where a call came from, its arguments, and the row's day."""


def filled(tool: str) -> Iterator[Said]:
    """Random fillings of every template of a tool."""
    rng = random.Random(tool)
    for template in _templates(tool):
        for _ in range(FILLINGS):
            today = rng.choice(TODAYS)
            stated = template.fill(rng.randrange(template.size)).arguments
            yield template.id, _on(today, stated), today


def _on(today: date, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: resolved(value, today) for name, value in arguments.items()}


def said_later(tool: str) -> Iterator[Said]:
    """Calls of several turns: what was left out is said later, or one argument is said anew.

    They put values and arguments together that no template of the tool does.
    """
    rng = random.Random(tool)
    about = shipped().about[tool]
    for template in (*about.incomplete, *_templates(tool)):
        for _ in range(FILLINGS // 4):
            today = rng.choice(TODAYS)
            stated = dict(template.fill(rng.randrange(template.size)).arguments)
            said = [name for name in shipped().tools[tool].required if name not in stated]
            if not said and stated:
                said = [rng.choice(list(stated))]
            for name in said:
                stated[name] = rng.choice(about.forms[name][template.language]).value
            yield f"{template.id} and {', '.join(said)} later", _on(today, stated), today


def every_value(tool: str) -> Iterator[Said]:
    """Calls that hold each value of each argument at least once."""
    for argument, spoken in shipped().about[tool].forms.items():
        for language, forms in spoken.items():
            template = next(t for t in shipped().of(tool, language) if argument in t.forms)
            stated = template.fill(0).arguments
            for index, form in enumerate(forms):
                today = TODAYS[index % len(TODAYS)]
                yield template.id, _on(today, {**stated, argument: form.value}), today


def _templates(tool: str) -> list[Template]:
    return [template for language in LANGUAGES for template in shipped().of(tool, language)]


@cache
def refusals(tool: str) -> tuple[str, ...]:
    """Every clean call of a tool that is refused, with its day and without one."""
    found = []
    for source, arguments, today in (*filled(tool), *said_later(tool), *every_value(tool)):
        for day in (today, None):
            try:
                execute(tool, arguments, day)
            except Refused as refused:
                found.append(f"{source} on {day}: {refused}")
    return tuple(found)


def test_a_tool_has_a_reference_or_is_known_to_have_none() -> None:
    assert set(REFERENCES) | WITHOUT_REFERENCE == set(shipped().tools.names)
    assert not set(REFERENCES) & WITHOUT_REFERENCE


@pytest.mark.parametrize("tool", REFERENCES)
def test_a_reference_takes_the_arguments_of_the_schema(tool: str) -> None:
    parameters = dict(inspect.signature(REFERENCES[tool]).parameters)
    today = parameters.pop("today", None)
    if today is not None:
        assert today.kind is inspect.Parameter.KEYWORD_ONLY
    schema = shipped().tools[tool]
    assert list(parameters) == list(schema.properties)
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    assert tuple(required) == schema.required


@pytest.mark.parametrize("tool", REFERENCES)
def test_what_a_catalog_says_is_accepted(tool: str) -> None:
    refused = refusals(tool)
    assert not refused, "\n".join(refused[:5])


@pytest.mark.parametrize("tool", REFERENCES)
def test_a_result_is_json_and_the_same_every_time(tool: str) -> None:
    source, arguments, today = next(
        said for said in filled(tool) if not _is_refused(tool, said[1], said[2])
    )
    before = copy.deepcopy(arguments)
    first = execute(tool, arguments, today)
    assert isinstance(first, dict), source
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert execute(tool, arguments, today) == first
    assert arguments == before


def _is_refused(tool: str, arguments: dict[str, Any], today: date) -> bool:
    try:
        execute(tool, arguments, today)
    except Refused:
        return True
    return False


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.dates().map(str),
    st.datetimes().map(lambda when: when.isoformat(timespec="minutes")),
    st.times().map(lambda when: when.isoformat(timespec="minutes")),
    st.sampled_from(["pump-7", "none", "a@b.cd", "USD", "sick", "week", "friday"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("tool", REFERENCES)
@settings(max_examples=60)
@given(data=st.data())
def test_any_arguments_give_a_result_or_a_refusal(tool: str, data: st.DataObject) -> None:
    """Whatever a model or a file says, no other error comes out."""
    calls = _some_calls(tool)
    arguments = copy.deepcopy(data.draw(st.sampled_from(calls)))
    changed = data.draw(st.sampled_from(_places(arguments)))
    _put(arguments, changed, data.draw(JSON))
    today = data.draw(st.sampled_from((None, *TODAYS)))
    try:
        json.dumps(execute(tool, arguments, today))
    except Refused as refused:
        assert str(refused).endswith(".")
        assert "\n" not in str(refused)


@cache
def _some_calls(tool: str) -> list[dict[str, Any]]:
    return [arguments for _, arguments, _ in filled(tool)][:: FILLINGS // 2]


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside, and to one that is not there."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = [("unheard-of",)] if not at else []
    for key, one in inside:
        found.append((*at, key))
        if isinstance(one, dict | list):
            found += _places(one, (*at, key))
    return found


def _put(value: Any, at: tuple[Any, ...], new: Any) -> None:
    *way, last = at
    for key in way:
        value = value[key]
    value[last] = new


def test_an_unknown_tool_is_a_key_error() -> None:
    for name in ("get_horoscope", *WITHOUT_REFERENCE):
        with pytest.raises(KeyError, match=name):
            execute(name, {}, None)


def test_an_argument_that_the_tool_lacks_is_refused() -> None:
    with pytest.raises(Refused, match=r"^limit 3 is no argument of get_stock_quote\.$"):
        execute("get_stock_quote", {"company": "Apple", "limit": 3}, None)
    # The row tells the day; a call cannot.
    with pytest.raises(
        Refused, match=r'^today "2026-01-01" is no argument of estimate_due_date\.$'
    ):
        execute("estimate_due_date", {"weeks": 8, "today": "2026-01-01"}, date(2026, 3, 13))


def test_an_argument_that_is_missing_is_refused() -> None:
    with pytest.raises(
        Refused, match=r"^to_currency is missing, and get_exchange_rate needs it\.$"
    ):
        execute("get_exchange_rate", {"from_currency": "USD"}, None)
