"""The page about an evaluation: what it shows, that text stays text, and its filters in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcray.evaluation.bfcl import SIMPLE, Case
from fcray.evaluation.suites import Result, Suite, result_of
from fcray.metrics import Outcome
from fcray.tools import Example, Message, ToolCall
from fcray.tracking.scorepage import MOST_NAMES, MOST_WRONG, render
from fcray.tracking.scoretables import tables
from tests.examples import CONVERSATION, example, remind, weather

from .test_report_in_browser import BROWSER, FRAME, PROBE, opened

ABOUT = {"base": "smollm2-135m-instruct", "adapter": "function_call_v1"}


def of(made: Example, **origin: str) -> Example:
    identity = json.dumps([made.request, origin])
    changed = made.origin.model_copy(update=origin)
    return made.model_copy(update={"origin": changed, "id": identity})


def answered(
    made: Example, *calls: ToolCall, text: str = "", valid: bool = True, tokens: int = 20
) -> Outcome:
    return Outcome(made, calls, text, valid, seconds=0.5, completion_tokens=tokens)


def split(outcomes: Sequence[Outcome], whole: int | None = None) -> Result:
    examples = tuple(one.example for one in outcomes)
    count = len(examples) if whole is None else whole
    return result_of(Suite("split", "test of demo", examples, count, 4), outcomes, bootstrap=50)


PARIS = of(example("Weather in Paris?", weather(city="Paris")), domain="travel", kind="call")
PEKING = of(example("北京天气", weather(city="北京", days=3)), language="zh", domain="office")
CHAT = of(example("Who are you?", response="An assistant."), domain="chat", kind="irrelevant")
LATER = of(example(CONVERSATION, weather(city="Rome")), kind="follow_up")
OUTCOMES = (
    answered(PARIS, weather(city="paris"), text="<tool_call>"),
    answered(PEKING, weather(city="上海", days=3), text="<tool_call>上海"),
    answered(CHAT, remind("who", hour=1), text="<tool_call>who"),
    answered(LATER, text="<b>no</b> & never", valid=False),
)


def faults() -> Result:
    asked = [
        of(example("?", response="Which city?"), kind="missing"),
        of(example("weahter in Rome", weather(city="Rome")), kind="typos", language="zh"),
    ]
    outcomes = [answered(asked[0], text="Which?"), answered(asked[1], text="No.")]
    return result_of(Suite("faults", "faults", tuple(asked), 2), outcomes)


def bfcl() -> Result:
    tool = {
        "name": "get_weather",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    names = (*SIMPLE, "multiple", "parallel", "parallel_multiple", "irrelevance")
    cases = {}
    for name in names:
        calls = () if name == "irrelevance" else (weather(city="Rome"),)
        made = of(example(f"Weather {name}", *calls), kind=name, domain="bfcl")
        allowed = () if name == "irrelevance" else ({"get_weather": {"city": ["Rome", "Roma"]}},)
        cases[name] = [Case(made, (tool,), allowed)]
    asked = tuple(case.example for some in cases.values() for case in some)
    suite = Suite("bfcl", "BFCL non-live", asked, 9, 1, cases=cases)
    return result_of(suite, [answered(one, weather(city="roma", days=1)) for one in asked])


class Reader(HTMLParser):
    """The page as a reader gets it: elements with their attributes, and text by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cards: list[dict[str, str | None]] = []
        self.options: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "li":
            self.cards.append(given)
        if tag == "option":
            self.options.append(given["value"] or "")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.text += data


def test_wrong_answers_stand_beside_the_right_ones() -> None:
    page = render(ABOUT, [split(OUTCOMES)])
    read = Reader(page)
    assert [card["data-language"] for card in read.cards] == ["zh", "en", "en"]  # Paris is right
    assert [card["data-kind"] for card in read.cards] == ["call", "irrelevant", "follow_up"]
    assert [card["data-domain"] for card in read.cards] == ["office", "chat", "test"]
    assert read.cards[1]["data-function"] == "set_reminder\nnone"
    assert {"zh", "en", "office", "chat", "get_weather", "set_reminder", "none"} <= set(
        read.options
    )
    assert "split" not in read.options  # one suite needs no choice
    assert "<mark>city=&quot;北京&quot;</mark>, days=3" in page
    assert "<mark>city=&quot;上海&quot;</mark>, days=3" in page
    assert "Model, not parsed" in page
    assert "An assistant." in page
    assert "3 of 4 requests" in read.text
    assert "all 6 turns" in read.text
    assert "It is -3 °C." in read.text


def test_scores_groups_and_the_confusion_of_functions() -> None:
    result = split(OUTCOMES, whole=50)
    page = render(ABOUT, [result])
    text = Reader(page).text
    assert "test of demo: a part, the first 4, 4 of 50 requests" in text
    for one in tables(result):
        assert one.title in text
        for row in one.rows:
            assert all(cell in text for cell in row)
    assert {one.title for one in tables(result)} >= {"By language", "By domain", "By kind"}
    (matrix,) = re.findall(r'<table class="matrix">.*?</table>', page)
    heads = re.findall(r"<span>(.*?)</span>", matrix)
    assert heads == ["get_weather", "set_reminder", "invalid", "all"]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', matrix)
    assert [name for name, _ in rows] == ["get_weather", "none"]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for _, row in rows]
    assert cells == [["2", "", "1", "3"], ["", "1", "", "1"]]
    assert 'class="hit" style="--share: 40%"' in matrix
    assert "function_call_v1" in text
    assert "adapter of smollm2-135m-instruct" in text


def test_faults_and_bfcl_have_their_own_tables() -> None:
    results = [split(OUTCOMES), faults(), bfcl()]
    page = render(ABOUT, results)
    read = Reader(page)
    for said in ("Recovery, faults", "Recovery by fault", "Recovery by language", "BFCL non-live AST",
                 "a part, the first 1 of each category, 7 of 9 requests", "simple_javascript"):  # fmt: skip
        assert said in read.text
    assert {"split", "faults", "bfcl"} <= set(read.options)
    wrong = [card for card in read.cards if card["data-suite"] == "faults"]
    assert [card["data-kind"] for card in wrong] == ["typos"]
    # What BFCL allows is not marked: the city is right, the days are too much.
    assert "<code>get_weather(city=&quot;roma&quot;, <mark>days=1</mark>)</code>" in page
    assert "<code>get_weather(city=&quot;roma&quot;)</code>" in page
    assert "get_weather has the unexpected argument &#x27;days&#x27;" in page
    assert page.count('class="matrix"') == 1


def test_nothing_wrong_and_nothing_at_all() -> None:
    right = render({"base": "b"}, [split([answered(PARIS, weather(city="Paris"))])])
    assert "None of 1." in right
    assert "base model, no adapter" in right
    assert 'id="left"' not in right
    assert "None of 0." in render({"base": "b"}, [split([])])


def test_large_pages_stay_readable() -> None:
    names = [f"tool_{number:03}" for number in range(MOST_NAMES + 20)]
    outcomes = [
        answered(of(example(f"do {name}", ToolCall(name=name))), ToolCall(name=other))
        for name, other in zip(names, names[1:] + names[:1], strict=True)
        for _ in range(MOST_WRONG // len(names) + 1)
    ]
    examples = tuple(one.example for one in outcomes)
    result = result_of(Suite("split", "many", examples, len(examples)), outcomes, bootstrap=0)
    read = Reader(render(ABOUT, [result]))
    assert len(read.cards) == MOST_WRONG
    assert f"The first {MOST_WRONG:,} are shown." in read.text
    assert "20 functions are left out, those confused least." in read.text


def test_the_page_loads_nothing() -> None:
    page = render(ABOUT, [split(OUTCOMES), faults(), bfcl()])
    assert "default-src 'none'" in page
    assert not re.search(r"\s(src|href)=", page)
    assert "http" not in page.replace("http-equiv", "")


texts = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=30)
hostile = texts | st.sampled_from(
    ["</script><script>x", "<!--", "]]>", '"><img src=x>', "&lt;", "\n"]
)


@given(hostile, hostile, hostile, hostile, hostile)
def test_text_stays_text(request: str, value: str, said: str, domain: str, name: str) -> None:
    made = example([Message(role="user", content=request)], weather(city=value), response=said)
    made = of(made, domain=domain, kind=value)
    outcomes = [answered(made, ToolCall(name=name, arguments={value: said}), text=said)]
    plain = of(example("a", weather(city="b"), response="c"), domain="d", kind="e")
    wrong = ToolCall(name="f", arguments={"g": "h"})
    safe = Reader(render(ABOUT, [split([answered(plain, wrong, text="i")])]))
    read = Reader(render({**ABOUT, "adapter": said or "x"}, [split(outcomes)]))
    assert set(read.tags) <= set(safe.tags)
    for tag in ("script", "style", "li", "option", "table"):
        assert read.tags.count(tag) == safe.tags.count(tag)
    (card,) = read.cards
    assert card["data-domain"] == domain
    assert card["data-kind"] == value
    assert (card["data-function"] or "").startswith("get_weather")
    for part in (request, said, domain):
        assert part in read.text


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="the page was NOT tried in a browser: there is none on the path"
)


@needs_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_over_the_side(width: int, tmp_path: Path) -> None:
    long = of(example("w" * 300, weather(city="c" * 300)), domain="d" * 80, kind="k" * 80)
    tools = [of(example("x", ToolCall(name=f"a_tool_with_a_long_name_{n}"))) for n in range(40)]
    outcomes = [*OUTCOMES, answered(long, text="t" * 500), *(answered(one) for one in tools)]
    page = tmp_path / "report.html"
    page.write_text(render(ABOUT, [split(outcomes), faults(), bfcl()]) + PROBE, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    dom, console = opened(tmp_path / "frame.html", tmp_path / "profile")
    assert console == []
    assert f"[over=0 wide={width} drawn=0 cut=0]" in dom.replace('"', "")
