"""The page: which sections it has, and that no text of a run becomes markup or script."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from fcray.tools import ToolCall
from fcray.tracking.record import MistakeRecord, RunRecord, ScoreRecord, ServedRecord, TrialRecord
from fcray.tracking.report import render, write_report

from .records import full, trial
from .test_markup import Reader

SECTIONS = [
    "targets",
    "promotion",
    "trials",
    "learning-curves",
    "search-space",
    "time",
    "served-requests",
    "wrong-answers",
    "how-it-was-run",
]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--"


def shown_sections(page: str) -> list[str]:
    return [value or "" for name, value in Reader(page).attributes if name == "id"]


def hostile(value: Any) -> Any:
    """`value` with every text in it, keys of free mappings too, made hostile."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def hostile_record() -> RunRecord:
    data = hostile(json.loads(full().to_json()))
    for kept, was in zip(data["trials"], full().trials, strict=True):
        kept["status"] = was.status
    data |= {"date": None, "objective": "mean"}
    for free in ("machine", "versions", "phases", "paths"):
        data[free] = {HOSTILE: next(iter(data[free].values()))}
    return RunRecord.model_validate(data)


def test_a_full_record_has_every_section(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", full())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [name for name in shown_sections(page) if name != "figures"] == SECTIONS
    assert page.count("data-plot=") == 12
    for text in (
        "96.9%",
        "32–52% → 91–99%",
        "function_call_v1",
        "6 min 47 s",
        "明天上午九点提醒我开会",
    ):
        assert text in page


def test_the_page_loads_nothing() -> None:
    page = Reader(render(full()))
    assert not {"link", "iframe", "img"} & set(page.tags)
    assert "src" not in dict(page.attributes)
    policies = [value for name, value in page.attributes if name == "content"]
    assert any(policy and policy.startswith("default-src 'none';") for policy in policies)


def test_an_empty_record_says_so_and_holds_no_plot_library() -> None:
    page = render(RunRecord(name="demo"))
    assert shown_sections(page) == []
    assert "Nothing has been measured yet." in page
    assert len(page) < 20_000


@pytest.mark.parametrize(
    ("run", "sections"),
    [
        (RunRecord(name="a", phases={"data": 1.0}), ["time"]),
        (RunRecord(name="a", served=[ServedRecord(request="?")]), ["served-requests"]),
        (RunRecord(name="a", trials=[TrialRecord(number=0)]), ["trials"]),
        (RunRecord(name="a", paths={"report": "r"}), ["how-it-was-run"]),
    ],
)
def test_sections_without_data_are_left_out(run: RunRecord, sections: list[str]) -> None:
    assert [name for name in shown_sections(render(run)) if name != "figures"] == sections


def test_failed_trials_and_nan_scores_leave_valid_json() -> None:
    run = full()
    run.trials.append(trial(5, "failed", 0))
    run.trials[0].scores["argument_f1"] = math.nan
    run.trials[1].curve[0].seconds = math.nan
    run.trials[1].losses[0].loss = math.inf
    run.trials[2].config["learning_rate"] = math.nan
    run.after = ScoreRecord(intent_accuracy=math.nan, argument_f1=0.5)
    page = render(run)
    data = page.split('id="figures">')[1].split("</script>")[0]

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert len(json.loads(data, parse_constant=refuse)) == 12


def test_no_text_of_a_run_becomes_markup() -> None:
    page, calm = Reader(render(hostile_record())), Reader(render(full()))
    assert set(page.tags) <= set(calm.tags)
    assert page.tags.count("script") == calm.tags.count("script") == 3
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) > 20


def test_what_differs_between_two_calls_is_marked() -> None:
    gold = ToolCall(name="remind", arguments={"title": "开会", "at": 9})
    wrong = ToolCall(name="remind", arguments={"title": "会", "at": 9})
    page = render(RunRecord(name="a", mistakes=[_mistake([gold], [wrong])]))
    assert "remind(<mark>title=&quot;开会&quot;</mark>, at=9)" in page
    assert "remind(<mark>title=&quot;会&quot;</mark>, at=9)" in page
    page = render(RunRecord(name="a", mistakes=[_mistake([gold], [])]))
    assert "<mark>remind</mark>(" in page
    assert "no call" in page


def test_what_is_left_out_of_a_long_list_is_said() -> None:
    run = RunRecord(name="a", served=[ServedRecord(request=f"request {i}") for i in range(130)])
    page = render(run)
    assert "request 99" in page
    assert "request 100" not in page
    assert "The first 100 of 130" in page


def test_a_write_that_fails_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_report(path, RunRecord(name="old"))

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(path, RunRecord(name="new"))
    assert "<h1>old</h1>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def _mistake(gold: list[ToolCall], predicted: list[ToolCall]) -> MistakeRecord:
    return MistakeRecord(request="?", gold=gold, predicted=predicted)
