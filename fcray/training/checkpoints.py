"""Checkpoints that are whole or not used: sealed with the hash of every file, kept aside and renamed.

A checkpoint is the folder that transformers' Trainer writes (adapter, optimizer, schedule, random state) with
two files of ours: where the run was in which plan, and the seal. Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcray.errors import UserError
from fcray.models import sha256_file
from fcray.training.packing import Pack

logger = logging.getLogger(__name__)

SEAL = "fcray_seal.json"
POSITION = "fcray_position.json"
_KEPT = re.compile(r"step-(\d+)")


def plan_hash(steps: Sequence[tuple[Pack, ...]]) -> str:
    """What is trained in which order, as a hash."""
    digest = hashlib.sha256()
    for packs in steps:
        for pack in packs:
            rows = (token for row in pack.rows for token in (*row.prompt.body, -1, *row.answer, -2))
            digest.update(np.fromiter((*pack.prefix, -3, *rows), dtype=np.int32).tobytes())
        digest.update(b"/")
    return digest.hexdigest()


def seal(folder: Path, step: int, plan: str) -> None:
    """Note the position in `folder`, then the hash of every file in it."""
    position = {"step": step, "plan_sha256": plan}
    (folder / POSITION).write_text(json.dumps(position) + "\n", encoding="utf-8")
    hashes = {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SEAL
    }
    (folder / SEAL).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Whether every file of a checkpoint is there and as it was sealed."""
    try:
        hashes = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return bool(hashes) and all(sha256_file(folder / n) == h for n, h in hashes.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def position(folder: Path) -> int:
    """The step after which a whole checkpoint was made."""
    step: int = json.loads((folder / POSITION).read_text(encoding="utf-8"))["step"]
    return step


def check_plan(folder: Path, plan: str) -> None:
    """Refuse to go on from a checkpoint of another run.

    Raises
    ------
    UserError: It is torn, or was made with other rows, another order or other settings.
    """
    if not is_whole(folder):
        raise UserError(
            "this checkpoint is torn: a file is missing or is not what was written", file=folder
        )
    if json.loads((folder / POSITION).read_text(encoding="utf-8"))["plan_sha256"] != plan:
        raise UserError("this checkpoint belongs to other rows or other settings", file=folder)


class CheckpointStore:
    """The latest checkpoints of one run, in a folder.

    Parameters
    ----------
    folder: Where they lie, each as `step-<number>`; made at the first.
    keep: How many are kept.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def add(self, checkpoint: Path, step: int) -> None:
        """Keep a copy of a sealed checkpoint, written aside and renamed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".step-", dir=self.folder))
        shutil.copytree(checkpoint, aside, dirs_exist_ok=True)
        target = self.folder / f"step-{step:07}"
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
        for old in self._steps()[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        for left in self.folder.glob(".step-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)

    def latest(self) -> Path | None:
        """The last checkpoint that is whole; torn ones are skipped, and said in the log."""
        for folder in reversed(self._steps()):
            if is_whole(folder):
                return folder
            logger.warning("%s is torn and skipped", folder)
        return None

    def _steps(self) -> list[Path]:
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path for path in found if _KEPT.fullmatch(path.name))
