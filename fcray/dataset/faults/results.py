"""Tool results that failed: said or not, for now or for good, each with what may then be said.

Explicit results say that something is wrong; implicit ones only look like it: nothing, half of a text, a page
of a proxy, or a sound form with nothing in it. The conversation is a clean request, its call and the result.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from fcray.dataset.faults.clean import Clean, CleanRows
from fcray.dataset.kinds import Made
from fcray.tools import Language, Message


class Failure(NamedTuple):
    """What a tool gives back, and what may then be said."""

    content: str
    said: str


_Failures = Mapping[Language, tuple[Failure, ...]]

_BAD_GATEWAY = (
    "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n"
    "<hr><center>nginx</center>\n</body>\n</html>"
)

_FAILURES: Mapping[str, _Failures] = {
    "explicit_transient": {
        "zh": (
            Failure(
                '{"error": "timeout", "message": "请求超时，请重试"}',
                "抱歉，请求超时了，请稍后再试。",
            ),
            Failure(
                '{"ok": false, "error": "rate_limited", "retry_after_seconds": 30}',
                "请求太频繁，这次没有成功，请半分钟后再试。",
            ),
            Failure(
                '{"error": {"code": 503, "message": "Service temporarily unavailable"}}',
                "抱歉，服务暂时不可用，请稍后再试。",
            ),
            Failure("错误：连接中断，请稍后重试", "连接中断了，没有办成，请稍后重试。"),
            Failure(
                '{"status": "failed", "reason": "系统繁忙，请稍后再试"}',
                "系统繁忙，这次没能办成，请过一会儿再试。",
            ),
        ),
        "en": (
            Failure(
                '{"error": "timeout", "message": "The request timed out. Please try again."}',
                "Sorry, the request timed out. Please try again in a moment.",
            ),
            Failure(
                '{"ok": false, "error": "rate_limited", "retry_after_seconds": 30}',
                "That didn't go through: too many requests. Please try again in half a minute.",
            ),
            Failure(
                '{"error": {"code": 503, "message": "Service temporarily unavailable"}}',
                "Sorry, the service is unavailable right now. Please try again later.",
            ),
            Failure(
                "Error: connection reset by peer, please retry",
                "The connection broke off, so that didn't work. Please try again.",
            ),
            Failure(
                '{"status": "failed", "reason": "server overloaded, try again later"}',
                "That failed because the server is overloaded. Please try again later.",
            ),
        ),
    },
    "explicit_permanent": {
        "zh": (
            Failure(
                '{"error": "permission_denied", "message": "没有权限"}', "抱歉，没有权限，办不了。"
            ),
            Failure(
                '{"ok": false, "error": "not_found"}',
                "没有办成：系统里找不到对应的内容，请核对一下。",
            ),
            Failure(
                '{"error": {"code": 501, "message": "This operation is not supported"}}',
                "抱歉，系统不支持这个操作。",
            ),
            Failure(
                '{"status": "failed", "reason": "账户已注销"}',
                "没有办成，账户已经注销，再试也不行。",
            ),
            Failure("错误：该接口已永久停用", "抱歉，这个接口已经永久停用，我办不了。"),
        ),
        "en": (
            Failure(
                '{"error": "permission_denied", "message": "You do not have access."}',
                "Sorry, I couldn't do that: access was denied.",
            ),
            Failure(
                '{"ok": false, "error": "not_found"}',
                "That didn't work: the system found nothing of that kind. Could you check it?",
            ),
            Failure(
                '{"error": {"code": 501, "message": "This operation is not supported"}}',
                "Sorry, the system does not support that.",
            ),
            Failure(
                '{"status": "failed", "reason": "account closed"}',
                "That failed: the account is closed, so trying again won't help.",
            ),
            Failure(
                "Error: this endpoint has been permanently removed",
                "I'm unable to do that: the service no longer exists.",
            ),
        ),
    },
    "implicit_transient": {
        "zh": (
            Failure("", "抱歉，工具没有返回任何内容，不确定办成没有，请稍后再试。"),
            Failure(
                '{"ok": true, "data": {"id": 48', "返回的内容不完整，不能确定办成没有，请稍后再试。"
            ),
            Failure(_BAD_GATEWAY, "抱歉，服务暂时没有响应，这次没有成功，请稍后再试。"),
            Failure(
                '{"status": "pending", "result": null}', "还在处理，目前没有结果，请稍后再问我。"
            ),
            Failure('[{"name": "', "返回的内容中断了，没有拿到结果，请稍后再试。"),
        ),
        "en": (
            Failure(
                "", "Sorry, nothing came back, so I can't tell whether it worked. Please try again."
            ),
            Failure(
                '{"ok": true, "data": {"id": 48',
                "The answer was cut off, so I can't be sure that it worked. Please try again.",
            ),
            Failure(
                _BAD_GATEWAY,
                "Sorry, the service isn't answering right now, so that didn't work. Please try again later.",
            ),
            Failure(
                '{"status": "pending", "result": null}',
                "It is still pending, and there is no result yet. Please ask me again later.",
            ),
            Failure('[{"name": "', "The answer broke off, so I have no result. Please try again."),
        ),
    },
}

_NOTHING_FOUND: _Failures = {
    "zh": (
        Failure('{"results": []}', "没有查到任何结果。"),
        Failure('{"total": 0, "rows": []}', "抱歉，一条记录也没有查到。"),
        Failure('{"value": null}', "抱歉，系统没有给出数值。"),
        Failure("null", "没有查到，返回的是空的。"),
    ),
    "en": (
        Failure('{"results": []}', "There are no results for that."),
        Failure('{"total": 0, "rows": []}', "Sorry, I found no records."),
        Failure('{"value": null}', "Sorry, the system gave no value, so I can't tell."),
        Failure("null", "Nothing came back for that."),
    ),
}
_NOTHING_DONE: _Failures = {
    "zh": (
        Failure('{"ok": true, "changed": 0}', "系统没有报错，但什么都没有改动，应该没有办成。"),
        Failure('{"status": "ok", "affected_rows": 0}', "抱歉，没有任何记录被写入，没有办成。"),
        Failure('{"success": true, "id": null}', "没有返回编号，看来没有办成。"),
        Failure('{"accepted": [], "total": 0}', "抱歉，一项也没有受理，没有办成。"),
    ),
    "en": (
        Failure('{"ok": true, "changed": 0}', "The system accepted it, but nothing was changed."),
        Failure(
            '{"status": "ok", "affected_rows": 0}', "Sorry, nothing was written, so it didn't work."
        ),
        Failure(
            '{"success": true, "id": null}', "It came back without a number, so it was not done."
        ),
        Failure('{"accepted": [], "total": 0}', "Sorry, nothing was accepted, so that failed."),
    ),
}

_ASKING = {
    *(
        "get",
        "check",
        "query",
        "find",
        "list",
        "read",
        "search",
        "track",
        "screen",
        "calculate",
        "show",
    ),
    *(
        "estimate",
        "assess",
        "extract",
        "look",
        "lookup",
        "fetch",
        "convert",
        "count",
        "compare",
        "view",
    ),
}
"""First words in names of tools that find something out; all others do something."""

_FIRST_WORD = re.compile(r"[A-Z]?[a-z]+")


def failed(fault: str) -> Callable[[Clean, CleanRows, random.Random], Made]:
    """What makes cases of a fault in a tool's result."""

    def made(row: Clean, clean: CleanRows, rng: random.Random) -> Made:
        failure = rng.choice(_failures(fault, row.tool)[row.language])
        called = Message(role="assistant", tool_calls=row.example.calls)
        result = Message(role="tool", content=failure.content)
        return Made((*row.example.messages, called, result), response=failure.said)

    return made


def _failures(fault: str, tool: str) -> _Failures:
    if fault in _FAILURES:
        return _FAILURES[fault]
    word = _FIRST_WORD.match(tool)
    return _NOTHING_FOUND if word and word[0].lower() in _ASKING else _NOTHING_DONE
