"""The memory estimate: what it counts, how it grows, and when a job is refused."""

from __future__ import annotations

from functools import cache
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig

from fcray.errors import UserError
from fcray.spec import LoraConfig, ModelSpec, TrainingSpec
from fcray.training.memory import (
    GIB,
    Estimate,
    Numerics,
    Room,
    Shapes,
    advice,
    check_fits,
    estimate,
    plan,
    shapes_of,
)

SMOL = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}


@cache
def smol() -> Shapes:
    return shapes_of(LlamaConfig(**SMOL))


def of(
    lora: LoraConfig | None = None,
    training: TrainingSpec | None = None,
    model: ModelSpec | None = None,
    *,
    device: str = "cpu",
    float_bytes: int = 4,
    tokens: int = 1000,
    labels: int = 300,
    checkpointing: bool = False,
) -> Estimate:
    model = model or ModelSpec()
    packed = device == "cuda" and model.quantization == "nf4"
    return estimate(
        smol(),
        lora or LoraConfig(),
        training or TrainingSpec(),
        Numerics(device, float_bytes, packed, model.double_quantization),
        tokens=tokens,
        labels=labels,
        checkpointing=checkpointing,
    )


def test_the_shapes_are_the_models() -> None:
    assert smol().layers == 30
    assert len(smol().linears) == 30 * 7
    linear = sum(inputs * outputs for _, inputs, outputs in smol().linears)
    assert linear + smol().others == 134_515_008  # SmolLM2-135M's parameters
    assert smol().attention == 576


def test_an_adapter_is_counted_to_the_parameter() -> None:
    # 30 layers, rank 16: q and v have 16 * (576 + 576) and 16 * (576 + 192) parameters.
    found = of(LoraConfig(rank=16, target_modules=("q_proj", "v_proj")))
    assert found.adapter == 4 * 30 * 16 * (576 + 576 + 576 + 192)
    assert found.gradients == found.adapter
    assert found.optimizer == 2 * found.adapter
    dora = of(LoraConfig(rank=16, target_modules=("q_proj", "v_proj"), dora=True))
    assert dora.adapter == found.adapter + 4 * 30 * (576 + 192)


def test_four_bits_are_a_quarter_on_a_gpu_and_floats_on_a_cpu() -> None:
    linear = sum(inputs * outputs for _, inputs, outputs in smol().linears)
    on_cpu, on_gpu = of(float_bytes=2), of(device="cuda", float_bytes=2)
    assert on_cpu.weights == 2 * 134_515_008
    assert on_gpu.weights == pytest.approx(linear * (0.5 + 4 / 64) + smol().others * 2)
    double = of(device="cuda", float_bytes=2, model=ModelSpec(double_quantization=True))
    assert double.weights < on_gpu.weights
    plain = of(device="cuda", float_bytes=2, model=ModelSpec(quantization="none"))
    assert plain.weights == 2 * 134_515_008
    assert on_gpu.optimizer * 4 == plain.optimizer  # 8-bit states


@given(st.integers(64, 4000), st.integers(1, 64), st.booleans())
def test_more_of_anything_takes_more(tokens: int, rank: int, checkpointing: bool) -> None:
    lora = LoraConfig(rank=rank)
    base = of(lora, tokens=tokens, checkpointing=checkpointing).total
    assert of(lora, tokens=tokens + 64, checkpointing=checkpointing).total > base
    assert of(LoraConfig(rank=rank + 1), tokens=tokens, checkpointing=checkpointing).total > base
    assert of(lora, tokens=tokens, labels=20, checkpointing=checkpointing).total < base


def test_logits_exist_for_some_labels_at_a_time() -> None:
    assert of(labels=64).logits * 2 == of(labels=128).logits == of(labels=1000).logits


def test_a_special_layer_keeps_more() -> None:
    plain, dropout, dora = (
        of(lora).activations
        for lora in (LoraConfig(), LoraConfig(dropout=0.1), LoraConfig(dora=True))
    )
    assert plain < dropout < dora


def test_checkpointing_keeps_one_layer() -> None:
    whole, thin = of(tokens=4000), of(tokens=4000, checkpointing=True)
    assert thin.activations < whole.activations / 5
    assert thin.weights == whole.weights


def test_a_job_that_does_not_fit_is_refused_with_its_number() -> None:
    found = of(tokens=4000)
    check_fits(found, 100 * GIB, "GPU")
    with pytest.raises(UserError, match=r"training: a trial would need \d+\.\d GiB .*GPU has 2\.0"):
        check_fits(found, 2 * GIB, "GPU")


def planned(free: int, wanted: Literal["auto", "on", "off"] = "auto") -> tuple[Estimate, bool]:
    training = TrainingSpec(gradient_checkpointing=wanted)
    room = Room("cpu", "machine", free, free)
    return plan(smol(), LoraConfig(), training, Numerics("cpu", 4), room, tokens=4000, labels=300)


def test_activations_are_kept_wherever_there_is_room() -> None:
    whole, thin = of(tokens=4000), of(tokens=4000, checkpointing=True)
    assert planned(100 * GIB) == (whole, False)
    between = (whole.total + thin.total) // 2
    assert planned(between) == (thin, True)
    assert planned(100 * GIB, "on") == (thin, True)
    with pytest.raises(UserError, match="a trial would need"):
        planned(thin.total // 2)
    with pytest.raises(UserError, match="a trial would need"):
        planned(between, "off")


def test_a_large_rank_on_a_small_gpu_is_warned_of() -> None:
    small = Room("cuda", "GPU", 40 * GIB, 48 * GIB)
    assert advice(64, small) == "rank 64 on GPU with 48 GiB: over 32, 64 GiB are advised"
    assert advice(32, small) == ""
    assert advice(64, Room("cuda", "GPU", 70 * GIB, 80 * GIB)) == ""
    assert advice(64, Room("cpu", "machine", GIB, GIB)) == ""


def test_this_machine_has_room() -> None:
    room = Room.here()
    assert 0 < room.free <= room.total
    assert Numerics.here(ModelSpec(precision="bf16")).float_bytes == 2
