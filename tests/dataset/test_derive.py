"""What arguments are called in derived requests, and which values they get."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcray.dataset.build import build
from fcray.dataset.derive import catalog_text, labels_of, pool_of, spoken_argument, spoken_tool
from fcray.tools import Language, Tool
from tests.dataset.catalogs import DATA, plain


def tool_of(*required: str, name: str = "f", description: str = "", **properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name=name, description=description, parameters=parameters)


def text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def first_of(name: str, schema: dict[str, Any], language: Language = "en") -> Any:
    pool = pool_of(name, schema, {})
    assert isinstance(pool, list)
    return pool[0][language] if isinstance(pool[0], dict) else pool[0]


@pytest.mark.parametrize(
    ("name", "description", "zh", "en"),
    [
        ("q", "城市名称", "城市", "city"),
        ("d", "日期，格式YYYY-MM-DD", "日期", "date"),
        ("x", "要查询天气的城市，例如北京", "城市", "city"),
        ("x", "可选，收件人的手机号（11位）", "收件人手机号", "phone number"),
        ("at", "Time of day", "时间", "time of day"),
        ("x", "The title of the meeting", "主题", "meeting title"),
        ("x", "The ID of the user to fetch, e.g. 7", "编号", "user ID"),
        ("x", "IATA code of the departure airport", "机场", "departure airport IATA code"),
        ("x", "Date and time of the big meeting", "时间", "date and time"),
        ("x", "Check-in Date (ISO 8601)", "日期", "check-in date"),
        ("delivery_street", "", "配送街道", "delivery street"),
        ("x", "Number of guests at the big table", "数量", "number of guests"),
        ("user", "User ID", "编号", "user ID"),
        ("lat", "", "纬度", "latitude"),
        # What names nothing leaves the name.
        ("page", "Whether there is more", "页码", "page"),
        ("page", "例如3", "页码", "page"),
        ("page", "Specifies, in a long sentence, which page is meant", "页码", "page"),
        ("page", "`{page}`", "页码", "page"),
    ],
)
def test_an_argument_is_called_what_its_description_calls_it(
    name: str, description: str, zh: str, en: str
) -> None:
    schema = text(description)
    assert spoken_argument(name, schema, "zh") == zh
    assert spoken_argument(name, schema, "en") == en


def test_two_arguments_are_not_called_the_same() -> None:
    tool = tool_of(
        **{"from": text("City"), "to": text("City"), "end_date": text("Date"), "day": text("Date")}
    )
    assert list(labels_of(tool, "en").values()) == ["from", "to", "end date", "day"]
    assert list(labels_of(tool, "zh").values()) == ["来源", "目标", "结束日期", "日期"]
    written, _ = catalog_text([tool], "d")
    assert written is not None
    assert yaml.safe_load(written)["tools"][0]["labels"]["from"] == {"zh": "来源", "en": "from"}


def test_a_title_that_is_the_name_says_nothing() -> None:
    """Pydantic writes one for each field."""
    schema = text("Number of the parcel", title="Parcel Id")
    assert spoken_argument("parcel_id", schema, "en") == "parcel number"
    assert spoken_argument("parcel_id", text("", title="Parcel no"), "en") == "Parcel no"


@pytest.mark.parametrize(
    ("name", "description", "value"),
    [
        ("x", "Name of the city", "Beijing"),
        ("x", "Recipient", "Alice"),
        ("x", "The recipient's email address", "li@example.com"),
        ("customer", "Email of the customer", "li@example.com"),
        ("x", "收件人的邮箱地址", "li@example.com"),
        ("x", "Mobile number to call", "13800000001"),
        ("x", "Link to the image", "https://example.com/a"),
        ("street", "", "12 Baker Street"),
        ("x", "收货地址", "12 Baker Street"),
        ("x", "Colour", "red"),
        ("x", "Type of cuisine", "margherita pizza"),
        ("name", "The product name", "laptop"),
        ("x", "目标语言", "English"),
        ("x", "货币代码", "USD"),
        ("x", "Meeting topic", "quarterly budget"),
        ("x", "Body of the message", "the meeting is moved to the afternoon"),
        ("order_number", "", "A-1001"),
        ("x", "用户ID", "A-1001"),
        ("x", "Two-letter ISO country code", "CN"),
        ("x", "Number of guests", "1"),
        ("x", "Number of the flight", "CA1234"),
        ("x", "Time of day", "07:00"),
        ("start_time", "", "07:00"),
        ("start_time", "ISO 8601", "2025-01-05T07:00:00"),
        ("x", "Date and time", "2025-01-05T07:00:00"),
        ("x", "Departure date", "2025-01-05"),
        ("x", "Departure (MM/DD/YYYY)", "01/05/2025"),
        ("x", "开始，格式yyyy-MM-dd HH:mm", "2025-01-05 07:00"),
        ("x", "开始，如2024年，格式YYYY年MM月DD日", "2025年01月05日"),
        ("x", "HH:MM:SS", "07:00:00"),
        ("x", "Sort order: 'asc' or \"desc\"", "asc"),
        ("x", "The user's name, e.g. 'bob' or 'al'", "Alice"),
        ("x", "", "quarterly budget"),
    ],
)
def test_values_are_of_what_name_and_description_tell(
    name: str, description: str, value: str
) -> None:
    assert first_of(name, text(description)) == value


def test_formats_and_patterns() -> None:
    assert first_of("city", {"type": "string", "format": "date"}) == "2025-01-05"
    assert first_of("x", {"type": "string", "format": "ipv4"}) == "192.0.2.10"
    assert first_of("city", {"type": "string", "format": "own"}) == "Beijing"
    assert pool_of("x", {"type": "string", "format": "own"}, {}) is None
    assert pool_of("x", {"type": "string", "pattern": "^x"}, {}) is None
    tool = tool_of(
        day=text("Day", pattern=r"^\d{4}-\d\d-\d\d$"),
        pin=text("PIN", pattern=r"^\d{4}$"),
        secret={"type": "string", "format": "own"},
    )
    written, left_out = catalog_text([tool], "d")
    assert written is not None
    assert left_out == [
        f"f: no values are known for the optional argument {name!r}; no request has it"
        for name in ("pin", "secret")
    ]
    assert list(yaml.safe_load(written)["tools"][0]["values"]) == ["day"]
    assert f"# {left_out[0]}\n" in written


@pytest.mark.parametrize(
    ("name", "schema", "value"),
    [
        ("max", {"type": "number", "minimum": 0, "maximum": 200_000}, 25_000),
        ("x", {"enum": [2.0, 2.5]}, 2),
        ("year", {"type": "integer"}, 2015),
        ("lat", {"type": "number", "minimum": -90, "maximum": 90}, 39.9),
        ("age", {"type": "integer", "minimum": 0}, 18),
        ("age", {"type": "integer", "maximum": 5}, {"range": [1, 5]}),
        ("n", {"type": "integer", "minimum": 1e5, "maximum": float("inf")}, {"range": [100_000, 100_050]}),
        ("n", {"type": "integer", "multipleOf": 2.5, "maximum": 20}, {"range": [5, 20], "step": 5}),
        ("n", {"type": "integer", "multipleOf": 10_000, "maximum": 50_000},
         {"range": [10_000, 50_000], "step": 10_000}),
    ],
)  # fmt: skip
def test_numbers(name: str, schema: dict[str, Any], value: object) -> None:
    pool = pool_of(name, schema, {})
    found = pool[0] if isinstance(pool, list) else pool
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "description", "zh", "en"),
    [
        ("include_tax", "", ("需要税", "不需要税"), ("with tax", "without tax")),
        ("express", "", ("需要加急", "不需要加急"), ("with express", "without express")),
        ("no_breakfast", "", ("不需要早餐", "需要早餐"), ("without breakfast", "with breakfast")),
        ("x", "是否包含税费", ("包含税费", "不包含税费"), ("with x", "without x")),
        ("x", "是否有房", ("有房", "没有房"), ("with x", "without x")),
        ("x", "是否已付款", ("已付款", "未付款"), ("with x", "without x")),
        ("x", "Whether to add cheese", ("开启 x", "不开启 x"), ("add cheese", "do not add cheese")),
        ("direct", "Only direct flights", ("需要直飞", "不需要直飞"),
         ("only direct flights", "not only direct flights")),
        ("is_urgent", "", ("是紧急", "不是紧急"), ("urgent", "not urgent")),
        ("on", "", ("打开", "关闭"), ("turned on", "turned off")),
    ],
)  # fmt: skip
def test_flags_are_said_in_words(
    name: str, description: str, zh: tuple[str, str], en: tuple[str, str]
) -> None:
    for flag in (
        {"type": "boolean", "description": description},
        {"anyOf": [{"type": "boolean"}, {"type": "null"}], "description": description},
        {"enum": [True, False], "description": description},
    ):
        written, _ = catalog_text([tool_of(**{name: flag})], "d")
        assert written is not None
        document = yaml.safe_load(written)
        assert document["pools"][name] == [
            {"value": True, "zh": zh[0], "en": en[0]},
            {"value": False, "zh": zh[1], "en": en[1]},
        ]
        templates = document["tools"][0]["templates"]
        assert f"Please f, {{{name}}}." in templates["en"]
        assert f"请帮我f，{{{name}}}" in templates["zh"]


def test_what_is_all_of_others_has_values_of_all() -> None:
    root = {"$defs": {"Day": {"type": "string", "format": "date"}}}
    merged = {"allOf": [{"$ref": "#/$defs/Day"}, {"description": "x"}]}
    assert pool_of("x", merged, root) == pool_of("x", {"type": "string", "format": "date"}, {})
    signs = {"$defs": {"A/B": {"const": "c"}}}
    assert pool_of("x", {"$ref": "#/$defs/A~1B"}, signs) == ["c"]
    objects = {
        "allOf": [{"properties": {"city": {}}}, {"properties": {"n": {}}}],
        "required": ["n"],
    }
    pool = pool_of("x", {**objects, "type": "object"}, {})
    assert isinstance(pool, list)
    assert pool[0]["value"].keys() == {"n"}
    assert (
        pool_of("x", {"allOf": [{"$ref": "#/$defs/A"}]}, {"$defs": {"A": {"$ref": "#/$defs/A"}}})
        is None
    )


def test_gold_is_what_the_sentence_says(tmp_path: Path) -> None:
    """The reviewer's tools: each value stands in its request, and nothing else is said."""
    tools = [
        tool_of("q", name="aqi", description="查询城市空气质量",
                q=text("城市名称"), d=text("日期，格式YYYY-MM-DD")),
        tool_of("at", name="set_alarm", at=text("Time of day"), on={"type": "boolean"}),
        tool_of("street", name="order_pizza", street=text("Street and house number"),
                size={"enum": ["small", "large"]}, max={"type": "number", "minimum": 0, "maximum": 200_000}),
    ]  # fmt: skip
    written, left_out = catalog_text(tools, "own")
    assert (written is None, left_out) == (False, [])
    (tmp_path / "tools.yaml").write_text(written or "", encoding="utf-8")
    rows = build(plain(tmp_path, DATA / "chat", train=240, validation=9, test=9)).train
    shapes = {
        "d": r"\d{4}-\d\d-\d\d",
        "at": r"\d\d:\d\d",
        "street": r"\d+ \w+ \w+|\w+路\d+号|\w+[街道]\d+号",
        "max": r"\d+",
    }
    seen = set()
    for row in rows:
        for call in row.calls:
            for name, value in call.arguments.items():
                seen.add(name)
                assert isinstance(value, bool) or str(value) in row.request
                assert re.fullmatch(shapes.get(name, ".*"), str(value))
        assert ".0" not in row.request
    assert seen >= {"q", "d", "at", "on", "street", "size", "max"}
    said = {row.request for row in rows if row.calls and row.origin.language == "zh"}
    assert not any("q " in request or "street" in request or " at" in request for request in said)


def test_a_description_without_words_says_nothing() -> None:
    assert spoken_tool(tool_of(name="get_weather", description="!!"), "en") == "get weather"
