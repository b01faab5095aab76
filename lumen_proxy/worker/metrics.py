"""The metrics of a worker.

Counting uses a dictionary and a lock; prometheus-client (60 ms to import) is imported for the first page.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Seconds: from the time of the proxy itself (a millisecond) to the default deadline.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
COUNTERS = {
    "requests": ("Answered requests.", ("route", "status")),
    "rejections": ("Errors, by code.", ("code",)),
    "retries": ("Further attempts to reach the gateway.", ()),
    "fallbacks": ("Calls that went to Cloud AI.", ()),
    "tokens": ("Estimated tokens.", ("kind",)),
}
TIMES = {
    "request": ("Whole requests.", ("route",)),
    "gateway": ("The last attempt of each chat, successful or not, at the gateway or Cloud AI.", ("channel",)),
    "overhead": ("The rest of the time of chats that were sent on: proxy, queue and earlier attempts.", ()),
}
Labels = tuple[str, ...]


class _Times:
    def __init__(self) -> None:
        self.total_s = 0.0
        self.counts = [0] * (len(BUCKETS_S) + 1)


class Metrics:
    """Counters and times of one process; the functions of `gauges` are called for each page."""

    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        self._gauges = gauges
        self._lock = threading.Lock()
        self._counters: defaultdict[str, Counter[Labels]] = defaultdict(Counter)
        self._times: defaultdict[str, defaultdict[Labels, _Times]] = defaultdict(lambda: defaultdict(_Times))

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter of `COUNTERS`."""
        with self._lock:
            self._counters[name][labels] += by

    def time(self, name: str, seconds: float, *labels: str) -> None:
        """Add a time to one of `TIMES`."""
        with self._lock:
            times = self._times[name][labels]
            times.total_s += seconds
            times.counts[bisect_left(BUCKETS_S, seconds)] += 1

    def page(self) -> tuple[bytes, str]:
        """The page for Prometheus and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Any]:
        """Yield all metrics; called by prometheus-client."""
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(f"lumen_{name}", meaning, value=read())
        with self._lock:
            for name, (meaning, labels) in COUNTERS.items():
                counter = CounterMetricFamily(f"lumen_{name}", meaning, labels=labels)
                for values, count in (self._counters[name] or ({} if labels else {(): 0})).items():
                    counter.add_metric(values, count)
                yield counter
            for name, (meaning, labels) in TIMES.items():
                histogram = HistogramMetricFamily(f"lumen_{name}_seconds", meaning, labels=labels)
                mean = GaugeMetricFamily(f"lumen_{name}_seconds_mean", f"Mean. {meaning}", labels=labels)
                for values, times in self._times[name].items():
                    histogram.add_metric(values, list(_cumulative(times)), times.total_s)
                    mean.add_metric(values, times.total_s / sum(times.counts))
                yield from (histogram, mean)


def _cumulative(times: _Times) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), times.counts, strict=True):
        total += count
        yield bound, total
