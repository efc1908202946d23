"""Answers by transformers' `generate`. Runs in the peers' own environment.

Usage: generate.py JOB, a JSON file with `model` (folder), `bf16`, `threads`, `end` (token), `max_tokens`,
`prompts` (token ids), `single` (which of them are asked one at a time) and `batches` (sizes to try).
Prints a line of JSON: the answers of all with the seconds that they took, and those of each single one.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import torch
    import transformers

    torch.set_num_threads(job["threads"])
    dtype = torch.bfloat16 if job["bf16"] else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval()
    prompts, end = job["prompts"], job["end"]

    def answer(rows: list[list[int]]) -> list[list[int]]:
        width = max(map(len, rows))
        ids = torch.tensor([[end] * (width - len(row)) + row for row in rows])
        seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=seen,
                do_sample=False,
                max_new_tokens=job["max_tokens"],
                eos_token_id=end,
                pad_token_id=end,
            )
        said = out[:, width:].tolist()
        return [row[: row.index(end)] if end in row else row for row in said]

    answer(prompts[:1])  # the first pass makes what later ones find made
    by_batch: dict[str, Any] = {}
    for size in job["batches"]:
        # Like lengths together, as a careful user would.
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        began = time.perf_counter()
        answers: dict[int, list[int]] = {}
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            answers.update(zip(chosen, answer([prompts[i] for i in chosen]), strict=True))
        seconds = time.perf_counter() - began
        by_batch[str(size)] = {
            "seconds": seconds,
            "answers": [answers[index] for index in range(len(prompts))],
        }
    latencies = []
    for index in job["single"]:
        began = time.perf_counter()
        answer([prompts[index]])
        latencies.append(time.perf_counter() - began)
    found = {
        "batches": by_batch,
        "latencies": latencies,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": transformers.__version__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
