"""A model's attention replaced by another, wherever it is told what to attend to.

Training (`training/attention.py`) and inference (`inference/attention.py`) each have their own; the rest of
what a model computes stays transformers'. Knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Attend = Callable[..., torch.Tensor | None]
"""(module, query (B, heads, T, width), key and value (B, groups, T, width), what, scale, options) -> (B, T,
heads, width), or None to give way; `what` is the model's option, and `options` are its others."""


def use(model: Any, name: str, option: str, attend: Attend) -> None:
    """Let `model` attend by `attend` wherever it is called with `option`, and by SDPA elsewhere.

    Parameters
    ----------
    name: Under which transformers knows the attention.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def forward(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, None]:
        what = options.pop(option, None)
        if what is not None:
            scale = scaling if scaling is not None else query.shape[-1] ** -0.5
            found = attend(module, query, key, value, what, scale, options)
            if found is not None:
                return found, None
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return result

    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, sdpa_mask)
    model.set_attn_implementation(name)


def is_used(model: Any, name: str) -> bool:
    """Whether `use` was called and `model` could follow."""
    return bool(model.config._attn_implementation == name)
