"""LoRA's linear layer as one operation, in training and inference: fewer passes, in the base's own floats.

PEFT's layer casts its input to the adapter's float32 and adds two branches; here the small products are in
the floats of the base (bfloat16 has hardware for them), the branch is added in place, and the backward pass
is written out. The adapter itself, its gradients and its optimizer stay in float32. The numbers are those of
PEFT's layer, to rounding. Layers with dropout, 4-bit weights or another variant stay PEFT's.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import nn
from torch.autograd.function import once_differentiable


def is_plain(layer: Any, name: str) -> bool:
    """Whether `layer` is LoRA's, its adapter `name` without anything special, on an ordinary linear layer."""
    return (
        type(layer) in (Linear, FusedLinear)
        and name in layer.lora_A
        and type(layer.base_layer) is nn.Linear
        and isinstance(layer.lora_dropout[name], nn.Identity)
        and layer.lora_A[name].bias is None
        and layer.lora_B[name].bias is None
        and name not in layer.lora_variant
    )


def product(
    flat: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    down: torch.Tensor,
    up: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """x W' + b + (x A') B' and x A'.

    Parameters
    ----------
    flat: x, (T, in), as all others in the floats of W.
    down: A, (rank, in).
    up: B' times LoRA's scale, (rank, out).
    """
    low = nn.functional.linear(flat, down)
    out = nn.functional.linear(flat, weight, bias)
    return out.addmm_(low, up), low


def fuse(model: Any) -> bool:
    """Make every LoRA layer of `model` one operation; whether all of them could be."""
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    others = [m for m in model.modules() if hasattr(m, "lora_A") and not isinstance(m, Linear)]
    plain = [layer for layer in layers if _is_plain(layer)]
    for layer in plain:
        layer.__class__ = FusedLinear
    return len(plain) == len(layers) and not others


def _is_plain(layer: Linear) -> bool:
    """Whether the one adapter that is active in `layer` is plain."""
    return len(layer.active_adapters) == 1 and is_plain(layer, layer.active_adapters[0])


class FusedLinear(Linear):  # type: ignore[misc]
    """PEFT's layer with another way to compute the same; saved and loaded as PEFT's."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args or kwargs or self.disable_adapters or self.merged or not _is_plain(self):
            found: torch.Tensor = super().forward(x, *args, **kwargs)
            return found
        name = self.active_adapters[0]
        base, down, up = self.base_layer, self.lora_A[name], self.lora_B[name]
        result: torch.Tensor = _LoraProduct.apply(
            x, base.weight, base.bias, down.weight, up.weight, self.scaling[name]
        )
        return result


class _LoraProduct(torch.autograd.Function):
    """x W' + b + scale (x A') B'.

    x: (…, in); weight W: (out, in); bias b: (out,) or None; down A: (rank, in); up B: (out, rank).
    """

    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        low_down, low_up = down.to(weight.dtype), (up * scale).to(weight.dtype)
        out, low = product(flat, weight, bias, low_down, low_up.T)
        context.save_for_backward(flat, weight, low_down, low_up, low)
        context.scale, context.shape, context.dtype = scale, x.shape, x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(context: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        flat, weight, low_down, low_up, low = context.saved_tensors
        given = gradient.reshape(-1, gradient.shape[-1])
        of_low = given @ low_up
        of_x = None
        if context.needs_input_grad[0]:
            of_x = (given @ weight).addmm_(of_low, low_down)
            of_x = of_x.view(context.shape).to(context.dtype)
        of_down = (of_low.T @ flat).float()
        of_up = (given.T @ low).float() * context.scale
        return of_x, None, None, of_down, of_up, None
