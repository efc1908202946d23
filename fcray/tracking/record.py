"""The record of a run: what `runs/<name>/summary.json` holds and what the report is drawn from.

Every part but the name may be missing, so a run can be recorded while it goes on, and a file from
a newer version is still read. A figure that is not a finite number is held as None and written as
null. Knows nothing of how a figure was measured, nor of Ray, W&B or HTML.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from fcray.errors import UserError, first_problem
from fcray.tools import ToolCall
from fcray.tracking.files import write_atomically


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[float | None, BeforeValidator(_finite)]
"""A measured number; None where there is none (NaN and infinity become None)."""

Status = Literal["completed", "stopped", "failed", "running"]


Goal = str | dict[str, float]
"""A metric, or a weighted mean of metrics."""

Goals = Goal | list[Goal]
"""As `fcray.spec.SweepSpec.objective`."""

MEAN: Goal = {"intent_accuracy": 1.0, "argument_f1": 1.0}
"""What `mean` stands for."""


def score_of(scores: Mapping[str, float | None], objective: Any) -> float | None:
    """The one number by which trials are compared: the objective, or the first of several.

    None when a part of it is missing.
    """
    if isinstance(objective, list | tuple):
        objective = objective[0]
    weights = MEAN if objective == "mean" else objective
    if isinstance(weights, str):
        return scores.get(weights)
    total = 0.0
    for name, weight in weights.items():
        value = score_of(scores, name)
        if value is None:
            return None
        total += weight * value
    return total / sum(weights.values())


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", validate_assignment=True)


class ScoreRecord(_Record):
    """How well one model did on one set of examples.

    Attributes
    ----------
    examples: How many examples were scored.
    intervals: Metric → its 95% confidence interval, low and high.
    """

    intent_accuracy: Figure = None
    argument_f1: Figure = None
    frame_accuracy: Figure = None
    examples: int = 0
    intervals: dict[str, tuple[Figure, Figure]] = {}


class CurvePoint(_Record):
    """The scores of one checkpoint; every further key is a metric's value.

    Attributes
    ----------
    step: Global optimizer step, counted over all stages.
    seconds: Since the sweep's start.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Figure]

    step: int
    seconds: Figure = None

    @property
    def scores(self) -> dict[str, float | None]:
        """Metric → value."""
        return dict(self.__pydantic_extra__ or {})


class LossPoint(_Record):
    """The training loss at one global step, and the curriculum stage it belongs to."""

    step: int
    loss: Figure = None
    stage: str = ""


class TrialRecord(_Record):
    """One trial of the sweep.

    Attributes
    ----------
    config: The fields of `fcray.spec.LoraConfig`.
    steps, total_steps: Optimizer steps taken, and planned.
    scores: The last scores, metric → value.
    started, finished: Seconds since the sweep's start.
    reason: Why it stopped or failed; empty when it completed.
    node: Where it trained; empty where that is not known.
    alarms: What the health checks said during training.
    """

    number: int
    config: dict[str, Any] = {}
    steps: int = 0
    total_steps: int = 0
    status: Status = "running"
    scores: dict[str, Figure] = {}
    curve: list[CurvePoint] = []
    losses: list[LossPoint] = []
    started: Figure = None
    finished: Figure = None
    reason: str = ""
    node: str = ""
    alarms: list[str] = []


class Condition(_Record):
    """One figure against what it had to reach.

    Attributes
    ----------
    measured, needed: Value and target as they are read; "" where the name says how.
    """

    name: str
    value: Figure = None
    target: Figure = None
    met: bool = False
    measured: str = ""
    needed: str = ""


class PromotedRecord(_Record):
    """The adapter that was promoted."""

    version: str
    path: str = ""


class ServedRecord(_Record):
    """One request to the endpoint.

    Attributes
    ----------
    call: What was parsed from the answer; None when it held no call.
    seconds: From request to answer.
    """

    language: str = ""
    request: str
    answer: str = ""
    call: ToolCall | None = None
    seconds: Figure = None


class MistakeRecord(_Record):
    """A request that the model got wrong.

    Attributes
    ----------
    gold, predicted: The right calls and the model's, in order; empty where there is none.
    answer: The model's own text, for an answer that holds no call or cannot be parsed.
    """

    request: str
    gold: list[ToolCall] = []
    predicted: list[ToolCall] = []
    answer: str = ""
    language: str = ""
    domain: str = ""


class RunRecord(_Record):
    """A whole run.

    Attributes
    ----------
    objective: What the sweep maximised, as in `fcray.spec.SweepSpec`.
    machine, versions: What it ran on, name → value.
    before, after: The base model's and the best adapter's scores on the test examples.
    importance: Swept field → how much of the scores' differences it explains; they sum to 1.
    phases: Phase → seconds, in the order in which they ran.
    promoted: What the gate let through; None when nothing was.
    verdict: The gate's decision in a sentence.
    advice: What would make it surer.
    conditions: What the gate looked at.
    targets: What the whole run was held against.
    paths: Name → file or folder, e.g. report, wandb, adapter.
    """

    name: str
    date: datetime | None = None
    objective: Goals = "mean"
    machine: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    before: ScoreRecord | None = None
    after: ScoreRecord | None = None
    trials: list[TrialRecord] = []
    importance: dict[str, Figure] = {}
    phases: dict[str, Figure] = {}
    promoted: PromotedRecord | None = None
    verdict: str = ""
    advice: str = ""
    conditions: list[Condition] = []
    served: list[ServedRecord] = []
    mistakes: list[MistakeRecord] = []
    targets: list[Condition] = []
    paths: dict[str, str] = {}

    @property
    def best(self) -> TrialRecord | None:
        """The trial with the highest score; None while no trial has one."""
        scored = [t for t in self.trials if score_of(t.scores, self.objective) is not None]
        return max(scored, key=lambda t: score_of(t.scores, self.objective) or 0.0, default=None)

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """The record in the JSON file at `path`.

        Raises
        ------
        UserError: There is no such file, or it is not a run's record; names file and field.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError("there is no such file; a sweep writes it", file=path) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read: {error}", file=path) from None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            message, where = first_problem(error)
            raise UserError(message, file=path, field=".".join(map(str, where)) or None) from None

    def write(self, path: str | Path) -> None:
        """Put the record at `path` as JSON; a reader sees the old file or the new one.

        Raises
        ------
        OSError: The folder cannot be written.
        """
        write_atomically(Path(path), self.to_json() + "\n")

    def to_json(self) -> str:
        """The record as JSON text that any parser reads, whatever a model or sampler put in."""
        plain = _plain(self.model_dump())
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)


def _plain(value: Any) -> Any:
    """`value` in JSON's own types; NumPy's scalars become Python's, other objects their text."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    # Half of a surrogate pair, as in the cut-off "\\ud83d" of a model's JSON, has no UTF-8.
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text.encode("utf-8", "replace").decode()
