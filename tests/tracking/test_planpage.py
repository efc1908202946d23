"""The page about a sweep that has not begun: it says why it would not, and its pictures are drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fcray.spec import ARTICLE_DEFAULTS, LoraConfig
from fcray.tracking import planpage

from .test_report_in_browser import BROWSER, FRAME, PROBE, opened

SAMPLES = [
    LoraConfig(rank=rank, learning_rate=rate, shares=shares).model_dump()
    for rank, rate, shares in (
        (8, 1e-3, (0.1, 0.2, 0.7)),
        (16, 2e-3, (0.5, 0.25, 0.25)),
        (32, 5e-4, (0.0, 1.0, 0.0)),
    )
]


def rendered(refused: tuple[str, ...] = ()) -> str:
    return planpage.render(
        "a <b>sweep",
        [("model", "tiny"), ("steps of a trial", "8")],
        [("rank", "8 | 16")],
        refused,
        SAMPLES,
        [ARTICLE_DEFAULTS.model_dump()],
    )


def test_what_is_refused_stands_first() -> None:
    page = rendered(("sampler.kind: cannot be imported",))
    assert page.index("cannot be imported") < page.index("steps of a trial")
    assert "Refused" not in rendered()


def test_the_page_loads_nothing_and_escapes_names() -> None:
    page = rendered()
    assert "a <b>sweep" not in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page.partition("<script")[0])


def test_a_plan_without_samples_has_no_pictures() -> None:
    page = planpage.render("s", [("model", "tiny")], [], ["no space"], [], [])
    assert 'data-plot="' not in page


@pytest.mark.skipif(BROWSER is None, reason="the plan was NOT tried in a browser: there is none")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pictures_are_drawn(tmp_path: Path, width: int) -> None:
    (tmp_path / "report.html").write_text(rendered() + PROBE, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    dom, console = opened(tmp_path / "frame.html", tmp_path / "profile")
    assert console == []
    assert f"[over=0 wide={width} drawn=2 cut=0]" in dom.replace('"', "")
