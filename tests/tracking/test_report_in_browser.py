"""The page in a browser: its plots are drawn, nothing is logged, nothing runs over the side.

Needs Chromium or Chrome on the path; skipped, with that reason, where there is none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fcray.tracking.record import RunRecord
from fcray.tracking.report import write_report

from .records import full
from .test_report import hostile_record

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"the report was NOT tried in a browser: none of {', '.join(NAMES)}"
)

# A page from a file may not look into another's frame, so the framed page tells of itself.
PROBE = """<script>addEventListener("load", () => parent.postMessage(
  "over=" + (document.documentElement.scrollWidth - document.documentElement.clientWidth)
  + " wide=" + innerWidth
  + " drawn=" + [...document.querySelectorAll(".plot")].filter(
      (plot) => plot.querySelector("svg.main-svg .trace, svg.main-svg .point")).length
  + " cut=" + [...document.querySelectorAll("section, .tile, figure, .scroll")].filter(
      (box) => box.getBoundingClientRect().right > innerWidth).length, "*"))</script>"""
FRAME = """<!doctype html><iframe src="report.html" style="width:{width}px;height:2000px"></iframe>
<output></output><script>addEventListener("message",
  (event) => document.querySelector("output").append("[", event.data, "]"))</script>"""


def opened(page: Path | str, profile: Path) -> tuple[str, list[str]]:
    """The page's DOM once it is at rest, and what it wrote to the console."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", "--virtual-time-budget=10000", "--enable-logging=stderr"),
            f"--user-data-dir={profile}",
            "--dump-dom",
            page if isinstance(page, str) else page.as_uri(),
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )
    log = done.stderr.decode(errors="replace").splitlines()
    return done.stdout.decode(), [line for line in log if ":CONSOLE" in line]


@pytest.mark.parametrize("run", [full(), hostile_record()], ids=["full", "hostile"])
def test_every_plot_is_drawn_without_a_word(run: RunRecord, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", run)
    dom, console = opened(tmp_path / "report.html", tmp_path / "profile")
    assert console == []
    plots = 12 if isinstance(run.objective, list) else 11
    assert len(re.findall(r'class="plot[^"]*js-plotly-plot"', dom)) == plots
    assert dom.count('class="main-svg"') >= plots
    assert "明天上午九点提醒我开会" in dom or run.name != "demo"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_runs_over_the_side(width: int, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, full())
    page.write_text(page.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    dom, console = opened(tmp_path / "frame.html", tmp_path / "profile")
    assert console == []
    assert f"[over=0 wide={width} drawn=12 cut=0]" in dom.replace('"', "")


def test_an_empty_page_opens(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", RunRecord(name="demo"))
    dom, console = opened(tmp_path / "report.html", tmp_path / "profile")
    assert console == []
    assert "Nothing has been measured yet." in dom
