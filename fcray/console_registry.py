"""A version of the registry, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fcray.console import output, table
from fcray.registry import AliasEvent, Manifest
from fcray.tracking.wording import METRICS, modules, percent, rate, shares


def show_version(
    manifest: Manifest, place: str, histories: Mapping[str, Sequence[AliasEvent]]
) -> None:
    """All that is known of a version."""
    console = output()
    config = manifest.config
    facts = [
        ("place", place),
        ("created", manifest.created),
        ("base", f"{manifest.base} ({manifest.revision}), {manifest.quantization}"),
        ("run, trial", f"{manifest.spec.get('name', '')}, {manifest.trial}"),
        ("rank, lr", f"{config.get('rank', '')}, {rate(config.get('learning_rate'))}"),
        ("modules", modules(config.get("target_modules"))),
        ("stages %", shares(config.get("shares"))),
        ("data", manifest.data_sha256),
        ("code", manifest.git_revision or "no working copy"),
    ]
    if manifest.forced:
        facts.append(("forced", manifest.forced))
    console.print(table(manifest.version, ("", ""), facts))
    intervals = manifest.metrics.get("intervals") or {}
    rows = []
    for name, label in METRICS.items():
        span = intervals.get(name)
        known = f"{percent(span['low'])} to {percent(span['high'])}" if span else ""
        rows.append((label, percent(manifest.metrics.get(name)), known))
    console.print(table("As served", ("", "score>", "95 % interval>"), rows))
    console.print(table("Files", ("name", "sha256"), list(manifest.files.items())))
    events = [
        (alias, str(event.number), event.version or "nothing", event.at, event.reason)
        for alias, some in histories.items()
        for event in some
    ]
    if events:
        console.print(table("Aliases", ("alias", "", "version", "since", "reason"), events))
