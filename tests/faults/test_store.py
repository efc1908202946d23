"""A sweep whose runs lie in an object store: a server that speaks S3, on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import BUCKET, KEYS, s3_server
from tests.sweeps import descendants, running, said, wait_for, write_spec

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server(tmp_path / "store.log") as port:
        place = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        yield f"s3://{BUCKET}/runs?{place}"


def test_a_run_in_an_object_store_goes_on_from_another_machine(
    bucket: str, tiny_folder: Path, tmp_path: Path
) -> None:
    spec_file = write_spec(tmp_path, tiny_folder, storage=bucket, budget={"trials": 1})
    cache = tmp_path / "cache"
    environment = {"FCRAY_CACHE": str(cache)}

    def journal() -> list[Path]:
        return list(cache.glob("runs/*/tiny/study.journal"))

    def scored() -> bool:
        return any('"results"' in path.read_text(errors="ignore") for path in journal())

    with running(spec_file, f"{tmp_path}-first", environment) as process:
        wait_for(lambda: scored() or process.poll() is not None, 240)
        process.kill()
        process.wait(timeout=60)
        wait_for(lambda: not descendants(f"{tmp_path}-first"), 90)
    shutil.rmtree(cache / "runs")  # what another machine does not have
    with running(spec_file, f"{tmp_path}-again", environment) as process:
        process.wait(timeout=300)
        assert process.returncode == 0, said(process)
    (folder,) = (path.parent for path in journal())
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (trial,) = summary["trials"]
    assert (trial["status"], trial["steps"]) == ("completed", 8)
    assert summary["promoted"]["version"] == "function_call_v1"
    assert not any((folder / name).exists() for name in ("trials", "tune"))
