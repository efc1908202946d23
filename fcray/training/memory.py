"""How much memory a LoRA job needs, before anything is loaded: from shapes and settings alone.

Counts what lives at the same time at the peak of a training step: the frozen weights, the adapter with its
gradients and optimizer state, what autograd keeps of one packed sequence for the backward pass, and the
logits at label positions. Knows nothing of data: the longest packed sequence stands for all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fcray.errors import UserError
from fcray.models import NF4_BLOCK
from fcray.spec import LoraConfig, ModelSpec, TrainingSpec

GIB = 1 << 30
FLOAT = 4
"""Bytes of a float32: adapters, their gradients and optimizer states are kept in it."""

PROCESS = {"cpu": 650 << 20, "cuda": 550 << 20}
"""What Python, torch and its libraries take by themselves: on a CPU in memory, on a GPU its context."""

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
    """

    linears: tuple[tuple[str, int, int], ...]
    others: int
    layers: int
    hidden: int
    attention: int
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
        text.vocab_size,
    )


def estimate(
    shapes: Shapes,
    model: ModelSpec,
    lora: LoraConfig,
    training: TrainingSpec,
    *,
    device: str,
    float_bytes: int,
    tokens: int,
    labels: int,
    checkpointing: bool = False,
) -> Estimate:
    """The memory of one job.

    Parameters
    ----------
    device: `cpu` or `cuda`.
    float_bytes: Of one float of the frozen base: 2 for bf16, 4 for float32.
    tokens, labels: Of the longest packed sequence.
    checkpointing: Activations of a layer are computed anew in the backward pass.
    """
    packed = model.quantization == "nf4" and device == "cuda"
    scale = (1 + 4 / 256) if model.double_quantization else FLOAT
    per_weight = 0.5 + scale / NF4_BLOCK if packed else float_bytes
    linear = sum(inputs * outputs for _, inputs, outputs in shapes.linears)
    trained = _trained(shapes, lora)
    state = 2 if _is_8_bit(training, packed) else 2 * FLOAT
    return Estimate(
        weights=int(linear * per_weight) + shapes.others * float_bytes,
        adapter=trained * FLOAT,
        gradients=trained * FLOAT,
        optimizer=trained * state,
        activations=_activations(shapes, lora, float_bytes, tokens, checkpointing=checkpointing),
        # In the base's floats and in float32, their log-softmax, and the gradients of all three.
        logits=labels * shapes.vocabulary * (2 * float_bytes + 3 * FLOAT),
        process=PROCESS[device],
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
    shapes: Shapes, lora: LoraConfig, float_bytes: int, tokens: int, *, checkpointing: bool
) -> int:
    """What autograd keeps of one sequence, and the attention mask."""
    per_layer = 0.0
    for name, inputs, outputs in shapes.linears:
        # The output is kept by what follows: an activation function, a product, the attention.
        per_layer += outputs * float_bytes
        if _is_trained(name, lora):
            # The input in the adapter's floats, A's output, and the sum of both branches.
            cast = FLOAT if float_bytes != FLOAT else 0
            per_layer += inputs * cast + lora.rank * FLOAT + outputs * float_bytes
    per_layer /= max(1, shapes.layers)
    # Two norms, each with its input in float32 twice, and the residual stream.
    per_layer += shapes.hidden * (4 * FLOAT + 2 * float_bytes)
    # Queries and keys as they were turned, keys and values a head each, and what attention gives.
    per_layer += shapes.attention * 5 * float_bytes
    layers = 1 if checkpointing else shapes.layers
    kept = per_layer * layers + (
        shapes.layers * shapes.hidden * float_bytes if checkpointing else 0
    )
    return int(tokens * kept) + 2 * tokens * tokens


def check_fits(found: Estimate, room: int, device: str) -> None:
    """Refuse a job that the device has no room for.

    Raises
    ------
    UserError: The estimate is over what may be planned for; says both numbers.
    """
    if found.total > room * TIGHT:
        raise UserError(
            f"a trial would need {found}, and the {device} has {room / GIB:.1f} GiB; take a smaller "
            "model, rank, training.tokens or cutoff, or NF4 with gradient checkpointing",
            field="training",
        )
