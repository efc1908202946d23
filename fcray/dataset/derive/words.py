"""The words that names of tools and arguments are made of, and what they are in Chinese.

Knows nothing of tools, schemas, or what a word means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fcray.dataset.speech import is_chinese

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

_SHORT_WORDS: Mapping[str, str] = {
    "q": "query", "lat": "latitude", "lon": "longitude", "lng": "longitude", "qty": "quantity",
    "num": "number", "desc": "description", "addr": "address", "tel": "phone", "msg": "message",
    "dept": "department", "img": "image", "lang": "language", "dob": "birthday", "amt": "amount",
    "due": "due date",
}  # fmt: skip
"""Names that nobody says."""

PREPOSITION = re.compile(
    r"(?<![\w-])(?:of|for|to|in|on|at|from|by|with|as|like|between|that|which|who|whose|where|when|used|if)"
    r"(?![\w-])"
)
"""Where the head of an English phrase ends: "city" in "city to fly to"."""


def words_of(name: str) -> list[str]:
    """`getUserById`, `get_user_by_id` and `get-user-by-id` → get, user, by, id."""
    return [word.lower() for word in _WORDS.findall(name)] or [name]


def full_words(name: str) -> list[str]:
    """The words of a name as they are said: `max_qty` → max, quantity."""
    return [_SHORT_WORDS.get(word, word) for word in words_of(name)]


def noun(word: str) -> str:
    """A word in Chinese, where it is known."""
    return NOUNS.get(word) or NOUNS.get(word.removesuffix("s"), word)


def in_chinese(words: Iterable[str]) -> str:
    """Words of a name in Chinese, those that are not known as they are."""
    return joined([noun(word) for word in words])


def joined(words: list[str]) -> str:
    """Chinese words without spaces, others with."""
    text = ""
    for word in words:
        both = bool(text) and not (is_chinese(text[-1]) or is_chinese(word[0]))
        text += (" " if both else "") + word
    return text


def plain(text: str) -> str:
    """A text without braces, which would be gaps in a sentence."""
    return text.replace("{", "(").replace("}", ")").strip()
