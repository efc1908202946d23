"""Answers by `transformers serve`, asked over HTTP. Runs in the peers' own environment.

Usage: serve.py JOB, the job of generate.py with `messages` beside `prompts` and `crowds` (how many ask at
the same time). The server's own process is started, asked and ended here. Prints a line of JSON.
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

PATIENCE = 300
"""Seconds for the server to come up, and for an answer."""


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import transformers

    found: dict[str, Any] = {"version": transformers.__version__, "ways": {}}
    for name, options in {"plain": [], "continuous batching": ["--continuous-batching"]}.items():
        try:
            found["ways"][name] = measure(job, options)
        except (urllib.error.URLError, TimeoutError, ValueError, OSError) as error:
            found["ways"][name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(found))


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
    crowds: dict[str, Any] = {}
    for size in job["crowds"]:
        with ThreadPoolExecutor(size) as pool:
            began = time.perf_counter()
            answers = list(pool.map(ask, range(len(job["messages"]))))
            crowds[str(size)] = {"seconds": time.perf_counter() - began, "answers": answers}
    latencies = []
    for index in job["single"]:
        began = time.perf_counter()
        ask(index)
        latencies.append(time.perf_counter() - began)
    return {"crowds": crowds, "latencies": latencies}


if __name__ == "__main__":
    main()
