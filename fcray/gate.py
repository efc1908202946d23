"""Takes a trial through the gate: answers as served, the verdict, the registry.

Answers are kept in the run's folder and not asked for twice. Knows nothing of phases or of what is shown;
which numbers decide is `promotion`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fcray import models
from fcray.dataset.build import Dataset
from fcray.dataset.faults import fault_cases
from fcray.errors import UserError
from fcray.evaluation.pool import EvaluationPool, PoolConfig, read_adapter
from fcray.metrics import Outcome, Scores, score
from fcray.promotion import Measured, Verdict, gate
from fcray.registry import CHAMPION, Manifest, Moved, Registry
from fcray.spec import SweepSpec
from fcray.sweep import run as sweep
from fcray.sweep.folder import RunFolder
from fcray.sweep.search import StudyTrial
from fcray.tools import Example
from fcray.tracking.card import model_card

TRIES = 3
"""How often a candidate is held against a champion that another promotion has replaced meanwhile."""

Answers = dict[str, tuple[Outcome, ...]]
"""Suite → what an adapter answered: `test`, `held_out` and `faults`."""


@dataclass(frozen=True)
class Passage:
    """What came of a trial at the gate.

    Attributes
    ----------
    scores, outcomes: On the test split.
    manifest: The version that it has become; None where it was refused.
    """

    verdict: Verdict
    scores: Scores
    outcomes: tuple[Outcome, ...]
    manifest: Manifest | None


class Gate:
    """The gate of one run. Answers are asked for on the current Ray."""

    def __init__(
        self, spec: SweepSpec, folder: RunFolder, registry: Registry, data: Dataset
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._registry = registry
        self._data = data

    def answers(
        self, name: str, adapter: Path | None, suites: Mapping[str, Sequence[Example]]
    ) -> Answers:
        """What an adapter (None: the base model) answers, as served; kept under `name`."""
        found: Answers = {}
        for suite, examples in suites.items():
            kept = sweep.load_outcomes(self._kept(name, suite), tuple(examples))
            if kept is not None:
                found[suite] = kept
        missing = {suite: some for suite, some in suites.items() if suite not in found}
        if missing:
            pool = EvaluationPool(as_served(self._spec), missing)
            try:
                pool.wait_ready()
                files = read_adapter(adapter) if adapter else None
                for suite in missing:
                    found[suite] = pool.evaluate(files, suite)
                    path = self._kept(name, suite)
                    path.parent.mkdir(exist_ok=True)
                    sweep.save_outcomes(path, found[suite])
            finally:
                pool.close()
        return found

    def _kept(self, name: str, suite: str) -> Path:
        end = "" if suite == "test" else f".{suite}"
        return self._folder.path / "outcomes" / f"{name}{end}.jsonl"

    def pass_through(self, trial: StudyTrial, *, known: str = "", forced: str = "") -> Passage:
        """Hold a trial's last checkpoint against floors and champion; store it if it passes.

        Parameters
        ----------
        known: The version that this run is known to have made before, if it has.
        forced: Why it is to be stored whatever comes of it; "" leaves it to the gate.

        Raises
        ------
        UserError: The registry cannot be written.
        FcrayError: It cannot be read, or the answers cannot be had.
        """
        last = trial.results[-1]
        adapter = self._folder.adapter(last.checkpoint)
        name = f"trial_{trial.number:04d}_{last.step}"
        held = manifest = self._held(trial, known)
        for _ in range(TRIES):
            champion = "" if held else self._registry.aliases().get(CHAMPION, "")
            suites = self._suites(against=bool(champion))
            own = Measured(**self.answers(name, adapter, suites))
            other = None
            if champion:
                path = self._registry.path(champion)
                other = Measured(**self.answers(champion, path, suites))
            verdict = gate(own, other, self._spec.promotion, forced=forced)
            scores, outcomes = score(own.test), tuple(own.test)
            if held or not verdict.promoted:
                return Passage(verdict, scores, outcomes, held)
            manifest = manifest or self._store(trial, adapter, scores, verdict)
            try:
                self._point(manifest, champion, verdict)
            except Moved:  # another promotion was faster: its version is the one to be better than
                continue
            return Passage(verdict, scores, outcomes, manifest)
        raise UserError(
            "the champion was replaced again and again while this candidate was measured",
            file=self._registry.url,
        )

    def _suites(self, *, against: bool) -> dict[str, Sequence[Example]]:
        """What is asked; without a champion only what has a floor."""
        settings, found = self._spec.promotion, {"test": self._data.test}
        if against and settings.held_out_tools and self._data.test_tools:
            found["held_out"] = self._data.test_tools
        if against and settings.faults:
            found["faults"] = tuple(fault_cases(self._spec.data, settings.faults))
        return dict(found)

    def _point(self, manifest: Manifest, champion: str, verdict: Verdict) -> None:
        alias = self._spec.promotion.alias
        reason = f"run {self._spec.name}, trial {manifest.trial}: {verdict.sentence}"
        expected = champion if alias == CHAMPION else None
        self._registry.point(alias, manifest.version, reason=reason, expected=expected)

    def _held(self, trial: StudyTrial, known: str) -> Manifest | None:
        """The version that this run has already made of this very trial, if it has."""
        for name in self._registry.versions(self._spec.promotion.name):
            if name != known:
                continue
            manifest = self._registry.manifest(name)
            if (
                manifest.spec.get("name") == self._spec.name
                and manifest.trial == trial.number
                and manifest.data_sha256 == self._data.sha256
            ):
                return manifest
        return None

    def _store(
        self, trial: StudyTrial, adapter: Path, scores: Scores, verdict: Verdict
    ) -> Manifest:
        spec, data = self._spec, self._data
        facts: dict[str, Any] = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "base": spec.model.base,
            "revision": models.resolve(spec.model)[1],
            "quantization": spec.model.quantization,
            "data_sha256": data.sha256,
            "spec": spec.model_dump(mode="json"),
            "trial": trial.number,
            "config": trial.config.model_dump(mode="json"),
            "metrics": scores.to_dict(),
            "verdict": [asdict(condition) for condition in verdict.conditions],
            "git_revision": git_revision(),
            "forced": "" if verdict.holds else verdict.forced,
        }
        asked = next(
            (row for row in data.test if row.calls and len(row.messages) <= 2), data.test[0]
        )
        card = model_card(spec, facts, scores, asked)
        return self._registry.add(spec.promotion.name, adapter, facts, card=card)


def as_served(spec: SweepSpec) -> PoolConfig:
    """A pool whose engines hold the base as the endpoint does."""
    return replace(sweep.pool_config(spec), storage=spec.serving.held(spec.model))


def git_revision() -> str:
    """The revision of the working copy that fcray runs from, or "" outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
