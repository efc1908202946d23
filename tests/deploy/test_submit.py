"""The README's commands against a real head: submit, read the logs, stop, submit again, serve."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
import yaml

from tests.processes import free_port
from tests.sweeps import descendants, results_in, trials_in, wait_for, write_spec

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Head:
    """A running head and how it is talked to."""

    address: str
    environment: dict[str, str]

    def ray(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """`ray job <arguments>` against it."""
        verb, *rest = arguments
        return self.run("ray", "job", verb, "--address", self.address, *rest, cwd=cwd)

    def run(self, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / program), *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def status(self, job: str, cwd: Path) -> str:
        """How a job ended; "" for one that runs."""
        said = self.ray("status", job, cwd=cwd)
        words = said.stdout + said.stderr
        return next((s for s in ("succeeded", "failed", "was stopped") if s in words), "")


def answers(address: str, token: str) -> bool:
    asked = urllib.request.Request(
        f"{address}/api/version", headers={"Authorization": f"Bearer {token}"}
    )
    with suppress(OSError), urllib.request.urlopen(asked, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    """`ray start --head` with token authentication, in a folder of its own."""
    token = "0123456789abcdef" * 4
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "FCRAY_TEST_MARKER": f"{tmp_path}-head",
    }
    dashboard = free_port()
    command = [str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2"]
    command += [f"--port={free_port()}", f"--dashboard-port={dashboard}"]
    command += [f"--ray-client-server-port={free_port()}"]
    command += [f"--dashboard-agent-listen-port={free_port()}"]
    with (tmp_path / "head.log").open("w") as log:
        process = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(lambda: answers(address, token) or process.poll() is not None, 120)
        assert process.poll() is None, (tmp_path / "head.log").read_text()
        yield Head(address, environment)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        for left in descendants(f"{tmp_path}-head"):
            left.kill()


def served(head: Head, tmp_path: Path, version: str) -> tuple[str, str]:
    """`serve deploy` of the shipped file, with this test's registry and a key; the endpoint and its key."""
    config = yaml.safe_load((ROOT / "deploy" / "serve.yaml").read_text(encoding="utf-8"))
    (application,) = config["applications"]
    key = application["runtime_env"]["env_vars"]["FCRAY_API_KEY"]
    application["args"] = {"registry": str(tmp_path / "runs/registry"), "version": version}
    config["http_options"]["port"] = free_port()
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    said = head.run("serve", "deploy", "--address", head.address, "serve.yaml", cwd=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    return f"http://127.0.0.1:{config['http_options']['port']}", key


def ready(endpoint: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{endpoint}/readyz", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def test_submit_stop_submit_again_and_serve(head: Head, tiny_folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    write_spec(tmp_path, tiny_folder).rename(project / "tiny.yaml")
    shutil.copy(ROOT / ".rayignore", project)

    refused = Head(head.address, {**head.environment, "RAY_AUTH_TOKEN": "f" * 64})
    assert refused.ray("list", cwd=project).returncode != 0

    def submit(job: str) -> None:
        options = ["--working-dir", ".", "--submission-id", job, "--no-wait"]
        said = head.ray("submit", *options, "--", "fcray", "sweep", "tiny.yaml", cwd=project)
        assert said.returncode == 0, said.stdout + said.stderr

    submit("first")
    wait_for(lambda: results_in(tmp_path) >= 1 or head.status("first", project), 300)
    assert head.status("first", project) == ""
    assert "trial 0 starts" in head.ray("logs", "first", cwd=project).stdout
    assert head.ray("stop", "first", cwd=project).returncode == 0
    wait_for(lambda: bool(head.status("first", project)), 120)
    assert head.status("first", project) == "was stopped"
    kept = {(t.number, r.step): r.seconds for t in trials_in(tmp_path) for r in t.results}

    submit("second")
    wait_for(lambda: bool(head.status("second", project)), 400)
    logs = head.ray("logs", "second", cwd=project).stdout
    assert head.status("second", project) == "succeeded", logs
    trials = trials_in(tmp_path)
    assert [trial.number for trial in trials] == [0, 1]
    assert all(trial.status in ("completed", "stopped") for trial in trials)
    after = {(t.number, r.step): r.seconds for t in trials for r in t.results}
    assert kept.items() <= after.items()
    summary = json.loads((tmp_path / "runs/tiny/summary.json").read_text(encoding="utf-8"))
    assert summary["promoted"]["version"] == "function_call_v1"

    endpoint, key = served(head, tmp_path, "champion")
    wait_for(lambda: ready(endpoint), 240)
    client = openai.OpenAI(base_url=f"{endpoint}/v1", api_key=key)
    assert {"champion", "function_call_v1"} <= {model.id for model in client.models.list()}
    asked = [{"role": "user", "content": "hello"}]
    answer = client.chat.completions.create(model="champion", messages=asked, max_tokens=4)  # type: ignore[arg-type]
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{endpoint}/v1", api_key="another").models.list()
