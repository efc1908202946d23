"""Tools from OpenAPI documents: every operation is one, its parameters and its body are the arguments.

Knows nothing of other sources, and not how the operations would be called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from fcray.dataset.toolset import allowed_name, catalog_of, tool_of
from fcray.errors import UserError
from fcray.tools import ToolCatalog
from fcray.yamlfile import Location, YamlFile

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


def from_openapi(document: YamlFile, notes: list[str]) -> ToolCatalog:
    """Every operation of an OpenAPI 3 document (or Swagger 2), its parameters and its JSON body as arguments.

    A body that is an object becomes an argument a field, `allOf` merged; any other is one argument `body`.
    Where two would share a name, the one of the path keeps it, then that of the query; the others' gets its
    place in front: `body_id`. Fields that are read-only belong to answers and are left out.

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

            own = operation.get("operationId")
            if own is not None and not isinstance(own, str):
                raise document.error("an operationId is a text", (*at, "operationId"))
            name = allowed_name(own, f"the operation {own!r}", notes) if own else ""
            name = name or allowed_name(f"{method} {path}", f"{method.upper()} {path}", notes)
            described = operation.get("summary") or operation.get("description") or ""
            value = {
                "name": name,
                "description": str(described).strip(),
                "parameters": _arguments(document, item, operation, at, f"{name}: ", notes),
            }
            tools.append((tool_of(value, fault), fault))
    if not tools:
        raise document.error("this OpenAPI document has no operations", ("paths",))
    return catalog_of(tools)


_PLACES = ("path", "query", "formData", "body")
"""Where arguments come from, in the order in which they may keep their names."""

_Found = dict[tuple[str, str], tuple[Any, bool]]
"""Place and name → the schema, and whether it is required."""


def _arguments(
    document: YamlFile,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
    at: Location,
    of: str,
    notes: list[str],
) -> dict[str, Any]:
    """The schema of an operation's arguments; those that are called otherwise are noted."""
    found, body = _parameters(document, item, operation, at)
    if "requestBody" in operation:
        body = _request_body(document, operation["requestBody"], at)
    if body is not None:
        found |= _of_body(document, body, at)
    names = _names(found, of, notes)
    declared = sorted(names, key=lambda one: list(found).index(names[one]))
    return _self_contained(
        document,
        {
            "type": "object",
            "properties": {one: found[names[one]][0] for one in declared},
            "required": [one for one in declared if found[names[one]][1]],
        },
        at,
    )


def _parameters(
    document: YamlFile, item: Mapping[str, Any], operation: Mapping[str, Any], at: Location
) -> tuple[_Found, dict[str, Any] | None]:
    """The parameters, an operation's own in place of its path's; and the body, which Swagger 2 has there."""
    found: _Found = {}
    body: dict[str, Any] | None = None
    for raw in (
        *_part(document, item, "parameters", list, at[:-1]),
        *_part(document, operation, "parameters", list, at),
    ):
        parameter = _resolved(document, raw, at)
        name, place = parameter.get("name"), parameter.get("in")
        if place in ("header", "cookie"):
            continue  # credentials and plumbing: nothing that a person asks for
        if place == "body":
            body = parameter
            continue
        if not isinstance(name, str) or place not in _PLACES:
            raise document.error(
                f"a parameter has a name, and is in a path, query or body: {raw!r:.80}", at
            )
        schema = parameter.get("schema") or {k: v for k, v in parameter.items() if k in _PLAIN}
        if isinstance(schema, dict) and parameter.get("description"):
            schema = {"description": parameter["description"], **schema}
        found[place, name] = schema, parameter.get("required") is True
    return found, body


def _of_body(document: YamlFile, body: Mapping[str, Any], at: Location) -> _Found:
    """A body's fields, or the one argument that it is as a whole."""
    whole = body.get("schema", {})
    fields, required = _fields(document, whole, at) or ({"body": whole}, ["body"])
    return {
        ("body", name): (schema, body.get("required") is True and name in required)
        for name, schema in fields.items()
        if not (isinstance(schema, dict) and schema.get("readOnly") is True)
    }


def _names(found: _Found, of: str, notes: list[str]) -> dict[str, tuple[str, str]]:
    """Argument → where it comes from; one whose name is taken has its place in front of it."""
    names: dict[str, tuple[str, str]] = {}
    for place, name in sorted(found, key=lambda one: _PLACES.index(one[0])):
        argument = name
        while argument in names:
            argument = f"{place}_{argument}"
        if argument != name:
            notes.append(f"{of}the {place}'s {name!r} is the argument {argument!r} here")
        names[argument] = place, name
    return names


def _request_body(document: YamlFile, raw: Any, at: Location) -> dict[str, Any] | None:
    """OpenAPI 3's body as Swagger 2 has it, if it is JSON or a form."""
    request = _resolved(document, raw, at)
    content = _part(document, request, "content", dict, at)
    kind = next((k for k in content if "json" in k or "form" in k), None)
    if kind is None:
        return None
    media = _part(document, content, kind, dict, at)
    return {"schema": media.get("schema", {}), "required": request.get("required")}


_PLAIN = ("type", "format", "enum", "items", "minimum", "maximum", "default", "pattern")
_PartT = TypeVar("_PartT", list[Any], dict[str, Any])


def _part(
    document: YamlFile, of: Mapping[str, Any], key: str, kind: type[_PartT], at: Location
) -> _PartT:
    """What stands under `key`, or nothing where it is absent or null."""
    found = of.get(key)
    if found is None:
        return kind()
    if not isinstance(found, kind):
        what = "a list" if kind is list else "an object"
        raise document.error(f"{key!r} is {what}, not {found!r:.40}", (*at, key))
    return found


def _fields(
    document: YamlFile, schema: Any, at: Location, depth: int = 0
) -> tuple[dict[str, Any], list[Any]] | None:
    """An object's fields and which are required, `allOf` merged; None where it is no plain list of fields."""
    if depth > _MOST_FOLLOWED:
        raise document.error("an allOf that leads back to itself", at)
    whole = _resolved(document, schema, at)
    own = _part(document, whole, "properties", dict, at)
    required = [*_part(document, whole, "required", list, at)]
    if not own and whole.keys() & {"oneOf", "anyOf"}:
        return None
    properties: dict[str, Any] = {}
    for one in _part(document, whole, "allOf", list, at):
        part = _fields(document, one, at, depth + 1)
        if part is None:
            return None
        _merge(properties, part[0])
        required += part[1]
    _merge(properties, own)
    return (properties, required) if properties or depth else None


def _merge(properties: dict[str, Any], more: Mapping[str, Any]) -> None:
    """A field that stands in both must be what both say."""
    for name, schema in more.items():
        known = properties.get(name, schema)
        properties[name] = schema if known == schema else {"allOf": [known, schema]}


_MOST_FOLLOWED = 20
"""References, one leading to the next."""


def _resolved(document: YamlFile, value: Any, at: Location) -> dict[str, Any]:
    """`value`, or what its `$ref` leads to inside the document."""
    for _ in range(_MOST_FOLLOWED):
        if not isinstance(value, dict):
            raise document.error(f"expected an object, not {value!r:.40}", at)
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
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise document.error(f"$ref {reference!r} leads nowhere", at)
    return value


def _self_contained(document: YamlFile, schema: dict[str, Any], at: Location) -> dict[str, Any]:
    """`schema` in JSON Schema's own words, with what it refers to under `$defs`."""
    names: dict[str, str] = {}  # reference → its name here

    def translated(value: Any, *, is_schema: bool = True) -> Any:
        if isinstance(value, list):
            return [translated(one) for one in value]
        if not isinstance(value, dict):
            return value
        if not is_schema:  # its keys are names of fields
            return {name: translated(one) for name, one in value.items()}
        if isinstance(value.get("$ref"), str):
            told = {k: v for k, v in value.items() if k == "description"}
            return {"$ref": f"#/$defs/{named(value['$ref'])}", **told}
        return _modern(
            {
                k: v if k in _VALUES else translated(v, is_schema=k not in _NAMED)
                for k, v in value.items()
                if k not in _OPENAPI_ONLY
            }
        )

    def named(reference: str) -> str:
        if reference not in names:
            name = re.sub(r"\W+", "_", reference.rpartition("/")[2], flags=re.ASCII)
            while name in names.values():
                name += "_"
            names[reference] = name
        return names[reference]

    found: dict[str, Any] = translated(schema)
    if not found["required"]:
        del found["required"]
    definitions: dict[str, Any] = {}
    while len(definitions) < len(names):  # one may refer to others
        reference, name = list(names.items())[len(definitions)]
        definitions[name] = translated(_followed(document, reference, at))
    return found | ({"$defs": definitions} if definitions else {})


_VALUES = ("enum", "const", "default", "examples")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
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
