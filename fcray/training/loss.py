"""The loss of a pack: cross-entropy at label positions only, weighted by span.

The output head is applied only where there is a label, which is exact and saves most of the logits; some
labels at a time, each with its gradient at once, so that only a few rows of the vocabulary's width ever
exist. Knows nothing of optimizers or schedules.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from fcray.prompting import Span
from fcray.training import attention
from fcray.training.packing import PackTensors

LABELS = 128
"""Labels whose logits exist at a time: enough for a fast product, few enough for a processor's cache."""


def decoder_and_head(model: Any) -> tuple[Any, Any]:
    """The transformer without its output head, and the head; works through PEFT's wrapper."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.base_model, causal.get_output_embeddings()


def packed_loss(model: Any, pack: PackTensors, weights: dict[Span, float]) -> torch.Tensor:
    """The weighted sum of the pack's label losses, in nats (a scalar; not divided by anything).

    Labels of weight 0 are not computed at all; a pack without weighted labels gives a 0 that still
    has a gradient.
    """
    table = torch.tensor([weights[span] for span in Span], device=pack.labels.device)
    weight = table[pack.spans]
    kept = weight > 0
    decoder, head = decoder_and_head(model)
    blocks = {}
    if attention.is_used(model):
        blocks[attention.BLOCKS] = attention.Blocks(pack.segments, pack.input_ids.shape[1])
    hidden: torch.Tensor = decoder(
        input_ids=pack.input_ids,
        position_ids=pack.position_ids,
        attention_mask=pack.mask,
        use_cache=False,
        **blocks,
    ).last_hidden_state[0]
    if not kept.any():
        return hidden.sum() * 0.0
    total: torch.Tensor = _HeadLoss.apply(
        hidden[pack.sources[kept]], head, pack.labels[kept], pack.declined[kept], weight[kept]
    )
    return total


class _HeadLoss(torch.autograd.Function):
    """The weighted sum of `label_losses`, through a frozen output head.

    hidden: (L, width); labels, declined, weight: (L,). Gives a scalar in float32.
    """

    @staticmethod
    def forward(
        context: Any,
        hidden: torch.Tensor,
        head: Any,
        labels: torch.Tensor,
        declined: torch.Tensor,
        weight: torch.Tensor,
    ) -> torch.Tensor:
        total = torch.zeros((), device=hidden.device)
        gradients = []
        rows = (tensor.split(LABELS) for tensor in (hidden, labels, declined, weight))
        for states, wanted, unwanted, share in zip(*rows, strict=True):
            count = len(states)
            with torch.enable_grad():
                # Few shapes: for every new one oneDNN makes, and keeps, another program.
                leaf = F.pad(states, (0, 0, 0, -count % (LABELS // 2))).requires_grad_()
                losses = label_losses(head(leaf)[:count].float(), wanted, unwanted)
                loss = (losses * share).sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0][:count])
            total += loss.detach()
        context.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(context: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        (of_hidden,) = context.saved_tensors
        return of_hidden * gradient, None, None, None, None


def label_losses(
    logits: torch.Tensor, labels: torch.Tensor, declined: torch.Tensor
) -> torch.Tensor:
    """The loss of each label in nats: -log p of a wanted token, -log(1 - p) of a declined one.

    Parameters
    ----------
    logits: (L, vocab). labels: (L,) token ids. declined: (L,) bool.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    if not declined.any():
        return losses
    rows = logits[declined]
    token = labels[declined][:, None]
    own = rows.gather(1, token)[:, 0]
    others = rows.scatter(1, token, -torch.inf).logsumexp(dim=1)
    return losses.masked_scatter(declined, F.softplus(own - others))
