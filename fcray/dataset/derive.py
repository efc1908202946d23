"""Requests for tools that come without any: templates and values derived from names, descriptions, schemas.

The result is a catalog file like those in data/, to be built from as it is and to be edited: derived
sentences name their arguments and are stiffer than what people say. An argument is called what its
description calls it in that language, else its name in words; common words are known in Chinese. What a
text may be is told by its name, description and format. Pure; the same tools give the same text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

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
    "street": "街道", "house": "门牌", "delivery": "配送", "billing": "账单", "shipping": "收货",
    "state": "省份", "zip": "邮编", "keywords": "关键词", "max": "最大", "min": "最小",
    "maximum": "最大", "minimum": "最小", "total": "总", "tracking": "跟踪",
    "recipient": "收件人", "sender": "发件人", "person": "人", "people": "人数", "company": "公司",
    "department": "部门", "team": "团队", "project": "项目", "deadline": "截止日期", "due": "截止",
    "reason": "原因", "comment": "评论", "notes": "备注", "tag": "标签", "tags": "标签",
    "link": "链接", "website": "网站", "image": "图片", "photo": "照片", "video": "视频",
    "music": "音乐", "volume": "音量", "speed": "速度", "mode": "模式", "format": "格式",
    "filter": "筛选", "budget": "预算", "discount": "折扣", "balance": "余额",
    "score": "分数", "rating": "评分", "latitude": "纬度", "longitude": "经度", "timezone": "时区",
    "hour": "小时", "minute": "分钟", "days": "天数", "seconds": "秒数", "interval": "间隔",
    "food": "菜品", "dish": "菜品", "drink": "饮料", "symptom": "症状", "medicine": "药品",
    "doctor": "医生", "hospital": "医院", "gender": "性别", "birthday": "生日", "service": "服务",
    "ticket": "工单", "seat": "座位", "model": "型号", "brand": "品牌", "key": "键", "value": "值",
    "express": "加急", "urgent": "紧急", "gift": "礼物", "wrap": "包装",
    "breakfast": "早餐", "insurance": "保险", "notification": "通知", "history": "历史",
    "label": "标签", "cc": "抄送",
    "pizza": "披萨", "extra": "额外", "cheese": "芝士", "repeat": "重复", "cabin": "舱位",
    "class": "等级", "nonstop": "直飞", "direct": "直飞", "topping": "配料", "sort": "排序",
    "summary": "摘要", "details": "详情", "question": "问题", "answer": "回答", "topic": "主题",
    "region": "地区", "area": "区域", "target": "目标", "source": "来源", "result": "结果",
    "results": "结果", "group": "组", "member": "成员", "role": "角色", "password": "密码",
}  # fmt: skip
"""Words of tool and argument names, in Chinese."""

_DATES = [f"2025-{month:02}-{4 * month % 27 + 1:02}" for month in range(1, 13)]
_TIMES = ["07:00", "08:30", "09:15", "10:00", "12:00", "14:30", "15:45", "18:00", "20:15", "21:30"]
_MOMENTS = [f"{day}T{time}:00" for day, time in zip(_DATES, _TIMES, strict=False)]
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
    _MOMENTS, is_code=True,
)  # fmt: skip
_TOPIC = _meaning(
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
    _CITY, _PERSON, _ID, _DATE, _TIME, _MOMENT, _TOPIC, _NOTE, _NUMBER,
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
    _TOPIC._replace(known="query|keyword|search term|input|value|关键词|关键字"),
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
_PREPOSITION = re.compile(
    r"(?<![\w-])(?:of|for|to|in|on|at|from|by|with|as|like|between|that|which|who|whose|where|when|used|if)"
    r"(?![\w-])"
)
_OF = re.compile(r"(?<!\w)of(?!\w)")
_BETWEEN_WORDS = re.compile(r"[_/'’\s]+|-(?!(?:in|on|of|to|by|for)\b)")
_EXAMPLES = re.compile(
    r"\be\.?g\b|\bi\.?e\b|\bfor example\b|\bsuch as\b|例如|比如|譬如|诸如|[（(，,]如", re.I
)
_CLAUSE_END = re.compile(r"[.,;:!?()\n。，；：！？（）]|\s[-–—]\s")


def _clauses(description: str) -> list[str]:
    """A description up to its examples, clause by clause."""
    told = _EXAMPLES.split(description, maxsplit=1)[0]
    return [clause for part in _CLAUSE_END.split(told) if (clause := part.strip())]


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
        for one in (_OF if in_name else _PREPOSITION).finditer(text)
        if not any(one.start() in words for words in within)
    ]
    end = ends[0] if ends else len(text)
    head = [told for (start, _), told in reversed(found) if start < end]
    best = [told for told in head if told[1] == _STRONG]
    if head or end == 0:
        best += [told for (start, _), told in found if start > end and told[1] == _STRONG]
    return next(iter([*best, *head]), None)


def _meaning_of(name: str, schema: Mapping[str, Any]) -> Meaning | None:
    """What an argument's name and description say that it is."""
    description = _description(schema)
    if _HOW_MANY.match(next(iter(_clauses(description)), "")):
        return _NUMBER
    by_name = _told_by(" ".join(words_of(name)), in_name=True)
    by_text = next(filter(None, map(_told_by, _clauses(description))), None)
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


def _description(schema: Any) -> str:
    told = schema.get("description") if isinstance(schema, Mapping) else None
    return told if isinstance(told, str) else ""


def _pool_named(word: str) -> list[Any]:
    return _KNOWN[word][0].values


_FORMATS: Mapping[str, list[Any]] = {
    "date": _DATES,
    "full-date": _DATES,
    "time": [f"{time}:00" for time in _TIMES],
    "date-time": [f"{moment}Z" for moment in _MOMENTS],
    "google-datetime": [f"{moment}Z" for moment in _MOMENTS],
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
    if normalise(first) and len(first) <= 60 and (language == "zh") == is_chinese(first):
        return _plain(
            first[0].lower() + first[1:] if language == "en" and first[1:2].islower() else first
        )
    verb, *rest = words_of(tool.name)
    if language == "en":
        return " ".join([verb, *rest])
    known = [_noun(word) for word in rest if word not in ("by", "of", "for", "the", "to")]
    return VERBS.get(verb, _noun(verb)) + _joined(known)


def spoken_argument(name: str, schema: Any, language: Language) -> str:
    """What an argument is called: what its title or description calls it, else its name in words."""
    schema = schema if isinstance(schema, Mapping) else {}
    title = schema.get("title")
    if (
        isinstance(title, str)
        and (language == "zh") == is_chinese(title)
        and title.strip()
        and words_of(title) != words_of(name)  # which pydantic makes of the name
    ):
        return _plain(title)
    told = _short(_description(schema), language)
    if told:
        return told
    return _name_in_words(name, schema, language)


def _name_in_words(name: str, schema: Mapping[str, Any], language: Language) -> str:
    """A name in words, or what the argument is, where they would not tell that."""
    words = [_SHORT_WORDS.get(word, word) for word in words_of(name)]
    by_name = _told_by(" ".join(words_of(name)), in_name=True)
    meaning = _meaning_of(name, schema) if _is_text(schema) else None
    if language == "zh":
        unclear = any(_noun(word) == word for word in words)
    else:
        unclear = by_name is None and is_chinese(_description(schema))
    if meaning and by_name and meaning.is_code and by_name[0] is not meaning:
        unclear = True  # a customer's e-mail is not called the customer
    if meaning and unclear:
        return meaning.label[language]
    return " ".join(words) if language == "en" else _joined(list(map(_noun, words)))


_SHORT_WORDS = {
    "q": "query", "lat": "latitude", "lon": "longitude", "lng": "longitude", "qty": "quantity",
    "num": "number", "desc": "description", "addr": "address", "tel": "phone", "msg": "message",
    "dept": "department", "img": "image", "lang": "language", "dob": "birthday", "amt": "amount",
    "due": "due date",
}  # fmt: skip
"""Names that nobody says."""

_ARTICLES = re.compile(
    r"^(?:(?:the|a|an|your|this|its|their|optional|required)\s+)+", re.IGNORECASE
)
_NO_NOUN = {
    *("filter", "specify", "specifies", "set", "sets", "include", "return", "returns", "use", "enter"),
    *("select", "choose", "provide", "indicates", "indicate", "determines", "only", "if", "whether"),
    *("must", "should", "can", "used", "when", "how", "what", "which", "where", "who", "why", "one"),
    *("any", "all", "either", "defaults", "default", "example", "note", "see", "true", "false", "format"),
    *("limit", "pass", "give", "enable", "disable", "required", "optional", "may"),
    *("show", "get", "search", "find", "send", "comma", "json", "string", "integer", "boolean"),
}  # fmt: skip
"""With these a description begins that names nothing."""

_OF_THE = re.compile(
    r"^([\w-]+(?: [\w-]+)?) of (?:the|a|an|your|this|their) ([\w-]+(?: [\w-]+)?)$", re.IGNORECASE
)
"""The title of the meeting is the meeting title."""

_MOST_WORDS = 5
_IS_NAME = re.compile(r"[A-Za-z][\w' /-]*")
_ZH_OPENING = re.compile(
    r"^(?:请?(?:输入|填写|指定|提供|传入)|表示|(?:可选|必填|选填|必须|必需)的?|(?:用户|您|你|客户端)(?=要|想|需)"
    r"|用于[^的]{1,8}的|(?:需要?|想要?|希望|所需|将要?|要|待|欲|被|所)[^的]{0,8}的|[您你该此])+"
)
_ZH_NO_NOUN = re.compile(
    r"^(?:默认|格式|若|如|当|是否|单位|范围|取值|或|以及|不|为|按|根据|通过|从|在|对|支持|多个|一个|字符串|整数)"
)


def _short(description: str, language: Language) -> str:
    """What a description calls the argument, if it begins with that and in a few words; else nothing."""
    clauses = _clauses(description)
    said = next(
        (one for one in clauses if one.lower() not in ("optional", "required", "可选", "必填")), ""
    )
    if not said or (language == "zh") != is_chinese(said):
        return ""
    if language == "zh":
        said = _ZH_OPENING.sub("", said).strip(" “”\"'‘’「」")
        usable = is_chinese(said) and len(said) <= 10 and not _ZH_NO_NOUN.match(said)
        return _plain(said.replace("的", "").removesuffix("名称") or said) if usable else ""
    said = _ARTICLES.sub("", said)
    ends = [*(one.start() for one in _PREPOSITION.finditer(said)), len(said)]
    named = said[: ends[0]]
    if said[ends[0] :].startswith("of "):  # "time of day" is one name
        whole = _OF_THE.sub(lambda m: f"{m[2]} {_uncapped(m[1])}", said[: ends[1]].strip())
        named = whole if len(whole.split()) <= _MOST_WORDS else named
    words = named.split()
    brief = 0 < len(words) <= _MOST_WORDS and len(named) <= 40
    if not brief or not _IS_NAME.fullmatch(named) or words[0].lower() in _NO_NOUN:
        return ""
    titled = all(word[0].isupper() for word in words)
    return " ".join(_uncapped(w) if titled or not n else w for n, w in enumerate(words))


def _uncapped(word: str) -> str:
    """A word without its capital, unless there are more: ID, eBay."""
    return word if any(letter.isupper() for letter in word[1:]) else word.lower()


def labels_of(tool: Tool, language: Language) -> dict[str, str]:
    """What a tool's arguments are called, each otherwise than the others."""
    schemas = {name: _whole_schema(tool, name) for name in tool.properties}
    labels = {name: spoken_argument(name, schema, language) for name, schema in schemas.items()}
    ends = {"from": "来源", "to": "目标"} if language == "zh" else {}
    for clearer in (
        lambda name: _joined([ends.get(w) or (_noun(w) if ends else w) for w in words_of(name)]),
        lambda name: " ".join(words_of(name)),
        lambda name: name,
    ):
        count = Counter(labels.values())
        labels = {n: clearer(n) if count[label] > 1 else label for n, label in labels.items()}
    return labels


def _whole_schema(tool: Tool, name: str) -> Mapping[str, Any]:
    """An argument's schema with what it refers to; its own description comes first."""
    own = tool.properties[name]
    found = _followed(own, tool.parameters)
    if not isinstance(found, Mapping):
        return {}
    return {**found, **own} if isinstance(own, Mapping) else found


def _noun(word: str) -> str:
    """A word in Chinese, where it is known."""
    return NOUNS.get(word) or NOUNS.get(word.removesuffix("s"), word)


def _plain(text: str) -> str:
    return text.replace("{", "(").replace("}", ")").strip()


def _is_text(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", "string")
    return "string" in (kinds if isinstance(kinds, list) else [kinds])


def _joined(words: list[str]) -> str:
    """Chinese words without spaces, others with."""
    text = ""
    for word in words:
        both = bool(text) and not (is_chinese(text[-1]) or is_chinese(word[0]))
        text += (" " if both else "") + word
    return text


def templates_of(tool: Tool, pools: Mapping[str, Values], language: Language) -> list[str]:
    """Requests with the required arguments alone, with all, and with each optional one besides.

    Parameters
    ----------
    pools: The arguments that can be said, and their values.
    """
    usable, required, optional = _divided(tool, pools)
    sets = [required, *([*required, name] for name in optional[:4])]
    if len(optional) > 1:
        sets.append(usable)
    return _said_of(tool, pools, sets, language, frames=len(_FRAMES[language]))


def incomplete_of(tool: Tool, pools: Mapping[str, Values], language: Language) -> list[str]:
    """Requests that leave out a required argument, the others and perhaps an optional one stated."""
    _, required, optional = _divided(tool, pools)
    sets = [[name for name in required if name != absent] for absent in required[:4]]
    sets += [[*sets[0], name] for name in optional[:2] if sets]
    return _said_of(tool, pools, sets, language, frames=4)


def _divided(tool: Tool, pools: Mapping[str, Values]) -> tuple[list[str], list[str], list[str]]:
    """The arguments that can be said; of them the required ones, and the others."""
    usable = [name for name in tool.properties if name in pools]
    required = [name for name in usable if name in tool.required]
    return usable, required, [name for name in usable if name not in required]


def contrasts_of(tool: Tool) -> list[dict[str, dict[Language, str]]]:
    """What is said about a tool without asking for it, with answers."""
    needs: dict[Language, str] = {}
    for language in LANGUAGES:
        labels = labels_of(tool, language)
        called = [labels[name] for name in tool.required]
        needs[language] = _COMMA[language].join(called) or _NOTHING[language]
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
    tool: Tool,
    pools: Mapping[str, Values],
    sets: Iterable[list[str]],
    language: Language,
    *,
    frames: int,
) -> list[str]:
    """Each set of arguments in so many frames; no two texts say the same."""
    what, labels = spoken_tool(tool, language), labels_of(tool, language)
    found: list[str] = []
    for index, names in enumerate(sets):
        flags = [name for name in names if _is_flag(pools[name])]
        others = [name for name in names if name not in flags]
        for turn, frame in enumerate(_frames(others, flags, language)[:frames]):
            order = others if (turn + index) % 2 == 0 else list(reversed(others))
            gaps = [_gap(name, labels[name], language, turn) for name in order]
            gaps += [f"{{{name}}}" for name in flags]  # their words tell of what
            arguments = _COMMA[language].join(gaps)
            text = frame.replace("{what}", what).replace("{arguments}", arguments)
            found.append(_capital(text, language))
    if language == "zh":  # a name that nobody translated leaves some frames without Chinese
        found = [text for text in found if is_chinese(_GAP.sub("", text))]
    return list({normalise(text): text for text in reversed(found)}.values())[::-1]


def _frames(others: list[str], flags: list[str], language: Language) -> Sequence[str]:
    if not (others or flags):
        return _BARE[language]
    if others or language == "zh":
        return _FRAMES[language]
    bare = [frame.replace(" with {arguments}", ", {arguments}") for frame in _FRAMES["en"]]
    return [frame for frame in bare if "ith {" not in frame and frame[0] != "{"]


def _gap(name: str, label: str, language: Language, turn: int) -> str:
    if language == "en":
        return f"{label} {{{name}}}"
    joint = "是" if turn % 2 else ""
    return f"{label}{joint}{{{name}}}" if is_chinese(label[-1]) else f"{label} {joint}{{{name}}}"


Values = list[Any] | dict[str, Any]
"""A pool as a catalog file holds it."""


def pool_of(name: str, schema: Any, root: Mapping[str, Any], depth: int = 0) -> Values | None:
    """Values for an argument, as a pool of a catalog file; None where its schema gives no idea.

    Parameters
    ----------
    root: The tool's whole schema, which references lead into.
    """
    schema = _merged(schema, root)
    if schema is None or depth > 3:
        return None
    variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if variants:
        told = {k: schema[k] for k in ("description", "examples") if k in schema}
        pools = (
            pool_of(name, {**told, **one} if isinstance(one, Mapping) else one, root, depth + 1)
            for one in variants
        )
        return next((pool for pool in pools if pool is not None), None)
    if "const" in schema or "enum" in schema:
        values = [v for v in schema.get("enum", [schema.get("const")]) if v is not None]
        if values and all(isinstance(value, bool) for value in values):
            return [entry for entry in _BOOLEANS if entry["value"] in values]
        return [_said(value) for value in values] or None
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    maker = _MAKERS.get(kind)
    return maker(name, schema, root, depth) if maker else None


_BOOLEANS = [{"value": True, "zh": "是", "en": "yes"}, {"value": False, "zh": "否", "en": "no"}]


def _booleans(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    return list(_BOOLEANS)


_HAVING = {"include", "includes", "with", "has", "have", "add", "show", "need", "needs", "want", "wants",
           "use", "uses", "require", "requires", "allow", "enable", "return", "get", "send"}  # fmt: skip
_LACKING = {"no", "without", "exclude", "skip", "disable", "omit"}
_SWITCHED = {"on", "enabled", "active", "enable", "power"}
_WHETHER = re.compile(r"^(?:whether(?: or not)?|if(?: true)?|true|set) to (\w[\w' -]{2,40})$", re.I)


def _flag_en(name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    first, *rest = words_of(name)
    told = next(iter(_clauses(_description(schema))), "")
    if (whether := _WHETHER.match(told)) and len(whether[1].split()) <= 5:
        return whether[1], f"do not {whether[1]}"
    if told.lower().startswith("only ") and len(told.split()) <= 5:
        return _plain(f"o{told[1:]}"), _plain(f"not o{told[1:]}")
    if not rest and first in _SWITCHED:
        return "turned on", "turned off"
    if rest and first in ("is", "are"):
        return " ".join(rest), f"not {' '.join(rest)}"
    what = " ".join(rest if rest and first in {*_HAVING, *_LACKING} else [first, *rest])
    pair = (f"with {what}", f"without {what}")
    return (pair[1], pair[0]) if rest and first in _LACKING else pair


def _flag_zh(name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    first, *rest = words_of(name)
    told = next(iter(_clauses(_description(schema))), "")
    if told.startswith(("是否", "只", "仅")) and 2 < len(told) <= 12:
        return _affirmed(_plain(told.removeprefix("是否")))
    if not rest and first in _SWITCHED:
        return "打开", "关闭"
    bare = rest if rest and first in {"is", "are", *_HAVING, *_LACKING} else [first, *rest]
    label = _short(told, "zh") or _joined(list(map(_noun, bare)))
    if not is_chinese(label):
        pair = (f"开启 {label}", f"不开启 {label}")
    elif first in ("is", "are"):
        pair = (f"是{label}", f"不是{label}")
    else:
        pair = (f"需要{label}", f"不需要{label}")
    return (pair[1], pair[0]) if rest and first in _LACKING else pair


def _affirmed(said: str) -> tuple[str, str]:
    """包含税 → 包含税, 不包含税; 已 and 有 have their own negations."""
    if said.startswith("有"):
        return said, f"没{said}"
    if said.startswith("已"):
        return said, f"未{said.removeprefix('已').removeprefix('经')}"
    return said, f"不{said}"


def _is_flag(pool: Values) -> bool:
    return isinstance(pool, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("value"), bool) for entry in pool
    )


def _said_as_flag(pool: list[Any], name: str, schema: Mapping[str, Any]) -> list[Any]:
    """Yes and no in words that tell of what."""
    zh, en = _flag_zh(name, schema), _flag_en(name, schema)
    return [
        {"value": entry["value"], "zh": zh[not entry["value"]], "en": en[not entry["value"]]}
        for entry in pool
    ]


def _merged(schema: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any] | None:
    """`schema` with what it refers to and what it is all of; None where nothing fits or it has no end.

    `true` stands for any value. Where two parts differ the last one counts: what is made of it is checked.
    """
    found = _followed(schema, root)
    if not isinstance(found, Mapping) or depth > 3:
        return None
    merged: dict[str, Any] = {}
    for one in [*found.get("allOf", ()), {k: v for k, v in found.items() if k != "allOf"}]:
        part = _merged(one, root, depth + 1) if "allOf" in found else found
        if part is None:
            return None
        both = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged |= part
        merged |= {"properties": both} if both else {}
        merged |= {"required": required} if required else {}
    return merged


def _followed(schema: Any, root: Mapping[str, Any]) -> Any:
    """What a schema leads to; of `true`, which takes anything, the one that says nothing."""
    for _ in range(10):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return {} if schema is True else schema
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
        return _whole(value)
    return {"value": value, "zh": f"“{value}”", "en": f'"{value}"'}


def _whole(number: float) -> float:
    """A whole number without its point: nobody says 25000.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _bounds(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The least and the greatest value, exclusive ones included; those of YAML may be infinite."""

    def finite(*keys: str) -> list[float]:
        return [schema[key] for key in keys if key in schema and math.isfinite(schema[key])]

    return (
        max(finite("minimum", "exclusiveMinimum"), default=None),
        min(finite("maximum", "exclusiveMaximum"), default=None),
    )


def _step(schema: Mapping[str, Any]) -> float | None:
    step: float | None = schema.get("multipleOf")
    return step if step is not None and math.isfinite(step) else None


_COUNTED: Mapping[str, list[Any]] = {
    "year": list(range(2015, 2027)), "month": list(range(1, 13)), "hour": list(range(24)),
    "minute": list(range(0, 60, 5)), "age": list(range(18, 81)), "page": list(range(1, 11)),
    "rating": list(range(1, 6)), "stars": list(range(1, 6)), "score": list(range(50, 101, 5)),
    "latitude": [39.9, 31.23, 51.51, 40.71, 48.86, -33.87, 35.68, 1.35],
    "longitude": [116.4, 121.47, -0.13, -74.01, 2.35, 151.21, 139.69, 103.82],
    **{of: [50, 80, 120, 200, 350, 500, 800, 1000, 1500, 2000, 5000, 8000]
       for of in ("price", "amount", "budget", "cost", "salary", "fee", "income")},
}  # fmt: skip
"""Numbers that fit a name, where its schema has no bounds."""


def _counted(name: str, schema: Mapping[str, Any]) -> list[Any] | None:
    words = [_SHORT_WORDS.get(word, word) for word in words_of(name)]
    known = next((_COUNTED[word] for word in reversed(words) if word in _COUNTED), None)
    if known is None or "multipleOf" in schema:
        return None
    low, high = _bounds(schema)
    within = [n for n in known if (low is None or n > low) and (high is None or n < high)]
    return within if len(within) > 3 else None


def _integers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    if (known := _counted(name, schema)) and all(isinstance(one, int) for one in known):
        return known
    low, high = _bounds(schema)
    if "exclusiveMinimum" in schema and low is not None:
        low += 1
    if "exclusiveMaximum" in schema and high is not None:
        high -= 1
    step = Fraction(str(_step(schema) or 1)).numerator  # whole multiples of 0.5 are all
    if low is None:
        low = 1 if high is None or high >= 1 else high - 20
    first = -(-math.ceil(low) // step) * step
    last = first + 50 * step if high is None else min(math.floor(high), first + 2000 * step)
    return {"range": [first, max(first, last)], **({"step": step} if step != 1 else {})}


def _numbers(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Values:
    if known := _counted(name, schema):
        return known
    low, high = _bounds(schema)
    if step := _step(schema):
        start = -(-(low or 0) // step)
        found = [round((start + n) * step, 6) for n in range(1, 9)]
    elif low is not None and high is not None:
        found = sorted({round(low + (high - low) * part / 8, 4) for part in range(1, 8)})
    else:
        base = [0.5, 1.5, 2.25, 10.5, 37.2, 99.9, 120.75]
        found = [round((low or 0) + n if high is None else high - n, 2) for n in base]
    return [_whole(number) for number in found if math.isfinite(number)]


def _lists(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int
) -> Values | None:
    """Lists of one to three items; lists of lists cannot be told apart when they are said."""
    inner = _followed(schema.get("items", {"type": "string"}), root)
    told = {k: schema[k] for k in ("description",) if k in schema}
    items = pool_of(
        name.removesuffix("s"),
        {**told, **inner} if isinstance(inner, Mapping) else inner,
        root,
        depth + 1,
    )
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
    """Texts of what the examples, the format, the description or the name tell; topics where nothing does.

    None where a pattern or a format wants what nothing here knows: a guess would not match, and a wrong
    gold value is worse than none.
    """
    told = [e for e in schema.get("examples", []) if isinstance(e, str) and e and e.strip() == e]
    if len(told) > 1:
        return told
    if schema.get("format") in _FORMATS:
        return list(_FORMATS[schema["format"]])
    description = _description(schema)
    known: list[Any] = _written(description) or _choices(description)
    if not known and (meaning := _meaning_of(name, schema)):
        known = meaning.values
    if not known and not schema.keys() & {"pattern", "format"}:
        known = told or _TOPIC.values
    return _fitting(known, schema)


_WRITTEN = re.compile(
    r"(?<![A-Za-z])(?:(?:YYYY|MM|DD|HH|SS)[-/.:T 年月日时分秒]{0,2})+Z?(?![A-Za-z])", re.IGNORECASE
)
"""How a description says that a date or time is to be written: YYYY-MM-DD."""


def _written(description: str) -> list[str] | None:
    """Dates and times as a description wants them written."""
    for match in _WRITTEN.finditer(description):
        pattern = match[0].strip(" -/.:")
        parts = re.findall(r"YYYY|MM|DD|HH|SS", pattern, re.IGNORECASE)
        if len(parts) > 1 or parts[0] == "YYYY":
            moments = [datetime.fromisoformat(one) for one in _MOMENTS]
            return list(dict.fromkeys(_in_pattern(pattern, moment) for moment in moments))
    return None


def _in_pattern(pattern: str, moment: datetime) -> str:
    before = ""

    def part(match: re.Match[str]) -> str:
        nonlocal before
        token = match[0].upper()
        if token == "MM" and before == "HH":
            token = "minutes"
        before = token
        return moment.strftime(_DIRECTIVES[token])

    return re.sub(r"YYYY|MM|DD|HH|SS", part, pattern, flags=re.IGNORECASE)


_DIRECTIVES = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "minutes": "%M", "SS": "%S"}
_QUOTED = re.compile(r"""(?<!\w)['"`‘“「]([^'"`‘’“”「」\n]{1,30})['"`’”」](?!\w)""")


def _choices(description: str) -> list[str]:
    """What a description quotes, if it quotes several: the values that it names."""
    told = _EXAMPLES.split(description, maxsplit=1)[0]
    found = [one for one in dict.fromkeys(_QUOTED.findall(told)) if one.strip() == one]
    return found if len(found) > 1 else []


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


def catalog_text(
    tools: Iterable[Tool], domain: str, notes: Iterable[str] = ()
) -> tuple[str | None, list[str]]:
    """A catalog file with derived templates and pools, and what it leaves out: tools, optional arguments.

    A tool is left out when a required argument has no values: its reason names the argument. Without
    any tool there is no text.

    Parameters
    ----------
    notes: What else the file says at its top.
    """
    pools: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    left_out: list[str] = []
    for tool in tools:
        own = {name: _usable(tool, name) for name in tool.properties}
        missing = [name for name in own if own[name] is None]
        if required := [name for name in missing if name in tool.required]:
            left_out.append(_unsaid(tool, required[0], "required"))
            continue
        left_out += [f"{_unsaid(tool, name, 'optional')}; no request has it" for name in missing]
        said = {name: pool for name, pool in own.items() if pool is not None}
        labels = _labels_to_write(tool)
        entries.append(
            tool.model_dump()
            | {"values": {n: _named(pools, n, tool.name, pool) for n, pool in said.items()}}
            | ({"labels": labels} if labels else {})
            | {
                "templates": {one: templates_of(tool, said, one) for one in LANGUAGES},
                "incomplete": {one: incomplete_of(tool, said, one) for one in LANGUAGES},
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
    head += "".join(f"# {' '.join(note.split())}\n" for note in (*notes, *left_out))
    document = {"domain": domain, "pools": pools, "tools": entries}
    text = yaml.dump(document, Dumper=DUMPER, allow_unicode=True, sort_keys=False, width=110)
    return head + text, left_out


def _unsaid(tool: Tool, name: str, which: str) -> str:
    why = "no values are known for" if _fits_a_gap(name) else "no sentence can name"
    return f"{tool.name}: {why} the {which} argument {name!r}"


def _labels_to_write(tool: Tool) -> dict[str, dict[Language, str]]:
    """The labels that the schema of the argument alone would not give."""
    found: dict[str, dict[Language, str]] = {}
    for language in LANGUAGES:
        for name, label in labels_of(tool, language).items():
            if label != spoken_argument(name, tool.properties[name], language):
                found.setdefault(name, {})[language] = label
    return found


def _usable(tool: Tool, name: str) -> Values | None:
    """Values that the schema takes and both languages can say, for an argument that a gap can name."""
    if not _fits_a_gap(name):
        return None
    schema = tool.properties[name]
    pool = pool_of(name, schema, tool.parameters)
    if pool is None:
        return None
    # `descend`, as references lead into the whole schema.
    check = jsonschema.Draft202012Validator(tool.parameters)

    def fits(value: Any) -> bool:
        try:
            return next(check.descend(value, schema), None) is None
        except RecursionError:  # it refers to itself without end
            return False

    if isinstance(pool, dict):
        low, high = pool["range"]
        return pool if fits(low) and fits(high) else None
    kept = [
        entry
        for entry in pool
        if all(fits(_value(entry, one)) for one in LANGUAGES if _speaks(entry, one))
    ]
    if not all(any(_speaks(entry, one) for entry in kept) for one in LANGUAGES):
        return None
    return _said_as_flag(kept, name, _whole_schema(tool, name)) if _is_flag(kept) else kept


def _fits_a_gap(name: str) -> bool:
    return name.isidentifier() and name.isascii()


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
