"""The engine against transformers' `generate` and `serve`, and llama.cpp. Run by `make bench-inference`.

The quickstart's test requests under its ten tools, and an adapter trained for them first. Each contender
runs in a process of its own, in turn, on the same prompts as tokens. `generate` and `serve` are given the
adapter merged into the very weights that the engine computes with, which is their faster way; llama.cpp
gets those rounded to Q4_1. The engine and `generate` are measured in their own
process, `serve` over HTTP from the same machine.
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
PEERS = ROOT / "benchmarks" / "peers"
QUICKSTART = ROOT / "sweeps" / "quickstart.yaml"
TRAINED = 640
"""Examples that the adapter is trained on: it writes whole calls then, most of them right."""

SINGLE = 24
"""Requests that are asked one at a time."""

MAX_TOKENS = 72
STORAGES = ("rounded", "packed")


def spec_of() -> Any:
    """The quickstart, with fewer examples to train on."""
    from fcray.spec import SweepSpec

    read = SweepSpec.read(QUICKSTART)
    return read.with_changes(data=read.data.model_copy(update={"train": TRAINED}))


def prepare(scratch: Path) -> None:
    """Train the adapter, merge it for the peers, and write the job."""
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
    whole: Any = peft.PeftModel.from_pretrained(fresh.model, str(adapter)).merge_and_unload()
    (end,) = Renderer(fresh.tokenizer).end
    whole.generation_config.do_sample = False
    whole.generation_config.eos_token_id = end
    whole.save_pretrained(merged)
    fresh.tokenizer.save_pretrained(merged)

    renderer = Renderer(base.tokenizer)
    prompts = [renderer.prompt(example.messages, example.tools) for example in data.test]
    calling = [index for index, example in enumerate(data.test) if example.calls]
    job = {
        "model": str(merged),
        "adapter": str(adapter),
        "gguf": str(models._bundled_gguf()),
        "heads": base.model.config.num_attention_heads,
        "groups": base.model.config.num_key_value_heads,
        "bf16": base.model.dtype == torch.bfloat16,
        "threads": os.cpu_count() or 1,
        "end": end,
        "max_tokens": MAX_TOKENS,
        "prompts": [[*prompt.prefix, *prompt.body] for prompt in prompts],
        "list_tokens": len(prompts[0].prefix),
        "messages": [
            [
                {"role": "system", "content": system_text(example.tools)},
                *({"role": m.role, "content": m.content} for m in example.messages),
            ]
            for example in data.test
        ],
        "single": calling[:SINGLE],
        "batches": [16, 32],
        "crowds": [8],
    }
    (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")


def ours(job: dict[str, Any], storage: str) -> dict[str, Any]:
    """The engine on all requests, then on single ones, with the tools read before."""
    import torch

    from fcray import models
    from fcray.dataset.build import build
    from fcray.evaluation.evaluator import evaluate
    from fcray.inference import Engine, Request

    torch.set_num_threads(job["threads"])
    spec = spec_of()
    engine = Engine(models.load(spec.model, storage=storage))  # type: ignore[arg-type]
    engine.load_adapter("one", job["adapter"])
    examples = build(spec.data).test
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
    from fcray.dataset.build import build
    from fcray.metrics import Outcome, score
    from fcray.prompting import parse

    outcomes = []
    for example, text in zip(build(spec_of().data).test, texts, strict=True):
        read = parse(text)
        outcomes.append(Outcome(example, read.calls, text, read.problem is None, 0.0, 0, 0))
    scores = score(outcomes)
    return {"intent accuracy": scores.intent_accuracy, "argument F1": scores.argument_f1}


def measure(python: str, rounds: int, scratch: Path) -> dict[str, list[dict[str, Any]]]:
    """Each contender's runs: `seconds` for all requests, their `answers`, single `latencies`."""
    from transformers import AutoTokenizer

    from benchmarks.training import run

    path = scratch / "job.json"
    job = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def note(name: str, made: dict[str, Any]) -> None:
        found[name].append(made)
        rate, latency = len(job["prompts"]) / made["seconds"], statistics.median(made["latencies"])
        said = f"{name}: {rate:.2f} requests/s, {latency:.3f} s a call"
        print(said, file=sys.stderr, flush=True)

    for _ in range(rounds):
        for storage in STORAGES:
            command = [sys.executable, "-m", "benchmarks.inference", "ours", str(path), storage]
            note(f"fcray, {storage}", run(command))
        made = run([python, str(PEERS / "generate.py"), str(path)])
        for size, one in made.pop("batches").items():
            texts = [tokenizer.decode(row, skip_special_tokens=True) for row in one["answers"]]
            note(f"generate, batch {size}", made | one | {"answers": texts})
        served = run([python, str(PEERS / "serve.py"), str(path)])
        for way, one in served["ways"].items():
            for size, crowd in one.get("crowds", {}).items():
                note(f"transformers serve, {way}, {size} at a time", one | crowd)
            if "failed" in one:
                print(f"transformers serve, {way}: {one['failed']}", file=sys.stderr)
        note("llama.cpp, Q4_1", run([python, str(PEERS / "llamacpp.py"), str(path)]))
    return dict(found)


def main(python: str, rounds: int, scratch: Path) -> None:
    from benchmarks.training import run

    if not (scratch / "job.json").is_file():
        run([sys.executable, "-m", "benchmarks.inference", "prepare", str(scratch)])
    found = measure(python, rounds, scratch)
    job = json.loads((scratch / "job.json").read_text(encoding="utf-8"))
    figures: dict[str, Any] = {
        "rounds": rounds,
        "requests": len(job["prompts"]),
        "tokens of the list": job["list_tokens"],
        "dtype": "bfloat16" if job["bf16"] else "float32",
    }
    rates, latencies = {}, {}
    for name, runs in found.items():
        rates[name] = statistics.median(len(job["prompts"]) / one["seconds"] for one in runs)
        latencies[name] = statistics.median(x for one in runs for x in one["latencies"])
        figures[f"{name}: requests a second"] = round(rates[name], 3)
        figures[f"{name}: seconds of a single call, median"] = round(latencies[name], 4)
        if "mebibytes" in runs[0]:
            figures[f"{name}: peak MiB"] = round(max(one["mebibytes"] for one in runs), 1)
        for key, value in right(runs[0]["answers"]).items():
            figures[f"{name}: {key}"] = round(value, 4)
        if "steps" in runs[0]:
            figures[f"{name}: model steps of a single call"] = round(runs[0]["steps"], 1)
            figures[f"{name}: tokens of a single call"] = round(runs[0]["tokens"], 1)
    # Not before: it brings in Ray.
    from benchmarks.result import Target, publish

    own = f"fcray, {STORAGES[0]}"
    targets = []
    for peer in ("generate", "transformers serve"):
        best = max(rate for name, rate in rates.items() if name.startswith(peer))
        quickest = min(one for name, one in latencies.items() if name.startswith(peer))
        for what, ratio, asked in (
            ("requests a second", rates[own] / best, 5.0),
            ("shorter a single call", quickest / latencies[own], 3.0),
        ):
            targets.append(Target(f"times {peer}: {what}", ratio, asked, ratio >= asked))
    publish("inference", figures, targets)


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
