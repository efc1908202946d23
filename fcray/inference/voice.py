"""The LoRA layers of a model, told which adapter speaks: what is the same for every token is done once.

Layers that read the same input are one product: their weights lie side by side in memory, of which each
layer's own becomes a view. Layers that are not plain stay PEFT's. Knows nothing of files or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from fcray.lora_linear import is_plain, product

SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers that read the same input when one module has them."""


_Forwards = dict[Any, Callable[[torch.Tensor], torch.Tensor]]
"""Layer → what it does instead of PEFT's forward."""


class Voices:
    """The adapters of a PEFT model, of which one speaks. Made anew when one comes or goes.

    Parameters
    ----------
    model: Its LoRA layers' `forward` is set here.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._groups = list(_groups(model))
        for group in self._groups:
            if all(type(layer.base_layer) is nn.Linear for layer in group):
                _side_by_side([layer.base_layer for layer in group])
        kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
        self._all = [
            module
            for module in model.modules()
            if isinstance(module, kinds) and module is not model.base_model
        ]
        self._made: dict[str | None, _Forwards] = {}

    def speak(self, name: str | None) -> None:
        """Let the adapter `name` speak from now on; None: the base."""
        if name not in self._made:
            self._made[name] = self._forwards(name)
        made = self._made[name]
        if len(made) < len(self._all):
            self._tell_peft(name)
        for module in self._all:
            module.__dict__.pop("forward", None)
        for layer, forward in made.items():
            layer.forward = forward

    def _tell_peft(self, name: str | None) -> None:
        """For the sake of the layers that stay PEFT's."""
        if name is None:
            self._model.base_model.disable_adapter_layers()
        else:
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(name, inference_mode=True)

    def _forwards(self, name: str | None) -> _Forwards:
        made: _Forwards = {}
        for group in self._groups:
            plain = [layer for layer in group if name is not None and is_plain(layer, name)]
            parts = [plain] if len(plain) == len(group) else [[layer] for layer in plain]
            for layers in parts:
                together = _Together(layers, str(name))
                for index, layer in enumerate(layers):
                    made[layer] = partial(together.part, index)
            for layer in group:
                if isinstance(layer.base_layer, nn.Linear) and name not in layer.lora_A:
                    made[layer] = layer.base_layer.forward
        return made


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
