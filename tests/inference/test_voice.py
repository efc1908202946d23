"""Adapters that speak say what PEFT's layers say, also where layers are one product."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch

from fcray.inference import voice
from tests import tiny

TARGETS = {
    "all": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "some siblings": ["q_proj", "v_proj", "down_proj"],
}
IDS = torch.tensor([[5, 9, 200, 17, 3]])


def adapted(targets: list[str], bias: bool = False) -> Any:
    """A tiny model with the adapters `one` and `two`, of unequal ranks, that say something."""
    model = tiny.llama(vocab_size=256, attention_bias=bias)
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            values.data.normal_()
    made: Any = peft.PeftModel(model, lora(4, targets), adapter_name="one")
    made.add_adapter("two", lora(8, targets))
    for name, values in made.named_parameters():
        if "lora_B" in name:
            values.data.normal_(std=0.3)
    return made.requires_grad_(False).eval()


def lora(rank: int, targets: list[str]) -> peft.LoraConfig:
    return peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)


def peft_says(model: Any, name: str | None) -> torch.Tensor:
    if name is None:
        model.base_model.disable_adapter_layers()
    else:
        model.base_model.enable_adapter_layers()
        model.set_adapter(name, inference_mode=True)
    return logits_of(model)


def logits_of(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(IDS).logits
    return logits


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("targets", TARGETS)
def test_what_is_spoken_is_what_peft_says(targets: str, bias: bool) -> None:
    model = adapted(TARGETS[targets], bias)
    plain, voices = copy.deepcopy(model), voice.Voices(model)
    said = []
    for name in ("one", "two", None, "one", "two", None):
        voices.speak(name)
        said.append(logits_of(model))
        torch.testing.assert_close(said[-1], peft_says(plain, name))
    assert not torch.allclose(said[0], said[1])
    assert not torch.allclose(said[0], said[2])


def test_adapters_may_have_other_layers() -> None:
    model = adapted(TARGETS["some siblings"])
    model.add_adapter("three", lora(4, ["k_proj", "down_proj"]))
    for name, values in model.named_parameters():
        if "lora_B.three" in name:
            values.data.normal_(std=0.3)
    plain, voices = copy.deepcopy(model), voice.Voices(model)
    for name in ("one", "three", None, "one"):
        voices.speak(name)
        torch.testing.assert_close(logits_of(model), peft_says(plain, name))


def test_siblings_share_memory_and_it_is_made_once() -> None:
    model = adapted(TARGETS["all"])
    voices = voice.Voices(model)
    voices.speak("one")
    first = model.base_model.model.model.layers[0]
    bases = [getattr(first.self_attn, f"{name}_proj").base_layer.weight for name in "qkv"]
    assert len({weight.untyped_storage().data_ptr() for weight in bases}) == 1
    places = [weight.data_ptr() for weight in bases]
    voices.speak("two")
    assert [weight.data_ptr() for weight in bases] == places


def test_an_input_that_comes_again_is_computed_again() -> None:
    """The parts of a product are taken once; what was written into an input since then counts."""
    model = adapted(TARGETS["all"])
    voice.Voices(model).speak("one")
    attention = model.base_model.model.model.layers[0].self_attn
    with torch.inference_mode():
        x = torch.ones(1, 1, 64)
        before = attention.q_proj(x).clone(), attention.k_proj(x).clone()
        x += 1
        after = attention.q_proj(x), attention.k_proj(x)
    torch.testing.assert_close(after[0], 2 * before[0])
    assert after[1].shape == before[1].shape


def test_other_layers_stay_pefts() -> None:
    model = adapted(TARGETS["all"])
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    layer.lora_dropout["one"] = torch.nn.Dropout(0.5).eval()
    plain, voices = copy.deepcopy(model), voice.Voices(model)
    for name in ("two", "one", None, "one"):
        voices.speak(name)
        torch.testing.assert_close(logits_of(model), peft_says(plain, name))
    assert "forward" not in layer.__dict__
    assert "forward" in model.base_model.model.model.layers[1].self_attn.q_proj.__dict__


def test_where_all_layers_are_plain_peft_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at every module of the model, which takes as long as a step of a single answer."""
    model = adapted(TARGETS["all"])
    plain, voices = copy.deepcopy(model), voice.Voices(model)
    monkeypatch.setattr(model, "set_adapter", None)
    monkeypatch.setattr(model.base_model, "enable_adapter_layers", None)
    monkeypatch.setattr(model.base_model, "disable_adapter_layers", None)
    for name in ("one", None, "two"):
        voices.speak(name)
        torch.testing.assert_close(logits_of(model), peft_says(plain, name))
