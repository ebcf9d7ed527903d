"""What Prometheus reads under /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client import generate_latest as write

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "WEBSOCKET"})


class BatchMetrics:
    """What is counted of the batches that one model reads for one purpose."""

    def __init__(self, rows: Counter, sizes: Histogram, seconds: Histogram) -> None:
        self._rows, self._sizes, self._seconds = rows, sizes, seconds

    def read(self, rows: int, seconds: float) -> None:
        """Counts a batch."""
        self._rows.inc(rows)
        self._sizes.observe(rows)
        self._seconds.observe(seconds)


class Metrics:
    """The counters of one application. Names and labels are bounded: no path and no method of a client is one."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("method", "handler", "status")
        self._requests = Counter("http_requests_total", "Requests that were answered.", labels, registry=registry)
        self._durations = Histogram(
            "http_request_duration_seconds", "Time to an answer.", labels[:2], registry=registry, buckets=SECONDS
        )
        by = ("model", "task")
        self._rows = Counter("tidegate_rows_total", "Texts or sequences that were read.", by, registry=registry)
        self._sizes = Histogram(
            "tidegate_batch_rows", "Texts or sequences in a batch.", by, registry=registry, buckets=BATCHES
        )
        self._batches = Histogram(
            "tidegate_batch_seconds", "Time to read a batch.", by, registry=registry, buckets=SECONDS
        )
        self._known: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def batches(self, model: str, task: str) -> BatchMetrics:
        """Returns what counts the batches of a model."""
        by = (model, task)
        return BatchMetrics(self._rows.labels(*by), self._sizes.labels(*by), self._batches.labels(*by))

    def watch_sessions(self, count: Callable[[], int]) -> None:
        """Lets the number of sessions be asked for."""
        Gauge("tidegate_sessions", "Sessions that are kept.", registry=self._registry).set_function(count)

    def answered(self, method: str, handler: str, status: int, seconds: float) -> None:
        """Counts an answer."""
        method = method if method in METHODS else "other"
        key = (method, handler, status)
        count = self._known.get(key)
        if count is None:  # looking labels up takes longer than counting
            count = self._known[key] = self._counting(*key)
        count(seconds)

    def _counting(self, method: str, handler: str, status: int) -> Callable[[float], None]:
        requests = self._requests.labels(method, handler, str(status))
        durations = self._durations.labels(method, handler)

        def count(seconds: float) -> None:
            requests.inc()
            durations.observe(seconds)

        return count

    def text(self) -> bytes:
        """Writes all in Prometheus' format."""
        return write(self._registry)
