"""Catalog files (data/<domain>/*.yaml) read into tools, templates and small talk.

Every mistake in a file becomes a UserError that names file, line and field. Knows nothing of how
examples are drawn or divided. The format is described in data/README.md.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fcray.dataset.pools import LANGUAGES, Form, Pool, parse_pools, slots
from fcray.dataset.speech import When, is_chinese, resolved
from fcray.dataset.split import normalise
from fcray.dataset.templates import Template
from fcray.domains import REFERENCES
from fcray.errors import UserError, first_problem
from fcray.tools import Language, Tool, ToolCatalog
from fcray.yamlfile import Location, YamlFile

_SOME_DAY = date(2026, 1, 1)
"""Relative dates are checked against a schema as they are on this day."""

_DOMAIN = Field(pattern=r"^[a-z][a-z0-9_]*$")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Spoken(_Entry):
    """A request and its answer, in one language or both; of a contrast perhaps another tool's call."""

    say: dict[Language, str]
    answer: dict[Language, str] = {}
    call: str = ""


class _Result(_Entry):
    value: Any = None
    words: dict[str, dict[Language, str]] = {}
    zh: str
    en: str


class _ToolEntry(_Entry):
    name: str
    description: str = ""
    parameters: dict[str, Any]
    values: dict[str, str] = {}
    labels: dict[str, dict[Language, str]] = {}
    templates: dict[Language, list[str]]
    incomplete: dict[Language, list[str]] = {}
    invalid: list[_Spoken] = []
    contrast: list[_Spoken] = []
    results: list[_Result] = []


class _ToolFile(_Entry):
    domain: str = _DOMAIN
    pools: dict[str, Any] = {}
    tools: list[_ToolEntry] = Field(min_length=1)


class _ChatGroup(_Entry):
    answer: dict[Language, str]
    questions: dict[Language, list[str]]


class _ChatFile(_Entry):
    domain: str = _DOMAIN
    pools: dict[str, Any] = {}
    chat: list[_ChatGroup] = Field(min_length=1)


@dataclass(frozen=True)
class Result:
    """What a tool may give back, and what is then said in each language.

    Attributes
    ----------
    computed: The value is what the reference tool makes of the call's arguments, and `said` has gaps
        for its fields.
    words: How a computed field's string is said.
    """

    value: Any
    said: Mapping[Language, str]
    computed: bool = False
    words: Mapping[str, Mapping[Language, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What a catalog says of one tool beside how it is asked for.

    Attributes
    ----------
    labels: Argument → how it is named in each language.
    forms: Argument → language → the values that it may have.
    incomplete: Requests that leave out a required argument.
    invalid: Requests with a value that the schema does not allow; their answers say so.
    contrast: Requests in nearly the same words that need no call, with their answers, or another one's.
    """

    labels: Mapping[str, Mapping[Language, str]]
    forms: Mapping[str, Mapping[Language, tuple[Form, ...]]]
    incomplete: tuple[Template, ...]
    invalid: tuple[Template, ...]
    contrast: tuple[Template, ...]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Catalog:
    """What the catalog files hold.

    Attributes
    ----------
    tools: Every tool, in the order of folders, files and entries.
    templates: How the tools are asked for, tool by tool.
    chat: Requests that no tool answers.
    about: Tool name → what else is said of it.
    """

    tools: ToolCatalog
    templates: tuple[Template, ...]
    chat: tuple[Template, ...]
    about: Mapping[str, About] = field(default_factory=dict)

    @cached_property
    def has_relative_dates(self) -> bool:
        """Whether a value of any tool depends on the day."""
        return any(
            isinstance(forms[0].value, When)
            for about in self.about.values()
            for spoken in about.forms.values()
            for forms in spoken.values()
            if forms
        )

    def of(self, tool: str, language: Language) -> tuple[Template, ...]:
        """The templates of `tool` in `language`; of an empty name, the small talk."""
        return self._by_cell.get((tool, language), ())

    @cached_property
    def _by_cell(self) -> dict[tuple[str, Language], tuple[Template, ...]]:
        found: dict[tuple[str, Language], list[Template]] = defaultdict(list)
        for template in (*self.templates, *self.chat):
            found[template.tool, template.language].append(template)
        return {cell: tuple(templates) for cell, templates in found.items()}


def load_catalogs(folders: Iterable[str | Path], names: Sequence[str] = ()) -> Catalog:
    """Read every catalog file in `folders` and in their direct subfolders.

    Parameters
    ----------
    folders: Folders of `*.yaml` files; a file holds `tools` or `chat`.
    names: Keep only these tools; empty keeps all.

    Raises
    ------
    UserError: A file cannot be used, two tools share a name, or one of `names` is unknown.
    """
    tools: dict[str, Tool] = {}
    defined: dict[str, str] = {}
    about: dict[str, About] = {}
    templates: list[Template] = []
    chat: list[Template] = []
    for path in _files(folders):
        document = YamlFile.read(path)
        if isinstance(document.data, dict) and "chat" in document.data:
            chat += _chat(document, first=len(chat))
            continue
        parsed = document.validate(_ToolFile)
        pools = parse_pools(document)
        for index, entry in enumerate(parsed.tools):
            at: Location = ("tools", index)
            if entry.name in tools:
                message = f"the tool {entry.name!r} is already defined at {defined[entry.name]}"
                raise document.error(message, (*at, "name"))
            tools[entry.name] = _tool(document, entry, at)
            defined[entry.name] = f"{path}:{document.line((*at, 'name'))}"
            templates += _templates(document, parsed, index, tools[entry.name], pools)
            about[entry.name] = _about(document, parsed, index, tools[entry.name], pools)
    if not tools:
        raise UserError(f"no tools in {', '.join(map(str, folders))}", field="data.catalogs")
    kept = _select(tools, names)
    return Catalog(
        ToolCatalog(tools[name] for name in kept),
        tuple(template for template in templates if template.tool in kept),
        tuple(chat),
        {name: _within(about[name], kept) for name in kept},
    )


def _within(about: About, kept: Sequence[str]) -> About:
    """Without the contrasts that call a tool that is not there."""
    contrast = tuple(one for one in about.contrast if not one.tool or one.tool in kept)
    return replace(about, contrast=contrast)


def _files(folders: Iterable[str | Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UserError("there is no such folder of catalogs", file=folder)
        files = sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")])
        if not files:
            raise UserError("no catalog (*.yaml) in this folder", file=folder)
        for path in files:
            # A folder and its parent may both be named; a file is read once.
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _select(tools: Mapping[str, Tool], names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in tools:
            close = difflib.get_close_matches(name, tools, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(tools)}"
            raise UserError(f"no catalog defines the tool {name!r}; {hint}", field="data.tools")
    return [name for name in tools if not names or name in names]


def _tool(document: YamlFile, entry: _ToolEntry, at: Location) -> Tool:
    try:
        return Tool(name=entry.name, description=entry.description, parameters=entry.parameters)
    except ValidationError as error:
        message, where = first_problem(error)
        raise document.error(message, (*at, *where)) from None


def _templates(
    document: YamlFile, parsed: _ToolFile, index: int, tool: Tool, pools: Mapping[str, Pool]
) -> Iterator[Template]:
    entry, at = parsed.tools[index], ("tools", index)
    _check_values(document, entry, tool, pools, at)
    for language in LANGUAGES:
        texts = entry.templates.get(language)
        if not texts:
            raise document.error(f"no templates in {language}", (*at, "templates"))
        _check_distinct(document, texts, (*at, "templates", language))
        for number, text in enumerate(texts):
            place: Location = (*at, "templates", language, number)
            names = _slots(document, text, place)
            _check_arguments(document, tool, entry, names, place)
            forms = {
                name: _forms(document, pools[entry.values[name]], language, place) for name in names
            }
            _check_language(document, text, forms, language, place)
            identity = f"{tool.name}/{language}/{number}"
            yield Template(identity, tool.name, parsed.domain, language, text, forms)


def _about(
    document: YamlFile, parsed: _ToolFile, index: int, tool: Tool, pools: Mapping[str, Pool]
) -> About:
    entry, at = parsed.tools[index], ("tools", index)
    for argument in entry.labels:
        if argument not in tool.properties:
            raise document.error(_unknown_argument(argument, tool), (*at, "labels", argument))
    incomplete: list[Template] = []
    for language, texts in entry.incomplete.items():
        _check_distinct(document, texts, (*at, "incomplete", language))
        for number, text in enumerate(texts):
            place: Location = (*at, "incomplete", language, number)
            names = _slots(document, text, place)
            _check_arguments(document, tool, entry, names, place, complete=False)
            forms = {
                name: _forms(document, pools[entry.values[name]], language, place) for name in names
            }
            _check_language(document, text, forms, language, place)
            identity = f"{tool.name}/incomplete/{language}/{number}"
            incomplete.append(Template(identity, tool.name, parsed.domain, language, text, forms))
    return About(
        entry.labels,
        {argument: pools[name].forms for argument, name in entry.values.items()},
        tuple(incomplete),
        tuple(_answered(document, parsed, index, "invalid", tool, pools)),
        tuple(_answered(document, parsed, index, "contrast", tool, pools)),
        tuple(
            _result(document, entry, one, (*at, "results", n))
            for n, one in enumerate(entry.results)
        ),
    )


def _result(document: YamlFile, entry: _ToolEntry, one: _Result, at: Location) -> Result:
    computed = "value" not in one.model_fields_set
    if computed and entry.name not in REFERENCES:
        raise document.error(
            f"no value, and {entry.name} has no reference tool that could compute it", at
        )
    return Result(one.value, {"zh": one.zh, "en": one.en}, computed, one.words)


def _answered(
    document: YamlFile,
    parsed: _ToolFile,
    index: int,
    kind: Literal["invalid", "contrast"],
    tool: Tool,
    pools: Mapping[str, Pool],
) -> Iterator[Template]:
    """Requests about a tool that are answered in words, or by another tool of the file."""
    entry = parsed.tools[index]
    for number, one in enumerate(getattr(entry, kind)):
        other = _other(document, parsed, index, kind, number)
        for language, text in one.say.items():
            at: Location = ("tools", index, kind, number, "say", language)
            answer = one.answer.get(language, "").strip()
            if not answer and not one.call:
                raise document.error(f"no answer in {language}", at)
            names = _slots(document, text, at)
            asked = parsed.tools[other]
            called = _tool(document, asked, ("tools", other)) if one.call else tool
            complete = True if one.call else None
            _check_arguments(document, called, asked, names, at, complete=complete)
            forms = {
                name: _forms(document, pools[asked.values[name]], language, at) for name in names
            }
            _check_language(document, text, forms, language, at)
            identity = f"{tool.name}/{kind}/{language}/{number}"
            yield Template(identity, one.call, parsed.domain, language, text, forms, answer)


def _other(document: YamlFile, parsed: _ToolFile, index: int, kind: str, number: int) -> int:
    """Position of the tool that a sentence belongs to: the one that it calls, or its own."""
    entry = parsed.tools[index]
    called = getattr(entry, kind)[number].call
    if not called:
        return index
    at: Location = ("tools", index, kind, number, "call")
    names = [tool.name for tool in parsed.tools]
    if kind != "contrast" or called == entry.name or called not in names:
        others = ", ".join(name for name in names if name != entry.name)
        raise document.error(f"a contrast calls another tool of this file: {others}", at)
    return names.index(called)


def _check_language(
    document: YamlFile,
    text: str,
    forms: Mapping[str, tuple[Form, ...]],
    language: Language,
    at: Location,
) -> None:
    """Whatever fills its gaps, a sentence is in the language that it stands under."""
    plain = text
    for name in forms:
        plain = plain.replace(f"{{{name}}}", "")
    if language == "en" and is_chinese(plain):
        raise document.error("there are Chinese characters in an English sentence", at)
    always = is_chinese(plain) or any(
        all(is_chinese(form.spoken) for form in found) for found in forms.values()
    )
    if language == "zh" and not always:
        raise document.error("filled in, this may hold no Chinese character", at)


def _check_values(
    document: YamlFile, entry: _ToolEntry, tool: Tool, pools: Mapping[str, Pool], at: Location
) -> None:
    """Each argument's pool exists and holds only values that the argument's schema allows."""
    for argument, name in entry.values.items():
        place = (*at, "values", argument)
        if argument not in tool.properties:
            raise document.error(_unknown_argument(argument, tool), place)
        if name not in pools:
            close = difflib.get_close_matches(name, pools, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise document.error(f"there is no pool {name!r} in this file{hint}", place)
        # `descend` and not a validator of the argument alone: its references lead into the whole schema.
        schema = jsonschema.Draft202012Validator(tool.parameters)
        for form in (form for forms in pools[name].forms.values() for form in forms):
            value = resolved(form.value, _SOME_DAY)
            try:
                problem = next(schema.descend(value, tool.properties[argument]), None)
            except RecursionError:
                raise document.error(
                    f"the schema of {tool.name}.{argument} refers to itself without end", place
                ) from None
            if problem is not None:
                owner = f"{tool.name}.{argument}"
                raise document.error(f"does not fit {owner}: {problem.message}", form.at)


def _check_arguments(
    document: YamlFile,
    tool: Tool,
    entry: _ToolEntry,
    names: Sequence[str],
    at: Location,
    *,
    complete: bool | None = True,
) -> None:
    """Each is the tool's and has values; every required one is there, or not every one is.

    Parameters
    ----------
    complete: Whether the required ones must be there; None: it does not matter.
    """
    for name in names:
        if name not in tool.properties:
            raise document.error(_unknown_argument(name, tool), at)
        if name not in entry.values:
            raise document.error(f"{{{name}}} has no pool under this tool's values", at)
    absent = [name for name in tool.required if name not in names]
    if complete is True and absent:
        raise document.error(f"the required argument {{{absent[0]}}} is not mentioned", at)
    if complete is False and not absent:
        raise document.error("every required argument is mentioned, so nothing is missing", at)


def _unknown_argument(name: str, tool: Tool) -> str:
    close = difflib.get_close_matches(name, tool.properties, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{tool.name} has no argument {name!r}{hint}"


def _check_distinct(document: YamlFile, texts: Sequence[str], at: Location) -> None:
    """Templates that differ in punctuation only would be the same sentence in two splits."""
    seen: dict[str, int] = {}
    for index, text in enumerate(texts):
        _slots(document, text, (*at, index))
        key = normalise(text)
        if not key:
            raise document.error("a template is empty", (*at, index))
        if key in seen:
            raise document.error(f"says the same as number {seen[key]} above", (*at, index))
        seen[key] = index


def _slots(document: YamlFile, text: str, at: Location) -> tuple[str, ...]:
    try:
        return slots(text)
    except ValueError as error:
        raise document.error(str(error), at) from None


def _forms(document: YamlFile, pool: Pool, language: Language, at: Location) -> tuple[Form, ...]:
    forms = pool.forms[language]
    if not forms:
        raise document.error(f"the pool {pool.name!r} has nothing to say in {language}", at)
    return forms


def _chat(document: YamlFile, first: int) -> list[Template]:
    """The small talk of one file; ids count on from `first`."""
    parsed = document.validate(_ChatFile)
    pools = parse_pools(document)
    found: list[Template] = []
    for group_index, group in enumerate(parsed.chat):
        for language, questions in group.questions.items():
            at: Location = ("chat", group_index, "questions", language)
            answer = group.answer.get(language, "").strip()
            if not answer:
                raise document.error(f"no answer in {language}", ("chat", group_index))
            _check_distinct(document, questions, at)
            for index, text in enumerate(questions):
                forms: dict[str, tuple[Form, ...]] = {}
                for name in _slots(document, text, (*at, index)):
                    if name not in pools:
                        raise document.error(f"there is no pool {name!r}", (*at, index))
                    forms[name] = _forms(document, pools[name], language, (*at, index))
                # No tool's name begins like this, so that no tool's template has such an id.
                identity = f"~chat/{language}/{first + len(found)}"
                found.append(Template(identity, "", parsed.domain, language, text, forms, answer))
    return found
