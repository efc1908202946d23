"""The verification stage: each row is checked on its own before anything is trained on it.

A row passes when its gold call fits the tool's schema and every gold value can be read off the
request. One that a template made has besides the turns of its kind, each of which says what its
template, its calls and their results call for. Knows nothing of how the row was made, save by its
`origin`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from fcray.dataset.catalog import About, Catalog
from fcray.dataset.kinds import AS_WRITTEN, OFFERED, ONE, TWO, WORDS, label_of, question
from fcray.dataset.pools import Form
from fcray.dataset.results import dumps, given_back, is_failure
from fcray.dataset.speech import context, date_in, is_chinese
from fcray.dataset.split import normalise
from fcray.dataset.templates import Template, meant, same
from fcray.tools import Example, Language, Message, ToolCall

_TURNS: Mapping[str, tuple[str, ...]] = {
    "slot_filling": ("user says user",),
    "correction": ("user calls tool says user",),
    "follow_up": ("user calls tool says user",),
    "after_result": ("user calls tool",),
    "sequence": ("user", "user calls tool"),
}
"""Kind → the turns that its rows may have behind the system message; of other kinds the user's alone."""

_ORDINARY = {*ONE, *TWO} - {"irrelevant", "missing", "slot_filling", "contrast"}
"""Kinds that are made of a tool's ordinary templates."""


class Verifier:
    """Checks rows against the catalog that they were made from.

    Parameters
    ----------
    catalog: The tools, and the pools whose words the requests are made of.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._templates: dict[str, Template] = {}
        self._kinds: dict[str, set[str]] = {}
        self._know(catalog.templates, _ORDINARY)
        self._know(catalog.chat, {"irrelevant"})
        for about in catalog.about.values():
            self._know(about.incomplete, {"missing", "slot_filling"})
            self._know(about.invalid, {"invalid"})
            self._know(about.contrast, {"contrast"})
        self._forms: dict[tuple[str, str, Language], tuple[Form, ...]] = {
            (tool, argument, language): forms
            for tool, about in catalog.about.items()
            for argument, spoken in about.forms.items()
            for language, forms in spoken.items()
        }

    def _know(self, templates: Iterable[Template], kinds: set[str]) -> None:
        """Templates, and the kinds of the rows that are made of them."""
        for template in templates:
            self._templates[template.id] = template
            self._kinds[template.id] = kinds

    def reasons(self, example: Example) -> list[str]:
        """What is wrong with `example`; empty when nothing is."""
        return [reason for _, reason in self.findings(example)]

    def findings(self, example: Example) -> Iterator[tuple[str, str]]:
        """(stage, what is wrong); nothing when nothing is."""
        yield from self._language(example)
        yield from (("kind", reason) for reason in _kind(example))
        for call in example.calls:
            yield from self._call(example, call)
        if example.origin.generator == "template":
            template = self._templates.get(example.origin.template)
            if template is None:
                yield "wording", f"there is no template {example.origin.template!r}"
                return
            yield from (("kind", reason) for reason in self._made_of(example, template))
            yield from (("schema", reason) for reason in self._offered(example, template))
            yield from (("wording", reason) for reason in self._told(example))
            if problem := _turns_problem(example):
                yield "kind", problem
            if problem or example.origin.kind not in self._kinds[template.id]:
                return  # nothing can be asked of turns that are not there
            yield from (("wording", reason) for reason in self._wording(example, template))
            yield from (("wording", reason) for reason in self._answer(example, template))

    def _language(self, example: Example) -> Iterator[tuple[str, str]]:
        if not example.request.strip():
            yield "format", "the request is empty"
            return
        # A catalog's sentences are in their language whatever fills their gaps, Chinese names too.
        template = self._templates.get(example.origin.template)
        if example.origin.generator == "template" and template is not None:
            spoken = template.language
        else:
            spoken = "zh" if is_chinese(said_in(example)) else "en"
        if spoken != example.origin.language:
            yield "language", f"the request is not in {example.origin.language}"

    def _call(self, example: Example, call: ToolCall) -> Iterator[tuple[str, str]]:
        offered = next((tool for tool in example.tools if tool.name == call.name), None)
        if offered is None:
            yield "schema", f"{call.name} is not among the tools offered"
            return
        for problem in offered.problems(call.arguments):
            yield "schema", f"{call.name}: {problem}"
        for name, value in call.arguments.items():
            if not self._stands(example, call.name, name, value):
                reason = f"{call.name}.{name}: {value!r} cannot be read off the request"
                yield "grounding", reason

    def _stands(self, example: Example, tool: str, argument: str, value: Any) -> bool:
        """Whether words for `value` stand in the request and are no part of words for another."""
        forms = self._forms.get((tool, argument, example.origin.language), ())
        return bool(_standing(forms, said_in(example), value, today_of(example)))

    def _made_of(self, example: Example, template: Template) -> Iterator[str]:
        """A row's kind and domain must be those that its template makes."""
        if example.origin.kind not in self._kinds[template.id]:
            yield f"no row of kind {example.origin.kind!r} is made of {template.id}"
        if example.origin.domain != template.domain:
            yield f"{template.id} is of the domain {template.domain}, not {example.origin.domain}"
        if example.calls and example.response.strip():
            yield "there are words beside the call"

    def _offered(self, example: Example, template: Template) -> Iterator[str]:
        """What is offered must be the catalog's, and what the row is about must be there."""
        known, names = self._catalog.tools, {tool.name for tool in example.tools}
        for tool in example.tools:
            if tool not in known:
                yield f"{tool.name} is not the tool of this name in the catalog"
        if not names:
            yield "no tool is offered"
        about = {call.name for message in example.messages for call in message.tool_calls}
        if example.origin.kind != "unknown_tool" and known.get(template.subject):
            about.add(template.subject)
        for name in sorted(about - names):
            yield f"{name} is not among the tools offered"

    def _told(self, example: Example) -> Iterator[str]:
        """The day is told first, in its one way, where the catalog's tools depend on it."""
        told = [message.content for message in example.messages if message.role == "system"]
        wanted: list[str | None] = []
        if self._catalog.has_relative_dates:
            day = today_of(example)
            wanted = [context(day, example.origin.language)] if day else [None]
        if told != wanted or (told and example.messages[0].role != "system"):
            yield "the day is not told as it is" if wanted else "a system message tells something"

    def _wording(self, example: Example, template: Template) -> Iterator[str]:
        """What the user says must be the row's template, said with the arguments of its calls."""
        kind, calls, today = example.origin.kind, example.calls, today_of(example)
        first = next(m.content or "" for m in example.messages if m.role == "user")
        before = [call for message in example.messages for call in message.tool_calls]
        if kind in ("missing", "unknown_tool"):
            if not template.is_said(first):
                yield f"the request is not {template.id}"
        elif kind == "invalid" and template.tool:
            if not any(self._spoiled(template, first)):
                yield f"the request is {template.id} with values that it may have"
        elif kind in ("parallel", "sequence") and calls:
            yield from self._two(example, template, before)
        elif kind == "slot_filling" and calls:
            yield from self._filled_later(example, template)
        elif kind in AS_WRITTEN or before:
            call = before[0] if before else calls[0] if calls else ToolCall(name="")
            if template.tool != call.name:
                yield f"{template.id} does not call {call.name or 'nothing'}"
            elif not template.says(first, call.arguments, today):
                yield f"the request is not {template.id} said with these arguments"
            elif kind in ("correction", "follow_up") and calls:
                yield from self._changed(example, before[0])

    def _changed(self, example: Example, before: ToolCall) -> Iterator[str]:
        """The last turn changes one argument of the call before."""
        call, language = example.calls[0], example.origin.language
        if call.name != before.name or call.arguments.keys() != before.arguments.keys():
            yield f"the call has not the arguments of the {before.name} before it"
            return
        changed = [n for n, v in call.arguments.items() if not same(v, before.arguments[n])]
        if len(changed) != 1:
            yield f"{len(changed)} arguments are changed, not one"
            return
        said, name, today = example.request, changed[0], today_of(example)
        forms = self._forms.get((call.name, name, language), ())
        words = _standing(forms, said, call.arguments[name], today)
        if not words:
            yield f"the last turn does not change {name}"
        elif label_of(self._catalog, call.name, name, language) not in said:
            others = [
                form.spoken
                for other in call.arguments.keys() - {name}
                for form in self._forms.get((call.name, other, language), ())
            ]
            if words & set(others):
                yield f"the last turn may change another argument than {name}"

    def _filled_later(self, example: Example, template: Template) -> Iterator[str]:
        """What the first turn leaves out is asked for, and said in the last."""
        first, asked, last = (m.content or "" for m in example.messages if m.role != "system")
        call, language, today = example.calls[0], example.origin.language, today_of(example)
        absent = self._absent(template)
        early = {name: v for name, v in call.arguments.items() if name not in absent}
        if template.tool != call.name:
            yield f"{template.id} does not call {call.name}"
        elif not template.says(first, early, today):
            yield f"the first turn is not {template.id} said with these arguments"
        elif asked != self._question(template):
            yield "the assistant does not ask for what is missing"
        for name in absent:
            forms = self._forms.get((call.name, name, language), ())
            if not _standing(forms, last, call.arguments.get(name), today):
                yield f"the last turn does not say {name}"

    def _absent(self, template: Template) -> list[str]:
        """The required arguments that a template leaves out."""
        required = self._catalog.tools[template.tool].required
        return [name for name in required if name not in template.forms]

    def _question(self, template: Template) -> str:
        tool, language = template.tool, template.language
        labels = [label_of(self._catalog, tool, n, language) for n in self._absent(template)]
        return question(labels, language)

    def _two(
        self, example: Example, template: Template, before: Sequence[ToolCall]
    ) -> Iterator[str]:
        """A template's request with its call's arguments, and behind it that of the other call."""
        calls, said, today = [*before, *example.calls], example.request, today_of(example)
        if example.origin.kind == "parallel":  # at once, so in any order
            calls.sort(key=lambda call: call.name != template.tool)
        first, *others = calls
        if first.name != template.tool:
            yield f"{template.id} does not call {first.name}"
            return
        texts = _said_as(template, said, first.arguments, today)
        ends = [said.index(text) + len(text) for text in texts if text in said]
        if not ends:
            yield f"the request does not hold {template.id} said with these arguments"
        elif not others and not normalise(said[min(ends) :]):
            yield "the request asks for nothing more"
        for call in others if ends else ():
            if not self._ends_with(said, min(ends), call, example.origin.language, today):
                yield f"the request does not end with one for this {call.name}"

    def _ends_with(
        self, said: str, start: int, call: ToolCall, language: Language, today: date | None
    ) -> bool:
        """Whether what stands last behind `start` is a request for `call` with exactly its arguments.

        The longest one counts: that with a word less of it is in it as well.
        """
        found = [
            (at, template, words)
            for template in self._catalog.of(call.name, language)
            for at, words in _endings(template, said)
            if at >= start
        ]
        longest = min((at for at, _, _ in found), default=-1)
        return any(
            at == longest
            and words.keys() == call.arguments.keys()
            and all(same(meant(words[n].value, today), v) for n, v in call.arguments.items())
            for at, _, words in found
        )

    def _spoiled(self, template: Template, request: str) -> Iterator[tuple[str, str]]:
        """(argument, words) of the gap whose words none of its forms has, all others being sound."""
        for name in template.forms:
            others = {n: forms for n, forms in template.forms.items() if n != name}
            known = {
                form.spoken
                for form in self._forms.get((template.tool, name, template.language), ())
            }
            for words in _combinations(others, request):
                before, _, after = template.text.format(**words, **{name: "\0"}).partition("\0")
                wrong = request[len(before) : len(request) - len(after)]
                if wrong and wrong not in known and request == before + wrong + after:
                    yield name, wrong

    def _answer(self, example: Example, template: Template) -> Iterator[str]:
        """The words of a row must be those that its template, question or result calls for."""
        kind, said = example.origin.kind, example.response
        if any(message.role == "tool" for message in example.messages):
            yield from self._result(example)
        if example.calls or kind == "after_result":
            return
        if kind == "missing":
            if not self._absent(template) or said != self._question(template):
                yield "the answer does not ask for what is missing"
        elif kind == "unknown_tool":
            offered = {tool.name for tool in example.tools}
            if template.tool in offered:
                yield f"{template.tool} is offered after all"
            if not offered & set(_NAME.findall(said)):
                yield "the answer names no tool that is offered"
        elif kind == "invalid" and template.tool:
            spoiled = self._spoiled(template, example.request)
            if not any(self._tells(said, template, name, words) for name, words in spoiled):
                yield "the answer does not say which value is wrong"
        elif template.answer and not _is_answer(said, template.answer):
            yield f"the answer is not that of {template.id}"

    def _tells(self, said: str, template: Template, name: str, wrong: str) -> bool:
        """Whether an answer names an argument, its wrong value, and no numbers but those of its limits."""
        tool, language = template.tool, template.language
        label = label_of(self._catalog, tool, name, language).casefold()
        numbers = _numbers(said.casefold().replace(label, ""))
        schema, heard = self._catalog.tools[tool].properties[name], _numbers(wrong)
        known = schema if isinstance(schema, dict) else {}
        limits = {abs(known[key]) for key in _LIMITS if key in known}
        return label in said.casefold() and heard <= numbers <= heard | limits

    def _result(self, example: Example) -> Iterator[str]:
        """What a tool gives back must be a result of its call, and what is said then must say it."""
        (call,) = (call for message in example.messages for call in message.tool_calls)
        at = next(i for i, message in enumerate(example.messages) if message.role == "tool")
        given, behind = example.messages[at].content, example.messages[at + 1 :]
        said = behind[0].content if behind else example.response
        about: About | None = self._catalog.about.get(call.name)
        offered = self._catalog.tools.get(call.name)
        if about is None or offered is None or offered.problems(call.arguments):
            yield f"{call.name} cannot have been called like this"
            return
        results = given_back(about, call, today_of(example), example.origin.language)
        found = [(value, text) for value, text in results if dumps(value) == given]
        if example.origin.kind == "sequence":
            if not any(not is_failure(value) for value, _ in found):
                yield f"this is no result of {call.name} that lets one go on"
        elif not any(text == said for _, text in found):
            yield "the answer is not what the tool's result says"


_NAME = re.compile(r"[A-Za-z0-9_-]+")


def _is_answer(said: str, answer: str) -> bool:
    before, gap, behind = answer.partition(OFFERED)
    if not gap:
        return said == answer
    return said.startswith(before) and said.endswith(behind) and len(said) > len(before + behind)


def _turns_problem(example: Example) -> str:
    """What is wrong with the order of a row's turns; empty when nothing is."""
    kind = example.origin.kind
    turns = " ".join(_turn(message) for message in example.messages if message.role != "system")
    usual = _TURNS.get(kind, ("user",))
    return "" if turns in usual else f"the turns of a row of kind {kind!r} are {' or '.join(usual)}"


def _turn(message: Message) -> str:
    if message.role != "assistant":
        return message.role
    if not message.tool_calls:
        return "says"
    return "calls" if len(message.tool_calls) == 1 and not message.content else "calls and says"


def _kind(example: Example) -> Iterator[str]:
    """Whether calls and words are what a row of its kind has."""
    kind, calls = example.origin.kind, example.calls
    if not calls and not example.response.strip():
        yield "neither a call nor an answer"
    if not calls and kind not in (*WORDS, "contrast"):
        yield f"a row of kind {kind!r} has no call"
    if calls and kind in WORDS:
        what = "an irrelevant request" if kind == "irrelevant" else f"a row of kind {kind!r}"
        yield f"{what} calls {calls[0].name}"
    if len(calls) > 1 and kind != "parallel":
        yield f"a row of kind {kind!r} has {len(calls)} calls"
    if len(calls) == 1 and kind == "parallel":
        yield "a row of kind 'parallel' has one call"
    if any(call in calls[:index] for index, call in enumerate(calls)):
        yield "two of the calls are the same"
    before = [call for message in example.messages for call in message.tool_calls]
    if any(call in before for call in calls):
        yield "the call has been made already"


def said_in(example: Example) -> str:
    """What the user said, in all turns."""
    return "\n".join(m.content or "" for m in example.messages if m.role == "user")


def today_of(example: Example) -> date | None:
    """The day that the row's system message tells."""
    told = (date_in(m.content or "") for m in example.messages if m.role == "system")
    return next((day for day in told if day), None)


def _standing(forms: Iterable[Form], said: str, value: Any, today: date | None) -> set[str]:
    """The words for `value` that stand in `said` and are no part of words for another."""
    right: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    for form in forms:
        if form.spoken in said:
            spans = _spans(form.spoken, said)
            (right if same(meant(form.value, today), value) else others).extend(spans)
    return {said[slice(*span)] for span in right if not _covered(span, others)}


def _said_as(
    template: Template, said: str, arguments: Mapping[str, Any], today: date | None
) -> Iterator[str]:
    """The template with words of `said` that mean exactly `arguments`."""
    if arguments.keys() != template.forms.keys():
        return
    meaning = {
        name: tuple(
            form
            for form in forms
            if form.spoken in said and same(meant(form.value, today), arguments[name])
        )
        for name, forms in template.forms.items()
    }
    for words in _combinations(meaning, said):
        yield template.text.format(**words)


def _combinations(forms: Mapping[str, tuple[Form, ...]], said: str) -> Iterator[dict[str, str]]:
    """Gap → words, of all that stand in `said`."""
    spoken = [[form.spoken for form in found if form.spoken in said] for found in forms.values()]
    return (dict(zip(forms, words, strict=True)) for words in itertools.product(*spoken))


def _endings(template: Template, said: str) -> Iterator[tuple[int, dict[str, Form]]]:
    """Where `said` ends with the template, each time with what fills its gaps."""
    return _ended(_GAP.split(template.text), template.forms, said)


def _ended(
    pieces: Sequence[str], forms: Mapping[str, tuple[Form, ...]], said: str
) -> Iterator[tuple[int, dict[str, Form]]]:
    """From the right, so that hardly any form is looked at: `pieces` are words and gaps in turn."""
    if not said.endswith(pieces[-1]):
        return
    said = said[: len(said) - len(pieces[-1])]
    if len(pieces) == 1:
        yield len(said), {}
        return
    name = pieces[-2]
    for form in forms[name]:
        if said.endswith(form.spoken):
            shorter = said[: len(said) - len(form.spoken)]
            for at, words in _ended(pieces[:-2], forms, shorter):
                yield at, {**words, name: form}


def _numbers(text: str) -> set[float]:
    """The numbers in a text, without their signs: a dash may be one or none."""
    return {float(number) for number in _NUMBER.findall(text)}


_GAP = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def _spans(words: str, request: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = request.find(words)
    while start >= 0:
        spans.append((start, start + len(words)))
        start = request.find(words, start + 1)
    return spans


def _covered(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    """Whether `span` is part of a longer one of `others`, as 三点 is of 三点半."""
    start, end = span
    return any(low <= start and end <= high and end - start < high - low for low, high in others)
