"""A sweep whose runs lie in an object store: a server that speaks S3, on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import free_port, listens
from tests.sweeps import descendants, running, said, wait_for, write_spec

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]

KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "store.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port) or server.poll() is not None, 60)
        import boto3

        address = f"http://127.0.0.1:{port}"
        boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(
            Bucket="tests"
        )
        yield f"s3://tests/runs?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=20)
        server.kill()


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
