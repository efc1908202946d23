"""LoRA training on a GPU: speed against TRL, a 13B step's memory, QLoRA. Random weights and tokens.

    python -m benchmarks.gpu.training speed 0.5b        packed by fcray, and TRL plain and packed
    python -m benchmarks.gpu.training memory 13b 80e9   four rows of 512 tokens with at most so many bytes
    python -m benchmarks.gpu.training exact 0.5b        a pack's gradients and those of its rows, in float32

Needs torch, transformers, peft, pydantic, jsonschema and PyYAML; `speed` needs trl and datasets, `--nf4`
bitsandbytes; no network and no tokenizer. The shape `tiny` runs anywhere. Prints a line of JSON, and writes
it to the file of `--out`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fcray.models import BaseModel, Storage, default_device, nf4_config
from fcray.prompting import Prompt, RenderedExample, Span
from fcray.spec import LoraConfig, TrainingSpec

VOCABULARY = 32_000
SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2},
    "0.5b": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
             "num_attention_heads": 14, "num_key_value_heads": 2},
    "7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
           "num_attention_heads": 32, "num_key_value_heads": 32},
    "13b": {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
            "num_attention_heads": 40, "num_key_value_heads": 40},
}  # fmt: skip
"""Llama's layers in the sizes of Qwen2.5-0.5B, Llama-2-7B and Llama-2-13B."""

LISTS = {"short list": 110, "long list": 800}
"""Tokens of the tools that every row is offered."""

BODY, ANSWER, BATCH, ROUNDS = 40, 30, 16, 3


def model_of(shape: str, *, nf4: bool, dtype: torch.dtype = torch.bfloat16) -> BaseModel:
    """A frozen model of random weights on this machine's device."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    device = default_device()
    config = LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=8192, tie_word_embeddings=False,
        **SHAPES[shape],  # type: ignore[arg-type]
    )  # fmt: skip
    torch.manual_seed(0)
    storage: Storage = "packed" if nf4 else "plain"
    if nf4:
        with tempfile.TemporaryDirectory() as folder:
            with torch.device(device):
                AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                quantization_config=nf4_config(dtype, True),
                device_map={"": device},
                dtype=dtype,
            )
    else:
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.requires_grad_(False).eval()
    return BaseModel(shape, "random", model, None, storage)


def rows_of(count: int, prefix: int, body: int, answer: int) -> list[RenderedExample]:
    """Rows of random tokens under one prefix."""
    rng = random.Random(0)

    def tokens(size: int) -> tuple[int, ...]:
        return tuple(rng.randrange(VOCABULARY) for _ in range(size))

    shared, spans = tokens(prefix), (Span.DECISION, *[Span.ARGUMENTS] * (answer - 1))
    return [
        RenderedExample(Prompt(shared, tokens(body)), tokens(answer), spans) for _ in range(count)
    ]


def settings_of(**changed: Any) -> TrainingSpec:
    every = (1.0,) * len(Span)
    usual = {"batch": BATCH, "warmup": 0.0, "cutoff": 2048, "tokens": 8192}
    return TrainingSpec(**{**usual, "stage_weights": (every, every, every), **changed})


def train(base: BaseModel, rows: Sequence[RenderedExample], training: TrainingSpec) -> Any:
    """One run of fcray's trainer: its result, seconds, and the device's peak in MiB."""
    from fcray.training.trainer import train_rows

    on_gpu = base.device.type == "cuda"
    lora = LoraConfig(rank=16, learning_rate=1e-4, shares=(0.0, 0.0, 1.0))
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = train_rows(base, rows, lora, training, folder=Path(folder))
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    return result, seconds, peak


def speed(shape: str, *, nf4: bool) -> dict[str, Any]:
    """Examples a second, by list, of fcray and of TRL plain and packed; medians of some rounds."""
    figures: dict[str, Any] = {}
    for name, prefix in LISTS.items():
        rows = rows_of(BATCH * 8, prefix, BODY, ANSWER)
        found: dict[str, list[tuple[float, float]]] = {}
        for round_ in range(ROUNDS + 1):  # the first warms up
            for contender in ("fcray", "TRL", "TRL, packing"):
                base = model_of(shape, nf4=nf4)
                if contender == "fcray":
                    result, seconds, peak = train(base, rows, settings_of())
                    estimated = result.memory.total / 2**20
                    figures[f"{name}, fcray: estimated MiB"] = round(estimated, 1)
                else:
                    seconds, peak = trl_run(base, rows, packing=contender != "TRL")
                if round_:
                    found.setdefault(contender, []).append((seconds, peak))
                del base
        for contender, runs in found.items():
            rate = len(rows) / statistics.median(seconds for seconds, _ in runs)
            figures[f"{name}, {contender}: examples a second"] = round(rate, 2)
            figures[f"{name}, {contender}: peak MiB"] = round(max(peak for _, peak in runs), 1)
    return figures


def trl_run(
    base: BaseModel, rows: Sequence[RenderedExample], *, packing: bool
) -> tuple[float, float]:
    """The same rows by TRL's SFTTrainer: seconds, and the device's peak in MiB."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig as PeftConfig
    from trl.data_utils import pack_dataset

    records = [
        {
            "input_ids": [*row.prompt.prefix, *row.prompt.body, *row.answer],
            "completion_mask": [0] * len(row.prompt) + [1] * len(row.answer),
        }
        for row in rows
    ]
    length, packed = max(map(len, rows)), 2048
    given = Dataset.from_list(records)
    # As many optimizer steps as without packing.
    each = math.ceil(len(pack_dataset(given, packed, "bfd")) / math.ceil(len(rows) / BATCH))
    on_gpu = base.device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        settings = trl.SFTConfig(
            output_dir=folder,
            max_length=packed if packing else length,
            packing=packing,
            completion_only_loss=True,
            per_device_train_batch_size=1 if packing else BATCH,
            gradient_accumulation_steps=each if packing else 1,
            num_train_epochs=1,
            learning_rate=1e-4,
            lr_scheduler_type="linear",
            warmup_steps=0,
            gradient_checkpointing=False,
            bf16=on_gpu,
            use_cpu=not on_gpu,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            eos_token=None,
            pad_token=None,
        )
        trainer = trl.SFTTrainer(
            model=base.model,
            args=settings,
            train_dataset=given,
            processing_class=blank_tokenizer(),
            peft_config=PeftConfig(
                task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"
            ),
        )
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        trainer.train()
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    return seconds, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0


def blank_tokenizer() -> Any:
    """A tokenizer that TRL can ask for its special tokens; the rows are tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<pad>"
    )


def memory(shape: str, limit: float, *, nf4: bool) -> dict[str, Any]:
    """Steps of four rows of 512 tokens under a limit set on the allocator."""
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))
    base = model_of(shape, nf4=nf4)
    # Nothing is shared but one token: as much as four rows at that cutoff can take.
    rows = rows_of(8, 1, 511 - 128, 128)
    training = settings_of(batch=4, cutoff=512, tokens=2048)
    result, seconds, peak = train(base, rows, training)
    estimated = result.memory.total / 2**20
    return {
        "limit in bytes": limit,
        "steps": result.steps,
        "seconds a step": seconds / result.steps,
        "peak MiB": round(peak, 1),
        "estimated MiB": round(estimated, 1),
        "checkpointing": result.checkpointing,
    }


def exact(shape: str) -> dict[str, Any]:
    """How far loss and gradients of a pack are from those of its rows one by one, in float32."""
    from fcray.training.lora import attach
    from fcray.training.loss import packed_loss
    from fcray.training.packing import pack_rows, tensors
    from fcray.training.trainer import make_fast

    torch.backends.cuda.matmul.allow_tf32 = False
    base = model_of(shape, nf4=False, dtype=torch.float32)
    model = attach(base, LoraConfig(rank=4))
    make_fast(base, model)
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.data.normal_(std=0.02)
    rows = rows_of(5, 64, 20, 12)
    weights = dict.fromkeys(Span, 1.0)

    def gradients(packs: Sequence[Any]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        total = torch.stack([packed_loss(model, tensors(p, base.device), weights) for p in packs])
        loss = total.sum()
        return loss.detach(), list(torch.autograd.grad(loss, trained))

    loss, found = gradients(pack_rows(rows, 4096))
    single, wanted = gradients([pack for row in rows for pack in pack_rows([row], 4096)])
    off = [
        float((one - other).norm() / other.norm()) for one, other in zip(found, wanted, strict=True)
    ]
    return {
        "loss off by": float((loss - single).abs() / single.abs()),
        "worst gradient off by": max(off),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "memory", "exact"))
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("limit", type=float, nargs="?", default=80e9, help="bytes, for memory")
    parser.add_argument("--nf4", action="store_true", help="the base in 4 bit: QLoRA")
    parser.add_argument("--out", type=Path, help="a file for the result")
    given = parser.parse_args()
    if given.what == "speed":
        figures = speed(given.shape, nf4=given.nf4)
    elif given.what == "memory":
        figures = memory(given.shape, given.limit, nf4=given.nf4)
    else:
        figures = exact(given.shape)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    text = json.dumps(
        {
            "what": f"{given.what} {given.shape}{' nf4' if given.nf4 else ''}",
            "device": device,
            "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "figures": figures,
        }
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
