"""Rows in files: lines, arrays and Parquet, whole or not at all, and what is said when they are broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from fcray.dataset import files
from fcray.dataset.formats import FORMATS
from fcray.errors import UserError
from tests.examples import EXAMPLES

ROWS = [{"n": 1, "text": "天气"}, {"n": 2, "text": "a\nb"}, {"n": 3, "text": ""}]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("rows", [ROWS, []])
def test_what_is_written_is_read(name: str, rows: list[Any], tmp_path: Path) -> None:
    url = str(tmp_path / "deep" / name)
    assert files.write(url, rows) == len(rows)
    assert [record.value for record in files.read(url)] == rows
    assert [p.name for p in (tmp_path / "deep").iterdir()] == [name]


def test_a_url_is_as_good_as_a_path() -> None:
    files.write("memory://fcray/rows.jsonl", ROWS)
    assert [record.value for record in files.read("memory://fcray/rows.jsonl")] == ROWS
    assert [Path(p).name for p in fsspec.filesystem("memory").ls("/fcray", detail=False)] == [
        "rows.jsonl"
    ]


def native() -> list[dict[str, Any]]:
    return [FORMATS["fcray"].write(example) for example in EXAMPLES]


def test_parquet_holds_fcrays_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PARQUET_ROWS", 4)  # so that there are several row groups
    url = str(tmp_path / "rows.parquet")
    assert files.write(url, native()) == len(EXAMPLES)
    assert [record.value for record in files.read(url)] == native()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_datasets_library_loads_it(suffix: str, tmp_path: Path) -> None:
    import datasets

    url = str(tmp_path / f"rows.{suffix}")
    files.write(url, native())
    kind = "json" if suffix == "jsonl" else suffix
    loaded = datasets.load_dataset(
        kind, data_files=url, split="train", cache_dir=str(tmp_path / "c")
    )
    assert loaded.num_rows == len(EXAMPLES)
    assert list(loaded["id"]) == [example.id for example in EXAMPLES]
    assert list(loaded["calls"]) == [row["calls"] for row in native()]


def test_reading_goes_on_behind_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n\n[1]\n{"a": NaN}\n{"a": 2}\n', encoding="utf-8")
    found = [(r.line, r.value, r.problem.split(":")[0]) for r in files.read(str(path))]
    assert found == [
        (1, {"a": 1}, ""),
        (2, None, "not JSON"),
        (4, None, "not an object"),
        (5, None, "not JSON"),
        (6, {"a": 2}, ""),
    ]


def test_rows_of_an_array_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b'\xef\xbb\xbf\n[\n {"a":\n 1},\n 7,\n {"a": 2}\n]\n')
    found = [(r.line, r.value, r.problem) for r in files.read(str(path))]
    assert found == [(3, {"a": 1}, ""), (5, None, "not an object"), (6, {"a": 2}, "")]


BROKEN = {
    "a broken row": (b'[\n{"a": 1},\n{"a" 2}\n]', r"rows\.json:3: not valid JSON"),
    "a forgotten comma": (b'[{"a": 1}\n{"a": 2}]', r"rows\.json:2: not valid JSON: expected , or \]"),
    "no end": (b'[{"a": 1}', r"rows\.json:1: not valid JSON: the array does not end"),
    "another encoding": ("[\n\"天气\"]".encode("gbk"), r"rows\.json:2: not UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_array_says_where(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(files.read(str(path)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.jsonl", "there is no such file"),
        ("absent.parquet", "there is no such file"),
        ("", "cannot be read"),
        ("text.parquet", "not a Parquet file"),
        ("nowhere://x.jsonl", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("text", encoding="utf-8")
    url = name if "://" in name else str(tmp_path / name)
    with pytest.raises(UserError, match=message):
        list(files.read(url))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.parquet"])
def test_a_failure_leaves_the_earlier_file(name: str, tmp_path: Path) -> None:
    url = str(tmp_path / name)
    files.write(url, native()[:2])
    before = Path(url).read_bytes()

    def rows() -> Iterator[dict[str, Any]]:
        yield native()[0]
        raise UserError("the third is wrong")

    with pytest.raises(UserError, match="the third"):
        files.write(url, rows())
    assert Path(url).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be written"):
        files.write(str(tmp_path / "file" / "rows.jsonl"), ROWS)


def test_json_stays_readable(tmp_path: Path) -> None:
    url = tmp_path / "rows.json"
    files.write(str(url), ROWS)
    assert json.loads(url.read_text(encoding="utf-8")) == ROWS
    assert "天气" in url.read_text(encoding="utf-8")
