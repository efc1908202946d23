"""The model card of an adapter: what it is, what it was measured on, and how it loads without fcray.

Knows nothing of registries; the card is text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fcray.metrics import Scores
from fcray.models import BUNDLED
from fcray.prompting import system_text
from fcray.spec import SweepSpec
from fcray.tools import Example

_LICENCES = {BUNDLED: "apache-2.0"}
"""Of the base models whose licence is known here."""

_NF4 = """\
nf4 = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant={double},
    bnb_4bit_compute_dtype=torch.bfloat16,
)
"""

_PROGRAM = """\
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

base = {base}  # a folder with its safetensors, or its hub id
adapter = "."  # the folder of this file
{nf4}
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForCausalLM.from_pretrained(base, {options}dtype=torch.bfloat16)
model = PeftModel.from_pretrained(model, adapter).eval()

system = {system}
messages = [
    {{"role": "system", "content": system}},
    {{"role": "user", "content": {request}}},
]
prompt = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
)
answer = model.generate(**prompt, max_new_tokens=96, do_sample=False)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
"""


def model_card(spec: SweepSpec, facts: Mapping[str, Any], scores: Scores, example: Example) -> str:
    """The adapter's README.md.

    Parameters
    ----------
    facts: The fields of a registry's manifest.
    example: A request of one turn, asked in the card's program.
    """
    base, licence = facts["base"], _LICENCES.get(facts["base"])
    stated = f"license: {licence}\n" if licence else ""
    terms = licence or "the base model's own"
    return f"""---
library_name: peft
base_model: {base}
{stated}tags: [function-calling, lora, fcray]
---
# {spec.promotion.name}

A LoRA adapter for function calling on `{base}` (revision {facts["revision"]}), trained on its
weights {_numerics(facts["quantization"])}, and measured on the same.

| measure | value | examples |
| --- | --- | --- |
| intent accuracy | {scores.intent_accuracy:.1%} | {scores.examples} |
| argument F1 | {scores.argument_f1:.1%} | {scores.examples} |
| semantic frame accuracy | {scores.frame_accuracy:.1%} | {scores.examples} |

- Data: sha256 `{facts["data_sha256"]}`, {spec.data.train} training examples.
- Trial {facts["trial"]} of sweep `{spec.name}`: `{json.dumps(facts["config"])}`.
- Licence: {terms}; the adapter adds none.

## Without fcray

transformers, PEFT and bitsandbytes load it; what decides is that the system turn lists the tools as they
stood in training. This asks for one call; without fcray no grammar keeps an answer to the tools' schemas.

```python
{_program(spec, base, facts["quantization"], example)}```
"""


def _numerics(quantization: str) -> str:
    return "as NF4 rounds them" if quantization == "nf4" else "as they are"


def _program(spec: SweepSpec, base: str, quantization: str, example: Example) -> str:
    packed = quantization == "nf4"
    told = next((m.content or "" for m in example.messages if m.role == "system"), "")
    return _PROGRAM.format(
        base=_quoted(base),
        nf4=_NF4.format(double=spec.model.double_quantization) if packed else "",
        options="quantization_config=nf4, " if packed else "",
        system=_quoted(system_text(example.tools, told)),
        request=_quoted(example.request),
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
