"""The catalog file of tools that come without requests, as text, and what it leaves out.

Knows the file's format; nothing of where tools come from, and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import yaml

from fcray.dataset.derive.flags import is_flag, said_as_flag
from fcray.dataset.derive.labels import labels_of, spoken_argument
from fcray.dataset.derive.schemas import whole_schema
from fcray.dataset.derive.sentences import contrasts_of, incomplete_of, templates_of
from fcray.dataset.derive.values import Values, pool_of, speaks, value_of
from fcray.dataset.pools import LANGUAGES
from fcray.tools import Language, Tool

RESULTS = [
    {"value": {"ok": True}, "zh": "办好了。", "en": "Done."},
    {"value": {"ok": False, "error": "not found"}, "zh": "没有找到。", "en": "Nothing was found."},
    {
        "value": {"ok": False, "error": "service unavailable"},
        "zh": "服务暂时用不了。",
        "en": "The service is unavailable right now.",
    },
]
"""What any tool may give back."""

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def catalog_text(
    tools: Iterable[Tool], domain: str, notes: Iterable[str] = ()
) -> tuple[str | None, list[str]]:
    """A catalog file with derived templates and pools, and what it leaves out: tools, optional arguments.

    A tool is left out when a required argument has no values: its reason names the argument. Without
    any tool there is no text.

    Parameters
    ----------
    notes: What else the file says at its top.
    """
    pools: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    left_out: list[str] = []
    for tool in tools:
        own = {name: _usable(tool, name) for name in tool.properties}
        missing = [name for name in own if own[name] is None]
        if required := [name for name in missing if name in tool.required]:
            left_out.append(_unsaid(tool, required[0], "required"))
            continue
        left_out += [f"{_unsaid(tool, name, 'optional')}; no request has it" for name in missing]
        said = {name: pool for name, pool in own.items() if pool is not None}
        labels = _labels_to_write(tool)
        entries.append(
            tool.model_dump()
            | {"values": {n: _named(pools, n, tool.name, pool) for n, pool in said.items()}}
            | ({"labels": labels} if labels else {})
            | {
                "templates": {one: templates_of(tool, said, one) for one in LANGUAGES},
                "incomplete": {one: incomplete_of(tool, said, one) for one in LANGUAGES},
                "contrast": contrasts_of(tool),
                "results": RESULTS,
            }
        )
    if not entries:
        return None, left_out
    head = (
        "# Derived from the tools' names, descriptions and schemas: edit what people would say otherwise.\n"
        "# The format is described in data/README.md.\n"
    )
    head += "".join(f"# {' '.join(note.split())}\n" for note in (*notes, *left_out))
    document = {"domain": domain, "pools": pools, "tools": entries}
    text = yaml.dump(document, Dumper=DUMPER, allow_unicode=True, sort_keys=False, width=110)
    return head + text, left_out


def _unsaid(tool: Tool, name: str, which: str) -> str:
    why = "no values are known for" if _fits_a_gap(name) else "no sentence can name"
    return f"{tool.name}: {why} the {which} argument {name!r}"


def _labels_to_write(tool: Tool) -> dict[str, dict[Language, str]]:
    """The labels that the schema of the argument alone would not give."""
    found: dict[str, dict[Language, str]] = {}
    for language in LANGUAGES:
        for name, label in labels_of(tool, language).items():
            if label != spoken_argument(name, tool.properties[name], language):
                found.setdefault(name, {})[language] = label
    return found


def _usable(tool: Tool, name: str) -> Values | None:
    """Values that the schema takes and both languages can say, for an argument that a gap can name."""
    if not _fits_a_gap(name):
        return None
    schema = tool.properties[name]
    pool = pool_of(name, schema, tool.parameters)
    if pool is None:
        return None
    # `descend`, as references lead into the whole schema.
    check = jsonschema.Draft202012Validator(tool.parameters)

    def fits(value: Any) -> bool:
        try:
            return next(check.descend(value, schema), None) is None
        except RecursionError:  # it refers to itself without end
            return False

    if isinstance(pool, dict):
        low, high = pool["range"]
        return pool if fits(low) and fits(high) else None
    kept = [
        entry
        for entry in pool
        if all(fits(value_of(entry, one)) for one in LANGUAGES if speaks(entry, one))
    ]
    if not all(any(speaks(entry, one) for entry in kept) for one in LANGUAGES):
        return None
    return said_as_flag(kept, name, whole_schema(tool, name)) if is_flag(kept) else kept


def _fits_a_gap(name: str) -> bool:
    return name.isidentifier() and name.isascii()


def _named(pools: dict[str, Any], name: str, tool: str, pool: Any) -> str:
    """The name of `pool`: the argument's where that is free or holds the same, else with the tool's."""
    for candidate in _names(name, tool):
        if candidate not in pools or pools[candidate] == pool:
            pools[candidate] = pool
            return candidate
    raise AssertionError("names do not run out")


def _names(name: str, tool: str) -> Iterator[str]:
    yield name
    yield f"{re.sub(r'[^A-Za-z0-9_]', '_', tool)}_{name}"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
