"""A run's folder, and one that stands for a URL."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest

from fcray.errors import UserError
from fcray.sweep.folder import RunFolder, joined
from fcray.sweep.run import find_folder, make_folder
from tests.sweeps import tiny_spec


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCRAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that Arrow knows, and one that only fsspec does."""
    if request.param == "file":
        (tmp_path / "store").mkdir()
        return f"file://{tmp_path}/store"
    return f"memory://{uuid.uuid4().hex}"


def test_parts_are_joined_before_a_query() -> None:
    assert joined("s3://bucket/runs?region=x", "a", "b") == "s3://bucket/runs/a/b?region=x"
    assert joined("gs://bucket/runs/", "a") == "gs://bucket/runs/a"
    assert joined("/folder?odd", "a") == "/folder?odd/a"


def test_a_folder_is_its_own_place(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    assert (folder.path, folder.place, folder.url) == (tmp_path / "one", str(tmp_path / "one"), "")
    folder.push()
    folder.pull()
    assert not folder.path.exists()
    assert folder.adapter("/somewhere") == Path("/somewhere")


def write(folder: RunFolder, name: str, text: str) -> None:
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def forgotten(folder: RunFolder, cache: Path) -> None:
    """Lose the local folder, as another machine has none."""
    cache.rename(cache.with_name(uuid.uuid4().hex))
    assert not folder.path.exists()


def test_what_changes_is_kept_at_the_url_and_brought_back(url: str, tmp_path: Path) -> None:
    folder = RunFolder.of(url, "one")
    folder.pull()
    for name in ("spec.yaml", "study.journal", "data/train.jsonl", "wandb/run/file"):
        write(folder, name, name)
    folder.push()
    write(folder, "study.journal", "longer than it was")
    folder.push()
    store, root = fsspec.core.url_to_fs(joined(url, "one"))
    kept = sorted(path.removeprefix(root).lstrip("/") for path in store.find(root))
    assert kept == ["data/train.jsonl", "spec.yaml", "study.journal"]

    forgotten(folder, tmp_path / "cache")
    again = RunFolder.of(url, "one")
    assert again == folder
    again.pull()
    assert again.study.read_text() == "longer than it was"
    assert (again.data / "train.jsonl").read_text() == "data/train.jsonl"

    write(again, "study.journal", "longer than it was, and not yet kept")
    RunFolder.of(url, "one").pull()
    assert again.study.read_text() == "longer than it was, and not yet kept"


def test_an_adapter_is_fetched(url: str) -> None:
    folder = RunFolder.of(url, "one")
    store, root = fsspec.core.url_to_fs(joined(url, "one"))
    checkpoint = f"{root}/trials/trial_0000/checkpoint_1"
    store.makedirs(checkpoint, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt"):
        store.pipe_file(f"{checkpoint}/{name}", name.encode())
    found = folder.adapter(checkpoint)
    assert sorted(path.name for path in found.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_a_run_at_a_url_has_one_spec(url: str, tiny_folder: Path, tmp_path: Path) -> None:
    spec = tiny_spec(tiny_folder, tmp_path).with_changes(storage=url)
    make_folder(spec, find_folder(spec))
    changed = spec.with_changes(training=spec.training.model_copy(update={"batch": 3}))
    forgotten(find_folder(spec), tmp_path / "cache")
    with pytest.raises(UserError, match=r"tiny was started with another training\.batch"):
        find_folder(changed)


def test_a_store_that_is_not_there_is_said(tiny_folder: Path, tmp_path: Path) -> None:
    spec = tiny_spec(tiny_folder, tmp_path).with_changes(storage="nosuch://bucket/runs")
    with pytest.raises(UserError, match=r"storage: cannot be read: .*nosuch"):
        find_folder(spec)
