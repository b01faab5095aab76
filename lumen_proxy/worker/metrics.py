"""The metrics of a worker, by prometheus-client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

disable_created_metrics()  # type: ignore[no-untyped-call] # a time of creation for each series would double the page
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


class Metrics:
    """Counters and times of one process; the functions of `gauges` are called for each page."""

    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        for name, (meaning, read) in gauges.items():
            Gauge(f"lumen_{name}", meaning, registry=self._registry).set_function(read)
        self._counters = {
            name: Counter(f"lumen_{name}", meaning, labels, registry=self._registry)
            for name, (meaning, labels) in COUNTERS.items()
        }
        self._times = {
            name: Histogram(f"lumen_{name}_seconds", meaning, labels, buckets=BUCKETS_S, registry=self._registry)
            for name, (meaning, labels) in TIMES.items()
        }
        self._registry.register(self)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter of `COUNTERS`."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def time(self, name: str, seconds: float, *labels: str) -> None:
        """Add a time to one of `TIMES`."""
        histogram = self._times[name]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)

    def page(self) -> tuple[bytes, str]:
        """The page for Prometheus and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the mean times; called by prometheus-client."""
        for name, (meaning, labels) in TIMES.items():
            mean = GaugeMetricFamily(f"lumen_{name}_seconds_mean", f"Mean. {meaning}", labels=labels)
            (family,) = self._times[name].collect()
            sums = [sample for sample in family.samples if sample.name.endswith("_sum")]
            counts = [sample for sample in family.samples if sample.name.endswith("_count")]
            for total, count in zip(sums, counts, strict=True):
                if count.value:
                    mean.add_metric(tuple(total.labels.values()), total.value / count.value)
            yield mean
