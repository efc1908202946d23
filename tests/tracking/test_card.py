"""A model card says what is known, and its program loads the adapter where there is no fcray."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fcray.metrics import Outcome, score
from fcray.models import BaseModel
from fcray.prompting import Renderer
from fcray.spec import LoraConfig, ModelSpec, SweepSpec
from fcray.tracking.card import model_card
from fcray.training.lora import attach
from tests.dataset.catalogs import plain
from tests.examples import EXAMPLES

ASKED = next(row for row in EXAMPLES if row.calls and len(row.messages) <= 2)


def card(base: str, quantization: str = "nf4") -> str:
    spec = SweepSpec(name="tiny", data=plain(), model=ModelSpec(base=base))
    outcomes = [Outcome(row, row.calls, "", True, 0.1) for row in EXAMPLES]
    facts = {"base": base, "revision": "local", "quantization": quantization, "trial": 3}
    facts |= {"data_sha256": "abc", "config": {"rank": 4}}
    return model_card(spec, facts, score(tuple(outcomes), bootstrap=0), ASKED)


def test_it_says_what_is_known() -> None:
    text = card("smollm2-135m-instruct")
    assert "license: apache-2.0" in text
    assert "| argument F1 | 100.0% |" in text
    assert 'Trial 3 of sweep `tiny`: `{"rank": 4}`' in text
    assert "license:" not in card("some/model")
    assert "BitsAndBytesConfig(" not in card("some/model", "none")


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_its_program_runs_without_fcray(
    load_tiny: Callable[[], BaseModel], tiny_folder: Path, tmp_path: Path, quantization: str
) -> None:
    torch.manual_seed(0)
    adapter = attach(load_tiny(), LoraConfig(rank=4))
    adapter.save_pretrained(str(tmp_path))
    found = re.search(r"```python\n(.*?)```", card(str(tiny_folder), quantization), re.DOTALL)
    assert found
    program = found[1].replace("max_new_tokens=96", "max_new_tokens=3")
    program += "\nimport sys\nprint('fcray' in sys.modules, prompt['input_ids'][0].tolist())\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    prompt = Renderer(load_tiny().tokenizer).prompt(ASKED.messages, ASKED.tools)
    assert done.stdout.splitlines()[-1] == f"False {[*prompt.prefix, *prompt.body]}"
