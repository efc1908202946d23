"""Adapters of random weights, saved as PEFT saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch


def save_random(model: Any, folder: Path, seed: int) -> Path:
    """Save in `folder` an adapter for `model` that is far from doing nothing."""
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
    return folder
