"""Adapters come and go, and leave the base as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fcray.errors import UserError
from fcray.inference import Engine
from fcray.models import BaseModel
from tests.inference.asking import RAGGED, texts

LOAD = Callable[[], BaseModel]


def test_what_is_unloaded_is_gone(
    load_lively: LOAD, adapter_folder: Path, other_adapter_folder: Path
) -> None:
    engine = Engine(load_lively())
    requests = [replace(request, adapter="one") for request in RAGGED]
    plain = texts(engine.generate(RAGGED))
    weights = {name: value.clone() for name, value in engine.base.model.state_dict().items()}
    engine.load_adapter("one", adapter_folder)
    one = texts(engine.generate(requests))
    assert one != plain
    engine.load_adapter("two", other_adapter_folder)
    engine.unload_adapter("two")
    assert engine.adapters == {"one"}
    assert texts(engine.generate(requests)) == one
    engine.unload_adapter("one")
    engine.unload_adapter("one")
    assert engine.adapters == frozenset()
    assert texts(engine.generate(RAGGED)) == plain
    restored = engine.base.model.state_dict()
    assert restored.keys() == weights.keys()
    assert all(torch.equal(restored[name], value) for name, value in weights.items())
    with pytest.raises(UserError, match="no adapter 'one' is loaded"):
        engine.generate(requests)


def test_a_name_that_comes_back_is_read_anew(
    load_lively: LOAD, adapter_folder: Path, other_adapter_folder: Path
) -> None:
    engine = Engine(load_lively())
    requests = [replace(request, adapter="a") for request in RAGGED]
    engine.load_adapter("a", adapter_folder)
    one = texts(engine.generate(requests))
    assert engine._prefixes.bytes > 0
    engine.unload_adapter("a")
    assert engine._prefixes.bytes == 0
    engine.load_adapter("a", other_adapter_folder)
    two = texts(engine.generate(requests))
    engine.load_adapter("a", adapter_folder)  # the name is taken: nothing changes
    assert texts(engine.generate(requests)) == two != one


def test_an_unknown_adapter(lively: BaseModel) -> None:
    engine = Engine(lively)
    with pytest.raises(UserError, match="no adapter 'nobody' is loaded"):
        engine.generate([replace(RAGGED[0], adapter="nobody")])


def spoiled(folder: Path, source: Path, how: str) -> Path:
    """A copy of an adapter that cannot be used."""
    shutil.copytree(source, folder)
    config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    if how == "pickle":
        weights.rename(folder / "adapter_model.bin")
    elif how == "empty":
        shutil.rmtree(folder)
    elif how == "no config":
        config.unlink()
    elif how == "torn config":
        config.write_text("{")
    elif how == "other modules":
        config.write_text('{"peft_type": "LORA", "r": 8, "target_modules": ["c_attn"]}')
    elif how == "other rank":
        config.write_text(config.read_text().replace('"r": 8', '"r": 4'))
    elif how == "torn weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    return folder


SPOILED = {
    "pickle": "holds no adapter_model.safetensors",
    "empty": "holds no adapter_model.safetensors",
    "no config": "holds no adapter_config.json",
    "torn config": "does not fit the base",
    "other modules": "does not fit the base: Target modules .*not found",
    "other rank": "does not fit the base",
    "torn weights": "does not fit the base|cannot be read",
}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("how", SPOILED)
def test_an_adapter_that_cannot_be_used_changes_nothing(
    how: str, beside: bool, load_lively: LOAD, adapter_folder: Path, tmp_path: Path
) -> None:
    engine = Engine(load_lively())
    if beside:
        engine.load_adapter("one", adapter_folder)
    before = texts(engine.generate(RAGGED[:1]))
    with pytest.raises(UserError, match=SPOILED[how]):
        engine.load_adapter("bad", spoiled(tmp_path / "bad", adapter_folder, how))
    assert engine.adapters == ({"one"} if beside else frozenset())
    assert texts(engine.generate(RAGGED[:1])) == before
    engine.load_adapter("bad", adapter_folder)
    engine.load_adapter("again", adapter_folder)
    bad, again = (replace(RAGGED[0], adapter=name) for name in ("bad", "again"))
    one, other = texts(engine.generate([bad, again]))
    assert one == other != before[0]


def test_an_adapter_for_more_layers_is_refused(
    lively: BaseModel, load_lively: LOAD, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests import adapters

    fields = {**lively.model.config.to_dict(), "num_hidden_layers": 3, "layer_types": None}
    deeper = LlamaForCausalLM(LlamaConfig(**fields))
    folder = adapters.save_random(deeper, tmp_path / "deeper", 1)
    with pytest.raises(UserError, match="does not fit the base"):
        Engine(load_lively()).load_adapter("deeper", folder)
