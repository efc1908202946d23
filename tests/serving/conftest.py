"""A tiny random model with two adapters, in folders, and a free port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def tiny_model(folder: Path) -> Any:
    """A two-layer Llama of random weights with the bundled tokenizer, saved in `folder`."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from fcray import models
    from fcray.spec import ModelSpec

    source, _ = models.resolve(ModelSpec())
    tokenizer = AutoTokenizer.from_pretrained(source)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def random_adapter(model: Any, folder: Path, seed: int) -> None:
    """An adapter that changes what the model says, saved in `folder`."""
    import peft
    import torch

    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=8,
        lora_alpha=64,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    wrapped = peft.get_peft_model(model, config)
    wrapped.save_pretrained(str(folder))
    wrapped.unload()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of a tiny base, and the folders of its adapters by name."""
    root = tmp_path_factory.mktemp("tiny")
    base = root / "tiny-llama"
    model = tiny_model(base)
    adapters = {}
    for seed in (1, 2):
        name = f"call_v{seed}"
        random_adapter(model, root / name, seed)
        adapters[name] = str(root / name)
    return base, adapters


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Ports that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
