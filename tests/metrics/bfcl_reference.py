"""The published BFCL checker and its data, taken from the `bfcl-eval` wheel as it is.

Only the AST checker is imported, straight from the wheel; its table of models, which would pull in
every vendor's client, is replaced by one model that writes underscores for dots.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

VERSION = "2026.3.23"
MODEL = "underscores"
PYTHON_CATEGORIES = (
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
)
_JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


@dataclass(frozen=True)
class Row:
    """A request of the leaderboard: what is offered and what may be answered."""

    id: str
    category: str
    functions: list[dict[str, Any]]
    answers: list[dict[str, dict[str, list[Any]]]]


@dataclass(frozen=True)
class Reference:
    """The wheel's checker, on calls as `{name: arguments}`."""

    wheel: Path
    check: Callable[..., dict[str, Any]]
    language: Any

    def passes(self, row: Row, calls: list[dict[str, dict[str, Any]]]) -> bool:
        found = self.check(
            row.functions, calls, row.answers, self.language.PYTHON, row.category, MODEL
        )
        return bool(found["valid"])

    def rows(self) -> Iterator[Row]:
        """All requests of the Python categories."""
        with zipfile.ZipFile(self.wheel) as archive:
            for category in PYTHON_CATEGORIES:
                file = f"BFCL_v4_{category}.json"
                asked = _lines(archive, f"bfcl_eval/data/{file}")
                gold = _lines(archive, f"bfcl_eval/data/possible_answer/{file}")
                answers = {line["id"]: line["ground_truth"] for line in gold}
                for line in asked:
                    yield Row(line["id"], category, line["function"], answers[line["id"]])


def _lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).decode().splitlines() if line]


def download() -> Path:
    """The wheel, from a folder for temporary files or else from the package index.

    Raises
    ------
    OSError, subprocess.SubprocessError: It could not be had.
    """
    folder = Path(tempfile.gettempdir()) / f"fcray-bfcl-eval-{VERSION}"
    if not (found := list(folder.glob("*.whl"))):
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--dest", fresh, f"bfcl-eval=={VERSION}"]
            subprocess.run(command, check=True, timeout=120, capture_output=True)
            (wheel,) = Path(fresh).glob("*.whl")
            found = [wheel.replace(folder / wheel.name)]
    return found[0]


def load(wheel: Path) -> Reference:
    """Import the checker out of the wheel, and leave no trace in the import system."""
    models = ModuleType("bfcl_eval.constants.model_config")
    models.MODEL_CONFIG_MAPPING = {MODEL: SimpleNamespace(underscore_to_dot=True)}  # type: ignore[attr-defined]
    sys.path.insert(0, str(wheel))
    sys.modules[models.__name__] = models
    try:
        checker = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
        return Reference(wheel, checker.ast_checker, checker.Language)
    finally:
        sys.path.remove(str(wheel))
        for name in [name for name in sys.modules if name.split(".")[0] == "bfcl_eval"]:
            del sys.modules[name]


def tool_fields(function: dict[str, Any]) -> dict[str, Any]:
    """The leaderboard's function as the fields of a `Tool`: JSON Schema types, OpenAI's names."""
    return {
        "name": function["name"].replace(".", "_"),
        "description": function["description"],
        "parameters": _json_schema(function["parameters"]),
    }


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    changed = dict(schema)
    if "type" in schema:
        changed["type"] = _JSON_TYPES.get(schema["type"], schema["type"])
    if "properties" in schema:
        changed["properties"] = {k: _json_schema(v) for k, v in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        changed["items"] = _json_schema(schema["items"])
    return changed
