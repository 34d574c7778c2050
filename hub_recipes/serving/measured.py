"""What Prometheus reads: requests, seconds, batches, and who waits."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .guards import App, Message, Receive, Scope, Send

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Measures:
    """The measures of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "logs2lang_requests", "Requests, by path and status.", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "logs2lang_request_seconds",
            "Seconds from the first byte of a request to its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._sizes = Histogram(
            "logs2lang_batch_size",
            "Requests that were answered together.",
            ["work"],
            buckets=_SIZES,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "logs2lang_batch_seconds", "Seconds of one batch.", ["work"], buckets=_SECONDS, registry=self.registry
        )
        self._waiting = Gauge("logs2lang_waiting", "Requests that wait for a batch.", ["work"], registry=self.registry)

    def watch(self, work: str, waiting: Callable[[], int]) -> None:
        """Ask how many requests wait whenever the measures are read."""
        self._waiting.labels(work).set_function(waiting)

    def saw_batch(self, work: str, size: int, seconds: float) -> None:
        """Count one batch."""
        self._sizes.labels(work).observe(size)
        self._batch_seconds.labels(work).observe(seconds)

    def saw_request(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All measures in the format of Prometheus."""
        return generate_latest(self.registry)


class Measured:
    """Counts every request on its way through.

    Args:
        app (`App`): Of ASGI.
        measures ([`Measures`]): Where they are counted.
        paths (`Collection[str]`): Those with a count of their own; clients could else make up any number of them.
    """

    def __init__(self, app: App, measures: Measures, paths: frozenset[str]):
        self.app = app
        self.measures = measures
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 499  # as where a client goes away before it is answered

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.measures.saw_request(path, status, time.monotonic() - started)
