"""Where a run lies: a folder, or a URL of an object store with a local folder that stands for it.

Checkpoints and Tune's own files go to the place itself; specs, data, study, outcomes and reports are small,
are worked on in the local folder, and are copied to the URL when they change. Knows nothing of what they
hold.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcray import models, settings

logger = logging.getLogger(__name__)

_LOCAL = ("wandb", "fetched", "trials", "tune")
"""Parts of a local folder that are not copied: W&B has its own way, the others lie at the URL already."""


def is_url(storage: str) -> bool:
    return "://" in storage


def joined(place: str, *parts: str) -> str:
    """A path or URL below another; what follows a URL's `?` stays at its end."""
    head, mark, query = place.partition("?") if is_url(place) else (place, "", "")
    return "/".join([head.rstrip("/"), *parts]) + mark + query


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie.

    Attributes
    ----------
    path: The folder, or the local one that stands for `url`.
    url: Where the run is kept; "" for a run that lies in a folder.
    """

    path: Path
    url: str = ""
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, storage: str, name: str) -> RunFolder:
        """The run of this name in a folder or at a URL."""
        if not is_url(storage):
            return cls(Path(storage).expanduser().resolve() / name)
        key = hashlib.sha256(storage.encode()).hexdigest()[:12]
        return cls(settings.cache_dir() / "runs" / key / name, joined(storage, name))

    @property
    def place(self) -> str:
        """Where all nodes of a cluster find it."""
        return self.url or str(self.path)

    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def study(self) -> Path:
        return self.path / "study.journal"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def pull(self) -> None:
        """Bring what is kept at the URL; what is here stays if it knows as much of the study or more.

        Raises
        ------
        OSError: The store does not answer, or refuses.
        """
        if not self.url:
            return
        store, root = _filesystem(self.url)
        there = {info.path[len(root) :].lstrip("/"): info for info in _files(store, root)}
        journal = there.get(self.study.name)
        known = self.study.stat().st_size if self.study.is_file() else -1
        newer = journal is not None and journal.size > known
        # The journal last: where it is whole, the rest is.
        for name, info in sorted(there.items(), key=lambda item: item[0] == self.study.name):
            target = self.path / name
            if newer or not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                with store.open_input_stream(info.path) as source:
                    aside = target.with_name(f".{target.name}.part")
                    aside.write_bytes(source.read())
                aside.replace(target)
                self._sent[name] = _state(target)

    def push(self) -> None:
        """Copy to the URL what changed in the local folder since it was last copied.

        Raises
        ------
        OSError: The store does not answer, or refuses.
        """
        if not self.url:
            return
        store, root = _filesystem(self.url)
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if name.split("/", 1)[0] in _LOCAL or path.name.startswith(".") or not path.is_file():
                continue
            state = _state(path)
            if self._sent.get(name) != state:
                _make_folder(store, f"{root}/{name}")
                with store.open_output_stream(f"{root}/{name}") as target:
                    target.write(path.read_bytes())
                self._sent[name] = state

    def try_push(self) -> str:
        """Push; a store that does not answer now may the next time: what is wrong is logged and returned."""
        try:
            self.push()
        except Exception as error:  # each store has errors of its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            problem = f"{self.url} cannot be written ({reason})"
            logger.warning("%s", problem)
            return problem
        return ""

    def adapter(self, checkpoint: str) -> Path:
        """A local folder with the PEFT adapter of a checkpoint.

        Raises
        ------
        OSError: The store does not answer, or has no such checkpoint.
        """
        if not self.url:
            return Path(checkpoint)
        store, _ = _filesystem(self.url)
        folder = self.path / "fetched" / checkpoint.rsplit("/", 1)[-1]
        folder.mkdir(parents=True, exist_ok=True)
        for name in models.ADAPTER_FILES:
            with store.open_input_stream(f"{checkpoint}/{name}") as source:
                (folder / name).write_bytes(source.read())
        return folder


def _filesystem(url: str) -> tuple[Any, str]:
    """A pyarrow file system, as Ray uses them, and the path in it; what Arrow does not know, fsspec may."""
    import pyarrow
    from pyarrow import fs

    try:
        store, path = fs.FileSystem.from_uri(url)
    except (pyarrow.ArrowInvalid, NotImplementedError):
        import fsspec

        made, path = fsspec.core.url_to_fs(url)
        store = fs.PyFileSystem(fs.FSSpecHandler(made))
    return store, path.rstrip("/")


def _files(store: Any, root: str) -> Iterator[Any]:
    """All files below `root` but those of checkpoints, of which there may be many."""
    from pyarrow import fs

    for info in store.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if info.type == fs.FileType.File:
            yield info
        elif info.type == fs.FileType.Directory and info.base_name not in _LOCAL:
            yield from _files(store, info.path)


def _make_folder(store: Any, path: str) -> None:
    """Make the folder of a file, where the store has folders."""
    from pyarrow import fs

    if isinstance(store, fs.LocalFileSystem):
        store.create_dir(path.rsplit("/", 1)[0], recursive=True)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
