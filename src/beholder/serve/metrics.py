"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts of one server, in a registry of its own, so that two servers in a process do not mix theirs."""

    def __init__(self, n_waiting: Callable[[], int], queue: int) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "beholder_requests", "Answered requests.", ["route", "method", "code"], registry=self.registry
        )
        self.seconds = Histogram(
            "beholder_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.pictures = Counter(
            "beholder_pictures", "Pictures by what came of them.", ["status"], registry=self.registry
        )
        self.batch = Histogram(
            "beholder_batch_pictures", "Pictures in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=self.registry
        )
        self.batch_seconds = Histogram(
            "beholder_batch_seconds", "Time of a batch in its worker.", buckets=SECONDS, registry=self.registry
        )
        Gauge("beholder_queue_pictures", "Pictures that wait.", registry=self.registry).set_function(n_waiting)
        Gauge("beholder_queue_limit", "Pictures that may wait.", registry=self.registry).set(queue)

    def on_batch(self, n_pictures: int, seconds: float) -> None:
        """Count a finished batch."""
        self.batch.observe(n_pictures)
        self.batch_seconds.observe(seconds)
