"""What a sweep would do, worked out without starting anything: no Ray, no model in memory, no run's folder.

Everything that a sweep would refuse is tried and collected. Hours are arithmetic: the products that training
computes, over what the device is taken to compute in a second. Knows nothing of printing.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from fcray import models, settings
from fcray.dataset.build import Construction
from fcray.dataset.catalog import load_catalogs
from fcray.errors import UserError
from fcray.prompting import Renderer
from fcray.spec import LoraConfig, SweepSpec
from fcray.sweep.memory import largest_config, longest_step, share_of
from fcray.sweep.scheduler import rung_shares, rung_steps
from fcray.sweep.search import sampler_for
from fcray.sweep.space import check_search, sample, seed_points
from fcray.tools import Example
from fcray.training.memory import GIB, Estimate, Numerics, Room, Shapes, shapes_of
from fcray.training.memory import plan as plan_memory
from fcray.training.packing import plan_steps
from fcray.training.trainer import total_steps, trainable_rows

_Found = TypeVar("_Found")

SAMPLES = 200
"""Points of the space that are drawn."""

ROWS = 512
"""Rows that are rendered to learn how long steps are."""

A100 = Room("cuda", "A100 with 80 GB, assumed", int(79.1 * GIB), int(79.1 * GIB))
A100_RATE = 312e12
"""Operations a second of its bf16 tensor cores, by NVIDIA's data sheet."""

SHARE = {"cpu": 0.09, "cuda": 0.4}
"""Of what large matrix products reach, how much a step of training does: on a CPU as the bundled model's did
in the quickstart (1.1 s a step), on a GPU assumed."""


@dataclass(frozen=True)
class Steps:
    """What the trials of a sweep train on.

    Attributes
    ----------
    rows, left_out: Training rows that fit the cutoff, and that do not.
    least, most: Optimizer steps of the shortest and the longest trial.
    mean: Rows that a trial trains on, in the mean, in steps of the first one's batch.
    tokens: That such a step computes, in the mean; a list of tools counts once for all rows behind it.
    labels: Of them those that are learned.
    rungs: Step → rung of the longest trial.
    """

    rows: int
    left_out: int
    least: int
    most: int
    mean: float
    tokens: float
    labels: float
    rungs: dict[int, int]


@dataclass(frozen=True)
class Hours:
    """Hours of one device for training alone; checkpoints are scored by actors of their own.

    Attributes
    ----------
    trial: Of one trial, run to its end.
    all: Of all trials, run to their ends.
    expected: Of all trials, if the scheduler stops as many as it is made for.
    device: What computes.
    rate: Operations a second that it is taken to reach.
    """

    trial: float
    all: float
    expected: float
    device: str
    rate: float


@dataclass
class Plan:
    """What came out. Parts that could not be worked out are None, and `refused` says why."""

    spec: SweepSpec
    first: list[LoraConfig]
    samples: list[LoraConfig] = field(default_factory=list)
    steps: Steps | None = None
    memory: Estimate | None = None
    room: Room | None = None
    checkpointing: bool = False
    hours: Hours | None = None
    refused: list[str] = field(default_factory=list)

    def try_to(self, work: Callable[[], _Found]) -> _Found | None:
        """What `work` returns; None when it is refused, which is noted."""
        try:
            return work()
        except UserError as error:
            if str(error) not in self.refused:
                self.refused.append(str(error))
            return None


def make_plan(spec: SweepSpec) -> Plan:
    """The plan of a sweep."""
    plan = Plan(spec, seed_points(spec.search))
    plan.try_to(lambda: check_search(spec))
    plan.try_to(lambda: _check_storage(spec))
    plan.try_to(lambda: _check_machine(spec))
    plan.samples = plan.try_to(lambda: _samples(spec)) or []
    rows = plan.try_to(lambda: _rows(spec))
    folder = plan.try_to(lambda: models.resolve(spec.model, weights=False)[0])
    if rows is not None and folder is not None:
        plan.try_to(lambda: _work_out(plan, rows, folder))
    return plan


def _work_out(plan: Plan, rows: Sequence[Example], folder: Path) -> None:
    """Steps, memory and hours."""
    from transformers import AutoConfig, AutoTokenizer

    spec = plan.spec
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plan.steps = _steps(plan, rows, tokenizer)
    shapes = shapes_of(AutoConfig.from_pretrained(folder))
    most = largest_config(spec.search, spec.training)
    training = most.training(spec.training)
    room, base = _device(spec)
    plan.room = share_of(room, spec, _slots(spec))
    tokens, labels = longest_step(training, rows, tokenizer)
    plan.memory, plan.checkpointing = plan_memory(
        shapes, most, training, base, plan.room, tokens=tokens, labels=labels
    )
    plan.hours = _hours(plan, shapes, base)


def _slots(spec: SweepSpec) -> int:
    """Trials that would run at a time on this machine."""
    return max(1, min(spec.budget.trials, int((os.cpu_count() or 1) / spec.resources.cpus)))


def _samples(spec: SweepSpec) -> list[LoraConfig]:
    """Points as the sampler would ask for them before it knows any score."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler_for(spec)  # refused here, if it cannot be made
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=spec.sampler.seed))
    return [sample(study.ask(), spec.search) for _ in range(SAMPLES)]


def _rows(spec: SweepSpec) -> list[Example]:
    """The first training rows."""
    making = Construction(spec.data, load_catalogs(spec.data.catalogs, spec.data.tools))
    return list(islice(making.rows("train"), ROWS))


def _steps(plan: Plan, rows: Sequence[Example], tokenizer: Any) -> Steps:
    spec = plan.spec
    kept, _ = trainable_rows(Renderer(tokenizer), rows, spec.training.cutoff)
    count = round(spec.data.train * len(kept) / len(rows))
    asked = [config.training(spec.training) for config in [*plan.first, *plan.samples]]
    totals = [total_steps(count, training) for training in asked]
    usual = asked[0] if asked else spec.training
    packs = plan_steps(
        kept,
        batch=usual.batch,
        epochs=1,
        token_budget=max(usual.tokens, usual.cutoff),
        seed=usual.seed,
    )
    return Steps(
        rows=count,
        left_out=spec.data.train - count,
        least=min(totals, default=0),
        most=max(totals, default=0),
        mean=statistics.fmean(
            total * training.batch / usual.batch
            for total, training in zip(totals, asked, strict=True)
        )
        if asked
        else 0.0,
        tokens=statistics.fmean(sum(map(len, step)) for step in packs),
        labels=statistics.fmean(sum(len(row.answer) for p in s for row in p.rows) for s in packs),
        rungs=rung_steps(max(totals, default=1), spec.scheduler),
    )


def _device(spec: SweepSpec) -> tuple[Room, Numerics]:
    """What a trial would get: this machine's device, or an A100 where GPUs are asked for and none is here."""
    here = Room.here()
    if spec.resources.gpus and here.device != "cuda":
        floats = 4 if spec.model.precision == "fp32" else 2
        packed = spec.model.quantization == "nf4" and spec.model.storage != "rounded"
        return A100, Numerics("cuda", floats, packed, spec.model.double_quantization)
    return here, Numerics.here(spec.model)


def expected_trials(spec: SweepSpec) -> float:
    """How many whole trials take as many steps as all of them, if the scheduler stops those that it should.

    At least one goes on to the end.
    """
    stays = {"asha": 1 / spec.scheduler.reduction, "median": 0.5, "none": 1.0}[spec.scheduler.kind]
    taken, before, left = 0.0, 0.0, float(spec.budget.trials)
    for rung in rung_shares(spec.scheduler):
        taken += max(left, 1.0) * (rung - before)
        before, left = rung, left * stays
    return taken


def _hours(plan: Plan, shapes: Shapes, base: Numerics) -> Hours:
    assert plan.steps is not None and plan.room is not None
    weights = sum(inputs * outputs for _, inputs, outputs in shapes.linears)
    passes = 3 if plan.checkpointing else 2  # frozen weights need no gradient of their own
    a_step = 2 * passes * weights * plan.steps.tokens
    a_step += 6 * shapes.hidden * shapes.vocabulary * plan.steps.labels
    rate, device = _rate(plan.room, base)
    trial = a_step * plan.steps.mean / rate / 3600
    whole, expected = plan.spec.budget.trials, expected_trials(plan.spec)
    return Hours(trial, trial * whole, trial * expected, device, rate)


def _rate(room: Room, base: Numerics) -> tuple[float, str]:
    """Operations a second that training is taken to reach."""
    if room.name == A100.name:
        return A100_RATE * SHARE["cuda"], "an A100, by its data sheet"
    return _measured(base) * SHARE[room.device], f"this {room.name}, by products tried on it"


def _measured(base: Numerics, seconds: float = 0.3) -> float:
    """Operations a second of matrix products here."""
    import torch

    size = 2048 if base.device == "cpu" else 8192
    dtype = torch.bfloat16 if base.float_bytes == 2 else torch.float32
    one = torch.ones(size, size, dtype=dtype, device=base.device)
    done, began = 0, 0.0
    while not done or time.perf_counter() - began < seconds:
        one @ one
        if base.device == "cuda":
            torch.cuda.synchronize()
        began = began or time.perf_counter()  # the first one is for warming up
        done += 1
    return 2 * size**3 * (done - 1) / (time.perf_counter() - began)


def _check_storage(spec: SweepSpec) -> None:
    """Refuse a folder that cannot be written, or that holds another sweep of this name."""
    from fcray.sweep.run import find_folder

    folder = find_folder(spec).path
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise spec.error(f"{folder} cannot be written: {there} is not a folder of yours", "storage")


def _check_machine(spec: SweepSpec) -> None:
    """Refuse what this machine can never start; what a cluster has is asked when the sweep begins."""
    import torch

    if settings.ray_address():
        return
    cpus, gpus = os.cpu_count() or 1, torch.cuda.device_count()
    for part in ("resources", "evaluation"):
        asked = getattr(spec, part)
        if asked.cpus > cpus:
            message = f"{asked.cpus:g} CPUs are asked for, this machine has {cpus}"
            raise spec.error(f"{message}; join a cluster that has them", part, "cpus")
        if asked.gpus > gpus:
            message = f"{asked.gpus:g} GPUs are asked for, this machine has {gpus}"
            raise spec.error(f"{message}; join a cluster that has them", part, "gpus")
