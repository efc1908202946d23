"""BFCL's wheel, which several files here hold their subject against."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.metrics import bfcl_reference


@pytest.fixture(scope="session")
def wheel() -> Path:
    try:
        return bfcl_reference.download()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the BFCL suite is NOT checked, its wheel could not be had: {error}")
