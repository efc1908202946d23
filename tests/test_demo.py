"""The demo from the catalog to served answers, with a tiny random model."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.console_progress import Progress
from fcray.demo import next_steps, run_demo
from fcray.registry import CHAMPION, Registry
from fcray.spec import BudgetSpec, ServingSpec
from tests.processes import free_port, listens
from tests.sweeps import tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]


def test_the_demo_ends_with_served_answers(tiny_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    spec = tiny_spec(
        tiny_folder,
        tmp_path,
        budget=BudgetSpec(trials=1),
        serving=ServingSpec(port=port, max_tokens=16),
    )
    with Progress(quiet=True) as progress:
        record = run_demo(spec, progress)
    assert record.promoted is not None
    registry = Registry(spec.promotion.registry)
    assert registry.aliases() == {CHAMPION: record.promoted.version}
    assert record.promoted.path == registry.where(record.promoted.version)
    assert {one.language for one in record.served} == {"zh", "en"}
    assert all(one.seconds for one in record.served)
    assert [one.needed for one in record.conditions] == ["0.0%", "0.0%"]
    assert list(record.phases) == [
        "data",
        "before",
        "sweep",
        "promote",
        "deploy",
        "calls",
        "report",
    ]
    assert not listens(port)
    assert "fcray serve" in next_steps(spec, record)
