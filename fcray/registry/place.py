"""Files in a folder or behind an fsspec URL, some of which only one writer can create.

What exists once is never overwritten: a folder makes a hard link of a file that is whole, S3 and GCS are
asked to write only where nothing lies. Knows nothing of what the files hold.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from fcray import settings
from fcray.dataset.files import file_system
from fcray.errors import FcrayError, UserError


class Place:
    """A folder or URL; it is made at the first write.

    Parameters
    ----------
    url: A path, or what fsspec knows (`s3://`, `gs://`, `memory://`, …).

    Attributes
    ----------
    url: The path made absolute, or the URL.

    Raises
    ------
    UserError: Nothing here can open such a URL.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        self.url = text if "://" in text else str(Path(text).expanduser().resolve())
        self._store, self._root = file_system(self.url)
        self._root = self._root.rstrip("/")

    @property
    def folder(self) -> Path | None:
        """The folder, for a place in this machine's file system."""
        return Path(self._root) if isinstance(self._store, LocalFileSystem) else None

    def names(self, depth: int) -> list[str]:
        """Names of all files at most `depth` folders deep, parts joined by `/`, in order.

        Raises
        ------
        FcrayError: The store does not answer.
        """
        with self._reading():
            self._store.invalidate_cache()
            try:
                found = self._store.find(self._root, maxdepth=depth)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(path[len(self._root) :].lstrip("/") for path in found)

    def read(self, name: str) -> bytes:
        """What a file holds.

        Raises
        ------
        FileNotFoundError: There is none of this name.
        FcrayError: The store does not answer.
        """
        with self._reading():
            content: bytes = self._store.cat_file(f"{self._root}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Make a file that nobody else makes.

        Raises
        ------
        UserError: The place cannot be written.
        """
        with self._writing():
            self._make_parent(name)
            self._store.pipe_file(f"{self._root}/{name}", content)

    def create(self, name: str, content: bytes) -> bool:
        """Make a file unless there is one; whether it was made. Of several at once one makes it.

        Raises
        ------
        UserError: The place cannot be written.
        """
        path = f"{self._root}/{name}"
        with self._writing():
            self._make_parent(name)
            try:
                if self.folder is None:
                    self._store.pipe_file(path, content, mode="create")
                else:
                    _link_new(Path(path), content)
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file if it is there.

        Raises
        ------
        UserError: The place cannot be written.
        """
        with self._writing(), suppress(FileNotFoundError):
            self._store.rm_file(f"{self._root}/{name}")

    def local(self, name: str) -> Path:
        """Where a file lies, or a copy of it may lie, in this machine's file system."""
        if self.folder is not None:
            return self.folder / name
        key = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        return settings.cache_dir() / "registries" / key / name

    def joined(self, name: str) -> str:
        """The path or URL of a file."""
        return f"{self.url.rstrip('/')}/{name}"

    def _make_parent(self, name: str) -> None:
        if self.folder is not None:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # each store has errors of its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise FcrayError(f"{self.url} cannot be read: {reason}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            message = f"the registry cannot be written: {reason.splitlines()[0]}"
            raise UserError(message, file=self.url) from error


def _link_new(path: Path, content: bytes) -> None:
    """Make a file with all of its content, or raise FileExistsError."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        aside.write_bytes(content)
        os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
