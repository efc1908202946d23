"""The files for clusters, held against the schemas of those who read them: nothing is started."""

from __future__ import annotations

import copy
import importlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from fcray.serving import build
from fcray.spec import SweepSpec

ROOT = Path(__file__).parents[2]
KUBERAY = json.loads((Path(__file__).parent / "kuberay.json").read_text(encoding="utf-8"))
"""Made of KubeRay's resource definitions; what they do not name is refused."""


IMAGE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return found


def check(document: dict[str, Any]) -> None:
    schema = {"$ref": f"#/$defs/{document['kind']}", "$defs": KUBERAY["$defs"]}
    jsonschema.validate(document, schema)


def spec_in(entrypoint: str) -> SweepSpec:
    """The sweep that a command names, in the image's folder."""
    folder = re.findall(r"^WORKDIR (.+)$", IMAGE, re.MULTILINE)[0]
    command, _, path = entrypoint.rpartition(" ")
    assert command == "fcray sweep"
    return SweepSpec.read(ROOT / Path(path).relative_to(folder))


def test_the_clusters_file_is_one_that_ray_takes() -> None:
    prepared = prepare_config(read("cluster.yaml"))
    validate_config(prepared)
    # Ray's own defaults are filled in, ours stand.
    assert prepared["auth"]["ssh_user"]
    assert set(prepared["available_node_types"]) == set(
        read("cluster.yaml")["available_node_types"]
    )


def test_ray_refuses_a_misspelt_field() -> None:
    wrong = read("cluster.yaml")
    wrong["max_wrokers"] = wrong.pop("max_workers")
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(wrong))


def test_the_cluster_has_a_head_without_gpus_and_workers_that_come_when_needed() -> None:
    kinds = read("cluster.yaml")["available_node_types"]
    assert kinds["head"]["resources"]["GPU"] == 0
    worker = kinds["a100"]
    assert (worker["resources"]["GPU"], worker["min_workers"]) == (8, 0)
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_kuberay_takes_the_job() -> None:
    check(read("deploy/kuberay/rayjob.yaml"))


def test_kuberay_takes_the_service() -> None:
    check(read("deploy/kuberay/rayservice.yaml"))


def served() -> list[dict[str, Any]]:
    """What `serve deploy` and the service are given."""
    service = read("deploy/kuberay/rayservice.yaml")["spec"]["serveConfigV2"]
    return [read("deploy/serve.yaml"), yaml.safe_load(service)]


def test_serve_takes_both_configs_and_they_name_the_same_application() -> None:
    for config in served():
        read_by_ray = ServeDeploySchema.model_validate(config)
        (application,) = read_by_ray.applications
        module, _, name = application.import_path.partition(":")
        assert getattr(importlib.import_module(module), name) is build.application
        args = build.ServeArgs.model_validate(application.args)
        assert (args.version, args.gpus) == ("champion", 1)


def test_serve_refuses_a_misspelt_field() -> None:
    wrong = served()[0]
    wrong["aplications"] = wrong.pop("applications")
    with pytest.raises(ValueError, match="applications"):
        ServeDeploySchema.model_validate(wrong)


def test_the_service_has_room_for_its_engine() -> None:
    cluster = read("deploy/kuberay/rayservice.yaml")["spec"]["rayClusterConfig"]
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert int(container["resources"]["limits"]["nvidia.com/gpu"]) == 1
    assert container["env"] == cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "entrypiont"),
        ("spec", "rayClusterSpec", "workerGroups"),
        ("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "volums"),
    ],
    ids=lambda path: path[-1],
)
def test_kuberay_refuses_a_misspelt_field(path: tuple[str, ...]) -> None:
    wrong = copy.deepcopy(read("deploy/kuberay/rayjob.yaml"))
    place = wrong
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = []
    with pytest.raises(jsonschema.ValidationError):
        check(wrong)


def test_the_jobs_trials_fit_its_pods() -> None:
    job = read("deploy/kuberay/rayjob.yaml")["spec"]
    spec = spec_in(job["entrypoint"])
    (group,) = job["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert int(limits["nvidia.com/gpu"]) == spec.resources.gpus == spec.evaluation.gpus == 1
    assert int(limits["cpu"]) >= max(spec.resources.cpus, spec.evaluation.cpus)
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert spec.storage.startswith(tuple(mounted))
    assert group["minReplicas"] == 0


def test_every_file_names_the_ray_that_is_installed() -> None:
    ray = version("ray")
    job, service = (read(f"deploy/kuberay/ray{kind}.yaml")["spec"] for kind in ("job", "service"))
    assert job["rayClusterSpec"]["rayVersion"] == ray
    assert service["rayClusterConfig"]["rayVersion"] == ray
    assert f"rayproject/ray:{ray}-" in IMAGE


def test_what_a_job_leaves_at_home() -> None:
    """The working folder that is sent is small, and holds what a sweep needs."""
    left = (ROOT / ".rayignore").read_text(encoding="utf-8").split()
    assert {".venv*/", "runs/", "tests/"} <= set(left)
    assert not {"sweeps/", "data/", "fcray/"} & set(left)
