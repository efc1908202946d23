"""Kinds of rows beside the plain call: faults, contrasts, several calls, several turns.

Each kind makes a row of one or two filled templates. What the assistant says in between is fixed wording
here; what a user says is a template's or names an argument by its label. Pure: the row's own generator of
random numbers decides everything. Knows nothing of splits or files.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fcray.dataset import limits
from fcray.dataset.catalog import About, Catalog
from fcray.dataset.derive import spoken_argument
from fcray.dataset.offers import Offers
from fcray.dataset.pools import Form
from fcray.dataset.results import dumps, given_back, is_failure
from fcray.dataset.speech import When, context, resolved
from fcray.dataset.templates import Filled, Template, same
from fcray.tools import Language, Message, Tool, ToolCall

OFFERED = "{tools}"
"""What stands in an answer for the names of a few tools that are offered."""

FIRST_STEPS = 0.4
"""Share of the sequences of which nothing is done yet."""

FIRST_DAY = date(2024, 1, 1)
DAYS = 3 * 366
"""Rows play on a day of these, from `FIRST_DAY` on."""


@dataclass(frozen=True)
class Made:
    """A row without its id: what was said, what is offered, and what is right."""

    messages: tuple[Message, ...]
    calls: tuple[ToolCall, ...] = ()
    response: str = ""
    tools: tuple[Tool, ...] = ()
    """What is offered; empty: what the row's other parts need, and others."""


class Row:
    """What every maker works with: the catalog, the day, what is offered, and the row's own chance."""

    def __init__(self, catalog: Catalog, seed: str, offers: Offers, identity: str = "") -> None:
        self.catalog = catalog
        self.rng = random.Random(seed)
        self._offers = offers
        self._identity = identity
        self.today = FIRST_DAY + timedelta(days=self.rng.randrange(DAYS))
        self._told_day = self.today if catalog.has_relative_dates else None

    def call(self, tool: str, arguments: Mapping[str, Any]) -> ToolCall:
        """A call with its relative dates resolved, its arguments in the schema's order."""
        meant = {name: resolved(value, self.today) for name, value in arguments.items()}
        return ToolCall(name=tool, arguments=self.catalog.tools[tool].ordered(meant))

    def offered(
        self, needed: Sequence[str], *, without: str = "", alike: bool = True
    ) -> tuple[Tool, ...]:
        """What the row is offered; see `Offers.of`."""
        return self._offers.of(self._identity, needed, without=without, alike=alike)

    def gold(self, filled: Filled) -> ToolCall:
        return self.call(filled.template.tool, filled.arguments)

    def about(self, tool: str) -> About:
        return self.catalog.about[tool]

    def label(self, tool: str, argument: str, language: Language) -> str:
        return label_of(self.catalog, tool, argument, language)

    def property(self, tool: str, argument: str) -> Mapping[str, Any]:
        """An argument's schema."""
        found: Mapping[str, Any] = self.catalog.tools[tool].properties.get(argument, {})
        return found

    def alone(self, tool: str, argument: str, language: Language) -> list[Form]:
        """An argument's forms that can stand without what they count: 两 cannot."""
        forms = self.about(tool).forms.get(argument, {}).get(language, ())
        return [form for form in forms if form.spoken != "两"]

    def other(self, tool: str, argument: str, language: Language, value: Any) -> Form | None:
        """Another value of an argument, said in another way."""
        forms = self.alone(tool, argument, language)
        for _ in range(20 if forms else 0):
            form = self.rng.choice(forms)
            now, then = (resolved(one, self.today) for one in (form.value, value))
            if not same(now, then):
                return form
        return None

    def result(
        self, call: ToolCall, language: Language, *, done: bool = False
    ) -> tuple[str, str] | None:
        """What the tool gives back, as JSON, and what is then said.

        Parameters
        ----------
        done: Nothing but a result that says so will do.
        """
        found = [
            (value, said)
            for value, said in given_back(self.about(call.name), call, self._told_day, language)
            if not (done and is_failure(value))
        ]
        if not found:
            return None
        value, said = self.rng.choice(found)
        return dumps(value), said

    def told(self, language: Language, *messages: Message) -> tuple[Message, ...]:
        """The conversation, with the day told first where the catalog's tools depend on it.

        All rows of a dataset tell it or none does, so that nothing can be guessed from its being there.
        """
        if not self.catalog.has_relative_dates:
            return messages
        return (Message(role="system", content=context(self.today, language)), *messages)


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _says(text: str) -> Message:
    return Message(role="assistant", content=text)


def _calls(*calls: ToolCall) -> Message:
    return Message(role="assistant", tool_calls=calls)


def call(row: Row, filled: Filled) -> Made:
    """A request that states everything."""
    said = row.told(filled.template.language, _user(filled.request))
    return Made(said, (row.gold(filled),))


def answered(row: Row, filled: Filled) -> Made | None:
    """A request that is answered in words: small talk, an invalid value."""
    template = filled.template
    said = row.told(template.language, _user(filled.request))
    if OFFERED not in template.answer:
        return Made(said, response=template.answer)
    tools = row.offered(())
    shown = (tool.name for tool in row.rng.sample(tools, min(3, len(tools))))
    names = ("、" if template.language == "zh" else ", ").join(shown)
    return Made(said, response=template.answer.replace(OFFERED, names), tools=tools)


def contrast(row: Row, filled: Filled) -> Made | None:
    """Nearly the words of a request: words are right, or another tool."""
    return call(row, filled) if filled.template.tool else answered(row, filled)


def invalid(row: Row, filled: Filled) -> Made | None:
    """A value that the schema does not allow: say so."""
    if not filled.template.tool:
        return answered(row, filled)
    language, tool = filled.template.language, filled.template.tool
    names = [n for n in filled.arguments if limits.spoilable(row.property(tool, n), filled, n)]
    if not names:
        return None
    name = row.rng.choice(names)
    words, why = limits.spoiled(row.property(tool, name), filled, name, row.rng)
    label = row.label(tool, name, language)
    answer = (
        why.format(label=label) if language == "zh" else _sentence(why.format(label=f"the {label}"))
    )
    return Made(row.told(language, _user(filled.with_words(name, words))), response=answer)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def missing(row: Row, filled: Filled) -> Made | None:
    """A required argument is not said: it is asked for."""
    said = row.told(filled.template.language, _user(filled.request))
    return Made(said, response=_question(row, filled))


def _absent(row: Row, filled: Filled) -> list[str]:
    tool = row.catalog.tools[filled.template.tool]
    return [name for name in tool.required if name not in filled.arguments]


def _question(row: Row, filled: Filled) -> str:
    language, tool = filled.template.language, filled.template.tool
    labels = [label_of(row.catalog, tool, name, language) for name in _absent(row, filled)]
    return question(labels, language)


def question(labels: Sequence[str], language: Language) -> str:
    """How missing arguments are asked for."""
    if language == "zh":
        return f"请问{'、'.join(labels)}是什么？"
    return f"Could you tell me the {' and the '.join(labels)}?"


def label_of(catalog: Catalog, tool: str, argument: str, language: Language) -> str:
    """How an argument is named; derived from its name where the catalog does not say."""
    given = catalog.about[tool].labels.get(argument, {}).get(language)
    schema = catalog.tools[tool].properties.get(argument, {})
    return given or spoken_argument(argument, schema, language)


def slot_filling(row: Row, filled: Filled) -> Made | None:
    """What was missing is said in a second turn."""
    language, tool = filled.template.language, filled.template.tool
    arguments, words = dict(filled.arguments), list[str]()
    absent = _absent(row, filled)
    for name in absent:
        forms = row.alone(tool, name, language)
        if not forms:
            return None
        form = row.rng.choice(forms)
        arguments[name] = form.value
        label = row.label(tool, name, language)
        words.append(_labelled(label, form, language) if len(absent) > 1 else form.spoken)
    turns = [
        _user(filled.request),
        _says(_question(row, filled)),
        _user(("，" if language == "zh" else ", ").join(words)),
    ]
    return Made(row.told(language, *turns), (row.call(tool, arguments),))


def _labelled(label: str, form: Form, language: Language) -> str:
    if _is_adverb(form, language):
        return form.spoken
    return f"{label}是{form.spoken}" if language == "zh" else f"the {label} is {form.spoken}"


def _is_adverb(form: Form, language: Language) -> bool:
    """Whether a form stands for itself ("on Monday"), so that "the day is …" would sound wrong."""
    if isinstance(form.value, When):
        return True
    return language == "en" and form.spoken.split()[0].lower() in _PREPOSITIONS


_PREPOSITIONS = (
    *("on", "in", "at", "for", "to", "by", "from", "until", "since", "before", "after"),
    *("with", "without", "including", "excluding", "within", "under", "over", "next", "last"),
)


_CORRECTIONS: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "不对，{label}应该是{value}",
        "等等，{label}改成{value}",
        "我说错了，{label}是{value}",
        "不对，是{value}",
        "说错了，应该是{value}",
    ),
    "en": (
        "Sorry, the {label} should be {value}.",
        "Wait, make the {label} {value}.",
        "I misspoke: the {label} is {value}.",
        "No, {value}.",
        "Sorry, I meant {value}.",
    ),
}
_FOLLOW_UPS: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "那{label}换成{value}呢？",
        "再来一次，{label}用{value}",
        "同样的，{label}是{value}",
        "那{value}呢？",
    ),
    "en": (
        "And with the {label} {value}?",
        "Once more, with {value} as the {label}.",
        "The same again, but the {label} is {value}.",
        "And {value}?",
        "The same again: {value}.",
    ),
}


def _second_turn(
    row: Row, filled: Filled, frames: Mapping[Language, tuple[str, ...]]
) -> Made | None:
    """A whole round, then another request that changes one argument."""
    language, tool = filled.template.language, filled.template.tool
    changed = _changed(row, filled, frames)
    first = row.gold(filled)
    given = row.result(first, language)
    if changed is None or given is None:
        return None
    name, form, usable = changed
    value, said = given
    label = row.label(tool, name, language)
    turns = [
        _user(filled.request),
        _calls(first),
        Message(role="tool", content=value),
        _says(said),
        _user(row.rng.choice(usable).format(label=label, value=form.spoken)),
    ]
    arguments = {**filled.arguments, name: form.value}
    return Made(row.told(language, *turns), (row.call(tool, arguments),))


def _changed(
    row: Row, filled: Filled, frames: Mapping[Language, tuple[str, ...]]
) -> tuple[str, Form, list[str]] | None:
    """One of the arguments, another value of it, and the frames in which it can be said."""
    tool, language = filled.template.tool, filled.template.language
    names = list(filled.arguments)
    row.rng.shuffle(names)
    for name in names:
        form = row.other(tool, name, language, filled.arguments[name])
        if form is None:
            continue
        alone = _is_alone(row, tool, name, form, language)
        usable = _usable(frames, form, language, alone=alone)
        if usable:
            return name, form, usable
    return None


def _usable(
    frames: Mapping[Language, tuple[str, ...]], form: Form, language: Language, *, alone: bool
) -> list[str]:
    """The frames that name the argument unless the form stands for itself, and those that do not.

    Parameters
    ----------
    alone: Whether the form can mean one argument only, so that none needs to be named.
    """
    named = not _is_adverb(form, language)
    return [frame for frame in frames[language] if (named if "{label}" in frame else alone)]


def _is_alone(row: Row, tool: str, argument: str, form: Form, language: Language) -> bool:
    """Whether no other argument of the tool could be meant by these words; yes and no mean anything."""
    sort = _sort(form.value)
    if sort == "bool":
        return False
    for name, of in row.about(tool).forms.items():
        forms = of.get(language, ()) if name != argument else ()
        if any(f.spoken == form.spoken for f in forms):
            return False
        if sort != "str" and any(_sort(f.value) == sort for f in forms):
            return False
    return True


def _sort(value: Any) -> str:
    """What else could be meant in a value's place: another number, another date, another time."""
    meant = resolved(value, FIRST_DAY)
    if isinstance(meant, float | int) and not isinstance(meant, bool):
        return "number"
    if isinstance(meant, str):
        return next((sort for sort, shape in _SHAPES.items() if shape.fullmatch(meant)), "str")
    return type(meant).__name__


_SHAPES = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "time": re.compile(r"\d{2}:\d{2}"),
    "moment": re.compile(r"\d{4}-\d{2}-\d{2}T.*"),
}


def correction(row: Row, filled: Filled) -> Made | None:
    """The user puts an argument right after the call."""
    return _second_turn(row, filled, _CORRECTIONS)


def follow_up(row: Row, filled: Filled) -> Made | None:
    """The same again with another argument."""
    return _second_turn(row, filled, _FOLLOW_UPS)


def after_result(row: Row, filled: Filled) -> Made | None:
    """The tool has answered: say so in words."""
    language, done = filled.template.language, row.gold(filled)
    given = row.result(done, language)
    if given is None:
        return None
    value, said = given
    turns = [_user(filled.request), _calls(done), Message(role="tool", content=value)]
    return Made(row.told(language, *turns), response=said)


_AT_ONCE: Mapping[Language, tuple[str, ...]] = {
    "zh": ("{0}另外，{1}", "{0}还有，{1}", "两件事：{0}还有，{1}"),
    "en": ("{0} Also: {1}", "Two things. {0} And: {1}", "{0} And one more thing: {1}"),
}
_IN_TURN: Mapping[Language, tuple[str, ...]] = {
    "zh": ("{0}然后，{1}", "{0}做完以后，{1}", "先做这个：{0}再做这个：{1}"),
    "en": ("{0} After that: {1}", "{0} When that is done: {1}", "First: {0} Then: {1}"),
}
_STOP: Mapping[Language, str] = {"zh": "。", "en": "."}


def _joined(
    row: Row, first: Filled, second: Filled, joints: Mapping[Language, tuple[str, ...]]
) -> Message:
    language = first.template.language
    one = first.request
    if one[-1] not in "。？！.?!":
        one += _STOP[language]
    return _user(row.rng.choice(joints[language]).format(one, second.request))


def parallel(row: Row, first: Filled, second: Filled) -> Made | None:
    """Two requests in one sentence: two calls at once."""
    said = row.told(first.template.language, _joined(row, first, second, _AT_ONCE))
    return Made(said, (row.gold(first), row.gold(second)))


def sequence(row: Row, first: Filled, second: Filled) -> Made | None:
    """Two requests in turn: the first call, or, with its result there, the second."""
    language, step = first.template.language, row.gold(first)
    asked = _joined(row, first, second, _IN_TURN)
    # After a step that failed, going on would be a guess.
    given = row.result(step, language, done=True)
    if given is None or row.rng.random() < FIRST_STEPS:
        return Made(row.told(language, asked), (step,))
    done = (_calls(step), Message(role="tool", content=given[0]))
    return Made(row.told(language, asked, *done), (row.gold(second),))


def unknown_tool(row: Row, filled: Filled) -> Made | None:
    """The tool that would be right is not offered: say what can be done."""
    tools = row.offered((), without=filled.template.tool)
    if not tools:
        return None
    language = filled.template.language
    shown = [tool.name for tool in row.rng.sample(tools, min(3, len(tools)))]
    if language == "zh":
        text = f"抱歉，我没有能做这件事的工具。我可以用：{'、'.join(shown)}。"
    else:
        text = f"Sorry, I have no tool for that. What I can use: {', '.join(shown)}."
    said = row.told(language, _user(filled.request))
    return Made(said, response=text, tools=tools)


ONE: Mapping[str, Callable[[Row, Filled], Made | None]] = {
    "call": call,
    "unseen_template": call,
    "unseen_value": call,
    "held_out_tool": call,
    "irrelevant": answered,
    "contrast": contrast,
    "invalid": invalid,
    "missing": missing,
    "slot_filling": slot_filling,
    "correction": correction,
    "follow_up": follow_up,
    "after_result": after_result,
    "unknown_tool": unknown_tool,
}
"""Kinds that one filled template makes."""

TWO: Mapping[str, Callable[[Row, Filled, Filled], Made | None]] = {
    "parallel": parallel,
    "sequence": sequence,
}
"""Kinds that two make."""


WORDS = ("irrelevant", "invalid", "missing", "after_result", "unknown_tool")
"""Kinds whose right answer is words; that of a contrast may be."""

AS_WRITTEN = (
    *("call", "unseen_template", "unseen_value", "held_out_tool"),
    *("irrelevant", "contrast", "invalid"),
)
"""Kinds whose request is one template, word for word."""


def templates_of(
    catalog: Catalog, kind: str, tool: str, trained: tuple[Template, ...]
) -> tuple[Template, ...]:
    """The templates that rows of a kind begin with, where they are not the tool's ordinary ones."""
    about = catalog.about.get(tool)
    if about is None:
        return trained
    if kind == "invalid":
        schemas = catalog.tools[tool].properties
        spoiled = (t for t in trained if any(limits.is_limited(schemas[n]) for n in t.forms))
        return (*about.invalid, *spoiled)
    if kind == "contrast":
        return about.contrast
    return about.incomplete if kind in ("missing", "slot_filling") else trained
