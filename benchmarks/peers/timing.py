"""What the peers' scripts share: a job is read, requests are timed, a line of JSON is printed.

Runs in the peers' own environment, so it imports nothing of fcray.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def read_job() -> dict[str, Any]:
    """The job in the file that the command line names."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return job


def timed(answer: Callable[[], Answer]) -> tuple[Answer, float]:
    """What `answer` returns, and its seconds."""
    began = time.perf_counter()
    found = answer()
    return found, time.perf_counter() - began


def latencies(answer: Callable[[int], object], single: Iterable[int]) -> list[float]:
    """The seconds of each request, asked one after the other."""
    return [timed(lambda index=index: answer(index))[1] for index in single]  # type: ignore[misc]


def report(found: dict[str, Any], version: str) -> None:
    """Print what was found as the last line, with this process's peak of memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**found, "version": version, "mebibytes": peak}))
