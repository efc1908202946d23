"""The errors that fcray raises on purpose, each one sentence in the user's words.

Knows nothing of who raises or prints them: `cli.py` turns them into exit codes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError


class FcrayError(Exception):
    """Something failed that the user did not cause; exit code 1."""

    exit_code = 1


class UserError(FcrayError):
    """The user's input cannot be used; exit code 2.

    Parameters
    ----------
    message: One sentence that says what is wrong and, where it is known, what would be right.
    file, line, field: Where it is wrong; rendered as `file:line: field: message`.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.message = message
        self.file = str(file) if file is not None else None
        self.line = line
        self.field = field
        where = self.file or ""
        if where and line is not None:
            where += f":{line}"
        super().__init__(": ".join(part for part in (where, field or "", message) if part))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling across Ray processes with the location intact."""
        return _rebuild_user_error, (self.message, self.file, self.line, self.field)


def _rebuild_user_error(
    message: str, file: str | None, line: int | None, field: str | None
) -> UserError:
    return UserError(message, file=file, line=line, field=field)


def first_problem(error: ValidationError) -> tuple[str, tuple[str | int, ...]]:
    """What pydantic found first, in words, and where."""
    problem = error.errors(include_url=False, include_context=False)[0]
    return str(problem["msg"]).removeprefix("Value error, "), problem["loc"]


def missing_extra(package: str, extra: str, purpose: str) -> UserError:
    """The one way to say that an optional dependency is absent."""
    return UserError(f"{purpose} needs the package {package}: pip install 'fcray[{extra}]'")


LEAST_FREE = 2**20
"""With fewer bytes left, a disk counts as full."""


def full_disk(error: BaseException, folders: Iterable[str]) -> str:
    """A sentence if an error came of a full disk, else "".

    Libraries say so in many ways, or not at all (`PytorchStreamWriter failed writing file`): where there is
    next to no room left, that is why.

    Parameters
    ----------
    folders: Where was being written; those that are none are passed over.
    """
    numbers = (errno.ENOSPC, errno.EDQUOT)
    at: BaseException | None = error
    while at is not None:
        text = str(at)
        words = [word for n in numbers for word in (os.strerror(n), f"os error {n}")]
        lines = [line for line in text.splitlines() if any(word in line for word in words)]
        if lines or getattr(at, "errno", None) in numbers:
            return f"the disk is full ({(lines or [text])[0].strip()})"
        at = at.__cause__ or at.__context__
    for folder in folders:
        with contextlib.suppress(OSError):
            if shutil.disk_usage(folder).free < LEAST_FREE:
                return f"the disk of {folder} is full ({type(error).__name__}: {error})"
    return ""
