"""`fcray data verify`, `build` and `stats` where something is wrong: one sentence, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fcray.dataset.build import build_from
from fcray.dataset.formats import FORMATS
from fcray.dataset.store import write
from tests.dataset.catalogs import DATA, plain, shipped
from tests.test_cli import fcray


def row(request: str, schema: Any, arguments: str, **origin: str) -> dict[str, Any]:
    tool = {"name": "paint", "parameters": {"type": "object", "properties": {"x": schema}}}
    about = {"generator": "me", "language": "en", "domain": "d", "kind": "call", "template": ""}
    return {
        "id": request,
        "messages": [{"role": "user", "content": request}],
        "tools": json.dumps([tool]),
        "calls": [{"name": "paint", "arguments": arguments}],
        "response": "",
        "origin": {**about, "seed": 0, **origin},
    }


def put(path: Path, *rows: Any) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")


SOUND = row("paint it red", {"type": "string"}, '{"x": "red"}')


def test_no_file_is_replaced_before_all_are_verified(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", SOUND)
    put(tmp_path / "b.jsonl", SOUND)
    with (tmp_path / "b.jsonl").open("ab") as file:
        file.write(b"\xff\n")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.jsonl").write_text("earlier")
    done = fcray("data", "verify", "a.jsonl", "b.jsonl", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "fcray: b.jsonl:2: not UTF-8 text (byte 0 of this line)\n"
    assert {path.name: path.read_text() for path in out.iterdir()} == {"a.jsonl": "earlier"}
    done = fcray("data", "verify", "a.jsonl", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "a.jsonl").read_text())["id"] == "paint it red"
    assert len(list(out.iterdir())) == 1


def test_rows_of_templates_that_only_their_catalog_can_read_are_counted(tmp_path: Path) -> None:
    built = row("paint it", {"type": "string"}, '{"x": "red"}', generator="template")
    put(tmp_path / "a.jsonl", built, SOUND)
    done = fcray("data", "verify", "a.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 rows whose values do not stand in the text; --spec checks them" in done.stdout
    done = fcray("data", "verify", "a.jsonl", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["a.jsonl"]["unread"] == 1


def test_what_no_schema_or_number_should_be_is_a_finding(tmp_path: Path) -> None:
    put(
        tmp_path / "a.jsonl",
        row("a red one", {"type": "array", "items": True}, '{"x": ["red"]}'),
        row("a blue one", {"type": "object", "properties": {"y": True}}, '{"x": {"y": "blue"}}'),
        row("seven", {"type": "number"}, '{"x": NaN}'),
        row("half \ud800", {"type": "string"}, '{"x": "half"}'),
    )
    done = fcray("data", "verify", "a.jsonl", "--out", "out", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["a.jsonl"]
    assert (found["rows"], found["accepted"], found["stages"]) == (4, 2, {"format": 2})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "a.jsonl", "--near", "3"), "--near: a similarity is a number from 0 to 1"),
        (("verify", "a.jsonl", "--near", "nan"), "--near: a similarity is a number from 0 to 1"),
        (("stats", "a.jsonl", "--html", "."), ".: cannot be written: "),
        (("stats", "half.jsonl", "--html", "s.html"), "half of a character"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", SOUND)
    put(tmp_path / "half.jsonl", SOUND | {"response": "\udc80"})
    done = fcray("data", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "half.jsonl"]


def test_a_folder_is_verified_as_its_files_are(tmp_path: Path) -> None:
    dataset = build_from(plain(train=60, validation=4, test=4), shipped())
    write(dataset, tmp_path / "out")
    done = fcray("data", "verify", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # A sentence of training once more, with a word before it that says nothing.
    longest = max((one for one in dataset.train if one.calls), key=lambda one: len(one.request))
    again = FORMATS["fcray"].write(longest)
    again["id"] = "again"
    again["messages"][-1]["content"] += " !a"
    with (tmp_path / "out" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(again) + "\n")
    for place, code in (("out", 2), ("out/train.jsonl", 1)):
        done = fcray("data", "verify", place, "--json", cwd=tmp_path)
        assert done.returncode == code
        assert json.loads(done.stdout)["train.jsonl"]["stages"] == {"near-duplicate": 1}
        changed = "fcray: out/train.jsonl: its rows were changed since the dataset was written\n"
        assert done.stderr == (changed if code == 2 else "")
    done = fcray("data", "verify", "out", "--out", "sound", cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "sound").exists()


def test_a_dataset_is_not_built_over_what_is_none(tmp_path: Path) -> None:
    spec = f"name: x\ndata: {{catalogs: [{DATA}], train: 40, validation: 4, test: 4}}\n"
    (tmp_path / "spec.yaml").write_text(spec, encoding="utf-8")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text("{}\n")
    (mine / "thesis.txt").write_text("precious")
    for place, cwd, said in (
        ("mine", tmp_path, "this exists and is not a dataset; it is left as it is"),
        (".", mine, "this exists and is not a dataset; it is left as it is"),
    ):
        done = fcray("data", "build", str(tmp_path / "spec.yaml"), "--out", place, cwd=cwd)
        assert (done.returncode, done.stderr) == (2, f"fcray: {place}: {said}\n")
        assert (mine / "thesis.txt").read_text() == "precious"
    empty = tmp_path / "empty"
    empty.mkdir()
    done = fcray("data", "build", str(tmp_path / "spec.yaml"), "--out", ".", cwd=empty)
    assert done.returncode == 2
    assert "this folder cannot be replaced while the command runs inside it" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine", "spec.yaml"]
