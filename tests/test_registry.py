"""The registry: whole versions or none, numbers that nobody shares, and no changed file served."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fcray.errors import FcrayError, UserError
from fcray.registry import CHAMPION, MANIFEST, Registry
from tests.processes import heard, running

FACTS: dict[str, Any] = {
    "created": "2024-01-01T00:00:00+00:00",
    "base": "smollm2-135m-instruct",
    "revision": "abc",
    "quantization": "nf4",
    "data_sha256": "0" * 64,
    "spec": {"name": "x"},
    "trial": 3,
    "config": {"rank": 16},
    "metrics": {"intent_accuracy": 0.95},
    "verdict": [],
    "git_revision": "",
}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder as PEFT writes it, with more in it than is kept."""
    folder = tmp_path / "trained"
    folder.mkdir()
    config = {"r": 16, "base_model_name_or_path": "/somewhere/in/a/cache"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "optimizer.pt").write_bytes(b"pickle")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_an_empty_registry(registry: Registry) -> None:
    assert (registry.versions(), registry.aliases()) == ([], {})
    with pytest.raises(UserError, match="the registry has no 'champion'; it has none"):
        registry.path(CHAMPION)
    assert not registry.folder.exists()


def test_versions_are_numbered(registry: Registry, adapter: Path) -> None:
    for number in range(1, 12):
        assert registry.add("call", adapter, FACTS).version == f"call_v{number}"
    assert registry.add("other", adapter, FACTS).version == "other_v1"
    assert registry.versions("call") == [f"call_v{number}" for number in range(1, 12)]
    assert registry.versions() == [*registry.versions("call"), "other_v1"]


def test_what_is_stored_is_given_back(registry: Registry, adapter: Path) -> None:
    manifest = registry.add("call", adapter, FACTS, card="# A card")
    again = Registry(registry.folder)
    assert again.manifest("call_v1") == manifest
    assert (manifest.trial, manifest.metrics) == (3, {"intent_accuracy": 0.95})
    folder = again.path("call_v1")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        MANIFEST,
    }
    assert (folder / "README.md").read_text() == "# A card"
    assert (folder / "adapter_model.safetensors").read_bytes() == b"weights"


def test_the_base_is_named_as_the_user_names_it(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    config = json.loads((registry.path("call_v1") / "adapter_config.json").read_text())
    assert config == {"r": 16, "base_model_name_or_path": "smollm2-135m-instruct"}
    kept = json.loads((adapter / "adapter_config.json").read_text())
    assert kept["base_model_name_or_path"] == "/somewhere/in/a/cache"


def test_others_may_read_what_is_stored(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    registry.point(CHAMPION, "call_v1")
    assert (registry.folder / "call_v1").stat().st_mode & 0o555 == 0o555
    for path in (*(registry.folder / "call_v1").iterdir(), registry.folder / "aliases.json"):
        assert path.stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "README.md"])
def test_a_changed_file_is_refused(registry: Registry, adapter: Path, file: str) -> None:
    registry.add("call", adapter, FACTS)
    path = registry.folder / "call_v1" / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(FcrayError, match=f"{file} is not what was stored; call_v1 is refused"):
        registry.path("call_v1")


def test_a_torn_file_is_refused(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    path = registry.folder / "call_v1" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:3])
    with pytest.raises(FcrayError, match="call_v1 is refused"):
        registry.path("call_v1")


def test_a_missing_file_is_refused(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    (registry.folder / "call_v1" / "adapter_model.safetensors").unlink()
    with pytest.raises(FcrayError, match="is not what was stored; call_v1 is refused"):
        registry.path("call_v1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "call_v1"}'])
def test_a_torn_manifest_is_refused(registry: Registry, adapter: Path, text: str) -> None:
    registry.add("call", adapter, FACTS)
    (registry.folder / "call_v1" / MANIFEST).write_text(text)
    with pytest.raises(FcrayError, match=r"manifest\.json cannot be read; call_v1 is refused"):
        registry.path("call_v1")


def test_aliases(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    registry.add("call", adapter, FACTS)
    registry.point(CHAMPION, "call_v1")
    registry.point("canary", "call_v2")
    registry.point(CHAMPION, "call_v2")
    registry.point("previous", "canary")
    assert registry.aliases() == dict.fromkeys((CHAMPION, "canary", "previous"), "call_v2")
    assert registry.manifest(CHAMPION).version == "call_v2"
    assert registry.path(CHAMPION) == registry.folder / "call_v2"


def test_an_alias_for_what_is_not_there_is_refused(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    with pytest.raises(UserError, match="the registry has no 'call_v2'; it has call_v1"):
        registry.point(CHAMPION, "call_v2")
    assert registry.aliases() == {}


def test_an_alias_hides_no_version(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    registry.add("call", adapter, FACTS)
    with pytest.raises(UserError, match="'call_v1' is the name of a version"):
        registry.point("call_v1", "call_v2")


@pytest.mark.parametrize("version", ["", ".", "../trained", "call_v0", "call_v01", "call_v1\n"])
def test_only_versions_are_looked_up(registry: Registry, adapter: Path, version: str) -> None:
    registry.add("call", adapter, FACTS)
    with pytest.raises(UserError, match="the registry has no"):
        registry.path(version)


@pytest.mark.parametrize("name", ["", "Call", "1call", "a-b", "../x", "a b"])
def test_a_bad_name_is_refused(registry: Registry, adapter: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not small letters, digits and underscores"):
        registry.add(name, adapter, FACTS)


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_without_an_adapter_is_refused(
    registry: Registry, adapter: Path, file: str
) -> None:
    (adapter / file).unlink()
    with pytest.raises(UserError, match=f"holds no {file}"):
        registry.add("call", adapter, FACTS)
    assert registry.versions() == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, adapter: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="the registry cannot be written: Not a directory"):
        Registry(tmp_path / "file" / "registry").add("call", adapter, FACTS)


def test_a_failed_add_leaves_nothing(registry: Registry, adapter: Path) -> None:
    with pytest.raises(TypeError):
        registry.add("call", adapter, {"base": "x"})
    assert list(registry.folder.iterdir()) == []


def test_threads_that_add_at_once_share_no_number(registry: Registry, adapter: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: registry.add("call", adapter, FACTS), range(24)))
    expected = [f"call_v{number}" for number in range(1, 25)]
    assert sorted((m.version for m in added), key=expected.index) == expected
    assert registry.versions() == expected
    for manifest in added:
        assert registry.manifest(manifest.version) == manifest
        registry.path(manifest.version)


def test_threads_that_point_at_once_lose_no_alias(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    names = [f"alias_{index}" for index in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: registry.point(name, "call_v1"), names))
    assert registry.aliases() == dict.fromkeys(names, "call_v1")


ADDING = """
import json, shutil, signal, sys
from pathlib import Path
from fcray import registry

folder, adapter, facts, how = sys.argv[1:]
copy = shutil.copyfile

def stop_half_way(source, target):
    copy(source, target)
    print("half way", flush=True)
    signal.pause()

if how == "stop":
    shutil.copyfile = stop_half_way
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    registry.Registry(folder).add("call", Path(adapter), json.loads(facts))
"""


def adding(
    registry: Registry, adapter: Path, how: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that adds five versions once it is sent a line."""
    return running(ADDING, str(registry.folder), str(adapter), json.dumps(FACTS), how)


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_add_at_once_share_no_number(registry: Registry, adapter: Path) -> None:
    with (
        adding(registry, adapter, "add") as first,
        adding(registry, adapter, "add") as second,
    ):
        assert [heard(first), heard(second)] == ["ready", "ready"]
        let_go(first)
        let_go(second)
        assert [first.wait(), second.wait()] == [0, 0]
    assert registry.versions() == [f"call_v{number}" for number in range(1, 11)]
    for version in registry.versions():
        assert registry.path(version) == registry.folder / version


def test_an_add_that_is_killed_leaves_no_version(registry: Registry, adapter: Path) -> None:
    with adding(registry, adapter, "stop") as process:
        assert heard(process) == "ready"
        let_go(process)
        assert heard(process) == "half way"
    assert registry.versions() == []
    assert registry.add("call", adapter, FACTS).version == "call_v1"
    assert registry.versions() == ["call_v1"]
