"""Answers by `transformers serve`, asked over HTTP. Runs in the peers' own environment.

Usage: -m benchmarks.peers.serve JOB, the job of generate.py with `messages` beside `prompts`, `few` (how many
of them are asked) and `crowd` (how many at the same time). The server's own process is started, asked and
ended here. Prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.peers.timing import latencies, read_job, report, timed

PATIENCE = 300
"""Seconds for the server to come up, and for an answer."""


def main() -> None:
    job = read_job()
    import transformers

    ways: dict[str, Any] = {}
    for name, options in {"plain": [], "continuous batching": ["--continuous-batching"]}.items():
        try:
            ways[name] = measure(job, options)
        except (urllib.error.URLError, TimeoutError, ValueError, OSError) as error:
            ways[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
    report({"ways": ways}, transformers.__version__)


def measure(job: dict[str, Any], options: list[str]) -> dict[str, Any]:
    """The answers and times of a server with these options."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(Path(sys.executable).parent / "transformers"), "serve", job["model"]),
        *("--host", "127.0.0.1", "--port", str(port), "--device", "cpu"),
        *("--dtype", "bfloat16" if job["bf16"] else "float32", *options),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(job["threads"])}
    server = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        return ask_all(job, f"http://127.0.0.1:{port}/v1/chat/completions", server)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def ask_all(job: dict[str, Any], url: str, server: subprocess.Popen[bytes]) -> dict[str, Any]:
    def ask(index: int) -> str:
        body = {
            "model": job["model"],
            "messages": job["messages"][index],
            "max_tokens": job["max_tokens"],
        }
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            text: str = json.load(reply)["choices"][0]["message"]["content"] or ""
            return text

    until = time.monotonic() + PATIENCE
    while True:
        try:
            ask(job["single"][0])
            break
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if server.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.5)
    with ThreadPoolExecutor(job["crowd"]) as pool:
        answers, seconds = timed(lambda: list(pool.map(ask, range(job["few"]))))
    return {"seconds": seconds, "answers": answers, "latencies": latencies(ask, job["single"])}


if __name__ == "__main__":
    main()
