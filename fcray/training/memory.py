"""How much memory a LoRA job needs, before anything is loaded: from shapes and settings alone.

Counts what lives at the same time at the peak of a training step: the frozen weights, the adapter with its
gradients and optimizer state, what autograd keeps of one packed sequence for the backward pass, and the
logits at label positions. Knows nothing of data: the longest packed sequence stands for all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fcray.errors import UserError
from fcray.models import NF4_BLOCK, default_device, default_dtype, training_storage
from fcray.spec import LoraConfig, ModelSpec, TrainingSpec
from fcray.training.loss import LABELS

GIB = 1 << 30
FLOAT = 4
"""Bytes of a float32: adapters, their gradients and optimizer states are kept in it."""

PROCESS = {"cpu": 650 << 20, "cuda": 550 << 20}
"""What Python, torch and its libraries take by themselves: on a CPU in memory, on a GPU its context."""

HOLES = {"cpu": 0.4, "cuda": 0.0}
"""What the heap takes besides, as a share of what comes and goes in a step.

glibc's heap keeps holes between the blocks of packs of different lengths; measured 0.25 to 0.5. A fixed
mmap threshold avoids them, and made the steps of long packs 1.7 times as slow. A GPU's allocator is allowed
for in `TIGHT`.
"""

TIGHT = 0.92
"""Share of a device's memory that may be planned for; the rest is lost to fragmentation."""


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak of a training step, by what takes them."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    fragmentation: int
    process: int

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {size / GIB:.2f}" for name, size in asdict(self).items())
        return f"{self.total / GIB:.1f} GiB ({parts})"


@dataclass(frozen=True)
class Shapes:
    """What an estimate needs of a model.

    Attributes
    ----------
    linears: (module name's last part, inputs, outputs) of every linear layer but the output head.
    others: Parameters elsewhere: embeddings, norms, an output head of its own.
    layers, hidden, vocabulary: As in the model's config.
    attention: Width of all attention heads together.
    intermediate: Width of a layer's feed-forward part.
    """

    linears: tuple[tuple[str, int, int], ...]
    others: int
    layers: int
    hidden: int
    attention: int
    intermediate: int
    vocabulary: int


def shapes_of(config: Any) -> Shapes:
    """The shapes of a transformers config; the model is built without memory."""
    import torch
    from torch import nn
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
    output = model.get_output_embeddings()
    linears, seen = [], 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module is not output:
            linears.append((name.rsplit(".", 1)[-1], module.in_features, module.out_features))
            seen += module.weight.numel()
    whole = sum(parameter.numel() for parameter in model.parameters())
    text = config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shapes(
        tuple(linears),
        whole - seen,
        text.num_hidden_layers,
        text.hidden_size,
        text.num_attention_heads * head,
        text.intermediate_size,
        text.vocab_size,
    )


@dataclass(frozen=True)
class Numerics:
    """How the frozen base lies in memory.

    Attributes
    ----------
    device: `cpu` or `cuda`.
    float_bytes: Of one float: 2 for bf16, 4 for float32.
    packed, double: It lies in 4-bit blocks; their scales in 8 bit.
    """

    device: str
    float_bytes: int
    packed: bool = False
    double: bool = False

    @classmethod
    def here(cls, model: ModelSpec) -> Numerics:
        """As this process would load `model`."""
        device = default_device()
        return cls(
            device.type,
            default_dtype(model, device).itemsize,
            training_storage(model, device) == "packed",
            model.double_quantization,
        )


def estimate(
    shapes: Shapes,
    lora: LoraConfig,
    training: TrainingSpec,
    base: Numerics,
    *,
    tokens: int,
    labels: int,
    checkpointing: bool = False,
) -> Estimate:
    """The memory of one job.

    Parameters
    ----------
    tokens, labels: Of the longest packed sequence.
    checkpointing: Activations of a layer are computed anew in the backward pass.
    """
    scale = (1 + 4 / 256) if base.double else FLOAT
    per_weight = 0.5 + scale / NF4_BLOCK if base.packed else base.float_bytes
    linear = sum(inputs * outputs for _, inputs, outputs in shapes.linears)
    trained = _trained(shapes, lora)
    state = 2 if _is_8_bit(training, base.packed) else 2 * FLOAT
    size = base.float_bytes
    activations = _activations(shapes, lora, base, tokens, checkpointing=checkpointing)
    # Of the labels at a time: in the base's floats, and in float32 with their log-softmax and gradients.
    logits = min(labels, LABELS) * shapes.vocabulary * (size + 3 * FLOAT)
    return Estimate(
        weights=int(linear * per_weight) + shapes.others * size,
        adapter=trained * FLOAT,
        gradients=trained * FLOAT,
        optimizer=trained * state,
        activations=activations,
        logits=logits,
        fragmentation=int((activations + logits) * HOLES[base.device]),
        process=PROCESS[base.device],
    )


def _is_8_bit(training: TrainingSpec, packed: bool) -> bool:
    return training.optimizer == "paged_adamw_8bit" or (training.optimizer == "auto" and packed)


def _is_trained(name: str, lora: LoraConfig) -> bool:
    modules = lora.target_modules
    return isinstance(modules, str) or name in {module.rsplit(".", 1)[-1] for module in modules}


def _trained(shapes: Shapes, lora: LoraConfig) -> int:
    found = [(i, o) for name, i, o in shapes.linears if _is_trained(name, lora)]
    size = sum(lora.rank * (inputs + outputs) for inputs, outputs in found)
    return size + (sum(outputs for _, outputs in found) if lora.dora else 0)


def _activations(
    shapes: Shapes, lora: LoraConfig, base: Numerics, tokens: int, *, checkpointing: bool
) -> int:
    """What autograd keeps of one sequence, and the attention mask where there is one."""
    size = base.float_bytes
    # What the linear layers give is kept by what follows it, but for those two that only add to the
    # residual stream; they keep what they take, and the activation function keeps what it gives.
    per_layer = sum(outputs for _, _, outputs in shapes.linears) / max(1, shapes.layers)
    per_layer += shapes.attention + 2 * shapes.intermediate
    # Two norms keep their input; what they give takes the place of what those two would keep.
    per_layer += 2 * shapes.hidden
    per_layer *= size
    if base.packed or lora.dropout or lora.dora:  # PEFT's own layers: see linear.py
        for name, inputs, outputs in shapes.linears:
            if _is_trained(name, lora):
                kept = (size + (1 if lora.dropout else 0)) * inputs
                kept += 2 * size * outputs if lora.dora else 0
                per_layer += kept / max(1, shapes.layers)
    layers = 1 if checkpointing else shapes.layers
    per_token = per_layer * layers
    if checkpointing:
        per_token += shapes.layers * shapes.hidden * size
    mask = tokens * tokens * (1 + size) if base.device == "cuda" else 0
    return int(tokens * per_token) + mask


@dataclass(frozen=True)
class Room:
    """What a device has for one training process.

    Attributes
    ----------
    device: `cpu` or `cuda`.
    name: What it is called in messages.
    free: Bytes that the process may use, those that it uses already included.
    total: Bytes in all.
    """

    device: str
    name: str
    free: int
    total: int

    @classmethod
    def here(cls) -> Room:
        """That of the device on which this process would train."""
        import psutil
        import torch

        if default_device().type == "cuda":
            free, total = torch.cuda.mem_get_info()
            own = torch.cuda.memory_reserved() + PROCESS["cuda"]
            return cls("cuda", torch.cuda.get_device_name(), min(free + own, total), total)
        memory = psutil.virtual_memory()
        own = psutil.Process().memory_info().rss
        limit = min(memory.total, _container_limit())
        return cls("cpu", "machine", min(memory.available + own, limit), limit)


def _container_limit() -> int:
    """Bytes that this container may use (cgroup v2); without a limit, more than any machine has."""
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        text = "max"
    return int(text) if text.isdigit() else 1 << 60


def plan(
    shapes: Shapes,
    lora: LoraConfig,
    training: TrainingSpec,
    base: Numerics,
    room: Room,
    *,
    tokens: int,
    labels: int,
) -> tuple[Estimate, bool]:
    """The estimate of a job, and whether activations are to be computed anew instead of kept.

    `auto` keeps them wherever there is room.

    Raises
    ------
    UserError: There is no room for it; says both numbers.
    """
    wanted = training.gradient_checkpointing
    whole, thin = (
        estimate(
            shapes, lora, training, base, tokens=tokens, labels=labels, checkpointing=checkpointing
        )
        for checkpointing in (False, True)
    )
    if wanted == "off" or (wanted == "auto" and whole.total <= room.free * TIGHT):
        check_fits(whole, room.free, room.name)
        return whole, False
    check_fits(thin, room.free, room.name)
    return thin, True


LARGE_RANK, SMALL_GPU = 32, 64 * GIB


def advice(rank: int, room: Room) -> str:
    """A warning where a rank is more than the device's memory suggests, as the article has it; or ""."""
    if rank <= LARGE_RANK or room.device != "cuda" or room.total >= SMALL_GPU:
        return ""
    return (
        f"rank {rank} on {room.name} with {room.total / GIB:.0f} GiB: over {LARGE_RANK}, "
        f"{SMALL_GPU // GIB} GiB are advised"
    )


def check_fits(found: Estimate, free: float, device: str) -> None:
    """Refuse a job that the device has no room for.

    Raises
    ------
    UserError: The estimate is over what may be planned for; says both numbers.
    """
    if found.total > free * TIGHT:
        raise UserError(
            f"a trial would need {found}, and the {device} has {free / GIB:.1f} GiB for it; take a "
            "smaller model, rank, training.tokens or cutoff, or NF4 with gradient checkpointing",
            field="training",
        )
