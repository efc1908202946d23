"""Imports and exports of whole files, the published ones among them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from fcray.dataset import transfer
from fcray.dataset.audit import Audit, Auditor
from fcray.dataset.formats import FORMATS
from fcray.dataset.formats.reading_back import MOVED
from fcray.errors import UserError
from fcray.tools import Example, Message
from tests.examples import CONVERSATION, EXAMPLES, example, user, weather

SHARED = Path(__file__).parents[3] / "shared" / "data"
published = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"{SHARED} with the published rows is absent"
)


def imported(path: Path, form: str, **more: object) -> tuple[list[Example], transfer.Report]:
    report = transfer.Report()
    found = transfer.read_examples(str(path), FORMATS[form], report, **more)  # type: ignore[arg-type]
    return list(found), report


@published
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_glaive_row_is_imported(language: str) -> None:
    examples, report = imported(SHARED / f"glaive_toolcall_{language}_demo.json", "sharegpt")
    assert (report.rows, report.rejected) == (300, 0)
    rows = {
        example.id.rsplit("-", 1)[0] if example.id.count("-") > 1 else example.id
        for example in examples
    }
    assert len(rows) == 300
    # A few of the Chinese ones begin in English.
    spoken = Counter(example.origin.language for example in examples)
    assert spoken[language] > 0.98 * len(examples)
    audit = Audit()
    assert list(Auditor(near=None).accepted(examples, "train", audit))
    assert audit.stages["language"] == 0
    # What the source got wrong is told with its line.
    assert 0 < report.noted < 20
    assert all(finding.line > 1 for finding in report.notes)
    assert any(kind.startswith("against the schema") for kind in report.kinds)


@published
def test_every_seal_tools_row_is_imported() -> None:
    tools = transfer.tools_in(str(SHARED / "seal_tools_tool.jsonl"), transfer.Report())
    assert len(tools) == 4076
    examples, report = imported(SHARED / "seal_tools_dev.jsonl", "seal", catalog=tools)
    assert (report.rows, report.rejected, len(examples)) == (700, 0, 700)
    kinds = Counter(example.origin.kind for example in examples)
    assert kinds == {"call": 200, "parallel": 500}
    assert report.kinds["nested call"] == 28
    assert report.kinds["against the schema: type"] > 0


@published
@pytest.mark.parametrize("form", ["openai", "sharegpt", "hermes"])
def test_published_conversations_go_through_another_format(form: str, tmp_path: Path) -> None:
    examples, _ = imported(SHARED / "glaive_toolcall_zh_demo.json", "sharegpt")
    out, report = tmp_path / "rows.jsonl", transfer.Report()
    transfer.write_examples(str(out), FORMATS[form], examples, report)
    assert report.examples + report.rejected == len(examples)
    assert set(report.lost) <= {"id", "origin"}
    back, again = imported(out, form)
    assert (len(back), again.rejected) == (report.examples, 0)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_fcrays_rows_lose_nothing(suffix: str, tmp_path: Path) -> None:
    out, report = tmp_path / f"rows.{suffix}", transfer.Report()
    transfer.write_examples(str(out), FORMATS["fcray"], EXAMPLES, report)
    back, _ = imported(out, "fcray")
    assert back == list(EXAMPLES)
    assert (report.examples, dict(report.lost)) == (len(EXAMPLES), {})


def test_a_bad_row_is_rejected_with_its_line_and_the_rest_is_kept(tmp_path: Path) -> None:
    good = json.dumps({"instruction": "x", "response": "y"})
    path = tmp_path / "rows.jsonl"
    path.write_text(
        f'{good}\n{{"instruction": \n{{"instruction": "x"}}\n{good}\n', encoding="utf-8"
    )
    examples, report = imported(path, "alpaca")
    assert len(examples) == 2
    assert [(f.line, f.reason.split(":")[0]) for f in report.rejections] == [
        (2, "not JSON"),
        (3, "there is neither a function_call nor a response"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows"),
        ('{"a": 1}\n', r"rows\.jsonl:1: not a row of the format alpaca: instruction is empty"),
    ],
)
def test_a_file_without_any_row_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        imported(path, "alpaca")


def test_a_failed_import_leaves_the_earlier_output(tmp_path: Path) -> None:
    bad, out = tmp_path / "bad.jsonl", tmp_path / "out.jsonl"
    bad.write_text("{}\n", encoding="utf-8")
    out.write_text("earlier\n", encoding="utf-8")
    found = transfer.read_examples(str(bad), FORMATS["openai"], transfer.Report())
    with pytest.raises(UserError):
        transfer.write_examples(str(out), FORMATS["fcray"], found, transfer.Report())
    assert out.read_text(encoding="utf-8") == "earlier\n"


def test_an_export_that_nothing_fits_leaves_the_earlier_output(tmp_path: Path) -> None:
    out, report = tmp_path / "out.jsonl", transfer.Report()
    out.write_text("earlier\n", encoding="utf-8")
    turns = example(CONVERSATION, weather(city="Rome"))
    with pytest.raises(
        UserError, match=r"out\.jsonl: not written, .* the first: seal holds one turn"
    ):
        transfer.write_examples(str(out), FORMATS["seal"], [turns], report)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["earlier\n"]


@pytest.mark.parametrize("form", ["xlam", "seal"])
def test_a_moved_system_message_is_counted(form: str, tmp_path: Path) -> None:
    told = Message(role="system", content="Today is 2026-03-02, Monday.")
    rows = [example((told, user("Rome?")), weather(city="Rome")), EXAMPLES[0]]
    out, report = tmp_path / "rows.jsonl", transfer.Report()
    transfer.write_examples(str(out), FORMATS[form], rows, report)
    assert (report.examples, report.lost[MOVED]) == (2, 1)
    back, _ = imported(out, form)
    assert back[0].request == "Today is 2026-03-02, Monday.\nRome?"
    assert [one.calls for one in back] == [one.calls for one in rows]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_bfcl_answers_stand_beside_the_questions(suffix: str, tmp_path: Path) -> None:
    rows = [
        one.model_copy(update={"id": f"row-{number}"})
        for number, one in enumerate(EXAMPLES)
        if len(one.messages) == 1 and not (one.calls and one.response)
    ]
    out, report = tmp_path / f"rows.{suffix}", transfer.Report()
    twice = rows[0].model_copy(update={"messages": (user("again"),)})
    transfer.write_examples(str(out), FORMATS["bfcl"], [*rows, twice], report)
    assert [one.reason for one in report.rejections] == [
        "an earlier row has its id, 'row-0', and so its answer"
    ]
    beside = tmp_path / "possible_answer" / f"rows.{suffix}"
    questions, answers = (
        text.splitlines() if suffix == "jsonl" else list(map(json.dumps, json.loads(text)))
        for text in (path.read_text(encoding="utf-8") for path in (out, beside))
    )
    assert {*json.loads(questions[0])} == {"id", "origin", "question", "function"}
    assert {*json.loads(answers[0])} == {"id", "ground_truth"}
    gold = transfer.answers_in(str(beside))
    back, again = imported(out, "bfcl", answers=gold)
    assert again.noted == 0
    assert [one.model_copy(update={"response": ""}) for one in rows] == back


def test_other_formats_are_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write openai rows as \.jsonl"):
        transfer.write_examples(
            str(tmp_path / "x.parquet"), FORMATS["openai"], EXAMPLES, transfer.Report()
        )


def test_the_entry_for_llama_factory_joins_the_others(tmp_path: Path) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_text('{"mine": {"file_name": "mine.json"}}', encoding="utf-8")
    transfer.add_dataset_info(str(tmp_path), "fcray", "rows.json")
    entries = json.loads(info.read_text(encoding="utf-8"))
    assert entries["mine"] == {"file_name": "mine.json"}
    assert entries["fcray"] == {
        "file_name": "rows.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "tools": "tools", "system": "system"},
    }


def test_answers_are_found_by_id(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "ground_truth": []}\n', encoding="utf-8")
    assert transfer.answers_in(str(path)) == {"a": []}
    path.write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"answers\.jsonl:1: an answer has an id"):
        transfer.answers_in(str(path))
    path.write_text('{"id": "a", "ground_truth": []}\n' * 2, encoding="utf-8")
    with pytest.raises(UserError, match=r"answers\.jsonl:2: a second answer has the id 'a'"):
        transfer.answers_in(str(path))
    path.write_text('{"id": "a", "ground_truth": ["\\ud800"]}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"answers\.jsonl:1: ground_truth holds half of a char"):
        transfer.answers_in(str(path))


def test_a_type_without_end_is_an_unknown_one(tmp_path: Path) -> None:
    path, report = tmp_path / "tools.jsonl", transfer.Report()
    kind = "List[" * 5_000 + "]" * 5_000
    tool = {"api_name": "f", "parameters": {"a": {"type": kind}}}
    path.write_text(json.dumps(tool) + "\n", encoding="utf-8")
    assert transfer.tools_in(str(path), report)["f"].properties == {"a": {}}
    assert dict(report.kinds) == {"unknown type": 1}


TOOL = '{"name": "f", "parameters": {"type": "object", "properties": {}}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{TOOL}\n{TOOL}\n", r"tools\.jsonl:2: a second tool is named 'f'"),
        (
            '{"name": "f", "parameters": {"type": "array"}}\n',
            r"tools\.jsonl:1: the tool 'f' is invalid",
        ),
        ("", "holds no tools"),
        ('{"name": "f", "description": "\\ud800"}\n', r"tools\.jsonl:1: the tool holds half of a"),
        ("{\n", r"tools\.jsonl:1: not JSON"),
    ],
)
def test_a_file_of_tools_that_is_wrong(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tools.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        transfer.tools_in(str(path), transfer.Report())
