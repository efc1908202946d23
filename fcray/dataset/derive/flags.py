"""Yes and no in words that tell of what: "with breakfast" and "without breakfast", 需要早餐 and 不需要早餐.

Knows nothing of tools or sentences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fcray.dataset.derive.labels import short_name
from fcray.dataset.derive.schemas import first_clause
from fcray.dataset.derive.values import Values
from fcray.dataset.derive.words import in_chinese, plain, words_of
from fcray.dataset.speech import is_chinese


def is_flag(pool: Values) -> bool:
    """Whether a pool holds yes and no alone."""
    return isinstance(pool, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("value"), bool) for entry in pool
    )


def said_as_flag(pool: list[Any], name: str, schema: Mapping[str, Any]) -> list[Any]:
    """Yes and no in words that tell of what."""
    zh, en = _flag_zh(name, schema), _flag_en(name, schema)
    return [
        {"value": entry["value"], "zh": zh[not entry["value"]], "en": en[not entry["value"]]}
        for entry in pool
    ]


def _flag_en(name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    first, *rest = words_of(name)
    told = first_clause(schema)
    if (whether := _WHETHER.match(told)) and len(whether[1].split()) <= 5:
        return whether[1], f"do not {whether[1]}"
    if told.lower().startswith("only ") and len(told.split()) <= 5:
        return plain(f"o{told[1:]}"), plain(f"not o{told[1:]}")
    if not rest and first in _SWITCHED:
        return "turned on", "turned off"
    if rest and first in ("is", "are"):
        return " ".join(rest), f"not {' '.join(rest)}"
    what = " ".join(rest if rest and first in {*_HAVING, *_LACKING} else [first, *rest])
    pair = (f"with {what}", f"without {what}")
    return (pair[1], pair[0]) if rest and first in _LACKING else pair


def _flag_zh(name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    first, *rest = words_of(name)
    told = first_clause(schema)
    if told.startswith(("是否", "只", "仅")) and 2 < len(told) <= 12:
        return _affirmed(plain(told.removeprefix("是否")))
    if not rest and first in _SWITCHED:
        return "打开", "关闭"
    bare = rest if rest and first in {"is", "are", *_HAVING, *_LACKING} else [first, *rest]
    label = short_name(told, "zh") or in_chinese(bare)
    if not is_chinese(label):
        pair = (f"开启 {label}", f"不开启 {label}")
    elif first in ("is", "are"):
        pair = (f"是{label}", f"不是{label}")
    else:
        pair = (f"需要{label}", f"不需要{label}")
    return (pair[1], pair[0]) if rest and first in _LACKING else pair


def _affirmed(said: str) -> tuple[str, str]:
    """包含税 → 包含税, 不包含税; 已 and 有 have their own negations."""
    if said.startswith("有"):
        return said, f"没{said}"
    if said.startswith("已"):
        return said, f"未{said.removeprefix('已').removeprefix('经')}"
    return said, f"不{said}"


_HAVING = {"include", "includes", "with", "has", "have", "add", "show", "need", "needs", "want", "wants",
           "use", "uses", "require", "requires", "allow", "enable", "return", "get", "send"}  # fmt: skip
_LACKING = {"no", "without", "exclude", "skip", "disable", "omit"}
_SWITCHED = {"on", "enabled", "active", "enable", "power"}
_WHETHER = re.compile(r"^(?:whether(?: or not)?|if(?: true)?|true|set) to (\w[\w' -]{2,40})$", re.I)
