"""Versions `function_call_v1`, `function_call_v2`, … of adapters, and the aliases that name them.

A number is taken by creating a file that only one writer can create, and its manifest is written last: a
version is whole or absent, a number is never shared nor used again, and what is there is not changed. Each
file's sha256 stands in the manifest and is checked at load: a torn or tampered adapter is refused. Only
safetensors are kept. Knows nothing of how a version was chosen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fcray.errors import FcrayError, UserError
from fcray.models import ADAPTER_CONFIG, ADAPTER_FILES, check_adapter, sha256_file
from fcray.registry.manifest import MANIFEST, Manifest
from fcray.registry.place import Place

CHAMPION = "champion"
CANDIDATE = "candidate"

CARD = "README.md"
_TAKEN = ".taken"
_ALIASES = "aliases"
_VERSION = re.compile(r"^(?P<name>[a-z][a-z0-9_]*)_v(?P<number>[1-9][0-9]*)$")
_ALIAS = re.compile(r"^[a-z][a-z0-9_-]*$")

UNFINISHED = timedelta(days=1)
"""How long a version may take to be written before it counts as left behind."""


@dataclass(frozen=True)
class AliasEvent:
    """What an alias named from a moment on.

    Attributes
    ----------
    number: From 1.
    version: "" where it names nothing any more.
    at: ISO date and time, UTC.
    reason: Who or what moved it.
    """

    number: int
    version: str
    at: str
    reason: str


class Moved(UserError):
    """An alias names something else than its caller expected: somebody moved it meanwhile."""


class Registry:
    """The registry in a folder or at an fsspec URL, made at the first write.

    Parameters
    ----------
    place: Where the versions lie.

    Raises
    ------
    UserError: Nothing here can open such a URL.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._place = Place(place)
        self.url = self._place.url

    def where(self, version: str) -> str:
        """The path or URL of a version."""
        return self._place.joined(version)

    def versions(self, name: str | None = None) -> list[str]:
        """The versions of `name` (None: of all names), by name and number."""
        found = []
        for file in self._place.names(2):
            version, _, rest = file.partition("/")
            match = _VERSION.fullmatch(version)
            if match and rest == MANIFEST and name in (None, match["name"]):
                found.append((match["name"], int(match["number"]), version))
        return [version for _, _, version in sorted(found)]

    def add(self, name: str, adapter: Path, facts: dict[str, Any], *, card: str = "") -> Manifest:
        """Store the PEFT adapter in `adapter` as the next version of `name`.

        Parameters
        ----------
        facts: The fields of `Manifest` but `version` and `files`.
        card: The model card, kept as README.md.

        Raises
        ------
        UserError: The name is no name for versions, `adapter` holds no adapter in safetensors, or
            the registry cannot be written.
        """
        if not _VERSION.fullmatch(f"{name}_v1"):
            raise UserError(f"{name!r} is not small letters, digits and underscores", field="name")
        check_adapter(adapter)
        contents = {file: (adapter / file).read_bytes() for file in ADAPTER_FILES}
        contents[ADAPTER_CONFIG] = _naming_base(contents[ADAPTER_CONFIG], facts["base"])
        contents[CARD] = card.encode()
        files = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
        manifest = Manifest(version=f"{name}_v1", files=dict(sorted(files.items())), **facts)
        manifest = replace(manifest, version=self._take(name))
        try:
            for file, content in contents.items():
                self._place.write(f"{manifest.version}/{file}", content)
            self._place.create(f"{manifest.version}/{MANIFEST}", manifest.to_bytes())
        except UserError:
            self._remove(manifest.version)
            raise
        return manifest

    def _take(self, name: str) -> str:
        """The next version's name, which is now nobody else's."""
        number = 1 + max(
            (
                int(match["number"])
                for file in self._place.names(2)
                if (match := _VERSION.fullmatch(file.partition("/")[0])) and match["name"] == name
            ),
            default=0,
        )
        while not self._place.create(f"{name}_v{number}/{_TAKEN}", _now().encode()):
            number += 1
        return f"{name}_v{number}"

    def _remove(self, version: str) -> None:
        """Remove a version's files, its manifest first; its number stays taken."""
        for file in (MANIFEST, *ADAPTER_FILES, CARD):
            self._place.remove(f"{version}/{file}")

    def manifest(self, version: str) -> Manifest:
        """What is known of `version`, which may be an alias.

        Raises
        ------
        UserError: There is no such version.
        FcrayError: Its manifest cannot be read.
        """
        version = self._named(version)
        if not _VERSION.fullmatch(version):
            raise self._unknown(version)
        try:
            return Manifest.read(self._place.read(f"{version}/{MANIFEST}"))
        except FileNotFoundError:
            raise self._unknown(version) from None
        except (ValueError, TypeError) as error:
            where = self._place.joined(f"{version}/{MANIFEST}")
            raise FcrayError(f"{where} cannot be read; {version} is refused") from error

    def _named(self, name: str) -> str:
        """The version that an alias names; what is no alias is returned as it is."""
        if _ALIAS.fullmatch(name) and not _VERSION.fullmatch(name):
            return self.aliases().get(name, name)
        return name

    def _unknown(self, version: str) -> UserError:
        known = ", ".join(self.versions()) or "none"
        return UserError(f"the registry has no {version!r}; it has {known}", file=self.url)

    def path(self, version: str) -> Path:
        """A local folder with `version` (or alias), every file checked against its hash.

        Raises
        ------
        UserError: There is no such version.
        FcrayError: A file is missing or not what was stored.
        """
        manifest = self.manifest(version)
        for name, expected in manifest.files.items():
            path = self._place.local(f"{manifest.version}/{name}")
            if self._place.folder is None and not _is(path, expected):
                self._fetch(manifest.version, name, path)
            if not _is(path, expected):
                where = self._place.joined(f"{manifest.version}/{name}")
                raise FcrayError(f"{where} is not what was stored; {manifest.version} is refused")
        return self._place.local(manifest.version)

    def _fetch(self, version: str, name: str, path: Path) -> None:
        try:
            content = self._place.read(f"{version}/{name}")
        except FileNotFoundError:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        aside.write_bytes(content)
        aside.replace(path)

    def aliases(self) -> dict[str, str]:
        """Alias → version."""
        named = {
            alias: self._event(alias, numbers[-1]).version
            for alias, numbers in self._moves().items()
        }
        return {alias: version for alias, version in named.items() if version}

    def history(self, alias: str) -> list[AliasEvent]:
        """What `alias` has named, the earliest first."""
        return [self._event(alias, number) for number in self._moves().get(alias, ())]

    def _moves(self) -> dict[str, list[int]]:
        """Alias → the numbers of its events, in order."""
        found: dict[str, list[int]] = {}
        for file in self._place.names(3):
            head, _, rest = file.partition("/")
            alias, _, number = rest.partition("/")
            stem = number.removesuffix(".json")
            if head == _ALIASES and stem.isdigit():
                found.setdefault(alias, []).append(int(stem))
        return {alias: sorted(numbers) for alias, numbers in found.items()}

    def _event(self, alias: str, number: int) -> AliasEvent:
        name = _event_name(alias, number)
        try:
            return AliasEvent(**json.loads(self._place.read(name)))
        except (ValueError, TypeError, FileNotFoundError) as error:
            raise FcrayError(f"{self._place.joined(name)} cannot be read") from error

    def point(
        self, alias: str, version: str, *, reason: str = "", expected: str | None = None
    ) -> AliasEvent:
        """Let `alias` name `version` from now on.

        Parameters
        ----------
        version: A version or another alias; "" for none.
        reason: Kept in the alias's history.
        expected: What `alias` must name until now ("" for nothing); None: whatever it names.

        Raises
        ------
        UserError: There is no such version, `alias` is a version's own name or no name, or the registry
            cannot be written.
        Moved: It names something else than expected.
        """
        if _VERSION.fullmatch(alias):
            raise UserError(f"{alias!r} is the name of a version and cannot be an alias")
        if not _ALIAS.fullmatch(alias):
            raise UserError(f"{alias!r} is not small letters, digits, underscores and hyphens")
        version = self.manifest(version).version if version else ""
        while True:
            before = self.history(alias)
            now = before[-1].version if before else ""
            if expected not in (None, now):
                said = f"{alias} names {now or 'nothing'} by now, not {expected or 'nothing'}"
                raise Moved(said, file=self.url)
            number = before[-1].number + 1 if before else 1
            event = AliasEvent(number, version, _now(), reason)
            content = json.dumps(asdict(event), ensure_ascii=False) + "\n"
            if self._place.create(_event_name(alias, number), content.encode()):
                return event

    def rollback(self, alias: str = CHAMPION, *, reason: str = "") -> AliasEvent:
        """Let `alias` name again what it named before; twice goes back twice.

        Raises
        ------
        UserError: It has named nothing else, or that version is gone.
        """
        events = self.history(alias)
        earlier = _stack(events)[:-1]
        if not earlier:
            raise UserError(f"{alias} has named nothing else", file=self.url)
        said = f"rollback from {events[-1].version}" + (f": {reason}" if reason else "")
        return self.point(alias, earlier[-1], reason=said, expected=events[-1].version)

    def gc(self, keep: int | None = None, *, dry_run: bool = False) -> list[str]:
        """Remove what was never finished, and versions that nothing needs; returns their names.

        Parameters
        ----------
        keep: How many of each name's newest versions stay; None: all. Those that an alias names or a
            rollback would bring back stay too.
        dry_run: Only say which.
        """
        removed = list(self._unfinished())
        if keep is not None:
            versions = self.versions()
            named = {one for alias in self._moves() for one in _stack(self.history(alias))[-2:]}
            for name in {_name(version) for version in versions}:
                own = [version for version in versions if _name(version) == name]
                old = own[: max(0, len(own) - keep)]
                removed += [version for version in old if version not in named]
        if not dry_run:
            for version in removed:
                self._remove(version)
        return sorted(removed)

    def _unfinished(self) -> Iterator[str]:
        """Versions without a manifest that were begun long ago and hold files."""
        files: dict[str, set[str]] = {}
        for file in self._place.names(2):
            version, _, rest = file.partition("/")
            if _VERSION.fullmatch(version):
                files.setdefault(version, set()).add(rest)
        for version, names in files.items():
            if MANIFEST in names or not names & {*ADAPTER_FILES, CARD}:
                continue
            begun = self._place.read(f"{version}/{_TAKEN}").decode() if _TAKEN in names else ""
            if not begun or datetime.fromisoformat(begun) < datetime.now(UTC) - UNFINISHED:
                yield version


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _name(version: str) -> str:
    return version.rpartition("_v")[0]


def _stack(events: Sequence[AliasEvent]) -> list[str]:
    """What an alias names last, and below it what each rollback brings back."""
    stack: list[str] = []
    for event in events:
        if event.version in stack:
            del stack[stack.index(event.version) + 1 :]
        elif event.version:
            stack.append(event.version)
    return stack


def _event_name(alias: str, number: int) -> str:
    return f"{_ALIASES}/{alias}/{number:06d}.json"


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256


def _naming_base(config: bytes, base: str) -> bytes:
    """Name the base by what the user calls it, not by a cache folder of this machine."""
    values = json.loads(config)
    values["base_model_name_or_path"] = base
    return (json.dumps(values, indent=2) + "\n").encode()
