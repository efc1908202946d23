"""A tiny base that does not just repeat itself, so that a wrong token shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fcray.models import BaseModel


@pytest.fixture(scope="session")
def load_lively(load_tiny: Callable[[], BaseModel]) -> Callable[[], BaseModel]:
    """Loads a tiny base with large weights: what it says depends on all that it read."""

    def load() -> BaseModel:
        base = load_tiny()
        for module in base.model.model.layers.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.data *= 6
        return base

    return load


@pytest.fixture(scope="session")
def lively(load_lively: Callable[[], BaseModel]) -> BaseModel:
    """A lively base, shared: a test leaves it as it found it."""
    return load_lively()
