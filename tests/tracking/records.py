"""Run records for the tests: one with every part filled, made by a formula, not measured."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from fcray.tools import ToolCall
from fcray.tracking.record import (
    Condition,
    CurvePoint,
    LossPoint,
    MistakeRecord,
    PromotedRecord,
    RunRecord,
    ScoreRecord,
    ServedRecord,
    Status,
    TrialRecord,
)

STAGES = ("intent", "arguments", "joint")


def config(rank: int, rate: float, modules: str | list[str], shares: list[float]) -> dict[str, Any]:
    """What `LoraConfig` holds, as JSON values."""
    return {
        "rank": rank,
        "alpha_multiple": 2.0,
        "dropout": 0.0,
        "learning_rate": rate,
        "target_modules": modules,
        "shares": shares,
    }


CONFIGS = (
    config(16, 3e-5, ["q_proj", "v_proj"], [0.3, 0.4, 0.3]),
    config(16, 1e-3, "all-linear", [0.1, 0.2, 0.7]),
    config(32, 2.4e-3, "all-linear", [0.05, 0.15, 0.8]),
    config(8, 6e-3, "all-linear", [0.5, 0.2, 0.3]),
)


def trial(number: int, status: Status = "completed", steps: int = 110) -> TrialRecord:
    """A trial whose curves rise with its learning rate, and whose loss falls."""
    settings = CONFIGS[number % len(CONFIGS)]
    speed = 10 * settings["learning_rate"] ** 0.5
    reached = [step for step in (20, 50, 80, 110) if step <= steps]
    curve = [
        CurvePoint(
            step=step,
            seconds=5 + 60 * number + step / 2,
            intent_accuracy=1 - 0.8 * math.exp(-speed * step / 60),
            argument_f1=1 - 0.9 * math.exp(-speed * step / 80),
            frame_accuracy=1 - 0.95 * math.exp(-speed * step / 120),
            adapter_mebibytes=0.3 * settings["rank"],
        )
        for step in reached
    ]
    ends = [settings["shares"][0] * 110, sum(settings["shares"][:2]) * 110, 111]
    losses = [
        LossPoint(
            step=step,
            loss=2.5 * math.exp(-speed * step / 40) + 0.1 * math.sin(step) ** 2,
            stage=next(stage for stage, end in zip(STAGES, ends, strict=True) if step < end),
        )
        for step in range(1, steps + 1)
    ]
    return TrialRecord(
        number=number,
        config=settings,
        steps=steps,
        total_steps=110,
        status=status,
        scores=curve[-1].scores if curve else {},
        curve=curve,
        losses=losses,
        node=f"10.0.0.{number % 2}",
        started=4 + 60.0 * number,
        finished=None if status == "running" else 8 + 60 * number + steps / 2,
        reason={"stopped": "below the median at rung 2 (ASHA)", "failed": "loss is not finite"}.get(
            status, ""
        ),
        alarms=["gradient norm 41 at step 52"] if status == "stopped" else [],
    )


def full() -> RunRecord:
    """A record in which every part is filled."""
    call = ToolCall(name="create_reminder", arguments={"title": "开会", "time": "2025-03-04T09:00"})
    wrong = ToolCall(name="create_reminder", arguments={"title": "会", "time": "2025-03-04T09:00"})
    met = Condition(name="intent_accuracy", value=0.9687, target=0.92, met=True)
    missed = Condition(name="argument_f1", value=0.871, target=0.88, met=False)
    return RunRecord(
        name="demo",
        date=datetime(2025, 3, 3, 14, 5, tzinfo=UTC),
        objective=["mean", "adapter_mebibytes"],
        importance={"learning_rate": 0.6, "rank": 0.3, "shares": 0.1},
        machine={"cpu": "2 cores", "memory_gib": 24.0, "gpu": None},
        versions={"fcray": "0.1.0", "ray": "2.60.0", "torch": "2.9.0"},
        before=ScoreRecord(
            intent_accuracy=0.416,
            argument_f1=0.205,
            frame_accuracy=0.1,
            examples=96,
            intervals={"intent_accuracy": (0.32, 0.516), "argument_f1": (0.14, 0.28)},
        ),
        after=ScoreRecord(
            intent_accuracy=0.9687,
            argument_f1=0.871,
            frame_accuracy=0.84,
            examples=96,
            intervals={"intent_accuracy": (0.912, 0.989), "argument_f1": (0.8, 0.93)},
        ),
        trials=[trial(0), trial(1), trial(2), trial(3, "stopped", 50), trial(4, "failed", 10)],
        phases={"data": 1.4, "base_evaluation": 22.0, "sweep": 340.0, "gate": 31.0, "serve": 12.5},
        promoted=PromotedRecord(version="function_call_v1", path="runs/demo/registry/v1"),
        verdict="Better than the champion by 12.5 points on 96 examples.",
        conditions=[met, missed],
        served=[
            ServedRecord(
                language="zh",
                request="明天上午九点提醒我开会",
                answer='{"name":"create_reminder","arguments":{"title":"开会"}}',
                call=call,
                seconds=0.84,
            ),
            ServedRecord(language="en", request="Tell me a joke", answer="I cannot.", seconds=0.21),
        ],
        mistakes=[
            MistakeRecord(
                request="明天上午九点提醒我开会",
                gold=[call],
                predicted=[wrong],
                language="zh",
                domain="office",
            ),
            MistakeRecord(
                request="How are you?",
                predicted=[wrong],
                answer="call create_reminder",
                domain="iot",
            ),
        ],
        targets=[Condition(name="total_minutes", value=6.9, target=20.0, met=True)],
        paths={"report": "runs/demo/report.html", "wandb": "runs/demo/wandb"},
    )
