"""The command line as a user meets it: exit codes, one sentence for a mistake, JSON for machines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fcray.dataset.formats import FORMATS
from tests.examples import CONVERSATION, example

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "sweeps" / "quickstart.yaml"


def fcray(
    *arguments: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fcray.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def spec_with(folder: Path, old: str, new: str) -> Path:
    text = QUICKSTART.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    assert old in text
    path = folder / "spec.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("budget:", "buget:", "spec.yaml:44: buget: unknown field; did you mean 'budget'?"),
        ("batch: 4", "batch: four", "training.batch: input should be a valid integer"),
        ("rank: {choice:", "rank: {choise:", "search.rank.choise: unknown field"),
        ("name: quickstart", "nam: quickstart", "name: this field is required"),
        ("name: quickstart", "name: [", "not valid YAML"),
        ("/data/office", "/data/offfice", "there is no folder"),
    ],
)
def test_a_wrong_spec_is_one_sentence_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    done = fcray("sweep", str(spec_with(tmp_path, old, new)), cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "spec.yaml:" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["spec.yaml"]


def test_a_missing_model_is_said_before_anything_starts(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, "smollm2-135m-instruct", "no-such-folder/../x y")
    done = fcray("sweep", str(spec), cwd=tmp_path)
    assert done.returncode == 2
    assert "model.base: there is no model" in done.stderr


def test_a_catalog_with_an_invalid_schema_is_said(tmp_path: Path) -> None:
    catalog = tmp_path / "tools"
    catalog.mkdir()
    office = (ROOT / "data" / "iot" / "tools.yaml").read_text(encoding="utf-8")
    bad = office.replace("type: object", "type: objekt", 1)
    assert bad != office
    (catalog / "tools.yaml").write_text(bad, encoding="utf-8")
    spec = spec_with(tmp_path, str(ROOT / "data" / "iot"), str(catalog))
    done = fcray("data", "stats", str(spec), cwd=tmp_path)
    assert done.returncode == 2
    assert "tools.yaml:" in done.stderr
    assert "objekt" in done.stderr


def test_a_port_in_use_is_said_before_the_demo_begins(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = fcray("demo", "--port", str(port), "--storage", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_help_names_every_command() -> None:
    done = fcray("--help")
    assert done.returncode == 0
    for command in ("demo", "sweep", "evaluate", "report", "serve", "call", "data", "registry"):
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("nope",), ("sweep",), ("sweep", "nope.yaml"), ("report", "nope"), ("registry", "verify"),
     ("serve", "function_call_v9"), ("call", "hi", "--url", "http://127.0.0.1:9/v1"),
     ("sweep", "--resume", str(QUICKSTART)), ("evaluate", str(QUICKSTART), "--split", "train")],
)  # fmt: skip
def test_a_users_mistake_exits_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = fcray(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_data_is_built_and_counted(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, "train: 2000", "train: 60")
    counted = fcray("data", "stats", str(spec), "--json")
    built = fcray("data", "build", str(spec), "--out", str(tmp_path / "out"), "--json")
    assert counted.returncode == built.returncode == 0
    first, second = json.loads(counted.stdout), json.loads(built.stdout)
    assert first == second["splits"]
    assert first["train"]["rows"] == 60
    assert (
        json.loads((tmp_path / "out" / "manifest.json").read_text())["sha256"] == second["sha256"]
    )
    assert len((tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines()) == 60
    # Its rows name tools that stand in the manifest beside them.
    done = fcray("data", "import", "fcray", str(tmp_path / "out" / "train.jsonl"),
                 "--out", "mine.jsonl", "--json", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["examples"] == 60


def test_rows_go_out_and_come_back(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {
        "instruction": "北京天气",
        "function_call": {"name": "get_weather", "arguments": {"city": "北京"}},
        "tools": [
            {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}
        ],
    }
    rows.write_text(f"{json.dumps(row)}\nnot JSON\n", encoding="utf-8")
    done = fcray("data", "import", "alpaca", str(rows), "--out", "mine.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "line 2, rejected: not JSON" in done.stdout
    done = fcray("data", "export", "sharegpt", "mine.parquet", "--out", "theirs.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (written,) = json.loads((tmp_path / "theirs.json").read_text(encoding="utf-8"))
    assert written["conversations"][0] == {"from": "human", "value": "北京天气"}
    info = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    assert info["theirs"]["file_name"] == "theirs.json"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "alpacca", "x.jsonl"), "there is no format 'alpacca'"),
        (("import", "alpaca", "absent.jsonl"), "absent.jsonl: there is no such file"),
        (
            ("import", "openai", "own.jsonl"),
            "own.jsonl:1: not a row of the format openai: this is a row of the format fcray",
        ),
        (
            ("export", "seal", "own.jsonl"),
            "out: not written, as no row can be one of the format seal",
        ),
        (("export", "openai", "bad.jsonl"), "bad.jsonl:1: not a row of the format fcray"),
        (("catalog", "bad.jsonl"), "no source of tools: 'bad.jsonl'"),
    ],
)
def test_rows_that_cannot_be_read_leave_nothing(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    own = FORMATS["fcray"].write(example(CONVERSATION, response="Warm."))
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n", encoding="utf-8")
    (tmp_path / "out").write_text("earlier", encoding="utf-8")
    done = fcray("data", *arguments, "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"bad.jsonl", "own.jsonl", "out"}
    assert (tmp_path / "out").read_text(encoding="utf-8") == "earlier"


def test_a_whole_dataset_is_exported_and_comes_back(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, "train: 2000", "train: 60")
    assert fcray("data", "build", str(spec), "--out", "built", cwd=tmp_path).returncode == 0
    done = fcray("data", "export", "bfcl", "built", "--out", "theirs", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["test"]
    assert report["rejected"] < report["rows"]
    answers = "theirs/possible_answer/test.jsonl"
    done = fcray("data", "import", "bfcl", "theirs/test.jsonl", "--answers", answers,
                 "--out", "back.jsonl", "--json", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["examples"] == report["examples"]
    assert fcray("data", "export", "fcray", "built", "--out", "whole", cwd=tmp_path).returncode == 0
    whole = {
        row["id"]: row
        for row in map(json.loads, (tmp_path / "whole" / "test.jsonl").open(encoding="utf-8"))
    }
    assert all(
        isinstance(tool, dict) for row in whole.values() for tool in json.loads(row["tools"])
    )
    back = [json.loads(line) for line in (tmp_path / "back.jsonl").open(encoding="utf-8")]
    assert len(back) == report["examples"]
    for row in back:
        assert row | {"response": ""} == whole[row["id"]] | {"response": ""}
    for place in ("built", "theirs.jsonl"):
        done = fcray("data", "export", "bfcl", "built", "--out", place, cwd=tmp_path)
        assert done.returncode == 2
        assert "--out: built is a dataset's folder, so this names another folder" in done.stderr


def test_a_catalog_is_made_once(tmp_path: Path) -> None:
    parameters = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    tool = {"name": "track_parcel", "description": "Track a parcel.", "parameters": parameters}
    (tmp_path / "tools.json").write_text(json.dumps([tool]), encoding="utf-8")
    done = fcray("data", "catalog", "tools.json", "--out", "mine", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tools"] == ["track_parcel"]
    again = fcray("data", "catalog", "tools.json", "--out", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "--force replaces it" in again.stderr
