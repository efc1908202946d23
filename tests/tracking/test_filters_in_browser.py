"""The filters of both pages in a browser: they combine, and say how many rows are left.

Needs Chromium or Chrome on the path; skipped, with that reason, where there is none.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fcray.tracking import datapage, scorepage
from fcray.tracking.report import asset

from .test_datapage import summary
from .test_markup import Reader
from .test_report_in_browser import BROWSER, opened
from .test_scorepage import ABOUT, OUTCOMES, bfcl, faults, split

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="the filters were NOT tried in a browser: there is none on the path"
)

Step = dict[str, str]

DRIVER = """<output></output><script>
const told = [];
const tell = () => told.push({
  said: document.getElementById("left").textContent,
  rows: [...document.querySelectorAll("li")].filter((row) => row.offsetParent)
    .map((row) => ({ ...row.dataset })),
});
const set = (one, value, kind) => { one.value = value; one.dispatchEvent(new Event(kind)); };
tell();
for (const step of STEPS) {
  for (const one of document.querySelectorAll("[data-filter]"))
    set(one, step[one.dataset.filter] ?? "", "change");
  const search = document.getElementById("search");
  if (search) set(search, step.search ?? "", "input");
  tell();
}
document.querySelector("output").append(JSON.stringify(told));
</script>"""


def scores() -> str:
    return scorepage.render(ABOUT, [split(OUTCOMES), faults(), bfcl()])


def data() -> str:
    return datapage.render("quick", summary())


def left(page: str, steps: list[Step], folder: Path) -> tuple[list[int], int]:
    """How many rows the page shows at each step, and of how many; what is shown is what was asked.

    The page itself has to say the same numbers and to write nothing to the console.
    """
    driver = DRIVER.replace("STEPS", json.dumps(steps))
    (folder / "page.html").write_text(page + driver, encoding="utf-8")
    dom, console = opened(folder / "page.html", folder / "profile")
    assert console == []
    (text,) = re.findall(r"<output>(.*?)</output>", dom, re.DOTALL)
    told = json.loads(html.unescape(text))
    total = len(told[0]["rows"])
    assert told[0]["said"] == f"{total} of {total}"
    for step, now in zip(steps, told[1:], strict=True):
        assert now["said"] == f"{len(now['rows'])} of {total}"
        for name in step.keys() - {"search"}:
            assert all(step[name] in row[name].split("\n") for row in now["rows"])
    return [len(now["rows"]) for now in told[1:]], total


@needs_browser
def test_wrong_answers_are_filtered_and_searched(tmp_path: Path) -> None:
    steps: list[tuple[Step, int]] = [
        ({"language": "zh"}, 2),
        ({"function": "none"}, 2),
        ({"suite": "bfcl"}, 7),
        ({"suite": "bfcl", "kind": "multiple"}, 1),
        ({"suite": "split", "kind": "multiple"}, 0),
        ({"search": "WHO ARE"}, 1),
        ({"search": "who are", "language": "zh"}, 0),
        ({"search": "nobody says this"}, 0),
        ({}, 11),
    ]
    counts, total = left(scores(), [step for step, _ in steps], tmp_path)
    assert counts == [count for _, count in steps]
    assert total == 11


@needs_browser
def test_samples_are_filtered(tmp_path: Path) -> None:
    kept = {key: len(rows) for key, rows in summary().samples.items()}
    domain, language, kind = key = max(kept)
    steps: list[tuple[Step, int]] = [
        ({"domain": domain}, sum(n for one, n in kept.items() if one[0] == domain)),
        ({"language": language}, sum(n for one, n in kept.items() if one[1] == language)),
        ({"kind": kind}, sum(n for one, n in kept.items() if one[2] == kind)),
        ({"domain": domain, "language": language, "kind": kind}, kept[key]),
        ({"domain": "chat", "kind": "parallel"}, 0),
        ({}, sum(kept.values())),
    ]
    counts, total = left(data(), [step for step, _ in steps], tmp_path)
    assert counts == [count for _, count in steps]
    assert 0 < counts[3] < min(counts[:3]) < total == sum(kept.values())


@pytest.mark.parametrize(("render", "fields"), [(scores, 1), (data, 0)], ids=["scores", "data"])
def test_nothing_is_hidden_before_the_script_runs(render: Callable[[], str], fields: int) -> None:
    page = render()
    read = Reader(page)
    assert "hidden" not in {name for name, _ in read.attributes}
    assert read.tags.count("input") == fields
    assert read.tags.count("script") == 1
    assert asset("filter.js") in page
