"""What Prometheus reads: latencies, counts and the state of the log and the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip


class Metrics:
    """The metrics of one service, in a registry of their own.

    No user, item or key is a label: labels are routes, methods, statuses, event types and stages.

    >>> metrics = Metrics()
    >>> metrics.count_request("/v1/events", "POST", 200, 0.002)
    >>> b'instep_http_requests_total{method="POST",route="/v1/events",status="200"} 1.0' in metrics.render()
    True
    """

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._seconds = Histogram(
            "instep_http_request_seconds",
            "Time from a request's header to the end of its answer.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "instep_http_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._degraded = Counter(
            "instep_degraded",
            "Requests answered without an optional stage, because it failed.",
            ("stage",),
            registry=self.registry,
        )
        # Looking a child up by its labels takes longer than counting: keep them.
        self._children: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: the route's path with its variables' names, never the path as it was sent.
            method: the HTTP method.
            status: the HTTP status of the answer.
            seconds: how long it took.
        """
        key = (route, method, status)
        children = self._children.get(key)
        if children is None:
            children = (
                self._seconds.labels(route, method),
                self._requests.labels(route, method, str(status)),
            )
            self._children[key] = children
        children[0].observe(seconds)
        children[1].inc()

    def count_degraded(self, stages: Iterable[str]) -> None:
        """Count a request that went on without these stages."""
        for stage in stages:
            self._degraded.labels(stage).inc()

    def add(self, collector: Collector) -> None:
        """Have a collector asked at each scrape."""
        self.registry.register(collector)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
