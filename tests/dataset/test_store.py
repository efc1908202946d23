"""What a folder may be replaced by, and whether what stands in it is what was written."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from fcray.dataset import transfer
from fcray.dataset.build import Construction, Dataset, build_from
from fcray.dataset.formats import FORMATS
from fcray.dataset.store import (
    FileType,
    Unchanged,
    all_or_none,
    read,
    write,
    write_construction,
)
from fcray.errors import UserError
from tests.dataset.catalogs import plain, shipped


@cache
def dataset() -> Dataset:
    return build_from(plain(train=40, validation=4, test=4), shipped())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "manifest",
    ["{}", "[]", "not JSON", '{"format": 3}', '{"format": "x", "files": {}, "sha256": "1"}'],
)
def test_a_manifest_of_somebody_else_makes_no_dataset(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "thesis.txt").write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="not a dataset; it is left as it is"):
        write(dataset(), tmp_path)
    assert contents(tmp_path) == before


def test_a_file_beside_the_rows_is_not_deleted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(dataset(), out)
    (out / "thesis.txt").write_text("precious")
    before = contents(out)
    with pytest.raises(UserError, match=r"holds thesis\.txt, which was not written with it"):
        write(dataset(), out)
    assert contents(out) == before
    # Nor one that the manifest of another dataset could name.
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["train"] = "thesis.txt"
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match="not written with it"):
        write(dataset(), out)


def test_what_was_written_beside_the_rows_is_replaced(tmp_path: Path) -> None:
    spec = plain(train=40, validation=4, test=4)
    for page in ({"page.html": "one"}, {"page.html": "two"}):
        making = Construction(spec, shipped())
        write_construction(making, tmp_path / "out", extras=lambda _, page=page: page)
    assert (tmp_path / "out" / "page.html").read_text() == "two"
    write(dataset(), tmp_path / "out", "parquet")
    assert read(tmp_path / "out") == dataset()
    assert not (tmp_path / "out" / "page.html").exists()
    (tmp_path / "out" / "report.html").write_text("mine")
    with pytest.raises(UserError, match=r"holds report\.html"):
        write(dataset(), tmp_path / "out")


def test_a_dataset_that_does_not_say_what_is_beside_it_has_a_report(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    del manifest["extras"], manifest["hashes"]
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "out/report.html").write_text("old")
    write(dataset(), tmp_path / "out")
    assert not (tmp_path / "out/report.html").exists()


@pytest.mark.parametrize("place", [".", "..", "inside/..", "{tmp}/out"])
def test_the_folder_that_one_is_in_stays(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    if place == "..":
        write(dataset(), out)
        (out / "train.jsonl").unlink()
        (out / "train.jsonl").mkdir()
        monkeypatch.chdir(out / "train.jsonl")
    else:
        out.mkdir()
        monkeypatch.chdir(out)
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(UserError, match="while the command runs inside it"):
        write(dataset(), place.format(tmp=tmp_path))
    assert sorted(path.name for path in out.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert Path.cwd().is_relative_to(out)


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    write(dataset(), tmp_path / "link", "parquet")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out" / "train.parquet").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]


def verified(folder: Path) -> int:
    """How many rows a folder holds that is as it was written."""
    count = 0
    unchanged = Unchanged(str(folder))
    tools = {tool.name: tool for tool in unchanged.tools}
    for url in unchanged.files:
        rows = transfer.read_examples(url, FORMATS["fcray"], transfer.Report(), catalog=tools)
        count += sum(1 for _ in unchanged.read(url, rows))
    unchanged.check()
    return count


@pytest.mark.parametrize("file_type", ["jsonl", "parquet"])
def test_rows_that_were_not_touched_are_unchanged(file_type: FileType, tmp_path: Path) -> None:
    write(dataset(), tmp_path, file_type)
    assert verified(tmp_path) == len(dataset().train) + len(dataset().validation) + len(
        dataset().test
    )


def test_the_file_that_was_changed_is_named(tmp_path: Path) -> None:
    write(dataset(), tmp_path)
    text = (tmp_path / "test.jsonl").read_text(encoding="utf-8")
    (tmp_path / "test.jsonl").write_text(text.replace("test-0", "test-1"), encoding="utf-8")
    with pytest.raises(UserError, match=r"test\.jsonl: its rows were changed since"):
        verified(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["hashes"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match=f"{tmp_path}: the rows or tools were changed since"):
        verified(tmp_path)


def test_a_tool_that_was_changed_is_found(tmp_path: Path) -> None:
    write(dataset(), tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Weather", "Whether"), "utf-8")
    with pytest.raises(UserError, match="the rows or tools were changed since"):
        verified(tmp_path)


@pytest.mark.parametrize("place", ["{tmp}/out", "memory://some/out"])
def test_files_appear_together(place: str, tmp_path: Path) -> None:
    place = place.format(tmp=tmp_path)
    rows = dataset().test

    def put(name: str, *, fail: bool = False) -> None:
        with all_or_none(place) as aside:
            transfer.write_examples(f"{aside}/{name}.jsonl", FORMATS["fcray"], rows)
            if fail:
                raise UserError("no")

    fs, path = transfer.files.file_system(place)
    with pytest.raises(UserError):
        put("a", fail=True)
    assert not fs.exists(path)
    put("a")
    with pytest.raises(UserError):
        put("b", fail=True)
    put("a")
    assert [name.rpartition("/")[2] for name in fs.ls(path, detail=False)] == ["a.jsonl"]


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"), all_or_none(str(tmp_path / "out")):
        pass
    assert (tmp_path / "out").read_text() == "mine"
