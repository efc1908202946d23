"""LoRA adapters: attach them to a base model and say what they cost.

Knows nothing of training loops. LoRA is Hu et al., arXiv 2106.09685, rsLoRA Kalajdzievski,
arXiv 2312.03732, DoRA Liu et al., arXiv 2402.09353; the implementation is PEFT's.
"""

from __future__ import annotations

from typing import Any

from fcray.errors import UserError
from fcray.models import BaseModel
from fcray.spec import LoraConfig


def attach(base: BaseModel, config: LoraConfig) -> Any:
    """`base` with a fresh, trainable LoRA adapter (a `peft.PeftModel`). The base stays frozen.

    Raises
    ------
    UserError: The base has no module of a name in `target_modules`.
    """
    import peft

    modules = config.target_modules
    if not isinstance(modules, str):
        there = {name.rsplit(".", 1)[-1] for name, _ in base.model.named_modules()}
        absent = tuple(name for name in modules if name.rsplit(".", 1)[-1] not in there)
        if absent or not modules:
            raise UserError(
                f"the base model has no modules named {absent!r}", field="target_modules"
            )
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=max(1, round(config.rank * config.alpha_multiple)),
        lora_dropout=config.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        use_rslora=config.rslora,
        use_dora=config.dora,
    )
    try:
        model = peft.get_peft_model(base.model, settings)
    except ValueError as error:
        raise UserError(
            f"the base model has no modules named {modules!r}", field="target_modules"
        ) from error
    for parameter in model.parameters():
        if parameter.requires_grad:  # small adapters train badly in half precision
            parameter.data = parameter.data.float()
    return model
