"""What is known of a version of an adapter. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

MANIFEST = "manifest.json"


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
    forced: Why it was promoted although the gate said no; "" where the gate said yes.
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
    forced: str = ""

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        """Raises ValueError or TypeError for what is no manifest."""
        return cls(**json.loads(text))

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()
