"""What fifty promotions and rollbacks cost callers. Run by `make bench-switching`, about five minutes.

The bundled base with two adapters of random weights and the quickstart's ten tools, on Ray Serve, four
callers without a pause: first with one champion all the time, then with another one every few seconds. The
load runs in this process, the endpoint in Ray's.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import openai
import peft
import torch

from benchmarks.result import Target, publish
from fcray import models
from fcray.dataset.build import build
from fcray.registry import CHAMPION, Registry
from fcray.serving import app
from fcray.serving.build import ServeArgs, config_of
from fcray.spec import SweepSpec
from fcray.sweep.session import ray_session

QUICKSTART = Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
CALLERS, SWITCHES, PAUSE = 4, 50, 2.0
MORE = 1.25
"""How much longer P99 may be."""


def adapter(model: Any, folder: Path, seed: int) -> Path:
    """An adapter that changes little, so that answers stay answers."""
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=16,
        target_modules="all-linear",
        init_lora_weights=False,
        lora_alpha=1,
        task_type="CAUSAL_LM",
    )
    wrapped = peft.get_peft_model(model, config)
    wrapped.save_pretrained(str(folder))
    wrapped.unload()
    return folder


def registry_of(spec: SweepSpec, folder: Path) -> Registry:
    """Two versions, the first of which is champion."""
    made = Registry(folder / "registry")
    base = models.load(spec.model, storage="rounded")
    facts = {
        "created": "",
        "base": spec.model.base,
        "revision": "",
        "quantization": spec.model.quantization,
        "data_sha256": "",
        "spec": spec.model_dump(mode="json"),
        "trial": 0,
        "config": {},
        "metrics": {},
        "verdict": [],
        "git_revision": "",
    }
    for seed in (1, 2):
        made.add("random", adapter(base.model, folder / str(seed), seed), facts)
    made.point(CHAMPION, "random_v1")
    return made


class Callers:
    """Ask without a pause, and keep how long each answer took."""

    def __init__(self, base_url: str, bodies: list[dict[str, Any]]) -> None:
        self._url = base_url
        self._bodies = cycle(bodies)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.versions: set[str] = set()

    def _call(self) -> None:
        with openai.OpenAI(base_url=self._url, api_key="key", max_retries=0, timeout=120) as client:
            while not self._over.is_set():
                with self._lock:
                    body = next(self._bodies)
                began = time.perf_counter()
                try:
                    answer = client.chat.completions.create(**body)
                except openai.APIError as error:
                    self.failures.append(type(error).__name__)
                    continue
                self.seconds.append(time.perf_counter() - began)
                self.versions.add(answer.model)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98]


def main(switches: int) -> None:
    spec = SweepSpec.read(QUICKSTART)
    data = build(spec.data.model_copy(update={"train": 8}))
    tools = [tool.to_openai() for tool in data.catalog]
    bodies = [
        {
            "model": CHAMPION,
            "messages": [{"role": "user", "content": row.request}],
            "tools": tools,
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "max_tokens": 48,
        }
        for row in data.test
    ]
    with tempfile.TemporaryDirectory() as folder, ray_session():
        registry = registry_of(spec, Path(folder))
        args = ServeArgs(registry=registry.url, follow=0.2)
        endpoint = app.deploy(config_of(args, "key", storage="rounded"))
        try:
            warm = Callers(endpoint.base_url, bodies)
            with warm.asking():
                time.sleep(15)
            still = Callers(endpoint.base_url, bodies)
            with still.asking():
                time.sleep(switches * PAUSE)
            moved = Callers(endpoint.base_url, bodies)
            with moved.asking():
                for number in range(switches):
                    time.sleep(PAUSE)
                    if number % 2:
                        registry.rollback()
                    else:
                        registry.point(CHAMPION, "random_v2")
        finally:
            app.shutdown()
    figures = {
        "callers": CALLERS,
        "promotions and rollbacks": switches,
        "seconds between two": PAUSE,
        "requests without and with": [len(still.seconds), len(moved.seconds)],
        "requests lost": len(still.failures) + len(moved.failures),
        "versions that answered": sorted(moved.versions),
        "P50 without and with, seconds": [
            round(statistics.median(one.seconds), 3) for one in (still, moved)
        ],
        "P99 without and with, seconds": [round(one.p99, 3) for one in (still, moved)],
    }
    print(json.dumps(figures, indent=2), file=sys.stderr)
    publish(
        "switching",
        figures,
        [
            Target.at_most("requests lost", len(moved.failures), 0),
            Target.at_most("P99, times what it is without", moved.p99 / still.p99, MORE),
        ],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SWITCHES)
