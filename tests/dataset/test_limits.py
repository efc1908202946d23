"""Schemas that are odd and valid: `true`, which takes anything, bounds that are infinite, and no end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.dataset import limits
from fcray.dataset.build import build
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.derive import catalog_text
from fcray.dataset.templates import Filled
from fcray.errors import UserError
from fcray.tools import Tool
from tests.dataset.catalogs import DATA, plain, shipped, write_small


@pytest.mark.parametrize("schema", [True, False, {}, {"type": "number", "maximum": float("inf")}])
def test_what_forbids_nothing_is_not_limited(schema: object) -> None:
    filled = Filled(shipped().of("set_reminder", "en")[0], "", {"x": 5}, {"x": "5"})
    assert not limits.is_limited(schema)
    assert not limits.spoilable(schema, filled, "x")


def test_rows_of_arguments_that_take_anything(tmp_path: Path) -> None:
    properties = {
        "n": True,
        "city": {"type": "string"},
        "many": {"type": "array", "items": True},
        "whole": {"type": "object", "properties": {"x": True, "y": False}, "required": ["x"]},
        "none": False,
    }
    tool = Tool(name="f", parameters={"properties": properties, "required": ["n"]})
    text, left_out = catalog_text([tool], "d")
    assert text is not None
    assert left_out == [
        "f: no values are known for the optional argument 'none'; no request has it"
    ]
    (tmp_path / "tools.yaml").write_text(text, encoding="utf-8")
    kinds = {"invalid": 0.2, "missing": 0.1, "correction": 0.2, "slot_filling": 0.1}
    spec = plain(tmp_path, DATA / "chat", train=90, validation=9, test=9, masked=0.5, kinds=kinds)
    assert len(build(spec).train) == 90


def test_a_schema_without_end_is_said(tmp_path: Path) -> None:
    path = write_small(tmp_path, ("city: {type: string}", 'city: {$ref: "#/properties/city"}'))
    with pytest.raises(UserError, match=rf"{path.name}:\d+: .*get_weather\.city refers to itself"):
        load_catalogs([tmp_path])
