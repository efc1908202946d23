"""A registry in an object store: what S3 itself refuses to write twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fcray.errors import FcrayError, UserError
from fcray.registry import CHAMPION, Registry
from tests.stores import BUCKET, KEYS, s3_server
from tests.test_registry import FACTS, adapter

__all__ = ["adapter"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a folder in an empty bucket, and an environment that leads there."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("s3")
        for name, value in {**KEYS, "FCRAY_CACHE": str(folder / "cache")}.items():
            patch.setenv(name, value)
        with s3_server(folder / "store.log") as port:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            yield f"s3://{BUCKET}/registry"


def test_versions_aliases_and_copies(url: str, adapter: Path) -> None:
    registry = Registry(f"{url}-a")
    assert registry.versions() == []
    assert [registry.add("call", adapter, FACTS).version for _ in range(2)] == [
        "call_v1",
        "call_v2",
    ]
    registry.point(CHAMPION, "call_v1")
    registry.point(CHAMPION, "call_v2")
    again = Registry(registry.url)
    folder = again.path(CHAMPION)
    assert folder.name == "call_v2"
    assert (folder / "adapter_model.safetensors").read_bytes() == b"weights"
    assert again.rollback().version == "call_v1"
    assert again.gc(1) == []
    with pytest.raises(UserError, match=r"the registry has no 'call_v3'; it has call_v1, call_v2"):
        again.path("call_v3")


def test_writers_at_once_share_no_number(url: str, adapter: Path) -> None:
    place = f"{url}-b"
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda _: Registry(place).add("call", adapter, FACTS), range(12)))
    assert {manifest.version for manifest in added} == {f"call_v{n}" for n in range(1, 13)}
    with ThreadPoolExecutor(6) as pool:
        versions = [manifest.version for manifest in added]
        list(pool.map(lambda version: Registry(place).point(CHAMPION, version), versions))
    assert [event.number for event in Registry(place).history(CHAMPION)] == list(range(1, 13))


def test_a_store_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, adapter: Path, url: str
) -> None:
    registry = Registry("s3://no-such-bucket/registry")
    with pytest.raises(UserError, match=r"the registry cannot be written: .*bucket"):
        registry.add("call", adapter, FACTS)
    with pytest.raises(FcrayError, match="no-such-bucket"):
        registry.path("call_v1")
