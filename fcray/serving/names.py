"""Which names a client may ask for, and what each stands for: versions, aliases, the base.

Knows nothing of files, HTTP or Ray.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fcray.errors import UserError
from fcray.spec import ModelSpec


def base_name(spec: ModelSpec) -> str:
    """The base's public name: as given, or a folder's last part, so that no path is shown."""
    folder = Path(spec.base).expanduser()
    return folder.resolve().name if folder.is_dir() else spec.base


@dataclass(frozen=True)
class ModelNames:
    """The names that are served.

    Attributes
    ----------
    base: Answers without an adapter.
    versions: Names of adapters, such as `function_call_v1`.
    aliases: Name → the version, or the base, that it stands for, such as `champion`.
    """

    base: str
    versions: frozenset[str]
    aliases: tuple[tuple[str, str], ...]

    @classmethod
    def build(cls, base: str, versions: Iterable[str], aliases: Mapping[str, str]) -> ModelNames:
        """Check that every name stands for one thing.

        Raises
        ------
        UserError: Two things have one name, or an alias stands for nothing.
        """
        known = frozenset(versions)
        if base in known:
            raise UserError(f"an adapter has the base model's name {base!r}", field="adapters")
        for alias, target in aliases.items():
            if alias in known or alias == base:
                raise UserError(f"{alias!r} is an alias and a model at once", field="aliases")
            if target not in known and target != base:
                raise UserError(f"the alias {alias!r} stands for {target!r}, which is not served")
        return cls(base, known, tuple(sorted(aliases.items())))

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, aliases first."""
        return (*(alias for alias, _ in self.aliases), *sorted(self.versions), self.base)

    def resolve(self, name: str) -> tuple[str, str | None]:
        """The version that `name` stands for, and its adapter (None for the base).

        Raises
        ------
        KeyError: No model has this name.
        """
        version = dict(self.aliases).get(name, name)
        if version == self.base:
            return version, None
        if version not in self.versions:
            raise KeyError(name)
        return version, version
