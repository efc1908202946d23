"""Fresh adapters: where they sit and what of the model they may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fcray import models
from fcray.errors import UserError
from fcray.models import BaseModel
from fcray.spec import LoraConfig, ModelSpec
from fcray.training.lora import attach

LOAD = Callable[[], BaseModel]


@pytest.mark.parametrize(
    ("modules", "names"),
    [
        ("all-linear", {"q", "k", "v", "o", "gate", "up", "down"}),
        (("q_proj", "v_proj"), {"q", "v"}),
    ],
)
def test_only_the_adapter_learns(
    modules: str | tuple[str, ...], names: set[str], load_tiny: LOAD
) -> None:
    config = LoraConfig(rank=4, alpha_multiple=3.0, dropout=0.1, target_modules=modules)
    model = attach(load_tiny(), config)
    learning = [name for name, value in model.named_parameters() if value.requires_grad]
    assert all("lora_" in name for name in learning)
    assert len(learning) == 2 * 2 * len(names)
    assert {name.split(".")[-4].removesuffix("_proj") for name in learning} == names
    settings = model.peft_config["default"]
    assert (settings.r, settings.lora_alpha, settings.lora_dropout) == (4, 12, 0.1)


def test_a_fresh_adapter_changes_nothing(load_tiny: LOAD) -> None:
    base = load_tiny()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        before = base.model(ids).logits
        model = attach(base, LoraConfig()).eval()
        assert torch.equal(model(ids).logits, before)


def test_an_adapter_of_a_half_precision_base_is_in_floats(tiny_folder: Path) -> None:
    base = models.load(
        ModelSpec(base=str(tiny_folder)), device=torch.device("cpu"), dtype=torch.bfloat16
    )
    model = attach(base, LoraConfig(rank=4))
    kinds = {p.dtype for p in model.parameters() if p.requires_grad}
    assert kinds == {torch.float32}


@pytest.mark.parametrize(
    "modules",
    [
        ("c_attn",),
        ("q_proj", "c_attn"),
    ],
)
def test_a_module_that_is_not_there(modules: tuple[str, ...], load_tiny: LOAD) -> None:
    with pytest.raises(UserError, match=r"target_modules: the base model has no modules named"):
        attach(load_tiny(), LoraConfig(target_modules=modules))


def test_alpha_is_never_nothing(load_tiny: LOAD) -> None:
    model = attach(load_tiny(), LoraConfig(rank=1, alpha_multiple=0.4))
    assert model.peft_config["default"].lora_alpha > 0


def test_a_rank_stabilised_adapter_is_scaled_by_the_root_of_its_rank(load_tiny: LOAD) -> None:
    scales = []
    for rslora in (False, True):
        model = attach(load_tiny(), LoraConfig(rank=16, alpha_multiple=2, rslora=rslora))
        layer = next(m for m in model.modules() if isinstance(getattr(m, "scaling", 0), dict))
        scales.append(layer.scaling["default"])
    assert scales == [2.0, 8.0]


def test_a_decomposed_adapter_learns_magnitudes_and_begins_as_the_base(load_tiny: LOAD) -> None:
    base = load_tiny()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        before = base.model(ids).logits
    model = attach(base, LoraConfig(rank=4, dora=True)).eval()
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert sum("magnitude" in name for name in learning) == 2 * 7
    with torch.inference_mode():
        assert torch.allclose(model(ids).logits, before, atol=1e-5)
