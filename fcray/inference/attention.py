"""Attention of a batch that lies in one row: many answers after another under one prefix.

Heads that share keys ask them together, so that no key is copied for a head. Gives way to SDPA wherever a
model is not asked by `Batch`. Knows nothing of caches or answers.
"""

from __future__ import annotations

from typing import Any

import torch

NAME = "fcray_flat"
"""Under which transformers knows it."""

BIAS = "flat_bias"
"""The model's argument that carries what is added to the scores to every layer."""


def use(model: Any) -> None:
    """Let `model` attend this way wherever it is given a bias."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def shared_heads(config: Any) -> int:
    """How many heads of a model ask the same keys."""
    groups = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(config.num_attention_heads // groups)


def bias_of(sees: torch.Tensor, shared: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores: 0 where a query sees a key, else minus infinity.

    Parameters
    ----------
    sees: (T, K) bool.
    shared: How many heads ask the same keys.

    Returns
    -------
    (1, 1, shared * T, K)
    """
    bias = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return bias.masked_fill_(~sees, -torch.inf).repeat(shared, 1)[None, None]


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query: (1, heads, T, width); key, value: (1, groups, K, width)."""
    bias: torch.Tensor | None = options.pop(BIAS, None)
    _, heads, asked, width = query.shape
    groups = key.shape[1]
    if bias is None or bias.shape[2] * groups != heads * asked:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return result
    found = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(1, groups, -1, width), key, value, attn_mask=bias, scale=scaling
    )
    return found.reshape(1, heads, asked, -1).transpose(1, 2), None
