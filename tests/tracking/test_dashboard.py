"""The dashboard: its panels name what is swept and logged, and what is missing is said in one sentence.

W&B's server is a stand-in that keeps what it is sent; how W&B's app shows it cannot be tested here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from typer.testing import CliRunner

from fcray import cli
from fcray.errors import FcrayError, UserError
from fcray.spec import SweepSpec
from fcray.tracking import dashboard
from fcray.tracking.wandb_run import BEST

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "sweeps" / "quickstart.yaml"
SPECS = sorted((ROOT / "sweeps").glob("*.yaml"))
MEAN = ("intent_accuracy", "argument_f1")
SHARES = ["share_intent", "share_arguments", "share_joint"]

MANY = """
search:
  rank: {choice: [8, 16]}
  dora: {choice: [false, true]}
  dropout: {uniform: [0.0, 0.2], when: {dora: true}}
  lora_plus: {log_uniform: [1.0, 16.0], when: {rank: [8, 16]}}
  shares: {choice: [[0.3, 0.4, 0.3], [0.0, 0.0, 1.0]]}
objective: [argument_f1, latency_p95, intent_accuracy]
"""


def spec_with(folder: Path, search: str) -> Path:
    """The quickstart's spec with another search, and what else `search` holds."""
    text = QUICKSTART.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    head, tail = text[: text.index("search:")], text[text.index("training:") :]
    path = folder / "spec.yaml"
    path.write_text(head + tail + search, encoding="utf-8")
    return path


def sent(view: Any) -> dict[str, Any]:
    """What W&B is sent of a workspace or a report."""
    document: dict[str, Any] = json.loads(
        view._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    )
    return document


def sections(spec: SweepSpec) -> dict[str, list[dict[str, Any]]]:
    """Name of a workspace's section → its panels."""
    bank = sent(dashboard.workspace(spec, "someone"))["section"]["panelBankConfig"]
    return {one["name"]: one["panels"] for one in bank["sections"]}


def of_type(panels: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one["config"] for one in panels if one["viewType"] == kind]


def accessors(spec: SweepSpec) -> list[str]:
    (plot,) = of_type(sections(spec)["Compare"], "Parallel Coordinates Plot")
    return [column["accessor"] for column in plot["columns"]]


def lines(panels: list[dict[str, Any]]) -> list[str]:
    plots = of_type(panels, "Run History Line Plot")
    assert {plot["xAxis"] for plot in plots} == {"global_step"}
    return [name for plot in plots for name in plot["metrics"]]


def summary(name: str) -> str:
    """How the app names a metric of which a best value is kept, and one of which the last is."""
    return f"summary:{name}.{BEST[name]}" if name in BEST else f"summary:{name}"


class Server:
    """W&B, as its client sees it: one project, and whatever is saved in it."""

    def __init__(self, project: str = "fcray", entity: str | None = "someone") -> None:
        self.project, self.default_entity = project, entity
        self.settings = {"entity": None}
        self.saved: list[dict[str, Any]] = []
        self._service_api = self
        self.app_url = "https://wandb.example/"

    def __call__(self) -> Server:
        return self

    def projects(self, entity: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=self.project)]

    def execute_graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" not in query:
            return {"project": {"id": "p", "internalId": "1"}}
        self.saved.append(variables)
        about = {key: variables[key] for key in ("name", "displayName", "description", "spec")}
        project = {"id": "p", "name": "fcray", "entityName": variables["entityName"]}
        return {"upsertView": {"view": {"id": "Vm", "project": project, **about}}}


@pytest.fixture(autouse=True)
def _no_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left as it was found: the command looks for an account whatever it says."""
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(wandb, "Api", made)
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    return made


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_project_has_its_swept_fields_as_axes(path: Path) -> None:
    spec = SweepSpec.read(path)
    swept = [name for name, _ in spec.search.domains()]
    if not swept:
        kinds = [panel["viewType"] for panel in sections(spec)["Compare"]]
        assert kinds == ["Scatter Plot", "Run Comparer"]
        return
    found = [axis for axis in accessors(spec) if axis.startswith("config:")]
    names = [one for name in swept for one in (SHARES if name == "shares" else [name])]
    assert found == [f"config:{name}.value" for name in names]


def test_the_quickstarts_mean_is_the_last_axis_and_what_fields_matter_for() -> None:
    spec = SweepSpec.read(QUICKSTART)
    panels = sections(spec)["Compare"]
    (plot,) = of_type(panels, "Parallel Coordinates Plot")
    assert [axis for axis in accessors(spec) if axis.startswith("summary:")] == [
        "summary:intent_accuracy.max",
        "summary:argument_f1.max",
        summary("objective"),
    ]
    by_name = {column["accessor"]: column for column in plot["columns"]}
    assert by_name["config:learning_rate.value"]["log"] is True
    assert "log" not in by_name["config:rank.value"]
    (importance,) = of_type(panels, "Parameter Importance")
    assert importance["targetKey"] == summary("objective").removeprefix("summary:")
    (scatter,) = of_type(panels, "Scatter Plot")
    assert (scatter["xAxis"], scatter["yAxis"]) == ("summary:latency_p50", summary("objective"))


def test_several_goals_and_conditions(tmp_path: Path) -> None:
    spec = SweepSpec.read(spec_with(tmp_path, MANY))
    panels = sections(spec)["Compare"]
    fields = ["rank", "dropout", *SHARES, "dora", "lora_plus"]
    goals = ["summary:latency_p95", "summary:intent_accuracy.max", "summary:argument_f1.max"]
    assert accessors(spec) == [*(f"config:{name}.value" for name in fields), *goals]
    (plot,) = of_type(panels, "Parallel Coordinates Plot")
    turned = [column["accessor"] for column in plot["columns"] if column.get("inverted")]
    assert turned == ["summary:latency_p95"]
    (importance,) = of_type(panels, "Parameter Importance")
    assert importance["targetKey"] == "argument_f1.max"
    scatters = of_type(panels, "Scatter Plot")
    assert [plot["xAxis"] for plot in scatters] == goals[:2]
    assert {plot["yAxis"] for plot in scatters} == {"summary:argument_f1.max"}


@pytest.mark.parametrize(
    ("objective", "named"),
    [
        ("frame_accuracy", ["frame_accuracy"]),
        ("mean", [*MEAN, "objective"]),
        ({"mean": 1.0, "frame_accuracy": 2.0}, [*MEAN, "frame_accuracy", "objective"]),
        (("mean", "adapter_mebibytes"), [*MEAN, "adapter_mebibytes", "objective"]),
        (("intent_accuracy", "mean"), ["argument_f1", "intent_accuracy"]),
    ],
)
def test_an_objective_is_shown_with_what_it_is_made_of(objective: Any, named: list[str]) -> None:
    spec = SweepSpec.read(QUICKSTART).with_changes(objective=objective)
    found = [axis for axis in accessors(spec) if axis.startswith("summary:")]
    assert found == [summary(name) for name in named]


def test_curves_are_of_what_is_logged() -> None:
    found = sections(SweepSpec.read(ROOT / "sweeps" / "qwen2.5-7b-a100.yaml"))
    metrics = ["intent_accuracy", "argument_f1", "frame_accuracy"]
    assert lines(found["Learning curves"]) == ["objective", *metrics, "learning_rate"]
    losses = ["loss", "loss/intent", "loss/arguments", "loss/joint"]
    assert lines(found["By stage"]) == [*losses, "stage"]
    groups = lines(found["By language and kind"])
    assert {"intent_accuracy/language/zh", "argument_f1/language/en"} <= set(groups)
    assert {"intent_accuracy/kind/call", "argument_f1/kind/slot_filling"} <= set(groups)
    assert not [name for name in groups if "/kind/" in name and name.endswith("/")]


def test_the_quickstart_has_two_kinds_of_rows() -> None:
    groups = lines(sections(SweepSpec.read(QUICKSTART))["By language and kind"])
    kinds = {name.rsplit("/", 1)[1] for name in groups if "/kind/" in name}
    assert kinds == {"call", "irrelevant"}


def test_only_the_sweeps_trials_are_shown_and_the_best_come_first() -> None:
    spec = SweepSpec.read(QUICKSTART)
    (runs,) = sent(dashboard.workspace(spec, "someone"))["section"]["runSets"]
    conditions = [(one["key"], one["op"], one["value"]) for one in runs["filters"]["filters"]]
    assert conditions == [
        ({"section": "run", "name": "group"}, "=", "quickstart"),
        ({"section": "run", "name": "jobType"}, "=", "trial"),
    ]
    assert runs["filters"]["filters"][1]["connector"] == "AND"
    assert runs["grouping"] == []
    name = summary("objective").removeprefix("summary:")
    assert runs["sort"]["keys"] == [
        {"key": {"section": "summary", "name": name}, "ascending": False}
    ]
    assert "config:rank.value" in runs["runFeed"]["columnOrder"]


def test_the_report_has_the_workspaces_panels(server: Server) -> None:
    spec = SweepSpec.read(QUICKSTART)
    blocks = sent(dashboard.report(spec, "someone"))["blocks"]
    titles = [one["children"][0]["text"] for one in blocks if one["type"] == "heading"]
    of_workspace = sections(spec)
    assert titles == ["The sweep", *of_workspace]
    assert [one["type"] for one in blocks][1] == "table-of-contents"
    text = json.dumps([one for one in blocks if one["type"] == "list"])
    for word in ("quickstart", "smollm2-135m-instruct", "up to 4", "mean of intent accuracy"):
        assert word in text
    grids = [one["metadata"] for one in blocks if one["type"] == "panel-grid"]
    for grid, panels in zip(grids, of_workspace.values(), strict=True):
        held = grid["panelBankSectionConfig"]["panels"]
        assert [one["config"] for one in held] == [one["config"] for one in panels]
        (runs,) = grid["runSets"]
        assert runs["project"]["name"] == "fcray"
        assert [one["value"] for one in runs["filters"]["filters"]] == ["quickstart", "trial"]


def test_a_reports_panels_do_not_overlap(server: Server) -> None:
    spec = SweepSpec.read(QUICKSTART)
    for block in sent(dashboard.report(spec, "someone"))["blocks"]:
        if block["type"] != "panel-grid":
            continue
        taken: set[tuple[int, int]] = set()
        for panel in block["metadata"]["panelBankSectionConfig"]["panels"]:
            at = panel["layout"]
            places = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not taken & places
            assert max(x for x, _ in places) < dashboard.WIDTH
            taken |= places


def test_both_views_are_saved_and_their_places_printed(server: Server) -> None:
    done = CliRunner().invoke(cli.app, ["dashboard", str(QUICKSTART), "--json"])
    assert done.exit_code == 0, done.output
    links = json.loads(done.stdout)
    assert set(links) == {"workspace", "report"}
    assert links["report"].startswith("https://wandb.example/someone/fcray/reports/")
    assert links["workspace"].startswith("https://wandb.example/someone/fcray?nw=")
    assert {one["type"] for one in server.saved} == {"runs", "project-view"}
    assert {one["entityName"] for one in server.saved} == {"someone"}
    folder = Path("runs").resolve() / "quickstart"
    assert f"wandb sync {folder}/wandb/offline-run-*" in done.stderr

    done = CliRunner().invoke(cli.app, ["dashboard", str(QUICKSTART), "--entity", "team"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("workspace: https://wandb.example/team/fcray")
    assert server.saved[-1]["entityName"] == "team"


def test_an_account_without_the_project_is_told_to_send_runs(server: Server) -> None:
    spec = SweepSpec.read(QUICKSTART)
    server.project = "another"
    with pytest.raises(UserError, match=r"no project someone/fcray yet.*wandb sync runs/a/wandb"):
        dashboard.publish(spec, Path("runs/a"))
    server.default_entity = None
    with pytest.raises(UserError, match="--entity: W&B knows no default"):
        dashboard.publish(spec, Path("runs/a"))
    assert server.saved == []


@pytest.mark.parametrize("where", ["projects", "execute_graphql"])
def test_a_server_that_fails_is_one_sentence(
    where: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise wandb.errors.CommError("no such host\nand a long story")

    monkeypatch.setattr(server, where, fail)
    with pytest.raises(FcrayError) as caught:
        dashboard.publish(SweepSpec.read(QUICKSTART), Path("runs/a"))
    assert str(caught.value) == "W&B did not make the dashboard: no such host"
    assert caught.value.exit_code == 1


def test_a_key_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise wandb.errors.AuthenticationError("API key must have 40+ characters, has 3.")

    monkeypatch.setattr(wandb, "login", refuse)
    with pytest.raises(UserError, match=r"its key \(API key must.*has 3\); `wandb login`"):
        dashboard.publish(SweepSpec.read(QUICKSTART), Path("runs/a"))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    done = CliRunner().invoke(cli.app, ["dashboard", str(QUICKSTART)])
    assert isinstance(done.exception, UserError)
    assert "pip install 'fcray[dashboard]'" in str(done.exception)


def test_a_sweep_that_is_not_tracked_has_nothing_to_show(tmp_path: Path) -> None:
    text = QUICKSTART.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    path = tmp_path / "spec.yaml"
    path.write_text(text + "tracking:\n  wandb: disabled\n", encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["dashboard", str(path)])
    assert isinstance(done.exception, UserError)
    assert done.exception.line == text.count("\n") + 2
    assert "tracking.wandb: is disabled, so W&B has nothing to show" in str(done.exception)


@pytest.mark.parametrize("mode", ["", "offline"])
def test_without_an_account_it_says_what_to_do(mode: str, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") and k != "NETRC"}
    extra = {"WANDB_MODE": mode} if mode else {}
    done = subprocess.run(
        [sys.executable, "-m", "fcray.cli", "dashboard", str(QUICKSTART)],
        env={**kept, **extra, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fcray: W&B knows no account here")
    assert done.stderr.count("\n") == 1
    run = tmp_path.resolve() / "runs" / "quickstart"
    for way in ("login", f"sync {run}/wandb/offline-run-*", f"leet {run}/wandb"):
        assert f"`wandb {way}`" in done.stderr
    assert f"`fcray report {run}`" in done.stderr


def test_with_runs_offline_an_account_is_still_found(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from fcray.tracking import dashboard
dashboard._check_account(Path("runs/a"))
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    (tmp_path / ".netrc").write_text(f"machine wandb.example login user password {'a' * 40}\n")
    about = {"WANDB_MODE": "offline", "WANDB_BASE_URL": "https://wandb.example"}
    home = {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc"), "WANDB_SILENT": "true"}
    subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **about, **home, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
