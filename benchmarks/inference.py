"""The engine against transformers' `generate` and `serve`, and llama.cpp. Run by `make bench-inference`.

The quickstart's test requests, under its ten tools and under all tools of `data/`, and an adapter trained
for the former. Each contender runs in a process of its own, in turn, on the same prompts as tokens.
`generate` and `serve` are given the adapter merged into the very weights that the engine computes with, which
is their faster way; llama.cpp gets those rounded to Q4_1. The engine and `generate` are measured in their own
process, `serve` over HTTP from the same machine. The slow ones are asked the first of the requests, in whole
batches; how many stands beside each figure. llama.cpp runs without its repacked weights for AMX, with which
it crashes; bitsandbytes' blocks (`packed`) without the layout for AVX512-BF16 (see `models.py`).
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "sweeps" / "quickstart.yaml"
TRAINED = 640
"""Examples that the adapter is trained on: it writes whole calls then, most of them right."""

REQUESTS = 384
SINGLE = 16
"""Requests that are asked one at a time."""

MAX_TOKENS = 72
WAYS = {
    "rounded": ("rounded", "auto"),
    "packed": ("packed", "auto"),
    "rounded, float32": ("rounded", "fp32"),
    "packed, float32": ("packed", "fp32"),
}
"""How the base is held: storage and floats. CPUs that do not multiply bfloat16 faster take the last two."""
SHORT, LONG = "ten tools", "all tools"
CASES: dict[str, dict[str, Any]] = {
    SHORT: {"ways": [*WAYS], "generate": 192, "batches": [32, 64], "few": 48, "crowd": 8},
    LONG: {"ways": [*WAYS][:2], "generate": 32, "batches": [16, 32], "few": 16, "crowd": 8},
}
"""How the engine holds the base, how many requests `generate` is asked in which batches, and how many the
others; `serve` is asked `crowd` at a time."""


def spec_of() -> Any:
    """The quickstart, with fewer examples to train on and more to ask."""
    from fcray.spec import SweepSpec

    read = SweepSpec.read(QUICKSTART)
    return read.with_changes(data=read.data.model_copy(update={"train": TRAINED, "test": REQUESTS}))


def examples_of(case: str) -> list[Any]:
    """The requests of a case."""
    from fcray.dataset.build import build
    from fcray.dataset.catalog import load_catalogs

    test = build(spec_of().data).test
    if case == SHORT:
        return list(test)
    tools = tuple(load_catalogs((str(ROOT / "data"),), ()).tools)
    return [example.model_copy(update={"tools": tools}) for example in test]


def prepare(scratch: Path) -> None:
    """Train the adapter, merge it for the peers, and write a job for each case."""
    import peft
    import torch

    from fcray import models
    from fcray.dataset.build import build
    from fcray.prompting import Renderer, system_text
    from fcray.spec import LoraConfig
    from fcray.training.trainer import train

    spec = spec_of()
    base = models.load(spec.model)
    data = build(spec.data)
    lora = LoraConfig(rank=16, learning_rate=2e-3, shares=(0.05, 0.05, 0.9))
    adapter, merged = scratch / "adapter", scratch / "merged"
    trained = train(base, data.train, lora, spec.training, folder=scratch / "run")
    trained.model.save_pretrained(adapter)

    fresh = models.load(spec.model)
    renderer = Renderer(fresh.tokenizer)
    whole: Any = peft.PeftModel.from_pretrained(fresh.model, str(adapter)).merge_and_unload()
    (end,) = renderer.end
    whole.generation_config.do_sample = False
    whole.generation_config.eos_token_id = end
    whole.save_pretrained(merged)
    fresh.tokenizer.save_pretrained(merged)

    for case, settings in CASES.items():
        examples = examples_of(case)
        prompts = [renderer.prompt(one.messages, one.tools) for one in examples]
        calling = [index for index, one in enumerate(examples) if one.calls]
        job = {
            **settings,
            "case": case,
            "model": str(merged),
            "adapter": str(adapter),
            "gguf": str(models.bundled_gguf()),
            "heads": whole.config.num_attention_heads,
            "groups": whole.config.num_key_value_heads,
            "bf16": whole.dtype == torch.bfloat16,
            "threads": os.cpu_count() or 1,
            "end": end,
            "max_tokens": MAX_TOKENS,
            "prompts": [[*one.prefix, *one.body] for one in prompts[: settings["generate"]]],
            "list_tokens": len(prompts[0].prefix),
            "messages": [
                [
                    {"role": "system", "content": system_text(one.tools)},
                    *({"role": m.role, "content": m.content} for m in one.messages),
                ]
                for one in examples[: settings["few"]]
            ],
            "single": [index for index in calling if index < settings["few"]][:SINGLE],
        }
        job_of(scratch, case).write_text(json.dumps(job), encoding="utf-8")


def job_of(scratch: Path, case: str) -> Path:
    return scratch / f"{case.replace(' ', '-')}.json"


def ours(job: dict[str, Any], way: str) -> dict[str, Any]:
    """The engine on all requests, then on single ones, with the tools read before."""
    import torch

    from fcray import models
    from fcray.evaluation.evaluator import evaluate
    from fcray.inference import Engine, Request

    torch.set_num_threads(job["threads"])
    storage, precision = WAYS[way]
    model = spec_of().model.model_copy(update={"precision": precision})
    engine = Engine(models.load(model, storage=storage))  # type: ignore[arg-type]
    engine.load_adapter("one", job["adapter"])
    examples = examples_of(job["case"])
    evaluate(engine, examples[:1], max_tokens=MAX_TOKENS)  # the base's: its tools are other numbers
    began = time.perf_counter()
    outcomes = evaluate(engine, examples, adapter="one", max_tokens=MAX_TOKENS)
    seconds = time.perf_counter() - began
    latencies, steps = [], []
    for index in job["single"]:
        example = examples[index]
        request = Request(example.messages, example.tools, "one", max_tokens=MAX_TOKENS)
        began = time.perf_counter()
        (answer,) = engine.generate([request])
        latencies.append(time.perf_counter() - began)
        steps.append(answer.steps)
    return {
        "seconds": seconds,
        "answers": [outcome.text for outcome in outcomes],
        "latencies": latencies,
        "steps": statistics.fmean(steps),
        "tokens": statistics.fmean(outcomes[index].completion_tokens for index in job["single"]),
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def right(texts: Sequence[str]) -> dict[str, float]:
    """How good answers are: the scores of their calls."""
    from fcray.metrics import Outcome, score
    from fcray.prompting import parse

    outcomes = []
    for example, text in zip(examples_of(SHORT), texts, strict=False):
        read = parse(text)
        outcomes.append(Outcome(example, read.calls, text, read.problem is None, 0.0, 0, 0))
    scores = score(outcomes)
    return {"intent accuracy": scores.intent_accuracy, "argument F1": scores.argument_f1}


def measure(python: str, rounds: int, path: Path) -> dict[str, list[dict[str, Any]]]:
    """Each contender's runs: `seconds` for all its `answers`, and single `latencies`."""
    from transformers import AutoTokenizer

    from benchmarks.training import run

    job = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def note(name: str, made: dict[str, Any]) -> None:
        found[name].append(made)
        if "failed" in made:
            print(f"{job['case']}, {name}: {made['failed']}", file=sys.stderr, flush=True)
            return
        said = f"{rate(made):.2f} requests/s, {statistics.median(made['latencies']):.3f} s a call"
        print(f"{job['case']}, {name}: {said}", file=sys.stderr, flush=True)

    def peer(name: str) -> dict[str, Any]:
        return run([python, "-m", f"benchmarks.peers.{name}", str(path)])

    for _ in range(rounds):
        for way in job["ways"]:
            command = [sys.executable, "-m", "benchmarks.inference", "ours", str(path), way]
            note(f"fcray, {way}", run(command))
        made = peer("generate")
        for size, one in made.pop("batches").items():
            texts = [tokenizer.decode(row, skip_special_tokens=True) for row in one["answers"]]
            note(f"generate, batch {size}", made | one | {"answers": texts})
        served = peer("serve")
        for way, one in served["ways"].items():
            name = f"transformers serve, {way}, {job['crowd']} at a time"
            note(name, one | {"version": served["version"]})
        note("llama.cpp, Q4_1", peer("llamacpp"))
    return dict(found)


def rate(made: dict[str, Any]) -> float:
    """Requests a second."""
    return len(made["answers"]) / float(made["seconds"])


def main(python: str, rounds: int, scratch: Path) -> None:
    from benchmarks.training import run

    if not job_of(scratch, LONG).is_file():
        run([sys.executable, "-m", "benchmarks.inference", "prepare", str(scratch)])
    figures: dict[str, Any] = {"rounds": rounds, "requests": REQUESTS}
    ratios: list[tuple[str, float, float]] = []
    for case in CASES:
        path = job_of(scratch, case)
        job = json.loads(path.read_text(encoding="utf-8"))
        figures["dtype"] = "bfloat16" if job["bf16"] else "float32"
        figures[f"{case}: tokens of the list"] = job["list_tokens"]
        found = measure(python, rounds, path)
        for name, runs in found.items():
            figures |= {f"{case}, {name}: {what}": n for what, n in summary(runs).items()}
        ratios += ratios_of(case, found)
    # Not before: it brings in Ray.
    from benchmarks.result import Target, publish

    publish("inference", figures, [Target(name, n, asked, n >= asked) for name, n, asked in ratios])


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a contender."""
    first = runs[0]
    if failed := [one["failed"] for one in runs if "failed" in one]:
        return {"failed": failed[0]}
    made: dict[str, Any] = {
        "requests": len(first["answers"]),
        "requests a second": round(statistics.median(map(rate, runs)), 3),
        "seconds of a single call, median": round(latency(runs), 4),
        **{name: round(value, 4) for name, value in right(first["answers"]).items()},
    }
    if "version" in first:
        made["version"] = first["version"]
    if "mebibytes" in first:
        made["peak MiB"] = round(max(one["mebibytes"] for one in runs), 1)
    if "steps" in first:
        made["model steps of a single call"] = round(first["steps"], 1)
        made["tokens of a single call"] = round(first["tokens"], 1)
    return made


def latency(runs: Sequence[dict[str, Any]]) -> float:
    """The median seconds of a single call."""
    return statistics.median(x for one in runs for x in one["latencies"])


def ratios_of(case: str, found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, float, float]]:
    """How many times better than each peer's best way, and what is asked."""
    own = found["fcray, rounded"]
    ratios = []
    for peer in ("generate", "transformers serve"):
        ways = [
            runs
            for name, runs in found.items()
            if name.startswith(peer) and not any("failed" in one for one in runs)
        ]
        if ways:
            best = max(statistics.median(map(rate, runs)) for runs in ways)
            more = statistics.median(map(rate, own)) / best
            shorter = min(map(latency, ways)) / latency(own)
            ratios.append((f"{case}, times {peer}: requests a second", more, 5.0))
            ratios.append((f"{case}, times {peer}: shorter a single call", shorter, 3.0))
    return ratios


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "prepare":
        prepare(Path(sys.argv[2]))
        print("{}")
    elif what == "ours":
        job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        print(json.dumps(ours(job, sys.argv[3])))
    elif len(sys.argv) > 3:
        main(what, int(sys.argv[2]), Path(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(what, int(sys.argv[2]) if len(sys.argv) > 2 else 3, Path(folder))
