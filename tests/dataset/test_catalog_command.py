"""`fcray data catalog`: what it says beside the catalog that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fcray.cli_data import catalog
from fcray.errors import UserError

API: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/orders/{id}": {
            "post": {
                "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "properties": {
                                    "id": {"type": "string"},
                                    "pin": {"type": "string", "pattern": "^[0-9]{4}$"},
                                }
                            }
                        }
                    }
                },
            }
        }
    },
}
NOTES = [
    "POST /orders/{id} is called 'post_orders_id' here",
    "post_orders_id: the body's 'id' is the argument 'body_id' here",
]
LEFT_OUT = "post_orders_id: no values are known for the optional argument 'pin'; no request has it"


def test_what_is_changed_and_left_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "api.json"
    source.write_text(json.dumps(API), encoding="utf-8")
    catalog(str(source), tmp_path / "mine")
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"note: {note}" for note in NOTES]
    assert f"left out: {LEFT_OUT}\n" in said.out
    text = (tmp_path / "mine" / "tools.yaml").read_text(encoding="utf-8")
    assert [f"# {note}" for note in (*NOTES, LEFT_OUT)] == text.splitlines()[2:5]
    catalog(str(source), tmp_path / "mine", force=True, as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out)["notes"] == NOTES
    assert said.err == ""
    with pytest.raises(UserError, match=r"tools\.yaml: cannot be written: "):
        catalog(str(source), source)
