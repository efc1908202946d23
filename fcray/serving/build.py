"""One application for `fcray serve`, `serve deploy deploy/serve.yaml` and KubeRay's RayService.

A version of the registry says what is served: its base, its numerics and its settings. Knows nothing of how
Serve is started.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError
from ray import serve

from fcray import settings
from fcray.errors import UserError, first_problem
from fcray.registry import CHAMPION, Registry
from fcray.serving.app import ServeConfig, bound
from fcray.serving.ingress import hash_key
from fcray.spec import ModelSpec, ServingSpec
from fcray.spec.base import Spec


class ServeArgs(Spec):
    """The `args` of the application in a Serve config file."""

    registry: str = Field(
        "registry", description="the registry: a folder that every node sees, or an fsspec URL"
    )
    version: str = Field(CHAMPION, description="a version of it, or an alias")
    cpus: float = Field(1.0, ge=0)
    gpus: float = Field(0.0, ge=0)
    threads: int | None = Field(None, ge=1)
    waiting: int = Field(64, ge=0)
    timeout: float = Field(120.0, gt=0)
    follow: float | None = Field(
        2.0,
        gt=0,
        description="seconds between two looks at the registry: when `champion` moves, what is served does. "
        "null: never, nor where a version is named",
    )


def config_of(args: ServeArgs, key: str, **serving: Any) -> ServeConfig:
    """What is served, as a version's manifest has it.

    Parameters
    ----------
    key: Which callers must show.
    serving: Fields of `ServingSpec` that are not the manifest's.

    Raises
    ------
    UserError: There is no such version, or it is torn.
    """
    store = Registry(args.registry)
    manifest = store.manifest(args.version)
    follows = args.follow is not None and args.version == CHAMPION
    aliases = store.aliases() if follows else {CHAMPION: manifest.version}
    return ServeConfig(
        model=ModelSpec.model_validate(manifest.spec["model"]),
        adapters={version: str(store.path(version)) for version in sorted({*aliases.values()})},
        registry=store.url,
        follow=args.follow if follows else None,
        aliases=aliases,
        serving=ServingSpec.model_validate({**manifest.spec.get("serving", {}), **serving}),
        api_key_sha256=hash_key(key),
        cpus=args.cpus,
        gpus=args.gpus,
        threads=args.threads,
        waiting=args.waiting,
        timeout=args.timeout,
    )


def application(args: dict[str, Any]) -> serve.Application:
    """What `import_path: fcray.serving.build:application` names. The key is `FCRAY_API_KEY`'s.

    Raises
    ------
    UserError: An argument is wrong, there is no key, or no such version.
    """
    try:
        read = ServeArgs.model_validate(args)
    except ValidationError as error:
        message, where = first_problem(error)
        raise UserError(message, field=".".join(map(str, ("args", *where)))) from None
    key = settings.api_key()
    if key is None:
        raise UserError("set FCRAY_API_KEY in the application's environment", field="runtime_env")
    return bound(config_of(read, key))
