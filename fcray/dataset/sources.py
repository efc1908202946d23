"""Tools from where users have them: OpenAI's JSON, Python functions, OpenAPI documents, MCP servers.

What comes out is the vocabulary's Tool alone; how people ask for one is `derive`'s matter. Python files are
run, since that is what a function's signature takes: name only files that you wrote or trust.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from fcray.dataset.formats.base import safe_name
from fcray.errors import UserError, first_problem, missing_extra
from fcray.tools import Tool, ToolCatalog
from fcray.yamlfile import Location, YamlFile

MCP_TIMEOUT = 30.0
"""Seconds that an MCP server may take to start and to list its tools."""

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


def load_tools(source: str) -> ToolCatalog:
    """The tools of `source`.

    Parameters
    ----------
    source: `tools.json` (OpenAI's list), an OpenAPI document (.yaml, .yml, .json), `module:name,name` or
        `file.py` or `file.py:name` (Python functions), or `mcp:COMMAND ARGUMENTS` (a server on stdio).

    Raises
    ------
    UserError: It cannot be read, holds no tools or an invalid one; names file and line where it has any.
    """
    if source.startswith("mcp:"):
        return from_mcp(shlex.split(source.removeprefix("mcp:")))
    place, _, names = source.partition(":")
    if place.endswith(".py"):
        return from_python(Path(place), names)
    if Path(source).suffix in (".json", ".yaml", ".yml"):
        document = YamlFile.read(source)  # JSON is YAML, and this knows the lines
        if isinstance(document.data, dict) and (
            "openapi" in document.data or "swagger" in document.data
        ):
            return from_openapi(document)
        return from_openai(document)
    if names:
        return from_python(place, names)
    raise UserError(
        f"no source of tools: {source!r}; give a .json, .yaml or .py file, module:function, or mcp:command"
    )


def _catalog(tools: Sequence[tuple[Tool, Callable[[str], UserError]]]) -> ToolCatalog:
    """The tools, each once; a second one of a name is an error at its own place."""
    seen: set[str] = set()
    for tool, fault in tools:
        if tool.name in seen:
            raise fault(f"a second tool is named {tool.name!r}")
        seen.add(tool.name)
    return ToolCatalog(tool for tool, _ in tools)


def _tool(value: Mapping[str, Any], fault: Callable[[str, Location], UserError]) -> Tool:
    try:
        return Tool.model_validate(value)
    except ValidationError as error:
        message, where = first_problem(error)
        raise fault(message, where) from None


def from_openai(document: YamlFile) -> ToolCatalog:
    """OpenAI's `tools` list: entries of type `function`, wrapped or bare; alone or under `tools`.

    Raises
    ------
    UserError: An entry is no tool, or two share a name; names file, line and field.
    """
    root: Location = ()
    values = document.data
    if isinstance(values, dict) and "tools" in values:
        root, values = ("tools",), values["tools"]
    if not isinstance(values, list):
        raise document.error("expected a list of tools, or an object with one under `tools`", root)
    if not values:
        raise document.error("this list of tools is empty", root)
    tools = []
    for index, entry in enumerate(values):
        at: Location = (*root, index)
        value = entry
        if isinstance(entry, dict) and "function" in entry:
            at, value = (*at, "function"), entry["function"]
        if not isinstance(value, dict):
            raise document.error("a tool is an object with a name", at)
        known = {k: v for k, v in value.items() if k in ("name", "description", "parameters")}

        def fault(message: str, loc: Location = (), at: Location = at) -> UserError:
            return document.error(message, (*at, *loc))

        tools.append((_tool(known, fault), lambda m, fault=fault: fault(m, ("name",))))
    return _catalog(tools)


def from_python(place: Path | str, names: str = "") -> ToolCatalog:
    """Python functions, by signature and docstring (Google's style), as transformers reads them.

    Parameters
    ----------
    place: A file, or a module's name.
    names: Which functions, with commas; empty: every public one that is defined there.

    Raises
    ------
    UserError: It cannot be imported, or a function lacks what a tool needs; names file and line.
    """
    from transformers.utils.chat_template_utils import get_json_schema

    module = _module(place)
    tools = []
    for function in _functions(module, place, [n.strip() for n in names.split(",") if n.strip()]):
        file, line = inspect.getsourcefile(function), inspect.getsourcelines(function)[1]

        def fault(
            message: str,
            loc: Location = (),
            file: str | None = file,
            line: int = line,
            name: str = function.__name__,
        ) -> UserError:
            return UserError(message, file=file, line=line, field=name)

        try:
            schema = get_json_schema(function)["function"]
        except Exception as error:  # transformers has an own class for each way to fail
            reason = str(error).splitlines()[0]
            raise fault(f"its signature and docstring make no tool: {reason}") from None
        schema = {k: v for k, v in schema.items() if k in ("name", "description", "parameters")}
        tools.append((_tool(schema, fault), fault))
    if not tools:
        raise UserError("no public functions are defined here", file=str(place))
    return _catalog(tools)


def _module(place: Path | str) -> ModuleType:
    try:
        if isinstance(place, str):
            return importlib.import_module(place)
        if not place.is_file():
            raise UserError("there is no such file", file=place)
        spec = importlib.util.spec_from_file_location(f"_fcray_tools_{place.stem}", place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # type hints are looked up there
        spec.loader.exec_module(module)
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(f"not valid Python: {error.msg}", file=place, line=error.lineno) from None
    except Exception as error:
        raise UserError(
            f"cannot be imported: {type(error).__name__}: {error}", file=str(place)
        ) from None
    return module


def _functions(
    module: ModuleType, place: Path | str, names: Sequence[str]
) -> Iterator[Callable[..., Any]]:
    for name in names:
        function = getattr(module, name, None)
        if not inspect.isfunction(function):
            raise UserError(f"there is no function {name!r}", file=str(place))
        yield function
    if names:
        return
    for name, function in vars(module).items():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and not name.startswith("_"):
            yield function


def from_openapi(document: YamlFile) -> ToolCatalog:
    """Every operation of an OpenAPI 3 document (or Swagger 2), its parameters and its JSON body as arguments.

    Raises
    ------
    UserError: There are no operations, a reference leads nowhere, or a schema is invalid.
    """
    paths = document.data.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise document.error("this OpenAPI document has no paths", ("paths",))
    tools = []
    for path, raw in paths.items():
        item = _resolved(document, raw, ("paths", path))
        for method in [m for m in _METHODS if m in item]:
            at: Location = ("paths", path, method)
            operation = item[method]
            if not isinstance(operation, dict):
                raise document.error("an operation is an object", at)

            def fault(message: str, loc: Location = (), at: Location = at) -> UserError:
                return document.error(message, at)

            parameters = _arguments(
                document,
                [*item.get("parameters", []), *operation.get("parameters", [])],
                operation,
                at,
            )
            described = operation.get("summary") or operation.get("description") or ""
            value = {
                "name": safe_name(operation.get("operationId") or f"{method}_{path}").strip("_"),
                "description": str(described).strip(),
                "parameters": parameters,
            }
            tools.append((_tool(value, fault), fault))
    if not tools:
        raise document.error("this OpenAPI document has no operations", ("paths",))
    return _catalog(tools)


def _arguments(
    document: YamlFile, parameters: Sequence[Any], operation: Mapping[str, Any], at: Location
) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []

    def add(name: str, schema: Any, needed: bool) -> None:
        properties[name] = schema
        if needed and name not in required:
            required.append(name)

    body: Any = None
    for raw in parameters:
        parameter = _resolved(document, raw, at)
        if parameter.get("in") == "body":  # Swagger 2
            body = (parameter.get("schema", {}), parameter.get("required", False))
            continue
        if parameter.get("in") in ("header", "cookie"):
            continue  # credentials and plumbing: nothing that a person asks for
        schema = dict(
            parameter.get("schema") or {k: v for k, v in parameter.items() if k in _PLAIN}
        )
        if parameter.get("description"):
            schema.setdefault("description", parameter["description"])
        add(str(parameter.get("name")), schema, bool(parameter.get("required")))
    if "requestBody" in operation:
        request = _resolved(document, operation["requestBody"], at)
        content = request.get("content", {})
        kind = next((k for k in content if "json" in k or "form" in k), None)
        if kind:
            body = (content[kind].get("schema", {}), request.get("required", False))
    if body is not None:
        whole = _resolved(document, body[0], at)
        if whole.get("properties"):
            for name, schema in whole["properties"].items():
                add(name, schema, bool(body[1]) and name in whole.get("required", ()))
        else:
            add("body", body[0], bool(body[1]))
    return _self_contained(
        document, {"type": "object", "properties": properties, "required": required}, at
    )


_PLAIN = ("type", "format", "enum", "items", "minimum", "maximum", "default", "pattern")


def _resolved(document: YamlFile, value: Any, at: Location) -> dict[str, Any]:
    """`value`, or what its `$ref` leads to inside the document."""
    for _ in range(20):
        if not isinstance(value, dict):
            raise document.error("expected an object", at)
        if "$ref" not in value:
            return value
        value = _followed(document, value["$ref"], at)
    raise document.error("a $ref that leads back to itself", at)


def _followed(document: YamlFile, reference: Any, at: Location) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise document.error(
            f"only references inside the document are followed, not {reference!r}", at
        )
    value = document.data
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            raise document.error(f"$ref {reference!r} leads nowhere", at)
        value = value[key]
    return value


def _self_contained(document: YamlFile, schema: dict[str, Any], at: Location) -> dict[str, Any]:
    """`schema` in JSON Schema's own words, with what it refers to under `$defs`."""
    definitions: dict[str, Any] = {}

    def translated(value: Any) -> Any:
        if isinstance(value, list):
            return [translated(one) for one in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$ref"), str):
            name = safe_name(value["$ref"].rpartition("/")[2])
            if name not in definitions:
                definitions[name] = {}  # first, so that a recursive schema ends
                definitions[name] = translated(_followed(document, value["$ref"], at))
            return {"$ref": f"#/$defs/{name}"}
        return _modern({k: translated(v) for k, v in value.items() if k not in _OPENAPI_ONLY})

    found: dict[str, Any] = translated(schema)
    if not found["required"]:
        del found["required"]
    return found | ({"$defs": definitions} if definitions else {})


_OPENAPI_ONLY = ("example", "xml", "discriminator", "externalDocs", "readOnly", "writeOnly")


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0's ways to say what Draft 2020-12 says otherwise."""
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive) is False:
            del schema[exclusive]
        elif schema.get(exclusive) is True and bound in schema:
            schema[exclusive] = schema.pop(bound)
    return schema


def from_mcp(command: Sequence[str]) -> ToolCatalog:
    """The tools that an MCP server lists; it is started, asked over stdio, and ended.

    Raises
    ------
    UserError: It does not start, does not answer in time, or lists an invalid tool.
    """
    if not command:
        raise UserError(
            "mcp: needs the command that starts the server, such as 'mcp:python server.py'"
        )
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise missing_extra("mcp", "mcp", "reading an MCP server's tools") from None
    said = " ".join(command)
    try:
        listed = asyncio.run(asyncio.wait_for(_list_tools(command), MCP_TIMEOUT))
    except TimeoutError:
        raise UserError(f"the MCP server {said!r} did not answer in {MCP_TIMEOUT:g} s") from None
    except FileNotFoundError:
        raise UserError(f"there is no command {command[0]!r} to start the MCP server") from None
    except Exception as error:  # a group of errors from its two streams
        raise UserError(f"the MCP server {said!r} failed: {_innermost(error)}") from None
    if not listed:
        raise UserError(f"the MCP server {said!r} has no tools")

    def fault(message: str, loc: Location = ()) -> UserError:
        return UserError(f"the MCP server {said!r} lists an invalid tool: {message}")

    return _catalog([(_tool(value, fault), fault) for value in listed])


async def _list_tools(command: Sequence[str]) -> list[dict[str, Any]]:
    from mcp import Client, StdioServerParameters

    server = StdioServerParameters(command=command[0], args=list(command[1:]))
    found: list[dict[str, Any]] = []
    async with Client(server) as client:
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += [
                {
                    "name": safe_name(tool.name),
                    "description": tool.description or "",
                    "parameters": tool.input_schema,
                }
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if not cursor:
                return found


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
