"""The page about a dataset: what it says, and that it loads nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fcray.dataset.audit import Audit
from fcray.dataset.build import ORDER, build_from
from fcray.dataset.summary import SAMPLES, Summary
from fcray.spec import DataSpec
from fcray.tools import Message
from fcray.tracking import datapage
from tests.dataset.catalogs import DATA, shipped

from .test_report_in_browser import BROWSER, FRAME, PROBE, opened


def summary() -> Summary:
    made = Summary()
    dataset = build_from(DataSpec(catalogs=(str(DATA),), train=300), shipped())
    for split in ORDER:
        for row in dataset.rows(split):
            made.add(split, row)
    return made


def test_the_page_counts_every_row_and_shows_some() -> None:
    made = summary()
    page = datapage.render("quick", made, notes=("a note",), sha256="abc")
    assert f"{made.rows} rows" in page
    assert "a note" in page
    assert "sha256 abc" in page
    for kind in ("missing", "parallel", "unseen_value", "irrelevant"):
        assert kind in page
    samples = page.count("data-domain=")
    assert samples == sum(len(rows) for rows in made.samples.values())
    assert max(len(rows) for rows in made.samples.values()) == SAMPLES
    assert made.splits["train"].rows == sum(made.splits["train"].by(lambda c: c.language).values())


def test_the_page_loads_nothing_and_escapes_what_rows_say() -> None:
    made = Summary()
    row = build_from(DataSpec(catalogs=(str(DATA),), train=20), shipped()).train[0]
    said = Message(role="user", content="<script>alert(1)</script> & more")
    made.add("train", row.model_copy(update={"messages": (said,)}))
    page = datapage.render("<b>", made)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=", page)


def test_what_was_turned_away_is_shown_with_its_reason() -> None:
    audit = Audit(rows=3, accepted=2)
    audit.reject_row("train-7", "near-duplicate", "says nearly the same as test-1 in test")
    page = datapage.render("x", summary(), audits={"train": audit})
    assert "near-duplicate" in page
    assert "says nearly the same as test-1 in test" in page


@pytest.mark.skipif(BROWSER is None, reason="the page was NOT tried in a browser: there is none")
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_over_the_side(width: int, tmp_path: Path) -> None:
    made = summary()
    row = next(example for rows in made.samples.values() for _, example in rows)
    origin = row.origin.model_copy(update={"domain": "d" * 80, "kind": "k" * 80})
    said = Message(role="user", content="w" * 300)
    made.add("train", row.model_copy(update={"origin": origin, "messages": (said,)}))
    page = tmp_path / "report.html"
    page.write_text(datapage.render("t" * 80, made, sha256="a" * 64) + PROBE, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    dom, console = opened(tmp_path / "frame.html", tmp_path / "profile")
    assert console == []
    assert f"[over=0 wide={width} drawn=0 cut=0]" in dom.replace('"', "")
