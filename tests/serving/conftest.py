"""A tiny random model with two adapters, in folders."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(
    tiny_folder: Path, adapter_folder: Path, other_adapter_folder: Path
) -> tuple[Path, dict[str, str]]:
    """The folder of a tiny base, and the folders of its adapters by name."""
    return tiny_folder, {"call_v1": str(adapter_folder), "call_v2": str(other_adapter_folder)}
