"""The LoRA layers of a model, told which adapter speaks: what is the same for every token is done once.

Layers that read the same input are one product: their weights lie side by side in memory, of which each
layer's own becomes a view. Layers that are not plain stay PEFT's. Knows nothing of files or requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer

from fcray.lora_linear import is_plain, product

SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers that read the same input when one module has them."""


def speak(model: Any, name: str | None) -> None:
    """Let the adapter `name`, which PEFT has active, speak from now on; None: as PEFT would."""
    for group in _groups(model):
        for layer in group:
            layer.__dict__.pop("forward", None)
        if name is None:
            continue
        plain = [layer for layer in group if is_plain(layer, name)]
        parts = [plain] if len(plain) == len(group) else [[layer] for layer in plain]
        for layers in parts:
            together = _Together(layers, name)
            for index, layer in enumerate(layers):
                layer.forward = partial(together.part, index)


def _groups(model: Any) -> Iterator[list[Any]]:
    """All LoRA layers, siblings together."""
    for parent in model.modules():
        children = {
            name: child for name, child in parent.named_children() if isinstance(child, LoraLayer)
        }
        for names in SIBLINGS:
            if all(name in children for name in names):
                yield [children.pop(name) for name in names]
        yield from ([child] for child in children.values())


class _Together:
    """Layers that are one product.

    Parameters
    ----------
    layers: Plain ones, called one after the other with the same input.
    name: The adapter.
    """

    def __init__(self, layers: Sequence[Any], name: str) -> None:
        bases = [layer.base_layer for layer in layers]
        ups = [layer.lora_B[name].weight * layer.scaling[name] for layer in layers]
        self._sizes = [len(base.weight) for base in bases]
        self._weight = _side_by_side(bases)
        biases = [base.bias for base in bases]
        self._bias = None
        if any(bias is not None for bias in biases):
            zeros = (self._weight.new_zeros(size) for size in self._sizes)
            made = (b if b is not None else z for b, z in zip(biases, zeros, strict=True))
            self._bias = torch.cat([*made])
        dtype = self._weight.dtype
        self._down = torch.cat([layer.lora_A[name].weight for layer in layers]).to(dtype)
        self._up = torch.block_diag(*ups).to(dtype).T.contiguous()
        self._x: torch.Tensor | None = None
        self._parts: dict[int, torch.Tensor] = {}

    def part(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """What the layer of this number makes of `x`; of the same `x` the others follow for nothing."""
        if x is not self._x or index not in self._parts:
            flat = x.reshape(-1, x.shape[-1])
            out, _ = product(flat, self._weight, self._bias, self._down, self._up)
            out = out.view(*x.shape[:-1], -1)
            self._x, self._parts = x, dict(enumerate(out.split(self._sizes, dim=-1)))
        part = self._parts.pop(index)
        if not self._parts:
            self._x = None
        return part


def _side_by_side(layers: Sequence[Any]) -> torch.Tensor:
    """The weights of linear layers as one, (all outs, in), of which they become views."""
    weights: list[torch.Tensor] = [layer.weight.data for layer in layers]
    first, width = weights[0], weights[0].shape[1]
    storage, end = first.untyped_storage().data_ptr(), first.data_ptr()
    for weight in weights:
        if weight.untyped_storage().data_ptr() != storage or weight.data_ptr() != end:
            break
        end += weight.numel() * weight.element_size()
    else:
        return first.as_strided((sum(map(len, weights)), width), (width, 1))
    whole = torch.cat(weights)
    for layer, part in zip(layers, whole.split([*map(len, weights)]), strict=True):
        layer.weight.data = part
    return whole
