"""What a tool and its arguments are called in a sentence, in both languages.

An argument is called what its description calls it in that language, else its name in words; common words
are known in Chinese. Knows nothing of values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fcray.dataset.derive.meanings import meaning_of, told_by_name
from fcray.dataset.derive.schemas import clauses, description_of, whole_schema
from fcray.dataset.derive.words import (
    PREPOSITION,
    VERBS,
    full_words,
    in_chinese,
    joined,
    noun,
    plain,
    words_of,
)
from fcray.dataset.speech import is_chinese
from fcray.dataset.split import normalise
from fcray.tools import Language, Tool


def spoken_tool(tool: Tool, language: Language) -> str:
    """What the tool does, as a phrase after "please"."""
    first = re.split(r"[.。;；\n]", tool.description.strip(), maxsplit=1)[0].strip()
    if normalise(first) and len(first) <= 60 and (language == "zh") == is_chinese(first):
        return plain(
            first[0].lower() + first[1:] if language == "en" and first[1:2].islower() else first
        )
    verb, *rest = words_of(tool.name)
    if language == "en":
        return " ".join([verb, *rest])
    known = [word for word in rest if word not in ("by", "of", "for", "the", "to")]
    return VERBS.get(verb, noun(verb)) + in_chinese(known)


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
        return plain(title)
    told = short_name(description_of(schema), language)
    if told:
        return told
    return _name_in_words(name, schema, language)


def _name_in_words(name: str, schema: Mapping[str, Any], language: Language) -> str:
    """A name in words, or what the argument is, where they would not tell that."""
    words = full_words(name)
    by_name = told_by_name(name)
    meaning = meaning_of(name, schema) if _is_text(schema) else None
    if language == "zh":
        unclear = any(noun(word) == word for word in words)
    else:
        unclear = by_name is None and is_chinese(description_of(schema))
    if meaning and by_name and meaning.is_code and by_name[0] is not meaning:
        unclear = True  # a customer's e-mail is not called the customer
    if meaning and unclear:
        return meaning.label[language]
    return " ".join(words) if language == "en" else in_chinese(words)


def _is_text(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", "string")
    return "string" in (kinds if isinstance(kinds, list) else [kinds])


def short_name(description: str, language: Language) -> str:
    """What a description calls the argument, if it begins with that and in a few words; else nothing."""
    optional = ("optional", "required", "可选", "必填")
    said = next((one for one in clauses(description) if one.lower() not in optional), "")
    if not said or (language == "zh") != is_chinese(said):
        return ""
    if language == "zh":
        said = _ZH_OPENING.sub("", said).strip(" “”\"'‘’「」")
        usable = is_chinese(said) and len(said) <= 10 and not _ZH_NO_NOUN.match(said)
        return plain(said.replace("的", "").removesuffix("名称") or said) if usable else ""
    said = _ARTICLES.sub("", said)
    ends = [*(one.start() for one in PREPOSITION.finditer(said)), len(said)]
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


def labels_of(tool: Tool, language: Language) -> dict[str, str]:
    """What a tool's arguments are called, each otherwise than the others."""
    schemas = {name: whole_schema(tool, name) for name in tool.properties}
    labels = {name: spoken_argument(name, schema, language) for name, schema in schemas.items()}
    ends = {"from": "来源", "to": "目标"} if language == "zh" else {}
    for clearer in (
        lambda name: joined([ends.get(w) or (noun(w) if ends else w) for w in words_of(name)]),
        lambda name: " ".join(words_of(name)),
        lambda name: name,
    ):
        count = Counter(labels.values())
        labels = {n: clearer(n) if count[label] > 1 else label for n, label in labels.items()}
    return labels
