"""The one place that reads environment variables.

| variable | meaning | default |
| --- | --- | --- |
| `FCRAY_CACHE` | where converted base models are kept | the user's cache folder |
| `FCRAY_RAY_ADDRESS` | the Ray cluster to join; `auto` finds one | start a private local one |
| `FCRAY_API_KEY` | the key that `fcray call` and `fcray serve` use | a fresh one for each `fcray serve` |

Knows nothing of what the values are for. `RAY_*`, `WANDB_*` and `HF_*` belong to their libraries.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder for things that can be made again."""
    if explicit := os.environ.get("FCRAY_CACHE"):
        return Path(explicit).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fcray"


def ray_address() -> str | None:
    """The Ray address to join, or None to start a private cluster.

    A job that `ray job submit` started finds its cluster in Ray's own `RAY_ADDRESS`.
    """
    return os.environ.get("FCRAY_RAY_ADDRESS") or os.environ.get("RAY_ADDRESS") or None


def api_key() -> str | None:
    return os.environ.get("FCRAY_API_KEY") or None


def unset(name: str) -> None:
    """Take a variable away from this process."""
    os.environ.pop(name, None)


def set_defaults(values: dict[str, str]) -> None:
    """Set variables that a library reads, where the user has not set them."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
