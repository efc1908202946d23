"""`fcray evaluate` with a pool that answers by rule: what is asked, what is said, what is written."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fcray.cli import app
from fcray.errors import FcrayError, UserError
from fcray.evaluation import pool, suites
from fcray.evaluation.bfcl import CATEGORIES, Case
from fcray.metrics import FAULTS, Outcome
from fcray.registry import Registry
from fcray.spec import SweepSpec
from fcray.sweep import session
from fcray.sweep.run import find_folder, make_folder
from fcray.tools import Example, ToolCall
from tests.examples import example, weather
from tests.test_registry import FACTS

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "sweeps" / "quickstart.yaml"


@dataclass
class Pools:
    """What was asked of the pools that were made in a test."""

    configs: list[pool.PoolConfig] = field(default_factory=list)
    sizes: list[list[int]] = field(default_factory=list)
    adapters: list[Any] = field(default_factory=list)
    max_tokens: list[int] = field(default_factory=list)
    closed: int = 0
    lost: int = 0
    failures: tuple[str, ...] = ()


def answer(request: Example, number: int) -> Outcome:
    """Right, but for every fourth request, which is answered with words."""
    calls = request.calls if number % 4 else ()
    text = "Sorry, that failed." if not calls else "<tool_call>"
    return Outcome(
        example=request, calls=calls, text=text, valid=True, seconds=0.5, completion_tokens=10
    )


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    made = Pools()

    class Pool:
        def __init__(
            self, config: pool.PoolConfig, splits: Mapping[str, Sequence[Example]]
        ) -> None:
            made.configs.append(config)
            made.sizes.append([len(examples) for examples in splits.values()])
            self._splits = splits

        def wait_ready(self) -> None:
            pass

        def run(
            self, adapter: Any, split: str, *, max_tokens: int, advance: Callable[[int], None]
        ) -> pool.PoolResult:
            made.adapters.append(adapter)
            made.max_tokens.append(max_tokens)
            advance(len(self._splits[split]))
            found = [answer(one, i) for i, one in enumerate(self._splits[split])]
            return pool.PoolResult(tuple(found[made.lost :]), made.failures)

        def close(self) -> None:
            made.closed += 1

    monkeypatch.setattr(pool, "EvaluationPool", Pool)
    monkeypatch.setattr(session, "ray_session", nullcontext)
    return made


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Case]]:
    """Three made-up questions for every category of BFCL."""
    tool = {
        "name": "get_weather",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    asked = example("weather in Rome", weather(city="Rome"))
    cases = {
        category: [
            Case(
                asked.model_copy(
                    update={
                        "id": f"{category}_{number}",
                        "calls": () if category == "irrelevance" else asked.calls,
                        "origin": asked.origin.model_copy(update={"kind": category}),
                    }
                ),
                (tool,),
                () if category == "irrelevance" else ({"get_weather": {"city": ["Rome"]}},),
            )
            for number in range(3)
        ]
        for category in CATEGORIES
    }
    monkeypatch.setattr(suites, "bfcl_cases", lambda: cases)
    return cases


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The quickstart with little data."""
    text = QUICKSTART.read_text(encoding="utf-8").replace("../data", str(ROOT / "data"))
    path = tmp_path / "spec.yaml"
    path.write_text(text.replace("train: 2000", "train: 80"), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert list((tmp_path / "here").iterdir()) == []


def run(*arguments: object) -> str:
    """Standard output of a run that ends well."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def refused(*arguments: object) -> str:
    """What is said of a user's mistake."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(done.exception, UserError), done.output
    assert done.exception.exit_code == 2
    return str(done.exception)


def test_the_base_on_the_specs_own_split(pools: Pools, spec: Path) -> None:
    read = json.loads(run(spec, "--json"))
    assert (read["base"], read["adapter"], read["limit"]) == ("smollm2-135m-instruct", None, None)
    found = read["suites"]["split"]
    assert (found["data"], found["examples"], found["of"]) == ("test of quickstart", 96, 96)
    assert found["part"] is False
    assert 0.7 < found["scores"]["intent_accuracy"] < 0.9
    assert {"intent_accuracy", "schema_validity", "tool_coverage"} < set(
        found["scores"]["intervals"]
    )
    assert found["wrong"] == round(96 * (1 - found["scores"]["frame_accuracy"]))
    assert set(found["groups"]) == {"language", "domain", "kind"}
    for groups in found["groups"].values():
        assert sum(one["examples"] for one in groups.values()) == 96
        assert all(one["intervals"]["frame_accuracy"] for one in groups.values())
    (config,) = pools.configs
    assert config.storage == "packed"
    assert config.evaluation == SweepSpec.read(spec).evaluation
    assert pools.sizes == [[96]]
    assert set(pools.adapters) == {None}
    assert pools.closed == 1


def test_tables_for_people(pools: Pools, spec: Path) -> None:
    said = run(spec, "--split", "validation", "--limit", 10)
    assert "validation of quickstart: a part, the first 10, 10 of 48 requests" in said
    for part in ("Intent accuracy", "95 % interval", "By language", "By domain", "By kind",
                 "By tool", "Latency P95", "Tokens per second", "wrong answers"):  # fmt: skip
        assert part in said
    assert "page:" not in said


def test_a_version_brings_its_spec(pools: Pools, spec: Path, adapter: Path, tmp_path: Path) -> None:
    made = SweepSpec.read(spec)
    registry = Registry(tmp_path / "registry")
    registry.add("call", adapter, {**FACTS, "spec": made.model_dump(mode="json")})
    registry.point("champion", "call_v1")
    for named in ("champion", Path(registry.url) / "call_v1"):
        pools.adapters.clear()
        options = ["--registry", registry.url] if named == "champion" else []
        read = json.loads(run("--adapter", named, *options, "--limit", 3, "--json"))
        assert read["base"] == "smollm2-135m-instruct"
        assert read["adapter"] == ("call_v1" if named == "champion" else str(named))
        assert read["suites"]["split"]["data"] == "test of quickstart"
        assert pools.adapters[0]["adapter_model.safetensors"] == b"weights"


def test_rows_of_a_file_and_of_a_folder(pools: Pools, spec: Path, tmp_path: Path) -> None:
    built = tmp_path / "built"
    done = CliRunner().invoke(app, ["data", "build", str(spec), "--out", str(built)])
    assert done.exit_code == 0, done.output
    wanted = json.loads(run(spec, "--json"))["suites"]["split"]["scores"]
    for data, source in (
        (built, f"test of {built}"),
        (built / "test.jsonl", f"{built}/test.jsonl"),
    ):
        read = json.loads(run(spec, "--data", data, "--json"))
        assert read["data"] == str(data)
        assert read["suites"]["split"]["data"] == source
        assert read["suites"]["split"]["scores"] == wanted
    said = refused(spec, "--data", built, "--split", "test_values")
    assert f"--split: {built} has no split 'test_values'; it has validation, test" in said
    assert "--split: " in refused(spec, "--data", built / "test.jsonl", "--split", "test")


def test_all_suites_on_one_page(
    pools: Pools, questions: dict[str, list[Case]], spec: Path, tmp_path: Path
) -> None:
    page = tmp_path / "pages" / "scores.html"
    arguments = (
        spec,
        "--suite",
        "split",
        "--suite",
        "faults",
        "--suite",
        "bfcl",
        "--suite",
        "split",
    )
    read = json.loads(run(*arguments, "--limit", 2, "--html", page, "--json"))
    assert list(read["suites"]) == ["split", "faults", "bfcl"]
    assert read["limit"] == 2
    faults, bfcl = read["suites"]["faults"], read["suites"]["bfcl"]
    assert list(faults["recovery"]["kind"]) == list(FAULTS)
    assert {one["cases"] for one in faults["recovery"]["kind"].values()} == {2}
    assert set(faults["recovery"]["language"]) == {"zh", "en"}
    assert faults["part"] is bfcl["part"] is True
    assert {one["cases"] for one in bfcl["bfcl"]["categories"].values()} == {2}
    assert 0 < bfcl["bfcl"]["non_live_ast"] < 1
    usual = SweepSpec.read(spec).evaluation.max_tokens
    assert pools.max_tokens == [usual, usual, suites.BFCL_TOKENS]
    assert (len(pools.configs), pools.closed) == (1, 1)
    text = page.read_text(encoding="utf-8")
    assert "BFCL non-live AST" in text
    assert "Recovery by fault" in text
    assert [one.name for one in page.parent.iterdir()] == ["scores.html"]
    said = run(*arguments, "--html", page)
    assert f"page: {page}" in said
    assert "BFCL non-live AST" in said


def test_the_pool_is_closed_when_an_evaluation_fails(
    pools: Pools, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> tuple[Outcome, ...]:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool.EvaluationPool, "run", fail)
    done = CliRunner().invoke(app, ["evaluate", str(spec)])
    assert done.exit_code != 0
    assert pools.closed == 1


def test_what_was_answered_is_shown_beside_what_failed(
    pools: Pools, questions: dict[str, list[Case]], spec: Path
) -> None:
    pools.lost, pools.failures = 3, ("3 requests, a to c: OutOfMemoryError: no room",)
    arguments = ["evaluate", str(spec), "--suite", "split", "--suite", "bfcl"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(done.exception, FcrayError)
    assert "not all requests were answered: 3 requests, a to c: Out" in str(done.exception)
    found = json.loads(done.stdout)["suites"]
    assert (found["split"]["examples"], found["split"]["of"]) == (93, 96)
    assert found["split"]["part"] is True
    assert found["split"]["failures"] == list(pools.failures)
    first = CATEGORIES[0]
    assert first not in found["bfcl"]["bfcl"]["categories"] or (
        found["bfcl"]["bfcl"]["categories"][first]["cases"] == 0
    )
    said = CliRunner().invoke(app, arguments).stdout
    assert "the 93 of 96 requests that were answered" in said
    assert "not answered: 3 requests, a to c" in said


def test_values_are_compared_as_asked(
    pools: Pools, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loud(call: ToolCall) -> ToolCall:
        values = call.arguments.items()
        upper = {name: v.upper() if isinstance(v, str) else v for name, v in values}
        return call.model_copy(update={"arguments": upper})

    def louder(request: Example, number: int) -> Outcome:
        calls = tuple(loud(call) for call in request.calls)
        return Outcome(example=request, calls=calls, text="", valid=True, seconds=0.5)

    monkeypatch.setattr(sys.modules[__name__], "answer", louder)
    found = {
        mode: json.loads(run(spec, "--values", mode, "--json")) for mode in ("normalised", "strict")
    }
    assert found["strict"]["values"] == "strict"
    scores = {mode: one["suites"]["split"]["scores"] for mode, one in found.items()}
    assert scores["strict"]["argument_f1"] < scores["normalised"]["argument_f1"]
    assert scores["strict"]["intent_accuracy"] == scores["normalised"]["intent_accuracy"] == 1


def test_an_adapter_in_a_runs_folder_brings_its_spec(
    pools: Pools, spec: Path, adapter: Path, tmp_path: Path
) -> None:
    made = SweepSpec.read(spec).with_changes(storage=str(tmp_path / "runs"))
    folder = find_folder(made)
    make_folder(made, folder)
    folder.study.touch()
    checkpoint = folder.path / "trials" / "trial_0000" / "checkpoint"
    shutil.copytree(adapter, checkpoint)
    read = json.loads(run("--adapter", checkpoint, "--limit", 3, "--json"))
    assert read["suites"]["split"]["data"] == "test of quickstart"


def test_a_users_mistake_is_one_sentence_before_anything_starts(
    pools: Pools, spec: Path, adapter: Path, tmp_path: Path
) -> None:
    cases: list[tuple[tuple[object, ...], str]] = [
        ((), "SPEC: name a sweep spec, or with --adapter a version of a registry"),
        (("--adapter", adapter), "SPEC: "),
        (("--adapter", "call_v3"), "the registry has no 'call_v3'; it has none"),
        ((spec, "--adapter", "call_v3"), "the registry has no 'call_v3'; it has none"),
        ((spec, "--suite", "bfcl_v3"), "--suite: there is no suite 'bfcl_v3'; known are split, faults, bfcl"),
        ((spec, "--split", "train"), "--split: there is no split 'train' to score; take validation, test"),
        ((spec, "--split", "test_values"), "data.test_values: the spec asks for no rows"),
        ((spec, "--data", tmp_path / "absent.jsonl"), "absent.jsonl: there is no such file"),
        ((spec, "--data", spec), "spec.yaml:1: "),
        ((spec, "--suite", "bfcl", "--data", "x"), "--data: this is for the suite split"),
        ((spec, "--suite", "faults", "--split", "test"), "--split: this is for the suite split"),
        ((spec, "--html", tmp_path), "this is a folder; name a file to write"),
        ((tmp_path / "absent.yaml",), "absent.yaml: "),
    ]  # fmt: skip
    for arguments, said in cases:
        message = refused(*arguments)
        assert said in message
        assert "\n" not in message
    assert not pools.configs


def test_an_old_manifest_asks_for_a_spec(pools: Pools, adapter: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add("call", adapter, FACTS)
    said = refused("--adapter", "call_v1", "--registry", registry.url)
    assert said == (
        "SPEC: the spec in the manifest of call_v1 cannot be used (data: field required); name one"
    )


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_real_pool_answers_every_suite(
    questions: dict[str, list[Case]], spec: Path, tiny_folder: Path, adapter_folder: Path
) -> None:
    text = spec.read_text(encoding="utf-8")
    assert "base: smollm2-135m-instruct" in text
    spec.write_text(text.replace("smollm2-135m-instruct", str(tiny_folder)), encoding="utf-8")
    arguments = (spec, "--adapter", adapter_folder, "--limit", 2, "--json")
    suites_asked = ("--suite", "split", "--suite", "bfcl")
    read = json.loads(run(*arguments, *suites_asked))
    assert read["adapter"] == str(adapter_folder)
    assert read["suites"]["split"]["scores"]["latency"]["p50"] > 0
    categories = read["suites"]["bfcl"]["bfcl"]["categories"]
    assert {name: one["cases"] for name, one in categories.items()} == dict.fromkeys(questions, 2)


@pytest.mark.parametrize(("limit", "code"), [("0", 2), ("many", 2)])
def test_a_limit_is_a_number(pools: Pools, spec: Path, limit: str, code: int) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(spec), "--limit", limit])
    assert done.exit_code == code


def test_bfcl_is_asked_for_by_name_when_it_is_absent(
    pools: Pools, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "bfcl_cases", _absent(suites.bfcl_cases))
    assert "pip install --no-deps bfcl-eval==2026.3.23" in refused(spec, "--suite", "bfcl")
    assert not pools.configs


def _absent(read: Callable[[], Any]) -> Callable[[], Any]:
    """`read` where the package cannot be found."""

    def absent() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fcray.evaluation.bfcl.cases.PACKAGE", "no_such_package_of_questions")
            return read()

    return absent


def test_help_is_quick_and_says_what_there_is() -> None:
    done = CliRunner().invoke(app, ["evaluate", "--help"])
    assert done.exit_code == 0
    for option in ("--adapter", "--data", "--suite", "--split", "--limit", "--html", "--json"):
        assert option in done.stdout


def test_importing_the_command_line_imports_no_ray() -> None:
    import subprocess

    program = "import sys, fcray.cli; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
