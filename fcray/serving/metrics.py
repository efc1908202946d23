"""What Prometheus may read of an endpoint: counts and times, never what a message says.

Each ingress replica counts for itself. Knows nothing of routes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fcray.inference import Completion

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GONE = 499
"""The status of a request whose caller went away; nginx' number."""

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
"""Upper bounds of the histograms of times."""


class Metrics:
    """The figures of one ingress replica."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fcray_requests",
            "Chat completions by model and HTTP status.",
            ("model", "status"),
            registry=self._registry,
        )
        self._under_way = Gauge(
            "fcray_requests_under_way", "Chat completions under way.", registry=self._registry
        )
        self._seconds = Histogram(
            "fcray_request_seconds",
            "From a request to the end of its answer.",
            ("model",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._first = Histogram(
            "fcray_first_chunk_seconds",
            "From a request to the first chunk of its stream.",
            ("model",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "fcray_tokens",
            "Tokens by model: of prompts, of these cached, and written.",
            ("model", "kind"),
            registry=self._registry,
        )
        self._calls = Counter(
            "fcray_calls", "Function calls that were made.", ("model",), registry=self._registry
        )

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def begin(self) -> Watch:
        """A request has come."""
        self._under_way.inc()
        return Watch(self)

    def first(self, model: str, seconds: float) -> None:
        self._first.labels(model).observe(seconds)

    def end(self, model: str, status: int, seconds: float, answers: Sequence[Completion]) -> None:
        self._under_way.dec()
        self._requests.labels(model, str(status)).inc()
        if not answers:
            return
        self._seconds.labels(model).observe(seconds)
        self._calls.labels(model).inc(sum(len(one.calls) for one in answers))
        for kind, count in (
            ("prompt", answers[0].prompt_tokens),
            ("cached", answers[0].cached_tokens),
            ("completion", sum(one.completion_tokens for one in answers)),
        ):
            self._tokens.labels(model, kind).inc(count)


class Watch:
    """A request under way.

    Attributes
    ----------
    model: The version that answers; "" until that is known, so that callers cannot invent labels.
    answers: What was answered, once it is complete.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = time.monotonic()
        self._over = False
        self.model = ""
        self.answers: Sequence[Completion] = ()

    def first(self) -> None:
        """The first part of a stream is there."""
        self._metrics.first(self.model, time.monotonic() - self._began)

    def end(self, status: int) -> None:
        """It is over, once."""
        if not self._over:
            self._over = True
            spent = time.monotonic() - self._began
            self._metrics.end(self.model, status, spent, self.answers)
