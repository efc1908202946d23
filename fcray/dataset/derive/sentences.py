"""Sentences that ask for a tool, ask for less than it needs, or speak of it and ask for nothing.

An argument stands in one as a gap, `{city}`, behind what it is called. Knows nothing of what a value may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from fcray.dataset.derive.flags import is_flag
from fcray.dataset.derive.labels import labels_of, spoken_tool
from fcray.dataset.derive.values import Values
from fcray.dataset.pools import LANGUAGES
from fcray.dataset.speech import is_chinese
from fcray.dataset.split import normalise
from fcray.tools import Language, Tool

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

_GAP = re.compile(r"\{\w+\}")


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
        flags = [name for name in names if is_flag(pools[name])]
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
