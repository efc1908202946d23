"""A tiny base model and an adapter of random weights, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from fcray import models
from fcray.models import BaseModel
from fcray.prompting import Renderer
from fcray.spec import ModelSpec
from fcray.sweep.session import ray_session
from tests import adapters, tiny

# A busy machine is no failure: time is bounded by pytest-timeout alone.
settings.register_profile("fcray", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fcray")


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """One private Ray for the tests of a module."""
    with ray_session():
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer Llama of random weights."""
    return tiny.make(tmp_path_factory.mktemp("base") / "tiny-llama")


@pytest.fixture(scope="session")
def load_tiny(tiny_folder: Path) -> Callable[[], BaseModel]:
    """Loads a copy of the tiny base that a test may attach adapters to."""
    spec = ModelSpec(base=str(tiny_folder))
    return lambda: models.load(
        spec, storage="rounded", device=torch.device("cpu"), dtype=torch.float32
    )


@pytest.fixture(scope="session")
def tiny_base(load_tiny: Callable[[], BaseModel]) -> BaseModel:
    """The tiny base, shared: a test leaves it as it found it."""
    return load_tiny()


@pytest.fixture(scope="session")
def renderer(tiny_base: BaseModel) -> Renderer:
    return Renderer(tiny_base.tokenizer)


@pytest.fixture(scope="session")
def adapter_folder(
    load_tiny: Callable[[], BaseModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A PEFT adapter of random weights that changes what the tiny base says."""
    return adapters.save_random(load_tiny().model, tmp_path_factory.mktemp("adapter") / "one", 1)


@pytest.fixture(scope="session")
def other_adapter_folder(
    load_tiny: Callable[[], BaseModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A second one, with other weights."""
    return adapters.save_random(load_tiny().model, tmp_path_factory.mktemp("adapter") / "two", 2)
