"""Exactness: the loss and gradients of packs are those of the rows one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fcray.lora_linear import fuse
from fcray.models import BaseModel
from fcray.prompting import RenderedExample, Renderer, Span
from fcray.spec import LoraConfig
from fcray.training import attention, norm
from fcray.training.curriculum import STAGE_WEIGHTS
from fcray.training.lora import attach
from fcray.training.loss import label_losses, packed_loss
from fcray.training.packing import pack_rows, tensors, weight_of
from tests.examples import EXAMPLES

Weights = dict[Span, float]
STAGES = [dict(zip(Span, weights, strict=True)) for weights in STAGE_WEIGHTS]
EVERYTHING = dict.fromkeys(Span, 1.0)


@pytest.fixture(scope="module", params=["mask", "segments"])
def model(request: pytest.FixtureRequest, load_tiny: Callable[[], BaseModel]) -> Any:
    """The tiny base with an adapter whose every weight matters, by PEFT's layers or by ours."""
    torch.manual_seed(3)
    base = load_tiny()
    model = attach(base, LoraConfig(rank=4))
    if request.param == "segments":
        attention.use(base.model)
        assert fuse(model)
        assert norm.fuse(base.model)
        assert attention.is_used(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def rows(renderer: Renderer) -> list[RenderedExample]:
    return [renderer.example(row) for row in EXAMPLES]


def loss_of_one(model: Any, row: RenderedExample, weights: Weights) -> torch.Tensor:
    """The plain way: the whole model on prompt and answer, and shifted cross-entropy."""
    prompt = (*row.prompt.prefix, *row.prompt.body)
    ids = torch.tensor([[*prompt, *row.answer]])
    logits = model(input_ids=ids).logits[0, :-1]
    losses = F.cross_entropy(logits, ids[0, 1:], reduction="none")[len(prompt) - 1 :]
    loss = (losses * torch.tensor([weights[span] for span in row.spans])).sum()
    if row.declined is not None:
        chance = logits[len(prompt) - 1].softmax(dim=-1)[row.declined]
        loss = loss - weights[Span.DECISION] * torch.log1p(-chance)
    return loss


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def check_exact(
    model: Any,
    rows: list[RenderedExample],
    weights: Weights,
    token_budget: int,
    multiple: int = 1,
) -> None:
    packs = pack_rows(rows, token_budget)
    divisor = weight_of(packs, weights)
    losses = [packed_loss(model, tensors(pack, "cpu", multiple), weights) for pack in packs]
    packed = torch.stack(losses).sum() / divisor
    single = torch.stack([loss_of_one(model, row, weights) for row in rows]).sum() / divisor
    torch.testing.assert_close(packed, single, rtol=1e-5, atol=1e-5)
    found, expected = gradients(model, packed), gradients(model, single)
    assert found.keys() == expected.keys()
    assert all("lora_" in name for name in found)
    assert len(found) == 2 * 14
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [*STAGES, EVERYTHING], ids=["1", "2", "3", "all"])
@pytest.mark.parametrize("token_budget", [4096, 300])
@pytest.mark.parametrize("labels_at_once", [7, 4096])
def test_packs_learn_what_rows_learn(
    model: Any,
    rows: list[RenderedExample],
    weights: Weights,
    token_budget: int,
    labels_at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fcray.training.loss.LABELS", labels_at_once)
    assert len({row.prompt.prefix for row in rows}) == 3
    assert max(len(row) for row in rows) <= 300
    check_exact(model, rows, weights, token_budget)


@given(
    chosen=st.lists(st.integers(0, len(EXAMPLES) - 1), min_size=1, max_size=5),
    stage=st.sampled_from(STAGES),
    token_budget=st.integers(250, 600),
    multiple=st.sampled_from([1, 8, 64]),
)
@settings(max_examples=15, deadline=None)
def test_any_rows_learn_the_same_packed(
    model: Any,
    rows: list[RenderedExample],
    chosen: list[int],
    stage: Weights,
    token_budget: int,
    multiple: int,
) -> None:
    check_exact(model, [rows[i] for i in chosen], stage, token_budget, multiple)


def test_without_weight_nothing_is_learned(model: Any, rows: list[RenderedExample]) -> None:
    (pack,) = pack_rows(rows[:1], 4096)
    loss = packed_loss(model, tensors(pack), dict.fromkeys(Span, 0.0))
    assert loss.item() == 0
    assert all(not gradient.any() for gradient in gradients(model, loss).values())


def test_wanted_and_declined_tokens() -> None:
    logits = torch.randn(6, 11, dtype=torch.float64)
    labels = torch.arange(6)
    declined = torch.tensor([False, True, True, False, True, False])
    chance = logits.softmax(dim=-1)[torch.arange(6), labels]
    expected = torch.where(declined, -torch.log(1 - chance), -torch.log(chance))
    torch.testing.assert_close(label_losses(logits, labels, declined), expected)


def test_only_wanted_tokens_is_cross_entropy() -> None:
    logits, labels = torch.randn(4, 11), torch.arange(4)
    found = label_losses(logits, labels, torch.zeros(4, dtype=torch.bool))
    assert torch.equal(found, F.cross_entropy(logits, labels, reduction="none"))


@pytest.mark.parametrize("size", [0.0, 50.0, 1e4])
def test_a_declined_token_that_is_certain_has_a_finite_loss(size: float) -> None:
    logits = torch.zeros(1, 5, requires_grad=True)
    raised = logits + size * F.one_hot(torch.tensor([2]), 5)
    loss = label_losses(raised, torch.tensor([2]), torch.tensor([True]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert logits.grad[0, 2] > 0
