"""The registry's commands: what they print, what they change, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fcray.cli import app
from fcray.errors import UserError
from fcray.registry import CHAMPION, Registry
from tests.test_registry import FACTS, adapter

__all__ = ["adapter"]

METRICS = {
    "intent_accuracy": 0.95,
    "argument_f1": 0.9,
    "frame_accuracy": 0.8,
    "intervals": {"intent_accuracy": {"low": 0.91, "high": 0.98}},
}


@pytest.fixture
def place(tmp_path: Path, adapter: Path) -> str:
    """A registry of three versions, of which the second was forced and the third is champion."""
    registry = Registry(tmp_path / "registry")
    facts = {**FACTS, "metrics": METRICS}
    for number in (1, 2, 3):
        registry.add("call", adapter, {**facts, "forced": "a test" if number == 2 else ""})
        registry.point(CHAMPION, f"call_v{number}", reason=f"gate {number}")
    registry.point("candidate", "call_v3")
    return registry.url


def fcray(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "140"})
    assert done.exit_code == code, done.output
    return done


def refused(*arguments: str) -> UserError:
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, UserError)
    return done.exception


def shown(*arguments: str) -> Any:
    return json.loads(fcray(*arguments, "--json").stdout)


def test_list(place: str) -> None:
    listed = shown("registry", "list", "--registry", place)
    assert [row["version"] for row in listed] == ["call_v1", "call_v2", "call_v3"]
    assert [sorted(row["aliases"]) for row in listed] == [[], [], ["candidate", "champion"]]
    text = fcray("registry", "list", "--registry", place).stdout
    assert "95.0%" in text
    assert text.count("forced") == 1


def test_show(place: str) -> None:
    found = shown("registry", "show", "call_v2", "--registry", place)
    assert (found["version"], found["forced"], found["trial"]) == ("call_v2", "a test", 3)
    assert found["place"] == str(Path(place) / "call_v2")
    assert [event["version"] for event in found["history"]["champion"]] == [
        "call_v1",
        "call_v2",
        "call_v3",
    ]
    text = fcray("registry", "show", "--registry", place).stdout
    for said in ("call_v3", "91.0% to 98.0%", "adapter_model.safetensors", "gate 2"):
        assert said in text


def test_verify(place: str) -> None:
    fcray("registry", "verify", "--registry", place)
    weights = Path(place) / "call_v1" / "adapter_model.safetensors"
    weights.write_bytes(b"torn")
    done = fcray("registry", "verify", "--registry", place, code=1)
    assert "call_v1/adapter_model.safetensors is not what was stored" in done.stdout
    assert done.stdout.count("every file is what was stored") == 2
    fcray("registry", "verify", "champion", "--registry", place)
    fcray("registry", "verify", "call_v1", "--registry", place, code=1)


def test_an_empty_registry_is_said(tmp_path: Path) -> None:
    place = str(tmp_path / "none")
    assert "no version" in str(refused("registry", "verify", "--registry", place))
    assert "the registry has no" in str(refused("registry", "show", "--registry", place))
    assert shown("registry", "list", "--registry", place) == []


def test_gc(place: str) -> None:
    assert shown("registry", "gc", "--registry", place)["removed"] == []
    dry = fcray("registry", "gc", "--keep", "1", "--dry-run", "--registry", place).stdout
    assert dry == "call_v1: would be removed\n"
    assert len(Registry(place).versions()) == 3
    fcray("registry", "gc", "--keep", "1", "--registry", place)
    assert Registry(place).versions() == ["call_v2", "call_v3"]
    assert "nothing to remove" in fcray("registry", "gc", "--registry", place).stdout


def test_rollback(place: str) -> None:
    done = fcray("rollback", "--reason", "slow", "--registry", place)
    assert done.stdout == "champion is call_v2 again (rollback from call_v3: slow)\n"
    assert shown("rollback", "--registry", place)["version"] == "call_v1"
    assert "champion has named nothing else" in str(refused("rollback", "--registry", place))


def test_promotion_by_force_needs_a_reason(tmp_path: Path) -> None:
    assert "say why, with --reason" in str(refused("promote", str(tmp_path), "--force"))
    assert "for --force" in str(refused("promote", str(tmp_path), "--reason", "x"))
    assert "there is no such file" in str(refused("promote", str(tmp_path)))
