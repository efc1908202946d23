"""One local Ray for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fcray.sweep.session import ray_session


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with ray_session():
        yield
