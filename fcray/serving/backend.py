"""What the ingress asks of whoever answers: a protocol, and the ways in which it can say no.

Knows nothing of Ray, HTTP or models, so that the ingress is tested without them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from fcray.errors import FcrayError

if TYPE_CHECKING:
    from fcray.inference import Completion, Delta, Request


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer. A value, so that it crosses processes without a traceback.

    Attributes
    ----------
    kind: `invalid`: the request is wrong; `overloaded`: try again later; `failed`: our fault.
    message: One sentence for the caller.
    param, code: OpenAI's fields of an error, where they are known.
    """

    kind: Literal["invalid", "overloaded", "failed"]
    message: str
    param: str | None = None
    code: str | None = None


class Refused(FcrayError):
    """There is no answer; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)

    def __reduce__(self) -> tuple[object, ...]:
        return Refused, (self.refusal,)


class Backend(Protocol):
    """Answers requests."""

    async def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, in their order. Cancelling it drops those that have not begun.

        Raises
        ------
        Refused: There is no answer.
        """
        ...

    def stream(self, requests: Sequence[Request]) -> AsyncIterator[Sequence[Delta]]:
        """Tell of the answers to all requests as they are written. Closing it ends them.

        Raises
        ------
        Refused: There is no answer, or no more of it.
        """
        ...

    async def load(self, versions: Sequence[str]) -> None:
        """Return when every replica holds these versions of the registry.

        Raises
        ------
        FcrayError: One of them cannot be loaded.
        """
        ...

    async def forget(self, versions: Sequence[str]) -> None:
        """Let every replica forget these versions; one that is asked for all the same is loaded again."""
        ...

    async def ready(self) -> None:
        """Return when the engine can answer.

        Raises
        ------
        Refused: It cannot.
        """
        ...
