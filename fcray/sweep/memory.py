"""Whether the largest trial of a sweep has room, asked before anything starts.

What is asked is the device that a trial would get: this process's own, or a Ray task's where trials may run
on other nodes or on GPUs. Knows nothing of what an estimate counts: see `training.memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ray

from fcray import models, settings
from fcray.prompting import Renderer
from fcray.spec import (
    ARTICLE_DEFAULTS,
    Choice,
    LoraConfig,
    ModelSpec,
    SearchSpec,
    SweepSpec,
    TrainingSpec,
    Uniform,
    normal,
)
from fcray.tools import Example
from fcray.training.memory import Numerics, Room, advice, plan, shapes_of
from fcray.training.packing import largest, pack_rows
from fcray.training.trainer import render_rows

LOOKED_AT = 64
"""Rows that are rendered to find the longest: those with most characters."""


def check_memory(spec: SweepSpec, examples: Sequence[Example], slots: int) -> str:
    """Refuse a sweep whose largest trial has no room; returns a warning, or "".

    Parameters
    ----------
    slots: Trials that run at a time.

    Raises
    ------
    UserError: There is no room; names both numbers.
    """
    from transformers import AutoConfig, AutoTokenizer

    folder, _ = models.resolve(spec.model)
    most = largest_config(spec.search, spec.training)
    training = most.training(spec.training)
    tokens, labels = longest_step(training, examples, AutoTokenizer.from_pretrained(folder))
    room, base = _device(spec)
    room = share_of(room, spec, slots)
    shapes = shapes_of(AutoConfig.from_pretrained(folder))
    plan(shapes, most, training, base, room, tokens=tokens, labels=labels)
    return advice(most.rank, room)


def share_of(room: Room, spec: SweepSpec, slots: int) -> Room:
    """What one of `slots` trials that run at a time has of a device."""
    share = 1 / slots if room.device == "cpu" else min(spec.resources.gpus or 1.0, 1.0)
    return replace(room, free=int(room.free * share))


def largest_config(search: SearchSpec, training: TrainingSpec) -> LoraConfig:
    """A config that takes at least as much memory as any of the search."""

    def values(name: str) -> list[Any]:
        domain = getattr(search, name)
        own = [domain]
        if isinstance(domain, Choice):
            own = [normal(name, value) for value in domain.choice]
        elif isinstance(domain, Uniform):
            own = list(domain.uniform)
        first = [*search.first, *([ARTICLE_DEFAULTS] if search.baseline else [])]
        return [*own, *(getattr(point, name) for point in first)]

    named = [value for value in values("target_modules") if not isinstance(value, str)]
    whole = len(named) < len(values("target_modules"))
    modules = "all-linear" if whole else tuple(sorted({name for value in named for name in value}))
    return LoraConfig(
        rank=max(values("rank")),
        target_modules=modules,
        dropout=max(values("dropout")),
        dora=any(values("dora")),
        batch=max(size or training.batch for size in values("batch")),
    )


def longest_step(
    training: TrainingSpec, examples: Sequence[Example], tokenizer: Any
) -> tuple[int, int]:
    """Tokens and labels of a step of the longest rows."""
    by_size = sorted(examples, key=_characters, reverse=True)
    rows, _ = render_rows(Renderer(tokenizer), by_size[:LOOKED_AT], training.cutoff)
    longest = sorted(rows, key=len, reverse=True)[: training.batch]
    if not longest:  # all of them are over the cutoff
        return training.cutoff, 1
    return largest(pack_rows(longest, max(training.tokens, training.cutoff)))


def _characters(example: Example) -> int:
    return sum(len(m.content or "") for m in example.messages) + 300 * len(example.tools)


def _device(spec: SweepSpec) -> tuple[Room, Numerics]:
    import torch

    if not (spec.resources.gpus or torch.cuda.is_available() or settings.ray_address()):
        return _here(spec.model)
    remote: Any = ray.remote(_here).options(
        num_cpus=0 if spec.resources.gpus else spec.resources.cpus,
        num_gpus=spec.resources.gpus,
        max_retries=0,
    )
    found: tuple[Room, Numerics] = ray.get(remote.remote(spec.model))
    return found


def _here(model: ModelSpec) -> tuple[Room, Numerics]:
    return Room.here(), Numerics.here(model)
