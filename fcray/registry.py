"""The adapter registry: `function_call_v1`, `function_call_v2`, … in a folder, with aliases.

A version is written aside and renamed into place, so it is whole or absent, and a number is never
shared; once there it is not changed. Each file's sha256 stands in the manifest and is checked at
load: a torn or tampered adapter is refused. Only safetensors are kept. Knows nothing of how a
version was chosen.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock

from fcray.errors import FcrayError, UserError
from fcray.models import ADAPTER_CONFIG, ADAPTER_FILES, check_adapter, sha256_file

MANIFEST = "manifest.json"
CHAMPION = "champion"
_ALIASES = "aliases.json"
_VERSION = re.compile(r"^(?P<name>[a-z][a-z0-9_]*)_v(?P<number>[1-9][0-9]*)$")


@dataclass(frozen=True)
class Manifest:
    """What is known of a version.

    Attributes
    ----------
    version: Such as `function_call_v1`.
    created: ISO date and time, UTC.
    base, revision, quantization: The base model that the adapter was trained on, and its numerics.
    data_sha256: Hash of the dataset.
    spec: The whole sweep spec.
    trial: Number of the parent trial.
    config: The trial's `LoraConfig`.
    metrics: Scores on the test split, as served.
    verdict: The gate's conditions.
    git_revision: Of the working copy that trained it, if it was one.
    files: Name → sha256.
    """

    version: str
    created: str
    base: str
    revision: str
    quantization: str
    data_sha256: str
    spec: dict[str, Any]
    trial: int
    config: dict[str, Any]
    metrics: dict[str, Any]
    verdict: list[dict[str, Any]]
    git_revision: str
    files: dict[str, str]


class Registry:
    """The registry in a folder, made at the first write.

    Parameters
    ----------
    folder: Where the versions lie.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def versions(self, name: str | None = None) -> list[str]:
        """The versions of `name` (None: of all names), by name and number."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            match = _VERSION.fullmatch(path.name)
            if match and name in (None, match["name"]) and (path / MANIFEST).is_file():
                found.append((match["name"], int(match["number"]), path.name))
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
            the registry's folder cannot be written.
        """
        if not _VERSION.fullmatch(f"{name}_v1"):
            raise UserError(f"{name!r} is not small letters, digits and underscores", field="name")
        check_adapter(adapter)
        with self._writing():
            aside = Path(tempfile.mkdtemp(prefix=".adding-", dir=self.folder))
            try:
                for file in ADAPTER_FILES:
                    shutil.copyfile(adapter / file, aside / file)
                _name_base(aside / ADAPTER_CONFIG, facts["base"])
                (aside / "README.md").write_text(card, encoding="utf-8")
                aside.chmod(0o755)
                return self._rename(name, aside, facts)
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _rename(self, name: str, aside: Path, facts: dict[str, Any]) -> Manifest:
        files = {path.name: sha256_file(path) for path in sorted(aside.iterdir())}
        taken = [int(_number(version)) for version in self.versions(name)]
        number = max(taken, default=0) + 1
        while True:
            manifest = Manifest(version=f"{name}_v{number}", files=files, **facts)
            text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
            (aside / MANIFEST).write_text(text + "\n", encoding="utf-8")
            try:
                aside.rename(self.folder / manifest.version)  # fails where the number is taken
                return manifest
            except OSError:
                if not (self.folder / manifest.version).exists():
                    raise
                number += 1

    def manifest(self, version: str) -> Manifest:
        """What is known of `version`, which may be an alias.

        Raises
        ------
        UserError: There is no such version.
        FcrayError: Its manifest cannot be read.
        """
        version = self.aliases().get(version, version)
        path = self.folder / version / MANIFEST
        if not _VERSION.fullmatch(version) or not path.is_file():
            known = ", ".join(self.versions()) or "none"
            raise UserError(f"the registry has no {version!r}; it has {known}", file=self.folder)
        try:
            return Manifest(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise FcrayError(f"{path} cannot be read; {version} is refused") from error

    def path(self, version: str) -> Path:
        """The folder of `version` (or alias), every file checked against its hash.

        Raises
        ------
        UserError: There is no such version.
        FcrayError: A file is missing or not what was stored.
        """
        manifest = self.manifest(version)
        folder = self.folder / manifest.version
        for name, expected in manifest.files.items():
            path = folder / name
            if not path.is_file() or sha256_file(path) != expected:
                raise FcrayError(f"{path} is not what was stored; {manifest.version} is refused")
        return folder

    def aliases(self) -> dict[str, str]:
        """Alias → version."""
        path = self.folder / _ALIASES
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def point(self, alias: str, version: str) -> None:
        """Let `alias` name `version` from now on.

        Raises
        ------
        UserError: There is no such version, `alias` is a version's own name, or the registry's
            folder cannot be written.
        """
        if _VERSION.fullmatch(alias):
            raise UserError(f"{alias!r} is the name of a version and cannot be an alias")
        version = self.manifest(version).version
        with self._writing(), filelock.FileLock(self.folder / f".{_ALIASES}.lock"):
            aside = self.folder / f".{_ALIASES}.new"
            text = json.dumps(self.aliases() | {alias: version}, indent=2)
            aside.write_text(text + "\n", encoding="utf-8")
            aside.replace(self.folder / _ALIASES)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            message = f"the registry cannot be written: {error.strerror or error}"
            raise UserError(message, file=self.folder) from error


def _number(version: str) -> str:
    match = _VERSION.fullmatch(version)
    return match["number"] if match else "0"


def _name_base(config: Path, base: str) -> None:
    """Name the base by what the user calls it, not by a cache folder of this machine."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values["base_model_name_or_path"] = base
    config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
