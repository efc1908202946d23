"""Examples a second of LoRA training, against TRL's SFTTrainer. Run by `make bench-training`.

Same model, rows (as tokens) in the same order, LoRA, batch, rate and machine; each run in a process of its
own, taken in turn. TRL runs in its own environment, and is timed from its first step on; fcray with all
that it does before. The loss is the mean over held-out completions after the same rows.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEER = ROOT / "benchmarks" / "peers" / "trl_sft.py"
RANK, RATE, BATCH = 16, 1e-3, 16
AT_ONCE = 4
"""Rows that TRL computes at a time, gathering gradients up to the batch: its logits are large."""

SAME = 1.01
"""Losses are the same within it: LoRA's first weights are drawn by chance, and TRL draws others."""

CASES = {
    "short list": {"tools": ["get_weather", "set_reminder", "send_email"], "rows": 192, "ratio": 5},
    "long list": {
        "tools": [
            *("get_weather", "book_meeting_room", "set_reminder", "send_email"),
            *("create_calendar_event", "book_restaurant", "track_package", "set_air_conditioner"),
            *("get_stock_quote", "screen_funds", "assess_risk_preference", "get_fund_quote"),
            *("get_exchange_rate", "calculate_loan_payment", "set_price_alert"),
            "query_transactions",
        ],
        "rows": 64,
        "ratio": 10,
    },
}
"""Tools that every row is offered (about 110 and 800 tokens), rows, and how many times TRL's rate."""


def rows_of(case: str) -> tuple[Any, Any]:
    """Training and held-out examples of a case."""
    from fcray.dataset.build import build
    from fcray.spec import DataSpec

    data = build(
        DataSpec(
            catalogs=(str(ROOT / "data"),),
            tools=tuple(CASES[case]["tools"]),  # type: ignore[arg-type]
            train=int(CASES[case]["rows"]),  # type: ignore[call-overload]
            validation=32,
            test=8,
            test_values=0,
            kinds={},
            masked=0,
            distractors=("all",),
        )
    )
    return data.train, data.validation


def training_spec(seed: int) -> Any:
    """fcray's settings: every label counts alike, as in TRL's loss."""
    from fcray.spec import TrainingSpec

    every = (1.0, 1.0, 1.0, 1.0)
    return TrainingSpec(
        batch=BATCH,
        warmup=0.0,
        cutoff=2048,
        tokens=4096,
        stage_weights=(every, every, every),
        seed=seed,
    )


def in_order(rows: Sequence[Any], seed: int) -> list[Any]:
    """Rendered rows in the order in which fcray trains on them."""
    from fcray.training.packing import plan_steps

    spec = training_spec(seed)
    steps = plan_steps(rows, batch=spec.batch, epochs=1, token_budget=spec.tokens, seed=spec.seed)
    return [row for step in steps for pack in step for row in pack.rows]


def tokens_of(rows: Sequence[Any]) -> list[dict[str, list[int]]]:
    """Rendered rows as TRL takes them: tokens, and which of them are the completion."""
    found = []
    for row in rows:
        prompt = [*row.prompt.prefix, *row.prompt.body]
        mask = [0] * len(prompt) + [1] * len(row.answer)
        found.append({"input_ids": [*prompt, *row.answer], "completion_mask": mask})
    return found


def ours(case: str, job: dict[str, Any]) -> dict[str, Any]:
    """One run of fcray's trainer, in this process."""
    import torch

    from benchmarks.peers.trl_sft import held_out_loss
    from fcray import models
    from fcray.prompting import Renderer
    from fcray.spec import LoraConfig, ModelSpec
    from fcray.training.trainer import render_rows, train_rows

    torch.set_num_threads(job["threads"])
    base = models.load(ModelSpec(quantization="none", precision="bf16" if job["bf16"] else "fp32"))
    examples, _ = rows_of(case)
    lora = LoraConfig(rank=RANK, learning_rate=RATE, shares=(0.0, 0.0, 1.0))
    training = training_spec(job["seed"])
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        rows, _ = render_rows(Renderer(base.tokenizer), examples, training.cutoff)
        rows = [replace(row, declined=None) for row in rows]  # TRL's loss has no such labels
        result = train_rows(base, rows, lora, training, folder=Path(folder))
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0
    return {
        "seconds": seconds,
        "examples": len(examples),
        "mebibytes": peak,
        "gpu_mebibytes": gpu,
        "estimated": result.memory.total / 2**20,
        "loss": held_out_loss(result.model, job["held_out"]),
    }


def prepare(case: str, folder: Path, seed: int) -> tuple[Path, Path]:
    """The jobs of a case: plain and packed, with the order and first weights of a seed."""
    import torch
    from transformers import AutoTokenizer

    from fcray import models
    from fcray.prompting import Renderer
    from fcray.spec import ModelSpec

    spec = ModelSpec(quantization="none")
    place, _ = models.resolve(spec)
    renderer = Renderer(AutoTokenizer.from_pretrained(place))
    files = []
    for name, examples in zip(("rows", "held_out"), rows_of(case), strict=True):
        path = folder / f"{case}-{name}.jsonl"
        rows = [renderer.example(example) for example in examples]
        tokens = tokens_of(in_order(rows, seed) if name == "rows" else rows)
        lines = (json.dumps(row) + "\n" for row in tokens)
        path.write_text("".join(lines), encoding="utf-8")
        files.append(str(path))
    device = models.default_device()
    job = {
        "model": str(place),
        "rows": files[0],
        "held_out": files[1],
        "batch": BATCH,
        "at_once": AT_ONCE,
        "rank": RANK,
        "learning_rate": RATE,
        "bf16": models.default_dtype(spec, device) == torch.bfloat16,
        "threads": os.cpu_count() or 1,
        "seed": seed,
    }
    first = renderer.example(rows_of(case)[0][0])
    job["list_tokens"] = len(first.prompt.prefix)
    jobs = []
    for packing in (False, True):
        path = folder / f"{case}-{'packed' if packing else 'plain'}.json"
        path.write_text(json.dumps(job | {"packing": packing}), encoding="utf-8")
        jobs.append(path)
    return jobs[0], jobs[1]


def run(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(trl_python: str, rounds: int) -> None:
    figures: dict[str, Any] = {"rounds": rounds}
    targets: list[tuple[str, float, float, bool]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for case, settings in CASES.items():
            found: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for seed in range(rounds):
                # In a process of its own: a peak begins with the memory of what started it.
                command = [sys.executable, "-m", "benchmarks.training", "prepare", case, scratch]
                plain, packed = run([*command, str(seed)])["jobs"]
                contenders = {
                    "fcray": [sys.executable, "-m", "benchmarks.training", "ours", case, plain],
                    "TRL": [trl_python, str(PEER), plain],
                    "TRL, packing": [trl_python, str(PEER), packed],
                }
                for name, contender in contenders.items():
                    found[name].append(run(contender))
                    print(f"{case}: {name}: {found[name][-1]}", file=sys.stderr, flush=True)
            listed = json.loads(Path(plain).read_text(encoding="utf-8"))["list_tokens"]
            figures[f"{case}: tokens of the list"] = listed
            rates = {
                name: statistics.median(one["examples"] / one["seconds"] for one in runs)
                for name, runs in found.items()
            }
            for name, runs in found.items():
                at = f"{case}, {name}"
                figures[f"{at}: examples a second"] = round(rates[name], 3)
                figures[f"{at}: peak MiB"] = round(max(one["mebibytes"] for one in runs), 1)
                figures[f"{at}: held-out loss"] = round(
                    statistics.fmean(one["loss"] for one in runs), 4
                )
            own_runs = found["fcray"]
            peak = max(one["gpu_mebibytes"] or one["mebibytes"] for one in own_runs)
            estimated = own_runs[0]["estimated"]
            figures[f"{case}, fcray: estimated MiB"] = round(estimated, 1)
            off = abs(estimated / peak - 1)
            targets.append((f"{case}: the memory estimate is off by", off, 0.15, off <= 0.15))
            best = max(rates["TRL"], rates["TRL, packing"])
            ratio, asked = rates["fcray"] / best, float(settings["ratio"])  # type: ignore[arg-type]
            targets.append((f"{case}: times TRL's better rate", ratio, asked, ratio >= asked))
            peer = min(figures[f"{case}, {n}: held-out loss"] for n in ("TRL", "TRL, packing"))
            own = figures[f"{case}, fcray: held-out loss"]
            targets.append((f"{case}: held-out loss", own, peer, own <= peer * SAME))
            figures["TRL"] = found["TRL"][0]["version"]
    # Not before: it brings in Ray, whose memory every process started from here would begin with.
    from benchmarks.result import Target, publish

    publish("training", figures, [Target(*target) for target in targets])


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "prepare":
        made = prepare(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        print(json.dumps({"jobs": [str(path) for path in made]}))
    elif what == "ours":
        job = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
        print(json.dumps(ours(sys.argv[2], job)))
    else:
        main(what, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
