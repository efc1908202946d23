"""Our own attention and linear layer: the numbers of torch's and PEFT's, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from fcray.lora_linear import FusedLinear, fuse
from fcray.models import BaseModel
from fcray.spec import LoraConfig
from fcray.training import attention, norm
from fcray.training.attention import Blocks, _Attention
from fcray.training.lora import attach


def masked(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Any
) -> torch.Tensor:
    """Attention with the whole mask; what lies behind the last segment sees itself."""
    size = query.shape[1]
    of = torch.full((size,), -1)
    for number, (start, end) in enumerate(segments):
        of[start:end] = number
    visible = ((of[None] == 0) | (of[None] == of[:, None])).tril() & (of[None] >= 0)
    visible |= torch.eye(size, dtype=torch.bool)
    return scaled_dot_product_attention(
        query[None], key[None], value[None], attn_mask=visible, enable_gqa=True
    )[0]


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    prefix=st.integers(0, 20),
    filler=st.integers(0, 3),
    groups=st.sampled_from([1, 2]),
    shared=st.sampled_from([1, 3]),
    block=st.sampled_from([3, 512]),
    keys=st.sampled_from([1, 4, 64]),
)
@settings(max_examples=60, deadline=None)
def test_attention_by_blocks_is_masked_attention(
    lengths: list[int], prefix: int, filler: int, groups: int, shared: int, block: int, keys: int
) -> None:
    ends = [prefix]
    for length in lengths:
        ends.append(ends[-1] + length)
    segments = tuple(zip([0, *ends[:-1]], ends, strict=True))
    size = ends[-1] + filler
    torch.manual_seed(size)
    shapes = [(groups * shared, size, 8), (groups, size, 8), (groups, size, 8)]
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    before = attention.QUERIES, attention.KEYS
    attention.QUERIES, attention.KEYS = block, keys
    try:
        found = _Attention.apply(*inputs, Blocks(segments, size), 8**-0.5)
        given_back = torch.randn_like(found)
        gradients = torch.autograd.grad(found, inputs, given_back)
    finally:
        attention.QUERIES, attention.KEYS = before
    expected = masked(*inputs, segments)
    torch.testing.assert_close(found, expected)
    wanted = torch.autograd.grad(expected, inputs, given_back)
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_without_blocks_it_is_torchs_attention(load_tiny: Callable[[], BaseModel]) -> None:
    plain, ours = load_tiny().model, load_tiny().model
    attention.use(ours)
    ids = torch.randint(10, 400, (2, 17))
    with torch.no_grad():
        assert torch.equal(plain(input_ids=ids).logits, ours(input_ids=ids).logits)
        some = ours.generate(ids, max_new_tokens=3, do_sample=False)
        assert torch.equal(plain.generate(ids, max_new_tokens=3, do_sample=False), some)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fused_layer_is_pefts(
    load_tiny: Callable[[], BaseModel], dtype: torch.dtype, bias: bool, rslora: bool
) -> None:
    base = load_tiny()
    base.model.to(dtype)
    torch.manual_seed(0)
    model = attach(base, LoraConfig(rank=4, rslora=rslora))
    layer = next(m for m in model.modules() if hasattr(m, "lora_A"))
    if bias:
        own = torch.randn(layer.out_features, dtype=dtype)
        layer.base_layer.bias = torch.nn.Parameter(own, requires_grad=False)
    up = layer.lora_B["default"].weight
    up.data.normal_()
    x = torch.randn(1, 5, layer.in_features, dtype=dtype, requires_grad=True)
    trained = [x, layer.lora_A["default"].weight, up]
    expected = layer(x)
    given_back = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, trained, given_back)
    assert fuse(model)
    assert isinstance(layer, FusedLinear)
    found = layer(x)
    gradients = torch.autograd.grad(found, trained, given_back)
    relative, absolute = (1e-5, 1e-5) if dtype == torch.float32 else (0.05, 0.1)
    torch.testing.assert_close(found, expected, rtol=relative, atol=absolute)
    for one, other in zip(gradients, wanted, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=relative, atol=absolute)


def test_a_fused_model_without_its_adapter_is_the_base(load_tiny: Callable[[], BaseModel]) -> None:
    base, plain = load_tiny(), load_tiny().model
    model = attach(base, LoraConfig(rank=4))
    assert fuse(model)
    ids = torch.randint(10, 400, (1, 9))
    with torch.no_grad(), model.disable_adapter():
        assert torch.equal(model(input_ids=ids).logits, plain(input_ids=ids).logits)


@pytest.mark.parametrize("special", [{"dropout": 0.1}, {"dora": True}])
def test_what_is_special_stays_pefts(
    load_tiny: Callable[[], BaseModel], special: dict[str, Any]
) -> None:
    model = attach(load_tiny(), LoraConfig(rank=4, **special))
    assert not fuse(model)
    assert not any(isinstance(module, FusedLinear) for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fused_norm_is_the_models(
    load_tiny: Callable[[], BaseModel], dtype: torch.dtype
) -> None:
    model, plain = load_tiny().model.to(dtype), load_tiny().model.to(dtype)
    model.requires_grad_(False)
    torch.manual_seed(0)
    ours, theirs = (one.model.layers[0].input_layernorm for one in (model, plain))
    for layer in (ours, theirs):
        layer.weight.data = torch.linspace(0.5, 1.5, len(layer.weight)).to(dtype)
    assert norm.fuse(model) == 2 * len(model.model.layers) + 1
    x = torch.randn(2, 5, len(ours.weight), dtype=dtype, requires_grad=True)
    expected, found = theirs(x), ours(x)
    assert type(found.grad_fn).__name__ == "_RmsNormBackward"
    given_back = torch.randn_like(expected)
    relative, absolute = (1e-5, 1e-5) if dtype == torch.float32 else (0.05, 0.05)
    torch.testing.assert_close(found, expected, rtol=relative, atol=absolute)
    (gradient,) = torch.autograd.grad(found, x, given_back)
    (wanted,) = torch.autograd.grad(expected, x, given_back)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, wanted, rtol=relative, atol=absolute)


def test_a_norm_of_another_kind_stays(load_tiny: Callable[[], BaseModel]) -> None:
    model = load_tiny().model.requires_grad_(True)
    assert norm.fuse(model) == 0  # its weights are to be trained
    model.requires_grad_(False)
    layer = model.model.norm

    def plus_one(x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)) * (1 + layer.weight)

    layer.forward = plus_one
    norm.fuse(model)
    assert layer.forward is plus_one
