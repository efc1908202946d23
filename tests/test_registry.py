"""The registry: whole versions or none, numbers that nobody shares, and no changed file served."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fcray.errors import FcrayError, UserError
from fcray.registry import CHAMPION, MANIFEST, Moved, Registry
from fcray.registry.registry import UNFINISHED
from tests.processes import heard, running

EVENT = "aliases/champion/000001.json"

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


def folder_of(registry: Registry) -> Path:
    return Path(registry.url)


def test_an_empty_registry(registry: Registry) -> None:
    assert (registry.versions(), registry.aliases()) == ([], {})
    with pytest.raises(UserError, match="the registry has no 'champion'; it has none"):
        registry.path(CHAMPION)
    assert not folder_of(registry).exists()


def test_versions_are_numbered(registry: Registry, adapter: Path) -> None:
    for number in range(1, 12):
        assert registry.add("call", adapter, FACTS).version == f"call_v{number}"
    assert registry.add("other", adapter, FACTS).version == "other_v1"
    assert registry.versions("call") == [f"call_v{number}" for number in range(1, 12)]
    assert registry.versions() == [*registry.versions("call"), "other_v1"]


def test_what_is_stored_is_given_back(registry: Registry, adapter: Path) -> None:
    manifest = registry.add("call", adapter, FACTS, card="# A card")
    again = Registry(registry.url)
    assert again.manifest("call_v1") == manifest
    assert (manifest.trial, manifest.metrics) == (3, {"intent_accuracy": 0.95})
    folder = again.path("call_v1")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        ".taken",
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
    assert (folder_of(registry) / "call_v1").stat().st_mode & 0o555 == 0o555
    for path in (*(folder_of(registry) / "call_v1").iterdir(), folder_of(registry) / EVENT):
        assert path.stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "README.md"])
def test_a_changed_file_is_refused(registry: Registry, adapter: Path, file: str) -> None:
    registry.add("call", adapter, FACTS)
    path = folder_of(registry) / "call_v1" / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(FcrayError, match=f"{file} is not what was stored; call_v1 is refused"):
        registry.path("call_v1")


def test_a_torn_file_is_refused(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    path = folder_of(registry) / "call_v1" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:3])
    with pytest.raises(FcrayError, match="call_v1 is refused"):
        registry.path("call_v1")


def test_a_missing_file_is_refused(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    (folder_of(registry) / "call_v1" / "adapter_model.safetensors").unlink()
    with pytest.raises(FcrayError, match="is not what was stored; call_v1 is refused"):
        registry.path("call_v1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "call_v1"}'])
def test_a_torn_manifest_is_refused(registry: Registry, adapter: Path, text: str) -> None:
    registry.add("call", adapter, FACTS)
    (folder_of(registry) / "call_v1" / MANIFEST).write_text(text)
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
    assert registry.path(CHAMPION) == folder_of(registry) / "call_v2"


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
    with pytest.raises(
        UserError, match=r"the registry cannot be written: (Not a directory|File exists)"
    ):
        Registry(tmp_path / "file" / "registry").add("call", adapter, FACTS)


def test_a_failed_add_leaves_nothing(registry: Registry, adapter: Path) -> None:
    with pytest.raises(TypeError):
        registry.add("call", adapter, {"base": "x"})
    assert not folder_of(registry).exists()


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
import json, signal, sys
from pathlib import Path
from fcray import registry

folder, adapter, facts, how = sys.argv[1:]
write = registry.Place.write

def stop_half_way(place, name, content):
    write(place, name, content)
    print("half way", flush=True)
    signal.pause()

if how == "stop":
    registry.Place.write = stop_half_way
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    registry.Registry(folder).add("call", Path(adapter), json.loads(facts))
"""


def adding(
    registry: Registry, adapter: Path, how: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that adds five versions once it is sent a line."""
    return running(ADDING, str(folder_of(registry)), str(adapter), json.dumps(FACTS), how)


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
        assert registry.path(version) == folder_of(registry) / version


def test_an_add_that_is_killed_leaves_no_version(registry: Registry, adapter: Path) -> None:
    with adding(registry, adapter, "stop") as process:
        assert heard(process) == "ready"
        let_go(process)
        assert heard(process) == "half way"
    assert registry.versions() == []
    assert registry.add("call", adapter, FACTS).version == "call_v2"  # its number is not used again
    assert registry.versions() == ["call_v2"]
    assert registry.gc() == []  # it may be under way
    taken = folder_of(registry) / "call_v1" / ".taken"
    taken.write_text((datetime.now(UTC) - 2 * UNFINISHED).isoformat())
    assert registry.gc(dry_run=True) == ["call_v1"]
    assert registry.gc() == ["call_v1"]
    assert [path.name for path in taken.parent.iterdir()] == [".taken"]
    assert registry.gc() == []
    assert registry.path("call_v2")


def test_threads_that_point_one_alias_are_all_in_its_history(
    registry: Registry, adapter: Path
) -> None:
    for _ in range(3):
        registry.add("call", adapter, FACTS)
    versions = [f"call_v{1 + index % 3}" for index in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: registry.point(CHAMPION, version), versions))
    events = registry.history(CHAMPION)
    assert [event.number for event in events] == list(range(1, 25))
    assert sorted(event.version for event in events) == sorted(versions)
    assert registry.aliases() == {CHAMPION: events[-1].version}


def test_of_two_promotions_over_one_champion_one_is_told(registry: Registry, adapter: Path) -> None:
    for _ in range(3):
        registry.add("call", adapter, FACTS)
    registry.point(CHAMPION, "call_v1", expected="")
    registry.point(CHAMPION, "call_v2", expected="call_v1")
    with pytest.raises(Moved, match="champion names call_v2 by now, not call_v1"):
        registry.point(CHAMPION, "call_v3", expected="call_v1")
    assert registry.aliases() == {CHAMPION: "call_v2"}


def test_rollbacks_go_back_one_by_one(registry: Registry, adapter: Path) -> None:
    for number in (1, 2, 3, 4):
        registry.add("call", adapter, FACTS)
        if number < 4:
            registry.point(CHAMPION, f"call_v{number}", reason=f"gate {number}")
    with pytest.raises(UserError, match="candidate has named nothing else"):
        registry.rollback("candidate")
    event = registry.rollback(reason="complaints")
    assert (event.version, event.reason) == ("call_v2", "rollback from call_v3: complaints")
    assert registry.rollback().version == "call_v1"
    with pytest.raises(UserError, match="champion has named nothing else"):
        registry.rollback()
    registry.point(CHAMPION, "call_v4")
    assert registry.rollback().version == "call_v1"
    assert [event.number for event in registry.history(CHAMPION)] == list(range(1, 8))


def test_an_alias_may_name_nothing(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    registry.point("candidate", "call_v1")
    registry.point("candidate", "")
    assert registry.aliases() == {}
    with pytest.raises(UserError, match="the registry has no 'candidate'"):
        registry.manifest("candidate")


def test_gc_keeps_what_is_needed(registry: Registry, adapter: Path) -> None:
    for _ in range(6):
        registry.add("call", adapter, FACTS)
    registry.add("other", adapter, FACTS)
    registry.point(CHAMPION, "call_v2")
    registry.point(CHAMPION, "call_v3")
    assert registry.gc() == []
    assert registry.gc(2) == ["call_v1", "call_v4"]
    assert registry.versions() == ["call_v2", "call_v3", "call_v5", "call_v6", "other_v1"]
    assert registry.rollback().version == "call_v2"
    assert registry.add("call", adapter, FACTS).version == "call_v7"


def test_a_torn_alias_is_said(registry: Registry, adapter: Path) -> None:
    registry.add("call", adapter, FACTS)
    registry.point(CHAMPION, "call_v1")
    (folder_of(registry) / EVENT).write_text("{")
    with pytest.raises(FcrayError, match=r"000001\.json cannot be read"):
        registry.aliases()


@pytest.fixture
def distant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """A registry behind a URL; fsspec's own store in memory."""
    monkeypatch.setenv("FCRAY_CACHE", str(tmp_path / "cache"))
    return Registry(f"memory://{tmp_path.name}/registry")


def test_a_registry_at_a_url(distant: Registry, adapter: Path) -> None:
    assert distant.versions() == []
    assert [distant.add("call", adapter, FACTS).version for _ in range(2)] == ["call_v1", "call_v2"]
    distant.point(CHAMPION, "call_v1")
    distant.point(CHAMPION, "call_v2")
    again = Registry(distant.url)
    assert again.versions() == ["call_v1", "call_v2"]
    folder = again.path(CHAMPION)
    assert (folder / "adapter_model.safetensors").read_bytes() == b"weights"
    assert folder.name == "call_v2"
    assert again.rollback().version == "call_v1"
    assert again.gc(1) == []
    assert distant.where("call_v1") == f"{distant.url}/call_v1"


def test_a_copy_of_what_is_distant_is_checked(distant: Registry, adapter: Path) -> None:
    distant.add("call", adapter, FACTS)
    copy = distant.path("call_v1") / "adapter_model.safetensors"
    copy.write_bytes(b"tampered")
    assert (distant.path("call_v1") / copy.name).read_bytes() == b"weights"  # it is fetched again
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file(f"{distant.where('call_v1')}/{copy.name}", b"other weights")
    assert distant.path("call_v1")  # the copy is what was stored
    copy.unlink()
    with pytest.raises(FcrayError, match="is not what was stored; call_v1 is refused"):
        distant.path("call_v1")
    store.rm_file(f"{distant.where('call_v1')}/{copy.name}")
    copy.unlink()
    with pytest.raises(FcrayError, match="is not what was stored; call_v1 is refused"):
        distant.path("call_v1")


def test_a_url_that_nothing_opens(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        Registry("gopher://x/y")
