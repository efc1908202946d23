"""LoRA by TRL's SFTTrainer on rows that are tokens already. Runs in TRL's own environment.

Usage: trl_sft.py JOB, a JSON file with `model` (folder), `rows` and `held_out` (JSON lines of `input_ids` and
`completion_mask`), `packing`, `batch`, `at_once`, `rank`, `learning_rate`, `bf16`, `threads` and `seed`.
Prints a line of JSON.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PACKED = 2048
"""Tokens of a packed sequence."""


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import torch

    torch.set_num_threads(job["threads"])
    import trl
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=torch.bfloat16 if job["bf16"] else torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    rows = load_dataset("json", data_files=job["rows"], split="train")
    with tempfile.TemporaryDirectory() as folder:
        lora = LoraConfig(
            task_type="CAUSAL_LM",
            r=job["rank"],
            lora_alpha=2 * job["rank"],
            target_modules="all-linear",
        )
        trainer = trl.SFTTrainer(
            model=model,
            args=settings_of(job, rows, folder),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora,
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0
    loss = held_out_loss(trainer.model, job["held_out"])
    print(
        json.dumps(
            {
                "seconds": seconds,
                "examples": len(rows),
                "mebibytes": peak,
                "gpu_mebibytes": gpu,
                "loss": loss,
                "version": trl.__version__,
            }
        )
    )


def settings_of(job: dict[str, Any], rows: Any, folder: str) -> Any:
    """SFTTrainer's settings of a job."""
    import torch
    import trl

    return trl.SFTConfig(
        output_dir=folder,
        max_length=max(len(row["input_ids"]) for row in rows) if not job["packing"] else PACKED,
        packing=job["packing"],
        completion_only_loss=True,
        per_device_train_batch_size=1 if job["packing"] else job["at_once"],
        gradient_accumulation_steps=accumulation(job, rows),
        num_train_epochs=1,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=0.0,
        gradient_checkpointing=False,
        bf16=job["bf16"],
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        seed=job["seed"],
    )


def accumulation(job: dict[str, Any], rows: Any) -> int:
    """Passes of an optimizer step, such that there are as many steps as without packing."""
    if not job["packing"]:
        return int(job["batch"] // job["at_once"])
    from trl.data_utils import pack_dataset

    steps = math.ceil(len(rows) / job["batch"])
    return math.ceil(len(pack_dataset(rows, PACKED, "bfd")) / steps)


def held_out_loss(model: Any, path: str) -> float:
    """Mean loss in nats a completion token."""
    import torch

    total, count = 0.0, 0
    model.eval()
    with torch.inference_mode():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            ids = torch.tensor([row["input_ids"]], device=model.device)
            logits = model(input_ids=ids).logits[0, :-1].float()
            wanted = torch.tensor(row["completion_mask"][1:], device=ids.device).bool()
            losses = torch.nn.functional.cross_entropy(
                logits[wanted], ids[0, 1:][wanted], reduction="sum"
            )
            total += float(losses)
            count += int(wanted.sum())
    return total / count


if __name__ == "__main__":
    main()
