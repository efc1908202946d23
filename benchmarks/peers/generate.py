"""Answers by transformers' `generate`. Runs in the peers' own environment.

Usage: -m benchmarks.peers.generate JOB, a JSON file with `model` (folder), `bf16`, `threads`, `end` (token),
`max_tokens`, `prompts` (token ids), `single` (which of them are asked one at a time) and `batches` (sizes to
try). Prints a line of JSON: the answers of all with the seconds that they took, and those of each single one.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.timing import latencies, read_job, report, timed


def main() -> None:
    job = read_job()
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

    def answer_all(size: int) -> list[list[int]]:
        # Like lengths together, as a careful user would.
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        answers: dict[int, list[int]] = {}
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            answers.update(zip(chosen, answer([prompts[i] for i in chosen]), strict=True))
        return [answers[index] for index in range(len(prompts))]

    answer(prompts[:1])  # the first pass makes what later ones find made
    batches: dict[str, Any] = {}
    for size in job["batches"]:
        answers, seconds = timed(lambda size=size: answer_all(size))  # type: ignore[misc]
        batches[str(size)] = {"answers": answers, "seconds": seconds}
    singles = latencies(lambda index: answer([prompts[index]]), job["single"])
    report({"batches": batches, "latencies": singles}, transformers.__version__)


if __name__ == "__main__":
    main()
