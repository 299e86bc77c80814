"""The figures of the service for Prometheus: counts, times and errors, without personal data.

Labels are routes, methods, codes and kinds: never a reader's card, a path with a name in it, or an origin.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The figures of one service, in a registry of its own instead of the library's global one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("cardio_requests", "Requests by route", labels, registry=self._registry)
        self._seconds = Histogram(
            "cardio_request_seconds", "Time of requests", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._refused = Counter("cardio_refused", "Callers turned away at the gate", ("code",), registry=self._registry)
        self._events = Counter("cardio_events", "Events published", ("kind",), registry=self._registry)
        self._reads = Counter("cardio_card_reads", "Basic readings by outcome", ("outcome",), registry=self._registry)
        self._read_seconds = Histogram(
            "cardio_card_read_seconds", "Time of basic readings", buckets=_SECONDS, registry=self._registry
        )
        self._gauges = {
            name: Gauge(f"cardio_{name}", words, registry=self._registry)
            for name, words in (
                ("readers", "Readers that are connected"),
                ("cards", "Cards that are in"),
                ("pcsc_up", "PC/SC runs"),
                ("streams", "Open streams and sockets"),
                ("subscribers_dropped", "Subscribers dropped for being slow"),
                ("audit_entries_lost", "Entries that the audit log could not take since it last took one"),
                ("task_failures", "Unplanned errors of background tasks since the start"),
                ("tasks_down", "Background tasks that wait for their next start"),
                ("debits_unknown", "Debits with an unknown result"),
                ("debits_undelivered", "Debits that were done while their result was not delivered"),
                ("debits_unsettled", "Debits that were done and are not booked yet"),
            )
        }

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope.get("method", "WEBSOCKET")
        if method not in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "WEBSOCKET"):
            method = "other"  # a caller's invented method must not become a label
        self._requests.labels(route, method, status).inc()
        if scope["type"] == "http" and route != "/v1/events":
            self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def event(self, kind: str) -> None:
        self._events.labels(kind).inc()

    def card_read(self, outcome: str, milliseconds: int) -> None:
        self._reads.labels(outcome).inc()
        self._read_seconds.observe(milliseconds / 1000)

    def text(self, **gauges: float) -> bytes:
        """Return all figures in Prometheus' text format, with the present values of the gauges."""
        for name, value in gauges.items():
            self._gauges[name].set(value)
        return generate_latest(self._registry)
