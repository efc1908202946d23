"""The adapter registry: whole versions or none, numbers that nobody shares, aliases with a history."""

from fcray.registry.manifest import MANIFEST, Manifest
from fcray.registry.place import Place
from fcray.registry.registry import CANDIDATE, CHAMPION, AliasEvent, Moved, Registry

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "MANIFEST",
    "AliasEvent",
    "Manifest",
    "Moved",
    "Place",
    "Registry",
]
