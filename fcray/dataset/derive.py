"""Requests for tools that come without any: templates and values derived from names, descriptions, schemas.

The result is a catalog file like those in data/, to be built from as it is and to be edited: derived
sentences name their arguments and are stiffer than what people say. Words for common names are known in
Chinese; a name without one is said as it stands. Pure; the same tools give the same text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jsonschema
import yaml

from fcray.dataset.pools import LANGUAGES
from fcray.dataset.speech import is_chinese
from fcray.dataset.split import normalise
from fcray.tools import Language, Tool

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

VERBS: Mapping[str, str] = {
    "get": "查询", "fetch": "获取", "find": "查找", "search": "搜索", "list": "列出", "show": "显示",
    "read": "读取", "check": "检查", "query": "查询", "lookup": "查找", "create": "创建", "add": "添加",
    "make": "创建", "new": "新建", "post": "提交", "put": "更新", "patch": "修改", "delete": "删除",
    "remove": "移除", "cancel": "取消", "update": "更新", "edit": "修改", "change": "更改", "set": "设置",
    "send": "发送", "book": "预订", "reserve": "预订", "order": "下单", "buy": "购买", "sell": "卖出",
    "pay": "支付", "transfer": "转账", "calculate": "计算", "compute": "计算", "convert": "换算",
    "translate": "翻译", "summarize": "总结", "start": "启动", "stop": "停止", "open": "打开",
    "close": "关闭", "play": "播放", "pause": "暂停", "turn": "切换", "schedule": "安排", "call": "拨打",
    "download": "下载", "upload": "上传", "generate": "生成", "analyze": "分析", "track": "跟踪",
    "submit": "提交", "approve": "批准", "run": "运行", "recommend": "推荐", "compare": "比较",
    "trigger": "触发", "extract": "提取", "screen": "筛选", "estimate": "估算", "verify": "核实",
}  # fmt: skip
"""First words of tool names, in Chinese."""

NOUNS: Mapping[str, str] = {
    "weather": "天气", "city": "城市", "location": "地点", "place": "地点", "country": "国家",
    "address": "地址", "date": "日期", "day": "日期", "time": "时间", "start": "开始", "end": "结束",
    "duration": "时长", "minutes": "分钟", "hours": "小时", "name": "名称", "user": "用户",
    "customer": "客户", "order": "订单", "id": "编号", "number": "号码", "count": "数量",
    "quantity": "数量", "amount": "金额", "price": "价格", "currency": "币种", "email": "邮箱",
    "mail": "邮件", "phone": "电话", "message": "消息", "text": "内容", "title": "标题",
    "subject": "主题", "body": "正文", "content": "内容", "description": "说明", "query": "关键词",
    "keyword": "关键词", "language": "语言", "category": "类别", "type": "类型", "kind": "类型",
    "status": "状态", "level": "级别", "priority": "优先级", "page": "页码", "limit": "上限",
    "unit": "单位", "temperature": "温度", "device": "设备", "file": "文件", "path": "路径",
    "product": "商品", "item": "物品", "items": "物品", "stock": "股票", "symbol": "代码",
    "account": "账户", "flight": "航班", "flights": "航班", "hotel": "酒店", "room": "房间",
    "origin": "出发地", "destination": "目的地", "departure": "出发", "arrival": "到达",
    "passengers": "乘客数", "guests": "客人数", "age": "年龄", "weight": "体重", "height": "身高",
    "reminder": "提醒", "event": "活动", "meeting": "会议", "task": "任务", "note": "笔记",
    "alarm": "警报", "patient": "患者", "symptoms": "症状", "color": "颜色", "size": "尺寸",
    "url": "网址", "code": "代码", "year": "年份", "month": "月份", "week": "星期", "rate": "费率",
    "invoice": "发票", "payment": "付款", "contact": "联系人", "song": "歌曲", "movie": "电影",
    "book": "书", "author": "作者", "recipe": "菜谱", "restaurant": "餐厅", "news": "新闻",
    "route": "路线", "distance": "距离", "tax": "税", "loan": "贷款", "report": "报告",
}  # fmt: skip
"""Words of tool and argument names, in Chinese."""

_CITIES = {"zh": ["北京", "上海", "广州", "成都", "杭州", "西安", "纽约", "伦敦"],
           "en": ["Beijing", "Shanghai", "Boston", "Chicago", "London", "Paris", "Berlin",
                  "Tokyo"]}  # fmt: skip
_PEOPLE = {"zh": ["张伟", "王芳", "李娜", "刘洋", "陈静", "杨帆"],
           "en": ["Alice", "Bob", "Carol", "David", "Emma", "Frank"]}  # fmt: skip
_TEXTS = {"zh": ["季度预算", "项目进度", "周末聚餐", "系统升级",
                 "合同修改", "产品发布", "测试结果", "客户投诉"],
          "en": ["quarterly budget", "project update", "team dinner", "system upgrade",
                 "contract changes", "product launch", "test results", "customer complaint"]}  # fmt: skip
_PAIRED: Mapping[str, Mapping[str, list[str]]] = {
    "city": _CITIES, "location": _CITIES, "place": _CITIES, "origin": _CITIES,
    "destination": _CITIES, "name": _PEOPLE, "user": _PEOPLE, "customer": _PEOPLE,
    "contact": _PEOPLE, "patient": _PEOPLE, "recipient": _PEOPLE, "person": _PEOPLE,
}  # fmt: skip
_PLAIN: Mapping[str, list[str]] = {
    "email": [f"{n}@example.com" for n in ("li", "wang", "sales", "support", "hr", "info")],
    "phone": ["13800000001", "13900000002", "02155550100", "2025550123", "2025550178"],
    "url": [f"https://example.com/{n}" for n in ("a", "docs", "news", "shop", "report")],
    "currency": ["USD", "EUR", "CNY", "JPY", "GBP"],
    "symbol": ["AAPL", "MSFT", "TSLA", "NVDA", "0700.HK"],
    "id": ["A-1001", "B-2040", "C-3317", "X-0042", "Z-9001", "K-7250"],
    "date": ["2025-01-15", "2025-03-08", "2025-06-30", "2025-09-12", "2025-12-24"],
    "day": ["2025-01-15", "2025-03-08", "2025-06-30", "2025-09-12", "2025-12-24"],
    "time": ["08:30", "12:00", "15:45", "20:15"],
    "language": ["English", "French", "German", "Japanese", "Chinese"],
}
_FORMATS: Mapping[str, list[str]] = {
    "date": _PLAIN["date"],
    "time": ["08:30:00", "12:00:00", "15:45:00", "20:15:00"],
    "date-time": ["2025-01-15T09:00:00Z", "2025-06-30T18:30:00Z", "2025-12-24T12:00:00Z"],
    "email": _PLAIN["email"],
    "uri": _PLAIN["url"],
    "uuid": [f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 7)],
}

_FRAMES: Mapping[Language, tuple[str, ...]] = {
    "zh": (
        "请帮我{what}，{arguments}",
        "{what}：{arguments}",
        "我想{what}，{arguments}",
        "麻烦{what}一下，{arguments}",
        "能不能{what}？{arguments}",
        "{arguments}，{what}",
        "{what}，{arguments}，谢谢",
    ),
    "en": (
        "Please {what} with {arguments}.",
        "{what}: {arguments}",
        "I need to {what}, {arguments}.",
        "Can you {what} with {arguments}?",
        "I'd like to {what}; {arguments}.",
        "With {arguments}, {what}.",
        "{arguments}: {what} now",
    ),
}
_BARE: Mapping[Language, tuple[str, ...]] = {
    "zh": ("请帮我{what}", "我想{what}", "{what}一下", "现在能{what}吗？", "麻烦你{what}",
           "替我{what}吧", "{what}"),
    "en": ("Please {what}.", "I need to {what}.", "Can you {what}?", "I'd like to {what} now.",
           "Could you {what} for me?", "Go ahead and {what}.", "{what}"),
}  # fmt: skip
_COMMA: Mapping[Language, str] = {"zh": "，", "en": ", "}
_CONTRASTS: tuple[Mapping[Language, tuple[str, str]], ...] = (
    {
        "zh": ("先不要{what}", "好的，先不做。"),
        "en": ("Don't {what} yet.", "All right, I won't."),
    },
    {
        "zh": ("要{what}的话，你需要知道什么？", "需要知道：{needs}。"),
        "en": ("What would you need to know to {what}?", "What I need: {needs}."),
    },
    {
        "zh": ("不用{what}了，已经好了", "好的，那就不做了。"),
        "en": ("No need to {what} any more, it is done.", "Good, then I'll leave it."),
    },
)
"""Sentences about what a tool does that ask for nothing, and answers."""

_NOTHING: Mapping[Language, str] = {"zh": "没有别的", "en": "nothing else"}
RESULTS = [
    {"value": {"ok": True}, "zh": "办好了。", "en": "Done."},
    {"value": {"ok": False, "error": "not found"}, "zh": "没有找到。", "en": "Nothing was found."},
    {
        "value": {"ok": False, "error": "service unavailable"},
        "zh": "服务暂时用不了。",
        "en": "The service is unavailable right now.",
    },
]
"""What any tool may give back."""

_GAP = re.compile(r"\{\w+\}")
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def words_of(name: str) -> list[str]:
    """`getUserById`, `get_user_by_id` and `get-user-by-id` → get, user, by, id."""
    return [word.lower() for word in _WORDS.findall(name)] or [name]


def spoken_tool(tool: Tool, language: Language) -> str:
    """What the tool does, as a phrase after "please"."""
    first = re.split(r"[.。;；\n]", tool.description.strip(), maxsplit=1)[0].strip()
    if first and len(first) <= 60 and (language == "zh") == is_chinese(first):
        return _plain(
            first[0].lower() + first[1:] if language == "en" and first[1:2].islower() else first
        )
    verb, *rest = words_of(tool.name)
    if language == "en":
        return " ".join([verb, *rest])
    known = [NOUNS.get(word, word) for word in rest if word not in ("by", "of", "for", "the", "to")]
    return VERBS.get(verb, NOUNS.get(verb, verb)) + _joined(known)


def spoken_argument(name: str, schema: Mapping[str, Any], language: Language) -> str:
    """An argument's name in words."""
    words = words_of(name)
    title = schema.get("title")
    if isinstance(title, str) and (language == "zh") == is_chinese(title):
        return _plain(title)
    if language == "en":
        return " ".join(words)
    return _joined([NOUNS.get(word, word) for word in words])


def _plain(text: str) -> str:
    return text.replace("{", "(").replace("}", ")").strip()


def _joined(words: list[str]) -> str:
    """Chinese words without spaces, others with."""
    text = ""
    for word in words:
        both = bool(text) and not (is_chinese(text[-1]) or is_chinese(word[0]))
        text += (" " if both else "") + word
    return text


def templates_of(tool: Tool, usable: Iterable[str], language: Language) -> list[str]:
    """Requests with the required arguments alone, with all, and with each optional one besides."""
    usable = [name for name in tool.properties if name in set(usable)]
    required = [name for name in usable if name in tool.required]
    optional = [name for name in usable if name not in tool.required]
    sets = [required, *([*required, name] for name in optional[:4])]
    if len(optional) > 1:
        sets.append(usable)
    return _said_of(tool, sets, language, frames=len(_FRAMES[language]))


def incomplete_of(tool: Tool, usable: Iterable[str], language: Language) -> list[str]:
    """Requests that leave out a required argument, the others and perhaps an optional one stated."""
    usable = [name for name in tool.properties if name in set(usable)]
    required = [name for name in usable if name in tool.required]
    optional = [name for name in usable if name not in tool.required]
    sets = [[name for name in required if name != absent] for absent in required[:4]]
    sets += [[*sets[0], name] for name in optional[:2] if sets]
    return _said_of(tool, sets, language, frames=4)


def contrasts_of(tool: Tool) -> list[dict[str, dict[Language, str]]]:
    """What is said about a tool without asking for it, with answers."""
    needs: dict[Language, str] = {}
    for language in LANGUAGES:
        labels = [spoken_argument(n, tool.properties[n], language) for n in tool.required]
        needs[language] = _COMMA[language].join(labels) or _NOTHING[language]
    found = []
    for frame in _CONTRASTS:
        said: dict[Language, str] = {
            language: _capital(say.replace("{what}", spoken_tool(tool, language)), language)
            for language, (say, _) in frame.items()
        }
        answers: dict[Language, str] = {
            language: answer.replace("{needs}", needs[language])
            for language, (_, answer) in frame.items()
        }
        found.append({"say": said, "answer": answers})
    return found


def _capital(text: str, language: Language) -> str:
    return text[0].upper() + text[1:] if language == "en" and text[0] != "{" else text


def _said_of(
    tool: Tool, sets: Iterable[list[str]], language: Language, *, frames: int
) -> list[str]:
    """Each set of arguments in so many frames; no two texts say the same."""
    what = spoken_tool(tool, language)
    found: list[str] = []
    for index, names in enumerate(sets):
        for turn, frame in enumerate((_FRAMES if names else _BARE)[language][:frames]):
            order = names if (turn + index) % 2 == 0 else list(reversed(names))
            arguments = _COMMA[language].join(
                _gap(name, tool.properties[name], language) for name in order
            )
            text = frame.replace("{what}", what).replace("{arguments}", arguments)
            found.append(_capital(text, language))
    if language == "zh":  # a name that nobody translated leaves some frames without Chinese
        found = [text for text in found if is_chinese(_GAP.sub("", text))]
    return list({normalise(text): text for text in reversed(found)}.values())[::-1]


def _gap(name: str, schema: Mapping[str, Any], language: Language) -> str:
    label = spoken_argument(name, schema, language)
    return (
        f"{label}{{{name}}}"
        if language == "zh" and is_chinese(label[-1])
        else f"{label} {{{name}}}"
    )


Values = list[Any] | dict[str, Any]
"""A pool as a catalog file holds it."""


def pool_of(name: str, schema: Any, root: Mapping[str, Any], depth: int = 0) -> Values | None:
    """Values for an argument, as a pool of a catalog file; None where its schema gives no idea.

    Parameters
    ----------
    root: The tool's whole schema, which references lead into.
    """
    schema = _followed(schema, root)
    if not isinstance(schema, Mapping) or depth > 3:
        return None
    variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if variants:
        pools = (pool_of(name, one, root, depth + 1) for one in variants)
        return next((pool for pool in pools if pool is not None), None)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [_said(value) for value in values if value is not None] or None
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    maker = _MAKERS.get(kind)
    return maker(name, schema, root, depth) if maker else None


def _booleans(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    return [{"value": True, "zh": "是", "en": "yes"}, {"value": False, "zh": "否", "en": "no"}]


def _followed(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(10):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) and part else found
        schema = found
    return None


def _said(value: Any) -> Any:
    """A value and its words; a text or a number stands for itself."""
    if isinstance(value, str) and value.strip() == value and value:
        spoken = value.replace("_", " ")
        return value if spoken == value else {"value": value, "zh": spoken, "en": spoken}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return {"value": value, "zh": f"“{value}”", "en": f'"{value}"'}


def _integers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - 1
    step = schema.get("multipleOf", 1)
    if low is None:
        low = 1 if high is None or high >= 1 else high - 20
    high = low + 50 * step if high is None else min(high, low + 2000)
    low = -(-math.ceil(low) // step) * step
    return {"range": [int(low), int(max(low, high))], **({"step": step} if step != 1 else {})}


def _numbers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    low, high = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    if low is not None and high is not None:
        return sorted({round(low + (high - low) * part / 8, 4) for part in range(1, 8)})
    if step := schema.get("multipleOf"):
        start = -(-(low or 0) // step)
        return [round((start + n) * step, 6) for n in range(1, 9)]
    base = [0.5, 1.5, 2.25, 10.5, 37.2, 99.9, 120.75]
    return (
        [round(value + (low or 0), 2) for value in base]
        if high is None
        else [round(high - v, 2) for v in base]
    )


def _lists(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Lists of one to three items; lists of lists cannot be told apart when they are said."""
    inner = _followed(schema.get("items", {"type": "string"}), root)
    items = pool_of(name.removesuffix("s"), inner, root, depth + 1)
    nested = isinstance(inner, Mapping) and inner.get("type") == "array"
    if not isinstance(items, list) or len(items) < 2 or nested:
        return None
    low = max(1, int(schema.get("minItems", 1)))
    high = max(low, min(int(schema.get("maxItems", 3)), 3))
    found = []
    for language, comma in (("zh", "、"), ("en", ", ")):
        usable = [one for one in items if not isinstance(one, dict) or language in one]
        for size in range(low, high + 1):
            for start in range(len(usable) if size <= len(usable) else 0):
                chosen = [usable[(start + n) % len(usable)] for n in range(size)]
                said = comma.join(_spoken(one, language) for one in chosen)
                found.append({"value": [_value(one, language) for one in chosen], language: said})
    return _distinct(found) or None


def _value(entry: Any, language: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    said = entry.get(language, "")
    return entry.get("value", said[0] if isinstance(said, list) else said)


def _spoken(entry: Any, language: str) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    said = entry.get(language, entry.get("value", ""))
    return str(said[0] if isinstance(said, list) else said)


def _objects(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Objects with their required fields, or with all where none is required."""
    properties = schema.get("properties", {})
    names = [n for n in properties if n in schema.get("required", ())] or list(properties)[:3]
    pools = {n: _listed(pool_of(n, properties[n], root, depth + 1)) for n in names}
    if not names or any(not pool for pool in pools.values()):
        return None
    found = []
    for turn in range(8):
        entry = {
            n: pool[(turn + index) % len(pool)] for index, (n, pool) in enumerate(pools.items())
        }
        for language in LANGUAGES:
            said = "、" if language == "zh" else ", "
            spoken = said.join(
                f"{spoken_argument(n, properties[n], language)} {_spoken(e, language)}"
                for n, e in entry.items()
            )
            found.append(
                {"value": {n: _value(e, language) for n, e in entry.items()}, language: spoken}
            )
    return _distinct(found)


def _distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for entry in entries:
        language = "zh" if "zh" in entry else "en"
        if (language, entry[language]) not in seen:
            seen.add((language, entry[language]))
            kept.append(entry)
    return kept


def _listed(pool: Any) -> list[Any]:
    if isinstance(pool, dict):
        low, high = pool["range"]
        return list(range(low, high + 1, pool.get("step", 1)))[:12]
    return pool or []


def _strings(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    told = [e for e in schema.get("examples", []) if isinstance(e, str) and e and e.strip() == e]
    if len(told) > 1:
        return told
    if schema.get("format") in _FORMATS:
        return list(_FORMATS[schema["format"]])
    if "pattern" in schema:
        return None  # a guess would not match, and a wrong gold value is worse than none
    known: list[Any] = _paired(_TEXTS)
    for word in reversed(words_of(name)):
        if word in _PAIRED:
            known = _paired(_PAIRED[word])
            break
        if word in _PLAIN:
            known = list(_PLAIN[word])
            break
    return _fitting(known, schema)


def _paired(texts: Mapping[str, list[str]]) -> list[Any]:
    return [{"zh": zh, "en": en} for zh, en in zip(texts["zh"], texts["en"], strict=True)]


def _fitting(entries: list[Any], schema: Mapping[str, Any]) -> list[Any] | None:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 10_000)
    kept = [
        e for e in entries if all(low <= len(_spoken(e, lang)) <= high for lang in ("zh", "en"))
    ]
    return kept or None


_MAKERS: Mapping[Any, Callable[..., Values | None]] = {
    "boolean": _booleans,
    "integer": _integers,
    "number": _numbers,
    "array": _lists,
    "object": _objects,
    "string": _strings,
}


def catalog_text(tools: Iterable[Tool], domain: str) -> tuple[str | None, list[str]]:
    """A catalog file with derived templates and pools, and the tools that none could be made for.

    A tool is left out when a required argument has no values: its reason names the argument. Without
    any tool there is no text.
    """
    pools: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    left_out: list[str] = []
    for tool in tools:
        own = {name: _usable(tool, name) for name in tool.properties}
        missing = [n for n in tool.required if own.get(n) is None]
        if missing:
            why = "no values are known for" if missing[0].isidentifier() else "no sentence can name"
            left_out.append(f"{tool.name}: {why} the required argument {missing[0]!r}")
            continue
        values = {}
        for name, pool in own.items():
            if pool is not None:
                values[name] = _named(pools, name, tool.name, pool)
        entries.append(
            tool.model_dump()
            | {
                "values": values,
                "templates": {one: templates_of(tool, values, one) for one in LANGUAGES},
                "incomplete": {one: incomplete_of(tool, values, one) for one in LANGUAGES},
                "contrast": contrasts_of(tool),
                "results": RESULTS,
            }
        )
    if not entries:
        return None, left_out
    head = (
        "# Derived from the tools' names, descriptions and schemas: edit what people would say otherwise.\n"
        "# The format is described in data/README.md.\n"
    )
    document = {"domain": domain, "pools": pools, "tools": entries}
    text = yaml.dump(document, Dumper=DUMPER, allow_unicode=True, sort_keys=False, width=110)
    return head + text, left_out


def _usable(tool: Tool, name: str) -> Values | None:
    """Values that the schema takes and both languages can say, for an argument that a gap can name."""
    if not (name.isidentifier() and name.isascii()):
        return None
    schema = tool.properties[name]
    pool = pool_of(name, schema, tool.parameters)
    if pool is None:
        return None
    # `descend`, as references lead into the whole schema.
    check = jsonschema.Draft202012Validator(tool.parameters)

    def fits(value: Any) -> bool:
        return next(check.descend(value, schema), None) is None

    if isinstance(pool, dict):
        low, high = pool["range"]
        return pool if fits(low) and fits(high) else None
    kept = [
        entry
        for entry in pool
        if all(fits(_value(entry, one)) for one in LANGUAGES if _speaks(entry, one))
    ]
    both = all(any(_speaks(entry, one) for entry in kept) for one in LANGUAGES)
    return kept if both else None


def _speaks(entry: Any, language: Language) -> bool:
    """Whether a pool's entry can be said in a language."""
    return not isinstance(entry, dict) or language in entry


def _named(pools: dict[str, Any], name: str, tool: str, pool: Any) -> str:
    """The name of `pool`: the argument's where that is free or holds the same, else with the tool's."""
    plain = re.sub(r"\W", "_", name)
    for candidate in _names(plain, tool):
        if candidate not in pools or pools[candidate] == pool:
            pools[candidate] = pool
            return candidate
    raise AssertionError("names do not run out")


def _names(name: str, tool: str) -> Iterator[str]:
    yield name
    yield f"{re.sub(r'[^A-Za-z0-9_]', '_', tool)}_{name}"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
