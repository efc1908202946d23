"""Catalogs for the tests: the shipped one, and a small one that a test can spoil."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.spec import DataSpec

DATA = Path(__file__).parents[2] / "data"

SMALL = """\
domain: office
pools:
  city:
    - {zh: 北京, en: Beijing}
    - {zh: 上海, en: Shanghai}
    - {zh: 拉萨, en: Lhasa}
  day:
    - {value: today, zh: 今天, en: today}
    - {value: tomorrow, zh: [明天, 明儿], en: tomorrow}
tools:
  - name: get_weather
    description: Weather of a city.
    parameters:
      type: object
      properties:
        city: {type: string}
        day: {enum: [today, tomorrow]}
      required: [city]
    values: {city: city, day: day}
    templates:
      zh:
        - "{city}{day}天气怎么样？"
        - "{day}{city}下雨吗？"
        - "{city}天气"
      en:
        - "What's the weather in {city} {day}?"
        - "Will it rain in {city} {day}?"
        - "weather in {city}"
"""

SMALL_CHAT = """\
domain: chat
pools:
  thing: [{zh: 猫, en: cats}, {zh: 狗, en: dogs}]
chat:
  - answer: {zh: 你好！, en: Hello!}
    questions:
      zh: [你好, "你喜欢{thing}吗", 早上好]
      en: [Hi, "Do you like {thing}?", Good morning]
"""


def plain(*catalogs: str | Path, **fields: object) -> DataSpec:
    """A spec of calls and small talk alone, every row offered every tool."""
    usual = {"kinds": {}, "irrelevant": 0.15, "masked": 0, "distractors": ["all"], "test_values": 0}
    places = [str(folder) for folder in catalogs or (DATA,)]
    return DataSpec.model_validate({"catalogs": places, **usual, **fields})


@cache
def shipped() -> Catalog:
    """The catalog of this repository, read once."""
    return load_catalogs([DATA])


def write_small(folder: Path, *swaps: tuple[str, str], chat: str = SMALL_CHAT) -> Path:
    """The small catalog in `folder`, each `old` made `new`; returns its file of tools."""
    text = SMALL
    for old, new in swaps:
        assert old in text, f"nothing to swap: {old!r}"
        text = text.replace(old, new, 1)
    path = folder / "tools.yaml"
    path.write_text(text, encoding="utf-8")
    (folder / "chat.yaml").write_text(chat, encoding="utf-8")
    return path
