"""A service on a socket of this machine, for as long as a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from logs2lang.serving.guards import App
from logs2lang.serving.server import listen, to_server


@contextmanager
def listening_on_loopback(app: App) -> Iterator[int]:
    """The port of an application of ASGI that runs in a thread until the block ends."""
    listening = listen("127.0.0.1", 0)
    server = to_server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
