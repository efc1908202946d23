"""A tiny random model with the bundled model's tokenizer: real code paths in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from fcray import models
from fcray.spec import ModelSpec


def make(folder: Path) -> Path:
    """A tiny Llama with a real tokenizer as a folder of safetensors."""
    source, _ = models.resolve(ModelSpec())
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = llama(
        vocab_size=len(tokenizer),
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def llama(**options: Any) -> LlamaForCausalLM:
    """A two-layer Llama of random weights, the same whenever it is made; `options` go to its config."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        **options,
    )
    return LlamaForCausalLM(config).eval()
