"""Answers by llama.cpp on a Q4_1 file of the merged weights. Runs in the peers' own environment.

Usage: -m benchmarks.peers.llamacpp JOB, the job of generate.py with `gguf` (the bundled file, whose layout
and types are kept), `heads` and `groups` of the model, and `few` (how many requests are asked, one after the
other). It keeps the prompt's beginning by itself. Prints a line of JSON.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.timing import latencies, read_job, report, timed

NAMES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def write_merged(source: str, model: Path, target: Path, heads: int, groups: int) -> None:
    """The file `source` with the linear weights of `model`, in the types that they had."""
    import gguf
    import torch
    from safetensors.torch import load_file

    weights = load_file(model / "model.safetensors")
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    modules = {name: module for module, name in NAMES.items()}
    for tensor in reader.tensors:
        data: Any = tensor.data
        parts = tensor.name.split(".")
        if len(parts) == 4 and parts[2] in modules:
            module = modules[parts[2]]
            block = "self_attn" if module in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            values = weights[f"model.layers.{parts[1]}.{block}.{module}.weight"].to(torch.float32)
            if module in ("q_proj", "k_proj"):  # the rotary halves interleaved
                count = heads if module == "q_proj" else groups
                split = values.reshape(count, 2, len(values) // count // 2, -1)
                values = split.swapaxes(1, 2).reshape(values.shape)
            data = gguf.quants.quantize(values.contiguous().numpy(), tensor.tensor_type)
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    job = read_job()
    import llama_cpp

    defaults = llama_cpp.llama_model_default_params

    def without_repacking() -> Any:
        """The repacked weights of CPUs with AMX crash in 0.3.36, and Llama has no option for them."""
        made = defaults()
        made.use_extra_bufts = False
        return made

    llama_cpp.llama_cpp.llama_model_default_params = without_repacking
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "merged.gguf"
        write_merged(job["gguf"], Path(job["model"]), merged, job["heads"], job["groups"])
        model = llama_cpp.Llama(
            str(merged),
            n_ctx=max(map(len, job["prompts"])) + job["max_tokens"] + 8,
            n_threads=job["threads"],
            n_threads_batch=job["threads"],
            verbose=False,
        )

        def answer(index: int) -> str:
            made: Any = model.create_completion(
                job["prompts"][index], max_tokens=job["max_tokens"], temperature=0.0
            )
            text: str = made["choices"][0]["text"]
            return text

        answer(0)
        answers, seconds = timed(lambda: [answer(index) for index in range(job["few"])])
        singles = latencies(answer, job["single"])
    report({"seconds": seconds, "answers": answers, "latencies": singles}, llama_cpp.__version__)


if __name__ == "__main__":
    main()
