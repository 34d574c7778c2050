"""The service on a socket: uvicorn, with an end to clients that never finish a request."""

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from logs2lang.dataset_builders.input_error import InputError

from .guards import App

HEADERS_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 15
GRACE_S = 20
"""Seconds that requests under way get when the service is told to end."""
SWITCH_INTERVAL_S = 0.0005
"""Python's threads take turns after so long. With its default, 5 ms, each answer waits that long for the next text."""
_BACKLOG = 1_024


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose patience with the headers of a request ends: uvicorn's own has no limit for them."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._end is None:
            self._end = self.loop.call_later(HEADERS_TIMEOUT_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections already: who connects before the service runs waits a moment.

    Args:
        host (`str`): Name or address of this machine.
        port (`int`): 0 for any free one.

    Raises:
        InputError: The port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"The service cannot listen on {host}, port {port} ({error.strerror or error}). Choose another --port or "
            "--host."
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def to_server(app: App) -> uvicorn.Server:
    """A server for an application of ASGI; run it with `run(sockets=[listen(...)])`."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return uvicorn.Server(config)


@contextmanager
def attentive() -> Iterator[None]:
    """Let no answer wait for a thread at work, nor for the garbage collector.

    One full pass over the objects of a large catalogue stops a service for half a second. They all stay for as long as
    it runs, so the collector is told not to look at them.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)


def run(app: App, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which let requests under way end.

    Args:
        app (`App`): Of ASGI.
        listening (`socket.socket`): See [`listen`].
    """
    # uvicorn ends at these, and then sends them on to whoever waited for them before: to end is success here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with attentive():
        to_server(app).run(sockets=[listening])
