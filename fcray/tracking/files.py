"""Writes a text file so that a reader sees the old one or the new one, never half of one.

Knows nothing of what the text is.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Put `text` at `path` as UTF-8, making its folder where there is none.

    Raises
    ------
    OSError: The folder cannot be made or written; what was at `path` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(beside).chmod(0o644)  # mkstemp gives 0600, which a web server may not read
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
