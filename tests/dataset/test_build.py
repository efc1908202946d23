"""Properties of a built dataset, for any seed and size, on the shipped catalogs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.dataset.build import Construction, Dataset, build, build_from
from fcray.dataset.draw import LEARNED, SPLITS
from fcray.dataset.files import file_system
from fcray.dataset.split import HELD_OUT_TEMPLATES, UNSEEN_TEMPLATE_ROWS, normalise
from fcray.dataset.store import FileType, is_dataset, read, write, write_construction
from fcray.dataset.verify import Verifier
from fcray.errors import UserError
from fcray.spec import DataSpec
from fcray.tools import Example
from tests.dataset.catalogs import DATA, plain, shipped, write_small

specs = st.builds(
    plain,
    train=st.integers(1, 220),
    validation=st.integers(1, 50),
    test=st.integers(1, 100),
    irrelevant=st.sampled_from([0.0, 0.15, 0.4, 1.0]),
    seed=st.integers(0, 2**32),
)


def spec_of(folder: Path, **fields: object) -> DataSpec:
    counts = {"train": 6, "validation": 2, "test": 4, "irrelevant": 0.0}
    return plain(folder, **{**counts, **fields})


def rows_of(dataset: Dataset) -> list[Example]:
    return [row for split in SPLITS for row in dataset.rows(split)]


@given(specs)
@settings(max_examples=20, deadline=None)
def test_a_dataset_of_any_seed_and_size_is_sound(spec: DataSpec) -> None:
    dataset = build_from(spec, shipped())
    check_no_sentence_stands_twice(dataset)
    for split in LEARNED:
        check_counts(getattr(dataset, split), getattr(spec, split), spec.irrelevant)
        check_tools(getattr(dataset, split), level=split != "train")
    check_kinds_say_what_training_saw(dataset)
    verifier = Verifier(shipped())
    assert all(verifier.reasons(row) == [] for row in rows_of(dataset))
    assert all(row.tools == tuple(shipped().tools) for row in rows_of(dataset))


def check_no_sentence_stands_twice(dataset: Dataset) -> None:
    said = Counter(normalise(row.request) for row in rows_of(dataset))
    assert max(said.values()) == 1


def check_counts(rows: tuple[Example, ...], wanted: int, irrelevant: float) -> None:
    assert len(rows) == wanted
    assert sum(not row.calls for row in rows) == round(wanted * irrelevant)
    zh = sum(row.origin.language == "zh" for row in rows)
    assert abs(2 * zh - wanted) <= 1


def check_tools(rows: tuple[Example, ...], *, level: bool) -> None:
    """Scores count tools alike; training has more rows of what has more arguments."""
    found = Counter(row.calls[0].name for row in rows if row.calls)
    weights = {tool.name: 1 if level else 1 + len(tool.properties) for tool in shipped().tools}
    share = sum(found.values()) / sum(weights.values())
    assert all(abs(found[name] - share * weight) < 1 for name, weight in weights.items())


def check_kinds_say_what_training_saw(dataset: Dataset) -> None:
    trained = {row.origin.template for row in dataset.train}
    for row in dataset.test:
        seen = "call" if row.origin.template in trained else "unseen_template"
        assert row.origin.kind == (seen if row.calls else "irrelevant")
    for row in (*dataset.train, *dataset.validation):
        assert row.origin.kind == ("call" if row.calls else "irrelevant")


@given(specs)
@settings(max_examples=5, deadline=None)
def test_the_same_seed_gives_the_same_hash(spec: DataSpec) -> None:
    first, second = build_from(spec, shipped()), build_from(spec, shipped())
    assert first == second
    other = build_from(spec.model_copy(update={"seed": spec.seed + 1}), shipped())
    assert other.sha256 != first.sha256


def test_the_default_spec_holds_out_wordings_of_every_tool() -> None:
    spec = plain()
    dataset = build(spec)
    trained = {row.origin.template for row in (*dataset.train, *dataset.validation)}
    for tool in dataset.catalog.names:
        for language in ("zh", "en"):
            ids = {template.id for template in shipped().of(tool, language)}
            assert len(ids - trained) >= HELD_OUT_TEMPLATES * len(ids)
    calls = [row for row in dataset.test if row.calls]
    unseen = sum(row.origin.kind == "unseen_template" for row in calls)
    assert unseen == round(len(calls) * UNSEEN_TEMPLATE_ROWS)


def test_a_stretch_of_training_holds_every_tool() -> None:
    dataset = build_from(plain(train=3000), shipped())
    for start in range(0, 3000, 300):
        stretch = dataset.train[start : start + 300]
        assert {row.calls[0].name for row in stretch if row.calls} == set(dataset.catalog.names)


def test_only_the_named_tools_are_offered() -> None:
    spec = plain(tools=("send_email", "get_weather"), train=40)
    dataset = build(spec)
    assert dataset.catalog.names == ("get_weather", "send_email")
    assert {call.name for row in dataset.train for call in row.calls} == set(dataset.catalog.names)


def test_the_quickstart_can_be_doubled() -> None:
    spec = plain(train=1800, validation=96, test=192)
    assert len(build_from(spec, shipped()).train) == 1800


def test_asking_for_too_much_says_how_much_there_is(tmp_path: Path) -> None:
    write_small(tmp_path)
    with pytest.raises(UserError, match=r"yield only \d+ distinct (zh|en) requests besides"):
        build(spec_of(tmp_path, train=500))
    with pytest.raises(UserError, match=r"yield only 4 distinct .* that need no tool"):
        build(spec_of(tmp_path, irrelevant=1.0, train=50))


def test_write_then_read_is_the_same_dataset(tmp_path: Path) -> None:
    dataset = build_from(plain(train=60, seed=3), shipped())
    write(dataset, tmp_path / "a")
    write(dataset, tmp_path / "b")
    assert read(tmp_path / "a") == dataset
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["manifest.json", "test.jsonl", "train.jsonl", "validation.jsonl"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"] == dataset.sha256
    assert manifest["counts"]["train"]["rows"] == 60


def test_a_dataset_is_replaced_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    write_small(tmp_path)
    first, second = build(spec_of(tmp_path)), build(spec_of(tmp_path, seed=1))
    write(first, tmp_path / "out")
    write(second, tmp_path / "out")
    assert read(tmp_path / "out") == second
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep me")
    with pytest.raises(UserError, match="not a dataset"):
        write(first, mine)
    assert (mine / "notes.txt").read_text() == "keep me"


def test_a_failed_write_leaves_the_old_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small(tmp_path)
    first, second = build(spec_of(tmp_path)), build(spec_of(tmp_path, seed=1))
    write(first, tmp_path / "out")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    move = LocalFileSystem.mv
    with monkeypatch.context() as patch, pytest.raises(UserError, match="disk full"):
        patch.setattr(LocalFileSystem, "pipe_file", fail)
        write(second, tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(UserError, match="disk full"):
        patch.setattr(
            LocalFileSystem,
            "mv",
            lambda fs, a, b, **k: fail() if a.endswith(".new") else move(fs, a, b, **k),
        )
        write(second, tmp_path / "out")
    assert read(tmp_path / "out") == first
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_reading_names_what_is_wrong(tmp_path: Path) -> None:
    write_small(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"manifest\.json: there is no such file"):
        read(out)
    write(build(spec_of(tmp_path)), out)
    rows = (out / "train.jsonl").read_text(encoding="utf-8")
    (out / "train.jsonl").write_text(rows.replace("train-00001", "train-10001"), encoding="utf-8")
    with pytest.raises(UserError, match="changed since"):
        read(out)
    (out / "train.jsonl").write_text(rows + "{oops\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.jsonl:7: not a row: not JSON"):
        read(out)
    (out / "train.jsonl").write_text(rows + '{"tools": ["nope"]}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.jsonl:7: not a row"):
        read(out)


def test_the_datasets_library_loads_what_was_written(tmp_path: Path) -> None:
    import datasets

    dataset = build(plain(train=120, test=60, kinds={"parallel": 0.1}))
    write(dataset, tmp_path / "out")
    files = {split: str(tmp_path / "out" / f"{split}.jsonl") for split in LEARNED}
    loaded = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {split: loaded[split].num_rows for split in LEARNED} == {
        split: len(getattr(dataset, split)) for split in LEARNED
    }
    assert read(tmp_path / "out") == dataset


@pytest.mark.parametrize("file_type", ["jsonl", "parquet"])
@pytest.mark.parametrize("place", ["memory://store/out", "{tmp}/sub/out"])
def test_a_dataset_goes_to_a_folder_or_a_url(
    place: str, file_type: FileType, tmp_path: Path
) -> None:
    dataset = build_from(DataSpec(catalogs=(str(DATA),), train=80), shipped())
    place = place.format(tmp=tmp_path)
    for _ in range(2):  # the second replaces the first
        write(dataset, place, file_type)
        assert read(place) == dataset
    assert is_dataset(place)
    fs, path = file_system(place)
    parent = path.rpartition("/")[0]
    assert [name.rpartition("/")[2] for name in fs.ls(parent, detail=False)] == ["out"]
    assert len(fs.ls(path, detail=False)) == 5  # four splits and the manifest


def test_a_dataset_that_is_made_on_the_way_is_the_same(tmp_path: Path) -> None:
    spec = DataSpec(catalogs=(str(DATA),), train=150, held_out_tools=("get_balance",))
    told: list[int] = []
    written = write_construction(
        Construction(spec, shipped()),
        tmp_path / "out",
        told=lambda: told.append(1),
        extras=lambda made: {"notes.txt": made.sha256},
    )
    dataset = build_from(spec, shipped())
    assert written.sha256 == dataset.sha256 == (tmp_path / "out/notes.txt").read_text()
    assert read(tmp_path / "out") == dataset
    assert len(told) == written.summary.rows == sum(len(dataset.rows(split)) for split in SPLITS)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["verification"]["train"]["accepted"] == 150
    assert manifest["counts"]["test_tools"]["kinds"] == {"held_out_tool": 48}


def test_rows_over_the_cutoff_are_left_out(tmp_path: Path) -> None:
    making = Construction(
        plain(train=100), shipped(), length=lambda row: len(row.request), cutoff=40
    )
    written = write_construction(making, tmp_path / "out")
    audit = written.audits["train"]
    assert audit.stages["length"] == audit.rows - audit.accepted > 0
    assert all(len(row.request) <= 40 for row in read(tmp_path / "out").train)
