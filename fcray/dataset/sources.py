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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from fcray.dataset.openapi import from_openapi
from fcray.dataset.toolset import allowed_name, catalog_of, tool_of
from fcray.errors import UserError, missing_extra
from fcray.tools import ToolCatalog
from fcray.yamlfile import Location, YamlFile

MCP_TIMEOUT = 30.0
"""Seconds that an MCP server may take to start and to list its tools."""


def load_tools(source: str, notes: list[str] | None = None) -> ToolCatalog:
    """The tools of `source`.

    Parameters
    ----------
    source: `tools.json` (OpenAI's list), an OpenAPI document (.yaml, .yml, .json), `module:name,name` or
        `file.py` or `file.py:name` (Python functions), or `mcp:COMMAND ARGUMENTS` (a server on stdio).
    notes: Takes a sentence on each name that is another one here.

    Raises
    ------
    UserError: It cannot be read, holds no tools or an invalid one; names file and line where it has any.
    """
    notes = [] if notes is None else notes
    if source.startswith("mcp:"):
        return from_mcp(_command(source.removeprefix("mcp:")), notes)
    place, _, names = source.partition(":")
    if place.endswith(".py"):
        return from_python(Path(place), names)
    if Path(source).suffix in (".json", ".yaml", ".yml"):
        document = YamlFile.read(source)
        if isinstance(document.data, dict) and (
            "openapi" in document.data or "swagger" in document.data
        ):
            return from_openapi(document, notes)
        return from_openai(document)
    if names:
        return from_python(place, names)
    raise UserError(
        f"no source of tools: {source!r}; give a .json, .yaml or .py file, module:function, or mcp:command"
    )


def _command(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"mcp: is followed by no command: {error}") from None


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

        tools.append((tool_of(known, fault), lambda m, fault=fault: fault(m, ("name",))))
    return catalog_of(tools)


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
        tools.append((tool_of(schema, fault), fault))
    if not tools:
        raise UserError("no public functions are defined here", file=str(place))
    return catalog_of(tools)


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


def from_mcp(command: Sequence[str], notes: list[str]) -> ToolCatalog:
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

    tools = []
    for value in listed:
        name = allowed_name(value["name"], f"the server's tool {value['name']!r}", notes)
        tools.append((tool_of({**value, "name": name}, fault), fault))
    return catalog_of(tools)


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
                    "name": tool.name,
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
