"""The application that Serve's config files name: what it serves, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcray.errors import FcrayError, UserError
from fcray.registry import CHAMPION, Registry
from fcray.serving.build import ServeArgs, application, config_of
from fcray.serving.ingress import hash_key
from tests.test_registry import FACTS


@pytest.fixture
def registry(tmp_path: Path, tiny_folder: Path, adapter_folder: Path) -> Registry:
    """One version, of an adapter of the tiny base."""
    made = Registry(tmp_path / "registry")
    spec = {"name": "x", "model": {"base": str(tiny_folder)}, "serving": {"max_tokens": 99}}
    manifest = made.add("call", adapter_folder, {**FACTS, "spec": spec})
    made.point(CHAMPION, manifest.version)
    return made


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCRAY_API_KEY", "open sesame")


def test_a_version_says_what_is_served(registry: Registry, tiny_folder: Path) -> None:
    args = ServeArgs(registry=registry.url, gpus=1, waiting=7)
    config = config_of(args, "open sesame", port=8123)
    assert config.model.base == str(tiny_folder)
    assert config.adapters == {"call_v1": str(Path(registry.url) / "call_v1")}
    assert config.aliases == {CHAMPION: "call_v1"}
    assert (config.serving.max_tokens, config.serving.port) == (99, 8123)
    assert (config.gpus, config.waiting) == (1, 7)
    assert config.api_key_sha256 == hash_key("open sesame")


def test_the_application_is_built(registry: Registry) -> None:
    made = application({"registry": registry.url, "version": "call_v1"})
    assert made._bound_deployment.name == "ingress"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"regsitry": "x"}, r"args\.regsitry"),
        ({"gpus": -1}, r"args\.gpus"),
        ({"registry": "nowhere"}, "the registry has no 'champion'"),
    ],
)
def test_wrong_arguments_are_named(args: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        application(args)


def test_there_must_be_a_key(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FCRAY_API_KEY")
    with pytest.raises(UserError, match="set FCRAY_API_KEY"):
        application({"registry": registry.url})


def test_a_torn_version_is_refused(registry: Registry) -> None:
    (Path(registry.url) / "call_v1" / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(FcrayError, match="call_v1"):
        application({"registry": registry.url})
