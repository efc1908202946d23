"""Tools from OpenAI's JSON, Python functions, OpenAPI documents, MCP servers; and catalogs of them."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fcray.dataset.build import build
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.derive import catalog_text, spoken_tool, words_of
from fcray.dataset.sources import load_tools
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Tool
from tests.dataset.catalogs import DATA, plain

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Get the weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def written(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(
        content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "function", "function": WEATHER | {"strict": True}}],
        [WEATHER],
        {"tools": [{"type": "function", "function": WEATHER}]},
    ],
    ids=["wrapped", "bare", "under tools"],
)
def test_openais_list(content: object, tmp_path: Path) -> None:
    (tool,) = load_tools(str(written(tmp_path, "tools.json", content)))
    assert tool == Tool(**WEATHER)


BAD_LISTS: dict[str, tuple[object, str]] = {
    "a list of nothing": ([], r"tools\.json:1: this list of tools is empty"),
    "no list": ({"a": 1}, r"tools\.json:1: .*expected a list of tools"),
    "no object": ([1], r"tools\.json:2: \[0\]: a tool is an object"),
    "a bad name": ([WEATHER | {"name": "get weather"}], r"tools\.json:3: \[0\]\.name: "),
    "two of a name": (
        [WEATHER, WEATHER],
        r"tools\.json:1[0-9]: \[1\]\.name: a second tool is named 'get_weather'",
    ),
    "a bad schema": (
        [WEATHER | {"parameters": {"type": "object", "properties": {"a": {"type": "strin"}}}}],
        r"tools\.json:5: \[0\]\.parameters: not a valid JSON Schema at properties/a/type",
    ),
    "a reference to nothing": (
        [WEATHER | {"parameters": {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}}],
        r"tools\.json:5: \[0\]\.parameters: \$ref '#/\$defs/b' leads nowhere",
    ),
    "broken JSON": ('[{"name": "a",\n "b" ]', r"tools\.json:2: not valid JSON"),
}  # fmt: skip


def test_json_that_yaml_would_refuse(tmp_path: Path) -> None:
    """An emoji as `json.dump` writes it, and a number without a point."""
    size = {"type": "number", "maximum": 1e25}
    tool = {"name": "f", "description": "\U0001f600", "parameters": {"properties": {"size": size}}}
    text = json.dumps([tool]).replace("1e+25", "1e5")
    (found,) = load_tools(str(written(tmp_path, "tools.json", text)))
    assert (found.description, found.properties["size"]["maximum"]) == ("\U0001f600", 100_000)


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_list_that_is_wrong_names_file_and_line(case: str, tmp_path: Path) -> None:
    content, message = BAD_LISTS[case]
    with pytest.raises(UserError, match=message):
        load_tools(str(written(tmp_path, "tools.json", content)))


FUNCTIONS = '''
from typing import Literal


def send_note(to: str, urgent: bool = False, kind: Literal["info", "alert"] = "info") -> str:
    """
    Send a note to somebody.

    Args:
        to: The person
        urgent: Whether it cannot wait
        kind: What it is
    """
    return to


def _private(a: int) -> int:
    return a
'''


def test_python_functions(tmp_path: Path) -> None:
    path = written(tmp_path, "mine.py", FUNCTIONS)
    (tool,) = load_tools(str(path))
    assert (tool.name, tool.required) == ("send_note", ("to",))
    assert tool.properties["urgent"] == {"type": "boolean", "description": "Whether it cannot wait"}
    assert tool.properties["kind"]["enum"] == ["info", "alert"]
    assert [one.name for one in load_tools(f"{path}:send_note")] == ["send_note"]


@pytest.mark.parametrize(
    ("source", "content", "message"),
    [
        (
            "mine.py",
            "def f(a):\n  '''x'''\n",
            r"mine\.py:1: f: its signature and docstring make no tool",
        ),
        ("mine.py", "x = 1\n", r"no public functions"),
        ("mine.py", "def f(:\n", r"mine\.py:1: not valid Python"),
        ("mine.py", "import nowhere_at_all\n", r"cannot be imported: ModuleNotFoundError"),
        ("mine.py:g", FUNCTIONS, r"there is no function 'g'"),
    ],
)
def test_python_that_makes_no_tool(source: str, content: str, message: str, tmp_path: Path) -> None:
    written(tmp_path, "mine.py", content)
    with pytest.raises(UserError, match=message):
        load_tools(str(tmp_path / source))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.json", "there is no such file"),
        ("absent.py", "there is no such file"),
        ("something", "no source of tools"),
        ("mcp:", "needs the command"),
        ("mcp:python 'server.py", "followed by no command: No closing quotation"),
    ],
)
def test_no_source(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_tools(source)


PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/pets/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "get": {
                "operationId": "getPet",
                "summary": "Find a pet",
                "parameters": [{"$ref": "#/components/parameters/Verbose"}],
            },
        },
        "/pets": {
            "post": {
                "description": "Add a pet",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}
                    },
                },
            }
        },
    },
    "components": {
        "parameters": {
            "Verbose": {"name": "verbose", "in": "query", "schema": {"type": "boolean"}}
        },
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "example": "Rex"},
                    "age": {
                        "type": "integer",
                        "minimum": 0,
                        "exclusiveMinimum": True,
                        "nullable": True,
                    },
                    "mother": {"$ref": "#/components/schemas/Pet"},
                },
            }
        },
    },
}


def test_openapi_operations(tmp_path: Path) -> None:
    get, post = load_tools(
        str(written(tmp_path, "pets.yaml", yaml.safe_dump(PETS, sort_keys=False)))
    )
    assert (get.name, get.description, get.required) == ("getPet", "Find a pet", ("id",))
    assert get.properties == {"id": {"type": "integer"}, "verbose": {"type": "boolean"}}
    assert (post.name, post.description, post.required) == ("post_pets", "Add a pet", ("name",))
    assert post.properties["age"] == {"type": ["integer", "null"], "exclusiveMinimum": 0}
    # A recursive schema stays one, inside the tool.
    assert post.properties["mother"] == {"$ref": "#/$defs/Pet"}
    assert post.problems({"name": "a", "mother": {"name": "b", "mother": {}}})
    assert not post.problems({"name": "a", "mother": {"name": "b"}})


def broken(**changes: Any) -> dict[str, Any]:
    operation = {"operationId": "f", **changes}
    return {"openapi": "3.1.0", "paths": {"/f": {"get": operation}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"openapi": "3.1.0"}, "has no paths"),
        ({"openapi": "3.1.0", "paths": {"/f": {}}}, "has no operations"),
        (broken(parameters=[{"$ref": "#/nowhere"}]), r"api\.json:\d+: .*'#/nowhere' leads nowhere"),
        (broken(parameters=[{"$ref": "other.yaml#/a"}]), "only references inside the document"),
        (
            broken(parameters=[{"name": "a", "in": "query", "schema": {"type": "x"}}]),
            "not a valid JSON Schema",
        ),
    ],
)
def test_openapi_that_is_wrong(document: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_tools(str(written(tmp_path, "api.json", document)))


def api(operation: dict[str, Any], path: str = "/f/{id}", **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"put": operation}}, **more}


def json_body(schema: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def test_arguments_of_one_name_are_told_apart(tmp_path: Path) -> None:
    fields = {"id": {"type": "string"}, "body_id": {}, "on": {}, "seen": {"readOnly": True}}
    document = api(
        {
            "operationId": "put",
            "parameters": [
                {"name": "id", "in": "query", "schema": {"type": "boolean"}},
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
            ],
            "requestBody": json_body({"properties": fields, "required": ["id", "seen"]}),
        }
    )
    notes: list[str] = []
    (tool,) = load_tools(str(written(tmp_path, "api.json", document)), notes)
    assert {name: schema.get("type") for name, schema in tool.properties.items()} == {
        "query_id": "boolean",
        "id": "integer",
        "body_id": "string",
        "body_body_id": None,
        "on": None,
    }
    assert tool.required == ("id", "body_id")
    assert notes == [
        "put: the query's 'id' is the argument 'query_id' here",
        "put: the body's 'id' is the argument 'body_id' here",
        "put: the body's 'body_id' is the argument 'body_body_id' here",
    ]


def test_names_that_are_not_allowed_are_said(tmp_path: Path) -> None:
    document = {
        "openapi": "3.1.0",
        "paths": {
            "/a-b/{c}/": {"get": {}, "put": {"operationId": "a.b__c"}},
            "/x": {"get": {"operationId": "查询"}, "put": {"operationId": "as_it__is"}},
        },
    }
    notes: list[str] = []
    tools = load_tools(str(written(tmp_path, "api.yaml", yaml.safe_dump(document))), notes)
    assert tools.names == ("get_a-b_c", "a_b__c", "get_x", "as_it__is")
    assert notes == [
        "GET /a-b/{c}/ is called 'get_a-b_c' here",
        "the operation 'a.b__c' is called 'a_b__c' here",
        "GET /x is called 'get_x' here",
    ]


def test_a_body_that_is_all_of_others_has_their_fields(tmp_path: Path) -> None:
    schemas = {
        "Base": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
        "More": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"required": ["b"]}]},
        "One": {"oneOf": [{"$ref": "#/components/schemas/Base"}]},
    }
    body = {
        "allOf": [{"$ref": "#/components/schemas/More"}, {"description": "x"}],
        "properties": {"a": {"minimum": 1}, "b": {"type": "string"}},
    }

    def of(body: object) -> Tool:
        document = api({"requestBody": json_body(body)}, components={"schemas": schemas})
        (tool,) = load_tools(str(written(tmp_path, "api.json", document)))
        return tool

    tool = of(body)
    assert tool.required == ("a", "b")
    assert tool.properties == {
        "a": {"allOf": [{"type": "integer"}, {"minimum": 1}]},
        "b": {"type": "string"},
    }
    either = of({"allOf": [body, {"$ref": "#/components/schemas/One"}]})
    assert either.required == ("body",)
    with pytest.raises(UserError, match=r"api\.json:5: .*leads back to itself"):
        schemas["Base"] = {"allOf": [{"$ref": "#/components/schemas/More"}]}
        of(body)


def test_fields_named_like_keywords_stay(tmp_path: Path) -> None:
    """And schemas of one name in two places, references into lists, chains of references."""
    schemas = {
        f"S{n}": {"properties": {"x": {"$ref": f"#/components/schemas/S{n + 1}"}}}
        for n in range(600)
    }
    schemas |= {"S600": {"type": "string"}, "id": {"type": "integer"}}
    fields = {
        "example": {"type": "string", "example": "x"},
        "nullable": {"enum": [{"example": 1}]},
        "id": {"$ref": "#/components/schemas/id", "description": "Its number"},
        "other": {"$ref": "#/paths/~1f~1%7Bid%7D/put/parameters/0/schema"},
        "third": {"$ref": "#/components/parameters/id"},
        "chain": {"$ref": "#/components/schemas/S0"},
    }
    document = api(
        {
            "parameters": [{"name": "q", "in": "query", "schema": {"enum": [1]}}],
            "requestBody": json_body({"type": "object", "properties": fields}),
        },
        components={"schemas": schemas, "parameters": {"id": {"type": "string"}}},
    )
    (tool,) = load_tools(str(written(tmp_path, "api.json", document)))
    assert tool.properties["example"] == {"type": "string"}
    assert tool.properties["nullable"] == {"enum": [{"example": 1}]}
    assert tool.properties["id"] == {"$ref": "#/$defs/id", "description": "Its number"}
    problems = tool.problems({"id": "1", "third": 1, "other": 2})
    assert len(problems) == 3


WHOLE = api(
    {
        "operationId": "f",
        "summary": "F",
        "parameters": [{"name": "a", "in": "query", "schema": {"type": "array", "items": True}}],
        "requestBody": json_body(
            {
                "allOf": [{"properties": {"b": {"type": "string"}}, "required": ["b"]}],
                "properties": {"c": {"type": "number", "minimum": 1}, "d": True},
            }
        ),
    }
)
JUNK = (
    None,
    5,
    "nope",
    "",
    [],
    {},
    True,
    False,
    [1],
    {"x": 1},
    {"$ref": "#/paths"},
    float("1e300"),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_whatever_stands_in_an_openapi_document_is_no_crash(junk: Any, tmp_path: Path) -> None:
    for at in list(places(WHOLE))[1:]:
        document = copy.deepcopy(WHOLE)
        parent = document
        for key in at[:-1]:
            parent = parent[key]
        parent[at[-1]] = junk
        path = written(tmp_path, "api.json", document)
        try:
            catalog_text(load_tools(str(path)), "d")
        except UserError as error:
            assert (error.file, error.line is None) == (str(path), False)


SERVER = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("test")


@server.tool(name="parcel.track/it")
def track_parcel(number: str, days: int = 3) -> str:
    "Track a parcel."
    return number


server.run()
"""


def test_an_mcp_server_lists_its_tools(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    path = written(tmp_path, "server.py", SERVER)
    notes: list[str] = []
    (tool,) = load_tools(f"mcp:{sys.executable} {path}", notes)
    assert notes == ["the server's tool 'parcel.track/it' is called 'parcel_track_it' here"]
    assert (tool.name, tool.description, tool.required) == (
        "parcel_track_it",
        "Track a parcel.",
        ("number",),
    )
    assert tool.properties["days"]["type"] == "integer"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-command-here", "there is no command"),
        (f"{sys.executable} -c 'pass'", "failed|did not answer"),
    ],
)
def test_an_mcp_server_that_is_none(command: str, message: str) -> None:
    pytest.importorskip("mcp")
    with pytest.raises(UserError, match=message):
        load_tools(f"mcp:{command}")


def test_words_of_names() -> None:
    assert words_of("getUserByID") == ["get", "user", "by", "id"]
    assert words_of("get_pm2_5-level") == ["get", "pm", "2", "5", "level"]
    tool = Tool(name="search_flights")
    assert (spoken_tool(tool, "zh"), spoken_tool(tool, "en")) == ("搜索航班", "search flights")


EVERYTHING = Tool(
    name="createOrder",
    description="Create an order.",
    parameters={
        "type": "object",
        "properties": {
            "customer_name": {"type": "string"},
            "quantity": {"type": "integer", "minimum": 1, "maximum": 20},
            "discount": {"type": "number", "minimum": 0, "maximum": 1},
            "express": {"type": "boolean"},
            "channel": {"enum": ["web_shop", "phone"]},
            "due": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "address": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "code": {"type": "integer"}},
                "required": ["city", "code"],
            },
            "parent": {"$ref": "#/$defs/Parent"},
            "comment": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["customer_name", "quantity"],
        "$defs": {
            "Parent": {"type": "object", "properties": {"parent": {"$ref": "#/$defs/Parent"}}}
        },
    },
)


def test_tools_without_templates_give_verified_rows(tmp_path: Path) -> None:
    text, left_out = catalog_text([EVERYTHING, Tool(**WEATHER)], "shop")
    assert left_out == [
        "createOrder: no values are known for the optional argument 'parent'; no request has it"
    ]
    assert text is not None
    (tmp_path / "tools.yaml").write_text(text, encoding="utf-8")
    dataset = build(plain(tmp_path, DATA / "chat", train=90, validation=9, test=24))
    called = [row.calls[0] for row in dataset.train if row.calls]
    assert {call.name for call in called} == {"createOrder", "get_weather"}
    used = {name for call in called if call.name == "createOrder" for name in call.arguments}
    assert used == EVERYTHING.properties.keys() - {"parent"}  # which has no end
    assert {row.origin.language for row in dataset.train} == {"zh", "en"}
    every = build(DataSpec(catalogs=(str(tmp_path), str(DATA / "chat")), train=300))
    kinds = {row.origin.kind for row in every.train}
    assert {"missing", "slot_filling", "contrast", "invalid", "parallel", "correction"} <= kinds


def test_what_no_value_is_known_for_is_left_out() -> None:
    tool = Tool(
        name="f",
        parameters={
            "type": "object",
            "properties": {"a": {"type": "string", "pattern": "^x{9}$"}},
            "required": ["a"],
        },
    )
    text, left_out = catalog_text([tool], "d")
    assert text is None
    assert left_out == ["f: no values are known for the required argument 'a'"]


schemas: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "maxLength": 5},
            {"type": "string", "format": "uuid"},
            {"type": "integer"},
            {"type": "integer", "maximum": -3},
            {"type": "integer", "minimum": 7, "multipleOf": 5},
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "minimum": 2, "maximum": 3},
            {"type": "boolean"},
            {"enum": ["a_b", "c", 3]},
            {"const": "x"},
            {"const": True},
            {"type": ["integer", "null"]},
            {"anyOf": [{"type": "boolean"}, {"type": "null"}], "description": "Whether to do it"},
            {"allOf": [{"type": "string"}, {"description": "开始日期，YYYY年MM月DD日"}]},
            {"type": "string", "description": "One of 'a' or \"b\"", "pattern": "^a"},
            {},
            True,
            False,
        ]
    ),
    lambda inner: (
        inner.map(lambda one: {"type": "array", "items": one})
        | st.dictionaries(st.sampled_from(["a", "city", "id"]), inner, min_size=1).map(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)}
        )
    ),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(["city", "user_id", "startTime", "n", "x1", "on"]), schemas, max_size=4
    ),
    st.data(),
)
def test_a_derived_catalog_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, properties: dict[str, Any], data: st.DataObject
) -> None:
    required = [name for name in properties if data.draw(st.booleans())]
    parameters = {"type": "object", "properties": properties, "required": required}
    text, _ = catalog_text([Tool(name="do_it", parameters=parameters)], "d")
    if text is None:
        return
    folder = tmp_path_factory.mktemp("derived")
    (folder / "tools.yaml").write_text(text, encoding="utf-8")
    catalog = load_catalogs([folder])
    assert {t.language for t in catalog.templates} == {"zh", "en"}


def test_awkward_tools_give_what_can_be_said_of_them(tmp_path: Path) -> None:
    def tool(name: str, *required: str, **properties: Any) -> Tool:
        schema = {"type": "object", "properties": properties, "required": list(required)}
        return Tool(name=name, parameters=schema | {"$defs": {"Who": {"type": "string"}}})

    tools = [
        tool("by_reference", "who", who={"$ref": "#/$defs/Who"}),
        tool("heat", "unit", unit={"enum": ["摄氏", "华氏"]}),
        tool("ping"),
        tool("render", "uuid", uuid={"type": "string", "format": "uuid"}),
        tool("odd", **{"user-id": {"type": "string"}, "城市": {"type": "string"}}),
        tool("odder", "user-id", **{"user-id": {"type": "string"}}),
        tool("tenths", "x", x={"type": "number", "multipleOf": 0.1}),
        tool("half", "x", x={"type": "integer", "minimum": 1.5}),
        tool("chat", "text", text={"type": "string"}),
    ]
    text, left_out = catalog_text(tools, "own")
    assert left_out == [
        "odd: no sentence can name the optional argument 'user-id'; no request has it",
        "odd: no sentence can name the optional argument '城市'; no request has it",
        "odder: no sentence can name the required argument 'user-id'",
    ]
    assert text is not None
    (tmp_path / "tools.yaml").write_text(text, encoding="utf-8")
    spec = DataSpec(catalogs=(str(tmp_path), str(DATA / "chat")), train=300, masked=0)
    dataset = build(spec)
    called = {call.name for row in dataset.train for call in row.calls}
    assert called == {tool.name for tool in tools} - {"odder"}
    # Without small talk, requests for a tool that is not offered take its place.
    bare = build(DataSpec(catalogs=(str(tmp_path),), train=200, irrelevant=0.5, kinds={}))
    assert {row.origin.kind for row in bare.train if not row.calls} == {"unknown_tool"}


def test_thousands_of_tools_are_a_catalog_like_any_other(tmp_path: Path) -> None:
    tools = [
        Tool(
            name=f"{verb}_{noun}_{number}",
            parameters={
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["name"],
            },
        )
        for number in range(100)
        for verb in ("get", "set", "list", "find")
        for noun in ("user", "order", "bill", "page", "note")
    ]
    text, left_out = catalog_text(tools, "many")
    assert left_out == []
    assert text is not None
    (tmp_path / "tools.yaml").write_text(text, encoding="utf-8")
    spec = DataSpec(catalogs=(str(tmp_path), str(DATA / "chat")), train=1000)
    dataset = build(spec)
    assert len(dataset.catalog) == 2000
    assert len({call.name for row in dataset.train for call in row.calls}) > 400
    assert max(len(row.tools) for row in dataset.train) <= 9
