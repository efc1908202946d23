"""Which failures a full disk is behind."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from fcray.errors import full_disk


def chained(outer: Exception, inner: Exception) -> Exception:
    try:
        raise outer from inner
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        chained(ValueError("cannot be written"), OSError(errno.ENOSPC, "")),
        RuntimeError("Traceback:\n  File x\nOSError: [Errno 28] No space left on device: 'a'\n"),
    ],
    ids=["no space", "quota", "safetensors", "cause", "traceback"],
)
def test_a_full_disk_is_recognised(error: Exception) -> None:
    said = full_disk(error, [])
    assert said.startswith("the disk is full (")
    assert "\n" not in said


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "denied"), ValueError("28"), RuntimeError("")]
)
def test_other_failures_are_not(error: Exception, tmp_path: Path) -> None:
    assert full_disk(error, [str(tmp_path), "s3://bucket/none"]) == ""


def test_where_next_to_nothing_is_free_it_is_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    error = RuntimeError("PytorchStreamWriter failed writing file data/0")
    said = full_disk(error, [str(tmp_path)])
    assert said == f"the disk of {tmp_path} is full (RuntimeError: {error})"
