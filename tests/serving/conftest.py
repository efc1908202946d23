"""A tiny random model with two adapters, in folders, and a free port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(
    tiny_folder: Path, adapter_folder: Path, other_adapter_folder: Path
) -> tuple[Path, dict[str, str]]:
    """The folder of a tiny base, and the folders of its adapters by name."""
    return tiny_folder, {"call_v1": str(adapter_folder), "call_v2": str(other_adapter_folder)}


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Ports that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
