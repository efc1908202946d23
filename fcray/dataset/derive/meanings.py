"""What a text stands for, told by an argument's name and description: a city, a date, somebody's name.

Each meaning has values that are said of it. Knows no types but text, and nothing of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fcray.dataset.derive.schemas import clauses, description_of, first_clause
from fcray.dataset.derive.words import PREPOSITION, words_of
from fcray.tools import Language

_DATES = [f"2025-{month:02}-{4 * month % 27 + 1:02}" for month in range(1, 13)]
_TIMES = ["07:00", "08:30", "09:15", "10:00", "12:00", "14:30", "15:45", "18:00", "20:15", "21:30"]
MOMENTS = [f"{day}T{time}:00" for day, time in zip(_DATES, _TIMES, strict=False)]
_TEXTS = ("季度预算|项目进度|周末聚餐|系统升级|合同修改|产品发布|测试结果|客户投诉",
          "quarterly budget|project update|team dinner|system upgrade|contract changes|"
          "product launch|test results|customer complaint")  # fmt: skip
_NOTES = ("会议改到下午了|请尽快回复|材料已经收到|明天不用来了|记得带上合同|我会晚到十分钟",
          "the meeting is moved to the afternoon|please reply soon|the papers have arrived|"
          "no need to come tomorrow|remember the contract|I will be ten minutes late")  # fmt: skip


class Meaning(NamedTuple):
    """What a text stands for.

    Attributes
    ----------
    label: How an argument of this meaning may be called.
    known: Words of names and descriptions that tell it; of two the later, 城市编号 is a number.
    values: As a pool of a catalog file holds them.
    is_code: It is told by a description although the name tells something else: a customer's e-mail.
    """

    label: Mapping[Language, str]
    known: str
    values: list[Any]
    is_code: bool = False


def _meaning(
    zh: str, en: str, known: str, said: tuple[str, str] | list[str], *, is_code: bool = False
) -> Meaning:
    values: list[Any] = [*said] if isinstance(said, list) else _paired(*said)
    return Meaning({"zh": zh, "en": en}, known, values, is_code)


def _paired(zh: str, en: str) -> list[Any]:
    both = zip(zh.split("|"), en.split("|"), strict=True)
    return [{"zh": one, "en": other} for one, other in both]


_CODES = ["A-1001", "B-2040", "C-3317", "X-0042", "Z-9001", "K-7250", "M-5518", "P-6203"]
_CITY = _meaning(
    "城市", "city",
    "city|town|location|place|origin|destination|departure|arrival|venue|"
    "城市|地点|位置|地区|目的地|出发地|到达地|始发地|所在地",
    ("北京|上海|广州|成都|杭州|西安|纽约|伦敦",
     "Beijing|Shanghai|Boston|Chicago|London|Paris|Berlin|Tokyo"),
)  # fmt: skip
_PERSON = _meaning(
    "姓名", "name",
    "person|user|customer|client|contact|patient|recipient|sender|receiver|guest|attendee|passenger|"
    "employee|colleague|member|owner|author|assignee|doctor|participant|invitee|student|teacher|friend|"
    "姓名|人名|联系人|收件人|寄件人|收货人|客户|用户|患者|病人|客人|乘客|员工|同事|成员|作者|负责人|医生|参会人|学生|老师|朋友",
    ("张伟|王芳|李娜|刘洋|陈静|杨帆|赵磊|周敏", "Alice|Bob|Carol|David|Emma|Frank|Grace|Henry"),
)  # fmt: skip
_ID = _meaning(
    "编号", "ID",
    "id|ids|identifier|uuid|serial number|tracking number|order number|account number|reference|"
    "verification code|promo code|coupon|coupon code|city code|product code|sku|token|password|api key|"
    "编号|单号|账号|帐号|序列号|验证码|优惠码|优惠券|密码|标识|标识符|城市代码|商品代码|学号|工号|卡号",
    _CODES, is_code=True,
)  # fmt: skip
_DATE = _meaning(
    "日期", "date",
    "date|day|deadline|due|birthday|date of birth|"
    "日期|日子|哪天|哪一天|截止日|生日|年月日",
    _DATES,
)  # fmt: skip
_TIME = _meaning("时间", "time", "time|time of day|clock time|hour|时间|时刻|几点|钟点", _TIMES)
_MOMENT = _meaning(
    "时间", "time",
    "datetime|date time|date and time|timestamp|time stamp|moment|iso 8601|"
    "日期时间|日期和时间|日期与时间|时间戳",
    MOMENTS, is_code=True,
)  # fmt: skip
TOPIC = _meaning(
    "主题", "topic",
    "title|subject|topic|theme|question|headline|agenda|event|meeting|task|project|"
    "标题|主题|题目|话题|问题|议题|活动|任务|项目",
    _TEXTS,
)  # fmt: skip
_NOTE = _meaning(
    "内容", "text",
    "text|message|content|body|note|notes|comment|description|reason|remark|remarks|details|feedback|"
    "summary|caption|reply|内容|消息|信息|正文|文本|文字|备注|留言|评论|说明|描述|原因|理由|反馈|回复|详情",
    _NOTES,
)  # fmt: skip
_NUMBER = _meaning(
    "数量",
    "number",
    "count|quantity|数量|个数|人数|件数|份数",
    ["1", "2", "3", "4", "5", "8", "10", "12"],
)
_HOW_MANY = re.compile(
    r"(?:(?:the|total|maximum|max) )*(?:number|count) of (?!the\b)|how many", re.IGNORECASE
)
_MEANINGS: tuple[Meaning, ...] = (
    _CITY, _PERSON, _ID, _DATE, _TIME, _MOMENT, TOPIC, _NOTE, _NUMBER,
    _meaning("邮箱", "email",
             "email|e mail|mail|email address|e mail address|mail address|邮箱|邮件地址|电子邮件|邮箱地址",
             [f"{one}@example.com" for one in ("li", "wang", "sales", "support", "hr", "info", "anna")],
             is_code=True),
    _meaning("电话", "phone number",
             "phone|telephone|mobile|cell|fax|phone number|mobile number|contact number|"
             "电话|手机|手机号|手机号码|电话号码|联系方式",
             ["13800000001", "13900000002", "02155550100", "2025550123", "2025550178", "2025550136"],
             is_code=True),
    _meaning("网址", "URL",
             "url|uri|link|website|web page|webpage|homepage|image|photo|picture|video|avatar|"
             "网址|链接|网站|网页|图片|照片|视频",
             [f"https://example.com/{one}" for one in ("a", "docs", "news", "shop", "report", "blog")],
             is_code=True),
    _meaning("地址", "address",
             "address|street|street address|street and house number|house number|road|"
             "地址|住址|街道|门牌号|详细地址",
             ("中山路18号|人民路200号|解放大道7号|长江路56号|建设街33号|和平路101号",
              "12 Baker Street|48 Elm Avenue|7 Station Road|230 Oak Lane|91 Mill Street|5 Park Row")),
    _meaning("邮编", "postal code",
             "zip|zip code|zipcode|postal code|postcode|post code|邮编|邮政编码",
             ["100080", "200120", "510000", "02134", "60601", "94105"]),
    _meaning("国家", "country", "country|nation|nationality|国家|国籍",
             ("中国|日本|法国|德国|巴西|加拿大", "China|Japan|France|Germany|Brazil|Canada")),
    _meaning("国家代码", "country code", "country code|iso country|国家代码|国家编码|国别码",
             ["CN", "US", "JP", "DE", "FR", "BR"], is_code=True),
    _meaning("省份", "region", "province|state|region|county|district|省份|区县|行政区",
             ("广东|浙江|四川|江苏|山东|湖北", "California|Texas|Ontario|Bavaria|Florida|Ohio")),
    _meaning("机场", "airport", "airport|airport code|iata|iata code|机场|机场代码|三字码",
             ["PEK", "PVG", "JFK", "LHR", "NRT", "CDG"], is_code=True),
    _meaning("航班号", "flight number", "flight|flight number|flight no|航班|航班号",
             ["CA1234", "MU5102", "CZ3009", "BA117", "UA88", "JL25"]),
    _meaning("币种", "currency", "currency|currency code|币种|货币|货币代码|币种代码",
             ["USD", "EUR", "CNY", "JPY", "GBP", "CHF"]),
    _meaning("股票代码", "symbol",
             "symbol|ticker|stock|stock code|ticker symbol|stock symbol|股票|股票代码|证券代码",
             ["AAPL", "MSFT", "TSLA", "NVDA", "0700.HK", "600519"]),
    _meaning("语言", "language", "language|lang|语言|语种|译文语言|目标语言",
             ("英语|法语|德语|日语|中文|西班牙语", "English|French|German|Japanese|Chinese|Spanish")),
    _meaning("语言代码", "language code", "language code|lang code|locale|iso 639|语言代码|语言编码",
             ["en", "zh", "fr", "de", "ja", "es"], is_code=True),
    _meaning("时区", "time zone", "timezone|time zone|tz|时区",
             ["Asia/Shanghai", "Europe/London", "America/New_York", "Asia/Tokyo", "UTC"], is_code=True),
    _meaning("颜色", "colour", "color|colour|颜色|色彩|配色",
             ("红色|蓝色|绿色|黑色|白色|黄色", "red|blue|green|black|white|yellow")),
    _meaning("菜品", "dish",
             "food|dish|meal|cuisine|pizza|drink|menu item|"
             "菜品|菜名|食物|食品|餐点|菜系|饮料",
             ("宫保鸡丁|番茄炒蛋|牛肉面|烤鸭|水饺|酸辣汤",
              "margherita pizza|chicken soup|beef noodles|green salad|fish tacos|mushroom risotto")),
    _meaning("配料", "topping", "topping|ingredient|flavor|flavour|配料|食材|口味|馅料",
             ("芝士|蘑菇|火腿|洋葱|菠萝|番茄", "cheese|mushrooms|ham|onions|pineapple|tomatoes")),
    _meaning("商品", "item",
             "item|product|goods|merchandise|gift|商品|产品|物品|货品|礼物|品名",
             ("笔记本电脑|耳机|办公椅|显示器|键盘|台灯",
              "laptop|headphones|office chair|monitor|keyboard|desk lamp")),
    _meaning("公司", "company",
             "company|organization|organisation|employer|brand|vendor|supplier|merchant|"
             "公司|企业|单位名称|机构|品牌|供应商|商家",
             ("华星科技|远山物流|青禾食品|蓝海银行|明德教育|东方能源",
              "Acme|Globex|Initech|Northwind|Contoso|Umbra Energy")),
    _meaning("部门", "department", "department|team|division|部门|团队|科室",
             ("财务部|市场部|研发部|人事部|销售部|法务部",
              "finance|marketing|research|personnel|sales|legal")),
    _meaning("职位", "job", "job|job title|occupation|profession|role|职位|职业|岗位|角色",
             ("工程师|会计|护士|教师|律师|设计师", "engineer|accountant|nurse|teacher|lawyer|designer")),
    _meaning("餐厅", "restaurant", "restaurant|cafe|diner|餐厅|饭店|餐馆",
             ("老街饭馆|江南小厨|海底世界|竹园餐厅", "Old Mill|Blue Door|Green Garden|Harbour Grill")),
    _meaning("酒店", "hotel", "hotel|hostel|酒店|宾馆|旅馆",
             ("湖滨酒店|星河宾馆|长城饭店|云顶酒店", "Lakeside Hotel|Grand Plaza|Station Inn|Hilltop Lodge")),
    _meaning("房间", "room", "room|meeting room|conference room|会议室|房间|教室",
             ("201|302|A厅|东厅", "201|302|Aurora|East Hall")),
    _meaning("设备", "device", "device|appliance|machine|sensor|设备|电器|机器|传感器",
             ("客厅灯|卧室空调|厨房风扇|门锁|三号水泵",
              "living room lamp|bedroom heater|kitchen fan|door lock|pump 3")),
    _meaning("歌曲", "song", "song|track|music|歌曲|歌名|音乐|曲目",
             ("茉莉花|在水一方|小城故事|橄榄树", "Yesterday|Hey Jude|Imagine|Moon River")),
    _meaning("电影", "film", "movie|film|show|电影|影片|片名",
             ("大闹天宫|城南旧事|黄土地|早春二月", "Casablanca|Vertigo|Metropolis|City Lights")),
    _meaning("书", "book", "book|novel|书名|图书|书籍",
             ("红楼梦|西游记|呐喊|边城", "Emma|Dracula|Walden|Middlemarch")),
    _meaning("文件", "file",
             "file|filename|path|folder|directory|attachment|document|"
             "文件|文件名|路径|目录|文件夹|附件|文档",
             ["report.pdf", "notes.txt", "data/sales.csv", "slides.pptx", "photo.jpg", "draft.docx"]),
    _meaning("IP地址", "IP address", "ip|ip address|host|hostname|IP地址|主机",
             ["192.0.2.10", "198.51.100.7", "203.0.113.42", "192.0.2.77"], is_code=True),
    _meaning("症状", "symptom", "symptom|disease|illness|diagnosis|症状|疾病|病症",
             ("头痛|发烧|咳嗽|胃痛|失眠", "headache|fever|cough|stomach ache|insomnia")),
    _meaning("药品", "medicine", "medicine|medication|drug|药品|药物|药名",
             ("阿司匹林|布洛芬|青霉素|胰岛素", "aspirin|ibuprofen|penicillin|insulin")),
    _meaning("时长", "duration", "duration|时长|持续时间",
             ("30分钟|1小时|2小时|45分钟", "30 minutes|1 hour|2 hours|45 minutes")),
    _meaning("星期", "weekday", "weekday|day of week|day of the week|星期|星期几|周几",
             ("星期一|星期三|星期五|星期日", "Monday|Wednesday|Friday|Sunday")),
    _meaning("月份", "month", "month|月份", ["2025-01", "2025-04", "2025-07", "2025-10", "2025-12"]),
    _meaning("年份", "year", "year|年份|年度", ["2019", "2021", "2023", "2024", "2025"]),
    _meaning("状态", "status", "status|状态", ("未处理|处理中|已完成|已取消", "open|pending|done|cancelled")),
    _meaning("优先级", "priority", "priority|severity|urgency|优先级|紧急程度|严重程度",
             ("高|中|低", "high|medium|low")),
    _meaning("单位", "unit", "unit|units|单位", ["kg", "cm", "km", "lb"]),
    _meaning("性别", "gender", "gender|sex|性别", ("男|女", "male|female")),
)  # fmt: skip
_WEAK: tuple[Meaning, ...] = (
    _PERSON._replace(known="name|名字"),
    _ID._replace(known="code|number|no|key|代码|号码|编码"),
    _DATE._replace(known="start|end|since|until|when|开始|结束"),
    TOPIC._replace(known="query|keyword|search term|input|value|关键词|关键字"),
    _CITY._replace(known="from|to"),
    _TIME._replace(known="at"),
    _meaning("类别", "category", "category|type|kind|genre|group|tag|类别|类型|种类|分类|标签",
             ("电子产品|图书|服装|家居|食品", "electronics|books|clothing|furniture|groceries")),
)  # fmt: skip
"""What a word tells only where nothing else does; `from` and `to` in names alone."""
_IN_NAMES_ONLY = ("from", "to", "at", "no", "when")
"""Words that tell something as names only; in descriptions they are prepositions."""

_STRONG, _HINT = 2, 1
_KNOWN: Mapping[str, tuple[Meaning, int]] = {
    word.lower(): (meaning, strength)
    for meanings, strength in ((_WEAK, _HINT), (_MEANINGS, _STRONG))
    for meaning in meanings
    for word in meaning.known.split("|")
}


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_KNOWN_IN = re.compile(
    rf"(?<![a-z0-9])({_any_of(w for w in _KNOWN if w.isascii())})s?(?![a-z0-9])"
    rf"|({_any_of(w for w in _KNOWN if not w.isascii())})"
)

_OF = re.compile(r"(?<!\w)of(?!\w)")
_BETWEEN_WORDS = re.compile(r"[_/'’\s]+|-(?!(?:in|on|of|to|by|for)\b)")


def _told_by(text: str, *, in_name: bool = False) -> tuple[Meaning, int] | None:
    """What the head of a phrase tells; in "name of the city" that is what follows, as anything has a name."""
    text = _BETWEEN_WORDS.sub(" ", text.lower())
    found = [
        (match.span(), _KNOWN[word])
        for match in _KNOWN_IN.finditer(text)
        if (word := match[1] or match[2]) not in _IN_NAMES_ONLY or in_name
    ]
    within = [range(*span) for span, _ in found]
    ends = [
        one.start()
        for one in (_OF if in_name else PREPOSITION).finditer(text)
        if not any(one.start() in words for words in within)
    ]
    end = ends[0] if ends else len(text)
    head = [told for (start, _), told in reversed(found) if start < end]
    best = [told for told in head if told[1] == _STRONG]
    if head or end == 0:
        best += [told for (start, _), told in found if start > end and told[1] == _STRONG]
    return next(iter([*best, *head]), None)


def told_by_name(name: str) -> tuple[Meaning, int] | None:
    """What an argument's name tells alone, and how surely."""
    return _told_by(" ".join(words_of(name)), in_name=True)


def meaning_of(name: str, schema: Mapping[str, Any]) -> Meaning | None:
    """What an argument's name and description say that it is."""
    description = description_of(schema)
    if _HOW_MANY.match(first_clause(schema)):
        return _NUMBER
    by_name = told_by_name(name)
    by_text = next(filter(None, map(_told_by, clauses(description))), None)
    told = by_name or by_text
    if by_name and by_text and by_text[1] > by_name[1]:
        told = by_text
    if by_text and by_text[1] == _STRONG and by_text[0].is_code:
        told = by_text
    if told is None:
        return None
    if told[0] is _TIME and re.search(r"iso.?8601|rfc.?3339|日期", description, re.IGNORECASE):
        return _MOMENT
    return told[0]


def _pool_named(word: str) -> list[Any]:
    return _KNOWN[word][0].values


FORMATS: Mapping[str, list[Any]] = {
    "date": _DATES,
    "full-date": _DATES,
    "time": [f"{time}:00" for time in _TIMES],
    "date-time": [f"{moment}Z" for moment in MOMENTS],
    "google-datetime": [f"{moment}Z" for moment in MOMENTS],
    "duration": ["PT30M", "PT1H", "PT2H", "P1D", "P7D"],
    "email": _pool_named("email"),
    "uri": _pool_named("url"),
    "url": _pool_named("url"),
    "phone": _pool_named("phone"),
    "ipv4": _pool_named("ip"),
    "hostname": ["example.com", "www.example.org", "db.example.net", "mail.example.com"],
    "uuid": [f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 7)],
    "int32": ["12", "47", "105", "233", "980"],
    "int64": ["1002", "2417", "30561", "48123", "90210"],
}
"""Values of a format of JSON Schema."""
