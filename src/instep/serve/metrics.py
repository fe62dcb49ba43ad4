"""What Prometheus reads: latencies, counts and the state of the log and the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from instep.domain import Receipt

if TYPE_CHECKING:
    from instep.flow import Flow

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
        self._stages = Histogram(
            "instep_stage_seconds",
            "Time of a stage: `retrieve`, `score` and `choose` of a slate, `learn` of a record; `observe` is from a "
            "checked event to its acknowledgement, `recommend` a whole slate.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._observe = self._stages.labels("observe")
        self._recommend = self._stages.labels("recommend")
        events = Counter(
            "instep_events", "Events acknowledged over HTTP.", ("duplicate",), registry=self.registry
        )
        self._events = {duplicate: events.labels(str(duplicate).lower()) for duplicate in (False, True)}
        self._degraded = Counter(
            "instep_degraded",
            "Requests answered without an optional stage, because it failed.",
            ("stage",),
            registry=self.registry,
        )
        self.waiting = 0
        """Records that were submitted and are not yet acknowledged; who submits counts them."""
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

    def count_events(self, seconds: float, receipts: Sequence[Receipt]) -> None:
        """Count acknowledged events, and the time from their check to their acknowledgement.

        Args:
            seconds: how long it took.
            receipts: one an event; duplicates are counted apart.
        """
        self._observe.observe(seconds)
        duplicates = sum(receipt.duplicate for receipt in receipts)
        self._events[False].inc(len(receipts) - duplicates)
        if duplicates:
            self._events[True].inc(duplicates)

    def count_slate(self, seconds: float, degraded: Sequence[str]) -> None:
        """Count a slate, the time it took and the optional stages that failed for it.

        Args:
            seconds: how long it took.
            degraded: the stages' names.
        """
        self._recommend.observe(seconds)
        for stage in degraded:
            self._degraded.labels(stage).inc()

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Have a number read at each scrape.

        Args:
            name: without the prefix ``instep_``.
            documentation: what it is, with its unit.
            read: gives the number; quick.

        >>> metrics = Metrics()
        >>> metrics.gauge("answer", "The answer.", lambda: 42)
        >>> b"instep_answer 42.0" in metrics.render()
        True
        """
        Gauge(f"instep_{name}", documentation, registry=self.registry).set_function(read)

    def watch(self, flow: Flow) -> None:
        """Have the log and the model of a flow read at each scrape."""
        stages = {name: self._stages.labels(name) for name in ("retrieve", "score", "choose", "learn")}
        flow.on_stage = lambda stage, seconds: stages[stage].observe(seconds)
        # Asked anew each time: an erasure puts another model in place.
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("log_queue", "Records submitted over HTTP, not yet acknowledged.", lambda: self.waiting),
            ("log_end", "Offset the next record will get.", lambda: flow.log.end),
            ("model_offset", "All records below are learned from.", lambda: flow.model.state.offset),
            ("model_lag", "Records not yet learned from.", lambda: flow.log.end - flow.model.state.offset),
            ("items", "Items the model knows.", lambda: flow.model.state.n_items),
            ("users", "Users and visitors the model knows.", lambda: len(flow.model.state.names.users)),
            ("scores_not_finite", "Scores that were not finite.", lambda: flow.model.non_finite),
            (
                "impressions_lost",
                "Slates that could not be logged.",
                lambda: flow.model.failures["impression"],
            ),
        )
        for name, documentation, read in gauges:
            self.gauge(name, documentation, read)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
