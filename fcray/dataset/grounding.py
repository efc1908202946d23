"""Whether gold values can be read off a conversation of which nothing else is known.

A number must be said as a whole, in digits or words, or as it would be in another unit; a date by its
parts, or by words that lead there; a text in its words. What cannot be judged passes. Knows nothing of
catalogs.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Any

from fcray.dataset.speech import CHINESE_DIGITS, MONTHS, SMALL_NUMBERS, TENS
from fcray.dataset.split import normalise
from fcray.dataset.verify import today_of
from fcray.tools import Example, Tool, canonical_json, referenced

REACH = 800
"""Days between the day that is told and one that words like "next" lead to."""

YEARS = range(2000, 2051)
"""Years that words like "next" may lead to where no day is told."""


def unread(example: Example) -> Iterator[str]:
    """The gold values that cannot be read off the conversation, each with a reason."""
    text, request = _Text(example), _folded(example.request)
    tools = {tool.name: tool for tool in example.tools}
    for call in example.calls:
        tool = tools.get(call.name)
        for name, value in call.arguments.items():
            if _is_denied(name, value, request):
                yield f"{call.name}.{name}: {value!r}, and the conversation says the opposite"
            elif not _stands(name, value, _property(tool, name), _root(tool), text):
                yield f"{call.name}.{name}: {value!r} cannot be read off the conversation"


def _root(tool: Tool | None) -> Mapping[str, Any]:
    return tool.parameters if tool else {}


def _property(tool: Tool | None, name: str) -> Any:
    return tool.properties.get(name) if tool else None


class _Text:
    """What values are looked for in: all that was said or given back, folded."""

    def __init__(self, example: Example) -> None:
        said = "\n".join(
            (m.content or "") + " ".join(canonical_json(c.arguments) for c in m.tool_calls)
            for m in example.messages
        )
        self.plain = _folded(said)
        self.dense = normalise(said)
        self.today = today_of(example)

    @cached_property
    def numbers(self) -> tuple[_Number, ...]:
        """Those that are said, but for the parts of dates."""
        return tuple(_numbers_in(_DATE.sub(" ", self.plain)))

    @cached_property
    def dated(self) -> tuple[_Number, ...]:
        """Those that are said, those in dates too."""
        return tuple(_numbers_in(self.plain))

    @cached_property
    def digits(self) -> str:
        return "".join(character for character in self.dense if character.isdigit())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _schemas(schema: Any, root: Mapping[str, Any], depth: int = 8) -> Iterator[Mapping[str, Any]]:
    """A schema, and those that it refers to or chooses from."""
    if not isinstance(schema, Mapping) or not depth:
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        yield from _schemas(referenced(reference, root), root, depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(key) or ():
            yield from _schemas(one, root, depth - 1)


def _stands(name: str, value: Any, schema: Any, root: Mapping[str, Any], text: _Text) -> bool:
    # An enum's value and a yes or no are meant by words of any kind: nothing can be said of them.
    known = list(_schemas(schema, root))
    if (
        isinstance(value, bool)
        or value is None
        or any({"enum", "const"} & one.keys() for one in known)
    ):
        return True
    if any("default" in one and one["default"] == value for one in known):
        return True
    if isinstance(value, list):
        items = {"anyOf": [one["items"] for one in known if "items" in one]}
        return all(_stands(name, one, items, root, text) for one in value)
    if isinstance(value, dict):
        inner = [one["properties"] for one in known if isinstance(one.get("properties"), Mapping)]
        return all(
            _stands(key, one, {"anyOf": [of[key] for of in inner if key in of]}, root, text)
            for key, one in value.items()
        )
    if isinstance(value, int | float):
        about = " ".join([name, *(str(one.get("description", "")) for one in known)])
        return _number_stands(value, text, dated=bool(_DATED.search(_folded(about))))
    return _text_stands(str(value), text)


# ------------------------------------------------------------------------------------------ yes and no


def _is_denied(name: str, value: Any, request: str) -> bool:
    """Whether True stands for what is said not to be: `breakfast` of "without breakfast", `on` of "off".

    Only what is said last counts, and only of arguments whose names tell what they are.
    """
    if value is not True:
        return False
    words = [word.casefold() for word in _WORDS.findall(name)]
    if any(len(w) > 3 and re.search(rf"{_WITHOUT} (?:\w+ )?{w[:6]}", request) for w in words):
        return True
    return not _IS_ON.isdisjoint(words) and bool(_OFF.search(request)) and not _ON.search(request)


_WORDS = re.compile(r"[A-Z]?[a-z]+")
_WITHOUT = r"\b(?:no|without|exclude|excluding|(?:don['’]t|do not|doesn['’]t|does not) (?:want|need|include))"
_IS_ON = {"on", "power", "powered", "enable", "enabled", "active", "state", "status", "switch"}
_OFF = re.compile(r"\b(?:off|disabled?|deactivated?)\b|关掉|关闭|关上|关了|停用|禁用")
_ON = re.compile(r"\b(?:on|enabled?|activated?)\b|打开|开启|启用")


# --------------------------------------------------------------------------------------------- numbers


class _Number:
    """A number that is said, and by which factors its unit may be exchanged."""

    def __init__(self, value: float, factors: tuple[int, ...] = ()) -> None:
        self.value = value
        self.factors = factors

    def means(self, wanted: float) -> bool:
        others = (n for f in self.factors for n in (self.value * f, self.value / f))
        return any(math.isclose(n, wanted, rel_tol=1e-6) for n in (self.value, *others))


def _number_stands(value: float, text: _Text, *, dated: bool) -> bool:
    """Whether a number is said, in digits or words, or as it would be in another unit.

    Parameters
    ----------
    dated: Whether it may be part of a date.
    """
    if isinstance(value, int) and abs(value) >= 10_000 and str(abs(value)) in text.digits:
        return True  # an account, a telephone: digits in groups
    try:
        wanted = abs(float(value))  # -5 is said as five below
    except OverflowError:
        return False
    if not math.isfinite(wanted):
        return False
    return any(number.means(wanted) for number in (text.dated if dated else text.numbers))


def _numbers_in(text: str) -> Iterator[_Number]:
    for found in _DIGITS.finditer(text):
        for digits in {found[0].replace(",", ""), *found[0].split(",")}:
            yield from _with_unit(float(digits), text, found.start(), found.end())
    for found in _HAN_NUMBER.finditer(text):
        if not (found[0] in "一二三四五六" and _WEEKDAY.search(text, 0, found.start())):
            for number in _of_han(found[0]):
                yield from _with_unit(number, text, found.start(), found.end())
    for found in _ENGLISH_NUMBER.finditer(text):
        yield from _with_unit(_of_english(found[0]), text, found.start(), found.end())
    for found in _OTHER_WORD.finditer(text):
        number = _OTHER_WORDS.get(found[0]) or _WITH_UNIT[found[0]]
        yield from _with_unit(number, text, found.start(), found.end())
    for found in _POWER.finditer(text):
        yield _Number(float(f"{found[1]}e{found[2][:3]}"))
    for found in _REDUCED.finditer(text):
        reduced = 10.0 * _of_numeral(found[1])
        yield _Number(reduced, (100,))
        yield _Number(100 - reduced, (100,))


def _with_unit(number: float, text: str, start: int, end: int) -> Iterator[_Number]:
    """A number, and what it is with what stands around it: 1米65, 一天半, 1.2万, two and a half hours."""
    yield _Number(number, _factors(text, start, end))
    if part := _PART.match(text, end):
        digits = "".join(str(_of_numeral(character)) for character in part[2])
        yield _Number(float(f"{number:.0f}.{digits}"), _FACTORS["size"])
    if half := _HALF.match(text, end):
        yield _Number(number + 0.5, _factors(text, start, half.end()) or _FACTORS["time"])
    if scale := _SCALE.match(text, end):
        scaled = number * _SCALES[scale[1] or scale[2]]
        yield _Number(scaled, _factors(text, start, scale.end()))


def _factors(text: str, start: int, end: int) -> tuple[int, ...]:
    """By which numbers the unit of the number between may be exchanged."""
    unit = _UNIT.match(text, end)
    kind = unit.lastgroup if unit else None
    if kind is None and _MONEY.search(text, 0, start):
        kind = "money"
    if kind is None and text[max(0, start - 3) : start] == "百分之":
        kind = "share"
    return _FACTORS.get(kind or "", ())


def _of_numeral(character: str) -> int:
    return int(character) if character.isdigit() else _HAN_DIGITS[character]


def _of_han(text: str) -> set[float]:
    """三十五 as 35; 二零二三 as 2023."""
    whole, _, fraction = text.partition("点")
    total = section = digit = 0
    for character in whole:
        if character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
        elif character in _HAN_SMALL:
            section += (digit or 1) * _HAN_SMALL[character]
            digit = 0
        else:
            total = (total + section + digit or 1) * _HAN_LARGE[character]
            section = digit = 0
    found = {float(total + section + digit)}
    if all(character in _HAN_DIGITS for character in whole):
        found = {float("".join(str(_HAN_DIGITS[character]) for character in whole) or 0)}
    if fraction:
        tail = "".join(str(_HAN_DIGITS[character]) for character in fraction)
        return {float(f"{int(number)}.{tail}") for number in found}
    return found


def _of_english(text: str) -> float:
    """Two hundred and five as 205."""
    total = part = 0
    for word in re.findall(r"[a-z]+", text):
        if word in _SMALL_WORDS:
            part += _SMALL_WORDS[word]
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in _LARGE_WORDS:
            total += (part or 1) * _LARGE_WORDS[word]
            part = 0
    return float(total + part)


_DIGITS = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?", re.ASCII)
_HAN_DIGITS = {digit: n for n, digit in enumerate(CHINESE_DIGITS)} | {"〇": 0, "两": 2}
_HAN_SMALL = {"十": 10, "百": 100, "千": 1000}
_HAN_LARGE = {"万": 10_000, "亿": 100_000_000}
_HAN_NUMBER = re.compile(
    "[零〇一二两三四五六七八九十百千][零〇一二两三四五六七八九十百千万亿]*(?:点[零一二三四五六七八九]+)?"
)
_POWER = re.compile(r"(\d+(?:\.\d+)?) ?[x×*] ?10 ?\^ ?(-?\d+)", re.ASCII)
_REDUCED = re.compile("([1-9一二三四五六七八九])折")
"""八折 is 80, and 20 off."""
_WEEKDAY = re.compile("(?:周|星期|礼拜)\\Z")
_SMALL_WORDS = {word: number for number, word in enumerate(SMALL_NUMBERS)} | {
    word: 10 * number for number, word in enumerate(TENS) if word
}
_LARGE_WORDS = {"thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_NUMBER_WORD = f"(?:{'|'.join((*_SMALL_WORDS, 'hundred', *_LARGE_WORDS))})"
_ENGLISH_NUMBER = re.compile(
    # A scale behind digits is theirs: 5 thousand.
    rf"\b(?!(?<=\d )(?:hundred|thousand|million|billion)){_NUMBER_WORD}"
    rf"(?:(?:[ -]|,? and ){_NUMBER_WORD})*\b"
)
_OTHER_WORDS = {
    **{re.sub("y$", "ie", word) + "th": float(n) for word, n in _SMALL_WORDS.items()},
    **{"first": 1.0, "second": 2.0, "third": 3.0, "fifth": 5.0, "eighth": 8.0, "ninth": 9.0},
    **{"twelfth": 12.0, "once": 1.0, "single": 1.0, "twice": 2.0, "double": 2.0, "both": 2.0},
    **{"couple": 2.0, "pair": 2.0, "dozen": 12.0, "half": 0.5, "quarter": 0.25},
    **{"three quarters": 0.75, "半": 0.5, "俩": 2.0, "一刻": 0.25, "三刻": 0.75},
}
_WITH_UNIT = {"a": 1.0, "an": 1.0, "past": 1.0, "last": 1.0, "half a": 0.5, "half an": 0.5}
"""What is a number before an hour or a dozen alone."""
_OTHER_WORD = re.compile(
    rf"\b(?:{'|'.join(sorted(_WITH_UNIT, key=len, reverse=True))})"
    r"(?= (?:hour|minute|day|week|month|year|dozen|hundred|thousand|million)\b)"
    rf"|\b(?:{'|'.join(sorted(filter(str.isascii, _OTHER_WORDS), key=len, reverse=True))})\b"
    "|半|俩|一刻|三刻"
)
_PART = re.compile("(米|度|块|元)([0-9]{1,2}|[零一二三四五六七八九]{1,2})(?![0-9十百千万])")
"""What is behind the point: 1米65, 36度5, 88块8."""
_HALF = re.compile("[\u3400-\u9fff]{1,2}?半|(?: (?:minute|hour|day|week|month|year)s?)? and a half")
_SCALES = {
    **{"k": 1e3, "thousand": 1e3, "grand": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9},
    **{"bn": 1e9, "hundred": 1e2, "dozen": 12, "百": 1e2, "千": 1e3, "万": 1e4, "百万": 1e6},
    **{"千万": 1e7, "亿": 1e8},
}
_SCALE = re.compile(
    r"[ -]?(k|thousand|grand|million|m|billion|bn|hundred|dozen)(?![a-z])|(千万|百万|百|千|万|亿)(?!米|克|瓦)"
)
_FACTORS: Mapping[str, tuple[int, ...]] = {
    "time": (60, 3600, 24, 1440, 1000),
    "day": (7, 24, 30, 365, 12),
    "share": (100,),
    "money": (100,),
    "size": (10, 100, 1000, 1024, 1_000_000),
}
"""Units that are told apart by these: minutes of hours, cents, months of years, grams."""
_UNIT = re.compile(
    r"[ -]?(?:of an )?(?:"
    r"(?P<time>(?:hours?|hrs?|h|minutes?|mins?|seconds?|secs?|s|ms)(?![a-z])|个?小时|个?钟头|个钟|钟|分钟?|秒)|"
    r"(?P<day>(?:days?|weeks?|months?|years?|yrs?)(?![a-z])|个?星期|个?礼拜|周|天|个?月|年)|"
    r"(?P<share>%|(?:percent|per cent|cents?|points?)(?![a-z]))|"
    r"(?P<money>(?:dollars?|bucks|euros?|pounds?|yuan|usd|cny|rmb)(?![a-z])|[$€£¥]|元|块|角|美元|欧元|英镑)|"
    r"(?P<size>(?:[kcmµ]?m|meters?|metres?|(?:kilo|centi|milli)met(?:er|re)s?|[km]?g|grams?|kilos?|kilograms?"
    r"|milligrams?|m?l|lit(?:er|re)s?|milliliters?|[kmgt]b|[km]?w|(?:kilo|mega)?watts?|tons?|tonnes?)(?![a-z])"
    r"|公里|千米|厘米|毫米|米|公斤|千克|毫克|克|毫升|升|吨|千瓦|瓦)"
    r")"
)
_MONEY = re.compile(r"[$€£¥]\s?\Z")


# ----------------------------------------------------------------------------------------------- dates

_MONTH_NAMES = tuple(name.casefold() for name in MONTHS)
_MONTH = rf"(?:{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTH_NAMES)}|sept)\.?"
_TH = r"(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"\b{_MONTH} (?:the )?\d{{1,2}}{_TH}\b(?!:)(?:,? \d{{4}}\b)?"
    rf"|\b\d{{1,2}}{_TH} (?:of )?{_MONTH}(?:,? \d{{4}})?\b"
    r"|\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{4}\b"
    r"|(?:\d{4}年)?\d{1,2}月\d{1,2}[日号]?"
)
"""A day as it is written."""
_DATED = re.compile(
    r"day|date|month|year|time|birth|when|due|start|end|begin|until|since|period|term|日|月|年|时"
)
"""An argument that may be part of a date."""
_RELATIVE = re.compile(
    r"\b(?:to(?:day|night|morrow)|yesterday|now|current(?:ly)?|recent(?:ly)?|latest|next|last|past|this|coming"
    r"|upcoming|ago|within|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|weekends?|tomorrow"
    r"|in (?:an?|\w+) (?:day|week|month|year)s?|(?:day|week|month|year)s? (?:from|before|after|later)"
    r"|(?:new year|christmas|easter|thanksgiving|halloween|valentine))"
    r"|今|明[天日晚早年儿]|后天|昨|前天|当[天前日]|现在|目前|最近|下个?[周月星礼年]|上个?[周月星礼年]|[这本]个?[周月星礼年]"
    r"|周[一二三四五六日末天]|星期[一二三四五六日天]|礼拜[一二三四五六日天]|[天周月年]之?[后前内]|月[底初末]|年[底初末]|过去"
)
"""Words that lead from one day to another."""
_CLOCK = re.compile(
    r"\b(?:noon|midday|midnight|morning|afternoon|evening|night|tonight|now|lunch|dinner|breakfast)\b"
    r"|\d ?[ap]\.?m"
    r"|凌晨|早|上午|中午|下午|傍晚|晚|夜|点|现在|刚才"
)
"""Words for a time of the day that need not hold its number."""


def _date_stands(day: date, text: _Text) -> bool:
    """Whether a date's parts are said, or words that may lead to it from the day that is told."""
    said = _has_number(day.year, text)
    near = said or (abs((day - text.today).days) <= REACH if text.today else day.year in YEARS)
    if _RELATIVE.search(text.plain):
        return near
    if not near:
        return False
    if _has_month(day, text):  # "May 5", or May alone for its first and last day
        return _has_number(day.day, text) or day.day == 1 or day.day >= 28
    if said:  # "in 2022"
        return (day.month, day.day) in ((1, 1), (12, 31)) or _has_number(day.day, text)
    if _DATE.search(text.plain):  # of another month
        return False
    return _has_number(day.day, text) and bool(
        _ordinal(day, text) or re.search("[号日]", text.plain)
    )


def _ordinal(day: date, text: _Text) -> bool:
    """On the 5th."""
    return bool(re.search(rf"\b{day.day}(?:st|nd|rd|th)\b", text.plain))


def _has_month(day: date, text: _Text) -> bool:
    name = _MONTH_NAMES[day.month - 1]
    if re.search(rf"\b(?:{name}|{name[:3]}|{name[:4]})\b", text.plain):
        return True
    return _has_number(day.month, text)


def _has_number(number: int, text: _Text) -> bool:
    return any(one.value == number for one in text.dated)


def _clock_stands(hour: int, text: _Text) -> bool:
    hours = {hour, hour % 12, hour % 12 + 12, hour + 1, (hour + 1) % 12 or 12}  # a quarter to five
    return bool(_CLOCK.search(text.plain)) or any(_has_number(one, text) for one in hours)


# ----------------------------------------------------------------------------------------------- texts


def _text_stands(value: str, text: _Text) -> bool:
    plain = normalise(value)
    if not plain or (plain in text.dense and _is_apart(plain, text)):
        return True
    if day := _as_date(value):
        return _date_stands(day, text)
    if time := _TIME.fullmatch(value):
        return _clock_stands(int(time[1]), text)
    if any(word in text.plain for word in CURRENCIES.get(value, ())):
        return True
    # Free text may be put in other words, but not in words that have nothing to do with it.
    pieces = [word for word in _folded(value).split() if len(word) > 2]
    found = sum(piece[:5] in text.plain and _is_apart(piece, text) for piece in pieces)
    return bool(pieces) and found * 2 >= len(pieces)


def _is_apart(plain: str, text: _Text) -> bool:
    """Whether a word of three letters is at least the beginning of one: red is in hundred."""
    if len(plain) != 3 or not (plain.isascii() and plain.isalpha()):
        return True
    return bool(re.search(rf"(?<![a-z]){plain}", text.plain))


def _as_date(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


_TIME = re.compile(r"(\d{1,2}):\d{2}(?::\d{2})?", re.ASCII)

CURRENCIES: Mapping[str, tuple[str, ...]] = {
    "USD": ("$", "dollar", "buck", "美元", "美金", "美刀"),
    "EUR": ("€", "euro", "欧元"),
    "CNY": ("¥", "yuan", "rmb", "renminbi", "人民币", "元", "块"),
    "JPY": ("¥", "yen", "日元", "日圆", "円"),
    "GBP": ("£", "pound", "sterling", "quid", "英镑"),
    "KRW": ("₩", "won", "韩元", "韩币"),
    "INR": ("₹", "rupee", "卢比"),
    "HKD": ("hong kong dollar", "hk$", "港元", "港币"),
    "TWD": ("taiwan dollar", "nt$", "台币"),
    "AUD": ("australian dollar", "a$", "aussie dollar", "澳元", "澳币"),
    "CAD": ("canadian dollar", "c$", "加元", "加币"),
    "NZD": ("new zealand dollar", "nz$", "新西兰元", "纽币"),
    "SGD": ("singapore dollar", "s$", "新加坡元", "新币", "坡币"),
    "CHF": ("franc", "瑞士法郎", "瑞郎"),
    "RUB": ("₽", "ruble", "rouble", "卢布"),
    "THB": ("฿", "baht", "泰铢"),
    "VND": ("₫", "dong", "越南盾"),
    "MYR": ("ringgit", "林吉特", "马币"),
    "PHP": ("₱", "philippine peso", "菲律宾比索"),
    "IDR": ("rupiah", "印尼盾", "印尼卢比"),
    "TRY": ("₺", "lira", "里拉"),
    "MXN": ("mexican peso", "peso", "墨西哥比索"),
    "BRL": ("r$", "brazilian real", "reais", "雷亚尔"),
    "ZAR": ("rand", "兰特"),
    "AED": ("dirham", "迪拉姆"),
    "SAR": ("riyal", "里亚尔"),
    "SEK": ("swedish kron", "瑞典克朗"),
    "NOK": ("norwegian kron", "挪威克朗"),
    "DKK": ("danish kron", "丹麦克朗"),
    "PLN": ("zloty", "złoty", "兹罗提"),
}
"""ISO 4217 code → the words and signs that it is said by."""
