"""What an argument's schema says in words, and what it is with all that it refers to.

Knows nothing of what the words mean, or of values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fcray.tools import Tool, referenced

_EXAMPLES = re.compile(
    r"\be\.?g\b|\bi\.?e\b|\bfor example\b|\bsuch as\b|例如|比如|譬如|诸如|[（(，,]如", re.I
)
_CLAUSE_END = re.compile(r"[.,;:!?()\n。，；：！？（）]|\s[-–—]\s")


def description_of(schema: Any) -> str:
    """A schema's description; empty where it has none."""
    told = schema.get("description") if isinstance(schema, Mapping) else None
    return told if isinstance(told, str) else ""


def before_examples(description: str) -> str:
    """A description up to its examples."""
    return _EXAMPLES.split(description, maxsplit=1)[0]


def clauses(description: str) -> list[str]:
    """A description up to its examples, clause by clause."""
    parts = _CLAUSE_END.split(before_examples(description))
    return [clause for part in parts if (clause := part.strip())]


def first_clause(schema: Any) -> str:
    """What a schema's description says first; empty where it says nothing."""
    return next(iter(clauses(description_of(schema))), "")


def whole_schema(tool: Tool, name: str) -> Mapping[str, Any]:
    """An argument's schema with what it refers to; its own description comes first."""
    own = tool.properties[name]
    found = followed(own, tool.parameters)
    if not isinstance(found, Mapping):
        return {}
    return {**found, **own} if isinstance(own, Mapping) else found


def merged(schema: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any] | None:
    """`schema` with what it refers to and what it is all of; None where nothing fits or it has no end.

    `true` stands for any value. Where two parts differ the last one counts: what is made of it is checked.
    """
    found = followed(schema, root)
    if not isinstance(found, Mapping) or depth > 3:
        return None
    whole: dict[str, Any] = {}
    for one in [*found.get("allOf", ()), {k: v for k, v in found.items() if k != "allOf"}]:
        part = merged(one, root, depth + 1) if "allOf" in found else found
        if part is None:
            return None
        both = {**whole.get("properties", {}), **part.get("properties", {})}
        required = [*whole.get("required", ()), *part.get("required", ())]
        whole |= part
        whole |= {"properties": both} if both else {}
        whole |= {"required": required} if required else {}
    return whole


def followed(schema: Any, root: Mapping[str, Any]) -> Any:
    """What a schema leads to; of `true`, which takes anything, the one that says nothing.

    None where it leads back to itself.
    """
    for _ in range(_MOST_FOLLOWED):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return {} if schema is True else schema
        schema = referenced(str(schema["$ref"]), root)
    return None


_MOST_FOLLOWED = 10
"""References, one leading to the next."""
