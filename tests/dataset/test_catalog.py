"""Loading catalogs: what the shipped one holds, and what is said about bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.dataset.catalog import load_catalogs
from fcray.dataset.split import normalise
from fcray.errors import UserError
from tests.dataset.catalogs import DATA, SMALL, SMALL_CHAT, shipped, write_small

TEMPLATE = '"{city}{day}天气怎么样？"'


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


def test_the_shipped_catalog_is_rich_enough() -> None:
    catalog = shipped()
    assert len(catalog.tools) >= 40
    for tool in catalog.tools:
        for language in ("zh", "en"):
            templates = catalog.of(tool.name, language)
            assert len(templates) >= 12
            mentioned = {argument for template in templates for argument in template.forms}
            assert mentioned == set(tool.properties)
    for language in ("zh", "en"):
        chat = catalog.of("", language)
        assert len({normalise(template.text) for template in chat}) >= 120
        assert sum(template.size for template in chat) >= 400


def test_no_template_is_shared_by_two_tools() -> None:
    for language in ("zh", "en"):
        said = [
            normalise(template.text)
            for template in (*shipped().templates, *shipped().chat)
            if template.language == language
        ]
        assert len(set(said)) == len(said)


def test_a_file_that_is_named_twice_is_read_once() -> None:
    names = load_catalogs([DATA, DATA / "office"]).tools.names
    assert names == shipped().tools.names
    office = load_catalogs([DATA / "office"]).tools.names
    assert set(office) < set(names)


# What is swapped in the small catalog → the line it is on afterwards, and what must be said.
BAD = {
    "required argument missing": (
        (TEMPLATE, '"{day}天气"'),
        r"tools\[0\]\.templates\.zh\[0\]: the required argument \{city\} is not mentioned",
    ),
    "unknown argument": ((TEMPLATE, '"{city}{dya}天气"'), r"no argument 'dya'; did you mean 'day'"),
    "stray brace": ((TEMPLATE, '"{city}{天气"'), r"a brace without a name"),
    "argument twice": ((TEMPLATE, '"{city}{city}天气"'), r"\{city\} stands twice"),
    "same template twice": (
        ('"{day}{city}下雨吗？"', '"{city} {day}，天气怎么样"'),
        r"templates\.zh\[1\]: says the same as number 0",
    ),
    "empty template": (('"{city}天气"', '"？"'), r"templates\.zh\[2\]: a template is empty"),
    "no pool for an argument": (
        ("values: {city: city, day: day}", "values: {city: city}"),
        r"\{day\} has no pool",
    ),
    "value outside the enum": (
        ("{value: today, ", "{value: tonight, "),
        r"pools\.day\[0\]: does not fit get_weather\.day: 'tonight' is not one of",
    ),
    "number for a text": (
        ("{zh: 上海, en: Shanghai}", "{zh: 7, en: Shanghai}"),
        r"pools\.city\[1\]: does not fit get_weather\.city: 7 is not of type 'string'",
    ),
    "ambiguous words": (("zh: [明天, 明儿]", "zh: [明天, 今天]"), r"'今天' means both \"today\""),
    "words twice": (("zh: 拉萨", "zh: 上海"), r"pools\.city\[2\]: '上海' stands twice in zh"),
    "one language only": (
        ("{value: today, zh: 今天, en: today}", "{value: today, fr: hui}"),
        r"pools\.day\[0\]\.fr: unknown field; known here: value, zh, en",
    ),
    "a word YAML takes for a truth value": (
        ("{zh: 北京, en: Beijing}", "{zh: 北京, en: no}"),
        r"pools\.city\[0\]\.en: expected a text or a number, not False",
    ),
    "bad schema": (
        ("city: {type: string}", "city: {type: strin}"),
        r"tools\[0\]\.parameters: not a valid JSON Schema at properties/city/type",
    ),
    "required is no property": (
        ("required: [city]", "required: [town]"),
        r"tools\[0\]\.parameters: required names 'town'",
    ),
    "bad tool name": (("name: get_weather", "name: get weather"), r"tools\[0\]\.name: "),
    "unknown field": (
        ("    description:", "    descripton:"),
        r"tools\[0\]\.descripton: unknown field",
    ),
    "unknown pool": (
        ("values: {city: city, day: day}", "values: {city: citty, day: day}"),
        r"tools\[0\]\.values\.city: there is no pool 'citty' in this file; did you mean 'city'",
    ),
    "pool of an unknown argument": (
        ("values: {city: city, day: day}", "values: {city: city, day: day, town: city}"),
        r"tools\[0\]\.values\.town: get_weather has no argument 'town'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_catalog_is_named_with_file_and_line(case: str, tmp_path: Path) -> None:
    swap, message = BAD[case]
    path = write_small(tmp_path, swap)
    with pytest.raises(UserError, match=message) as caught:
        load_catalogs([tmp_path])
    assert caught.value.file == str(path)
    line = path.read_text(encoding="utf-8").splitlines()[(caught.value.line or 0) - 1]
    # Some faults show only against another part of the file; a schema's line is its `parameters`.
    fault = swap[1].splitlines()[0]
    blamed = {
        "no pool for an argument": TEMPLATE,
        "bad schema": "parameters:",
        "required is no property": "parameters:",
    }.get(case, fault)
    assert blamed in line


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ("[]", "this pool is empty"),
        ("text", "a pool is a list of values"),
        ("{rang: [1, 2]}", "one of range, join, "),
        ("{range: [5, 1]}", "a range is"),
        ("{range: [1, 5], step: 0}", "a range is"),
        ("{range: [1, 5], stp: 2}", "known here: range, step"),
        ("{range: [1, 50000]}", "at most 20000"),
        ('{join: "{city}-{nope}"}', "there is no pool 'nope'"),
        ('{join: "city"}', "names other pools in braces"),
        ('{join: "{city"}', "a brace without a name"),
        ("{lists_of: nope}", "there is no pool 'nope'"),
        ("{lists_of: city, sizes: [0]}", "sizes are whole numbers"),
        ("[{value: 1}]", "an entry says how a value is spoken"),
        ("[' padded']", "may not be empty or end in spaces"),
    ],
)
def test_a_bad_pool_is_named_with_its_line(pool: str, message: str, tmp_path: Path) -> None:
    path = write_small(tmp_path, ("pools:\n", f"pools:\n  extra: {pool}\n"))
    with pytest.raises(UserError, match=message) as caught:
        load_catalogs([tmp_path])
    assert (caught.value.file, caught.value.line) == (str(path), 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{zh: 你好！, en: Hello!}", "{zh: 你好！}", "no answer in en"),
        ("{thing}吗", "{thng}吗", "there is no pool 'thng'"),
        ("Good morning", "hi!", "says the same as number 0"),
        ("questions:", "question:", "unknown field|this field is required"),
    ],
)
def test_bad_chat_is_named_with_file(old: str, new: str, message: str, tmp_path: Path) -> None:
    write_small(tmp_path, chat=SMALL_CHAT.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load_catalogs([tmp_path])
    assert caught.value.file == str(tmp_path / "chat.yaml")
    assert (caught.value.line or 0) >= 5


def test_a_tool_that_two_files_define_is_refused(tmp_path: Path) -> None:
    write_small(tmp_path)
    (tmp_path / "zz.yaml").write_text(SMALL, encoding="utf-8")
    line = line_of(SMALL, "name: get_weather")
    with pytest.raises(UserError, match=rf"already defined at .*tools\.yaml:{line}") as caught:
        load_catalogs([tmp_path])
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "zz.yaml"), line)


def test_folders_without_tools_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_catalogs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="no catalog"):
        load_catalogs([tmp_path])
    (tmp_path / "chat.yaml").write_text(SMALL_CHAT, encoding="utf-8")
    with pytest.raises(UserError, match="no tools in"):
        load_catalogs([tmp_path])
    (tmp_path / "tools.yaml").write_text("domain: office\ntools: []\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"tools\.yaml:2: tools: "):
        load_catalogs([tmp_path])


def test_an_unknown_tool_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 'get_weather'"):
        load_catalogs([DATA], ["get_wether"])


def test_the_shipped_tools_are_asked_for_in_every_way() -> None:
    assert len(shipped().tools) >= 40
    assert {template.domain for template in shipped().templates} == {
        *("finance", "iot", "medical", "office"),
    }
    for tool in shipped().tools:
        about = shipped().about[tool.name]
        required = frozenset(tool.required)
        assert len(about.results) >= 3
        for language in ("zh", "en"):
            said = [frozenset(t.forms) for t in shipped().of(tool.name, language)]
            assert len(said) >= 12
            # Required arguments alone where that makes sense, and with optional ones.
            assert required in said or tool.name == "set_air_conditioner"
            assert required == tool.properties.keys() or any(required < names for names in said)
            assert sum(t.language == language for t in about.contrast) >= 8
            if required:
                assert sum(t.language == language for t in about.incomplete) >= 8
            assert all(language in about.labels[name] for name in tool.required)


def test_the_shipped_values_have_every_json_type() -> None:
    values = [
        form.value
        for about in shipped().about.values()
        for spoken in about.forms.values()
        for forms in spoken.values()
        for form in forms
    ]
    assert {type(value).__name__ for value in values} == {
        *("str", "int", "float", "bool", "list", "dict", "When"),
    }
