"""How busy 200 trials that compute nothing keep 32 GPUs. Run by `make bench-slots`.

Four simulated nodes of eight GPUs each, on one machine; search, scheduler and Tune are as a sweep uses them.
A trial holds one GPU for a minute, half a minute more or less, as real ones differ. Counted is the middle of
the run: from the moment that the 32nd trial began to the moment that the last one did.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.cluster_utils import Cluster

from benchmarks.result import Target, publish
from fcray.settings import set_defaults
from fcray.spec import SweepSpec
from fcray.sweep.folder import RunFolder
from fcray.sweep.run import tuner_for
from fcray.sweep.scheduler import METRIC, RUNG, STEP, rung_shares, scheduler_for
from fcray.sweep.search import StudySearch, open_study, trials_of
from fcray.sweep.session import QUIET

QUICKSTART = Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
NODES, GPUS, TRIALS = 4, 8, 200
SECONDS = 60
"""How long a trial lasts on average."""

ASKED = 0.95


def nothing(config: dict[str, Any], last: int) -> None:
    """Hold a GPU for a while; report when and where."""
    began = time.time()
    dice = random.Random(config["number"])
    time.sleep(SECONDS * dice.uniform(0.5, 1.5))
    scores = {"intent_accuracy": dice.random(), "argument_f1": dice.random()}
    context = ray.get_runtime_context()
    tune.report(
        {
            STEP: 1,
            RUNG: last,
            "total_steps": 1,
            METRIC: statistics.fmean(scores.values()),
            "scores": json.dumps(scores),
            "losses": "[]",
            "checkpoint_path": "",
            "began": began,
            "ended": time.time(),
            "place": f"{context.get_node_id()} {context.get_accelerator_ids()['GPU']}",
        }
    )


class Spans(tune.Callback):  # type: ignore[misc]
    """Keeps when and where each trial ran."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float, str]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        self.spans.append((result["began"], result["ended"], result["place"]))


def swept(spec: SweepSpec, folder: RunFolder) -> list[tuple[float, float, str]]:
    study = open_study(folder.study, spec)
    last = len(rung_shares(spec.scheduler))
    search = StudySearch(study, spec, last=last, over=lambda: False)
    scheduler = scheduler_for(spec.scheduler, (), lambda: False)
    watch = Spans()
    trainable = tune.with_resources(tune.with_parameters(nothing, last=last), {"GPU": 1})
    slots = NODES * GPUS
    tuner_for(trainable, folder, search, scheduler, watch, trials=TRIALS, slots=slots).fit()
    assert [trial.status for trial in trials_of(study)] == ["completed"] * TRIALS
    return sorted(watch.spans)


def main() -> None:
    spec = SweepSpec.read(QUICKSTART)
    spec = spec.with_changes(budget=spec.budget.model_copy(update={"trials": TRIALS}))
    set_defaults(QUIET)
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        for _ in range(NODES):
            cluster.add_node(num_cpus=0, num_gpus=GPUS)
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        with tempfile.TemporaryDirectory() as folder:
            spans = swept(spec, RunFolder(Path(folder)))
    finally:
        ray.shutdown()
        cluster.shutdown()
    slots = NODES * GPUS
    start, end = spans[slots - 1][0], spans[-1][0]
    busy = sum(max(0.0, min(last, end) - max(first, start)) for first, last, _ in spans)
    share = busy / (slots * (end - start))
    places: dict[str, list[tuple[float, float]]] = {}
    for first, last, place in spans:
        places.setdefault(place, []).append((first, last))
    turns = [pair for some in places.values() for pair in pairwise(sorted(some))]
    gaps = [later[0] - earlier[1] for earlier, later in turns]
    figures = {
        "trials": TRIALS,
        "GPUs": slots,
        "GPUs that were used": len(places),
        "seconds a trial": SECONDS,
        "trials that shared a GPU": sum(gap < 0 for gap in gaps),
        "seconds from a trial's end to the next one's beginning, median": statistics.median(gaps),
        "the same, 95th percentile": statistics.quantiles(gaps, n=20)[-1],
        "seconds until all were busy": start - spans[0][0],
    }
    publish("slots", figures, [Target("share of the GPUs busy", share, ASKED, share >= ASKED)])
    print(f"{share:.1%} busy", file=sys.stderr)


if __name__ == "__main__":
    main()
