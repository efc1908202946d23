"""The engine on real 4-bit blocks: adapters come and go, and the base stays what it is."""

from __future__ import annotations

from pathlib import Path

import torch

from fcray import models
from fcray.inference import Engine, Request
from fcray.spec import ModelSpec
from fcray.tools import Message

HELLO = (Message(role="user", content="hello there"),)


def engine(folder: Path, storage: models.Storage) -> Engine:
    device = torch.device("cpu")
    spec = ModelSpec(base=str(folder))
    return Engine(models.load(spec, storage=storage, device=device, dtype=torch.float32))


def texts(engine: Engine, *adapters: str | None) -> list[str]:
    requests = [Request(messages=HELLO, max_tokens=12, adapter=adapter) for adapter in adapters]
    return [answer.text for answer in engine.generate(requests)]


def test_adapters_that_come_and_go_leave_the_packed_base_alone(
    tiny_folder: Path, adapter_folder: Path, other_adapter_folder: Path
) -> None:
    packed = engine(tiny_folder, "packed")
    base = texts(packed, None)
    packed.load_adapter("one", adapter_folder)
    one = texts(packed, "one")
    packed.load_adapter("two", other_adapter_folder)
    two = texts(packed, "two")
    assert texts(packed, "one", "two", None) == [*one, *two, *base]
    packed.unload_adapter("one")
    packed.unload_adapter("two")
    packed.load_adapter("one", adapter_folder)
    assert texts(packed, "one", None) == [*one, *base]


def test_packed_answers_as_rounded_does(tiny_folder: Path, adapter_folder: Path) -> None:
    answers = []
    for storage in ("packed", "rounded"):
        made = engine(tiny_folder, storage)  # type: ignore[arg-type]
        made.load_adapter("one", adapter_folder)
        answers.append(texts(made, "one", None))
    assert answers[0] == answers[1]
